"""Choose what goes by a policy. No I/O here: a list of snapshots in, a decision about each out.

Full snapshots. The newest is always kept; so is every one of ``keep_within`` before it, and of each of the last so many
days, weeks, months and years *that have one* the last one. All is counted from the newest full snapshot and not from
now: a vault that stands still, or a clock that runs ahead, loses nothing.

Dump snapshots. One goes with the full snapshot that it belongs to (tag ``of=``), unless it is the newest of its name
before a full one that stays: a restore of that moment brings it. Those that belong to a full one that stays are counted
like full ones, each name for itself: a folder that never changes would pile up its dumps for ever. The newest of each
name is always kept.

Express snapshots. One goes when a newer full one exists and it is older than that by ``express``.

Order is vaultd's running number. A snapshot whose date does not fit its place in that order, or lies in the future,
decides nothing and stays (``odd``): somebody who can write to the repository could otherwise push out true snapshots
with made-up ones.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

from vaultd.config.retention import RetentionConfig
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.units import SECOND

FUTURE_SECONDS = 3600
"""So far ahead of our clock a snapshot's date may be: two clocks never agree."""


class Why(StrEnum):
    """Why a snapshot stays or goes."""

    NEWEST = "newest"
    WITHIN = "within"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    NOT_YET_FULL = "no-newer-full"
    EXPRESS_PERIOD = "express-period"
    WITH_FULL = "with-full"
    ODD = "odd-date"
    LAST_KNOWN = "last-acknowledged"
    # and what goes
    POLICY = "policy"
    EXPRESS_OVER = "express-over"
    DUMP_OF_GONE = "with-its-full"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one snapshot, and why."""

    snapshot: StoredSnapshot
    keep: bool
    why: Why


@dataclass(frozen=True, slots=True)
class Choice:
    """All decisions, in vaultd's order; ``odd`` those whose date cannot be believed (they stay)."""

    decisions: tuple[Decision, ...]
    odd: tuple[StoredSnapshot, ...] = ()

    @property
    def going(self) -> list[Decision]:
        """What goes."""
        return [one for one in self.decisions if not one.keep]

    @property
    def staying(self) -> list[Decision]:
        """What stays."""
        return [one for one in self.decisions if one.keep]


def policy_digest(policy: RetentionConfig) -> bytes:
    """SHA-256 of a policy: of the JSON of its values, keys sorted, without ``auto``."""
    fields: dict[str, Any] = policy.model_dump(exclude={"auto"})
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).digest()


def select(
    snapshots: Iterable[StoredSnapshot],
    policy: RetentionConfig,
    *,
    now: int,
    keep: Collection[str] = (),
    zone: tzinfo | None = None,
) -> Choice:
    """Decide about the snapshots of one vault of one host at one target.

    ``now`` (nanoseconds since 1970) serves to find dates in the future, nothing else. ``keep``: ids that stay whatever
    the policy says. ``zone``: whose days count, None for the host's.
    """
    ordered = sorted(snapshots, key=lambda one: (one.order, one.time, one.id))
    odd = odd_dates(ordered, now)
    strange = {one.id for one in odd}
    sound = [one for one in ordered if one.id not in strange]
    full = [one for one in sound if one.kind is SnapshotKind.FULL]
    found = _by_policy(full, policy, zone)
    for one in ordered:
        if one.id in keep and one.kind is SnapshotKind.FULL:
            found.setdefault(one.id, Why.LAST_KNOWN)
    whole = [one for one in ordered if one.kind is SnapshotKind.FULL]
    if whole:  # also when its date is odd: the newest is the newest
        found.setdefault(whole[-1].id, Why.NEWEST)
    staying = [one for one in full if one.id in found]
    found |= _dumps([one for one in sound if one.kind is SnapshotKind.DUMP], ordered, staying, strange, policy, zone)
    newest = full[-1] if full else None
    for one in sound:
        if one.kind is SnapshotKind.EXPRESS:
            if newest is None or one.order > newest.order:
                found[one.id] = Why.NOT_YET_FULL
            elif newest.time - one.time < policy.express * SECOND:
                found[one.id] = Why.EXPRESS_PERIOD
    found |= dict.fromkeys(strange - found.keys(), Why.ODD)
    return Choice(
        tuple(Decision(one, one.id in found, found.get(one.id, _GOES[one.kind])) for one in ordered), tuple(odd)
    )


_GOES = {
    SnapshotKind.FULL: Why.POLICY, SnapshotKind.EXPRESS: Why.EXPRESS_OVER, SnapshotKind.DUMP: Why.DUMP_OF_GONE,
}  # fmt: skip


def odd_dates(ordered: Sequence[StoredSnapshot], now: int) -> list[StoredSnapshot]:
    """Of snapshots in vaultd's order those whose dates cannot be believed: in the future, or not in the row of the most
    that agree with their order (a row of dates that never goes back)."""
    future = [one for one in ordered if one.time > now + FUTURE_SECONDS * SECOND]
    late = {one.id for one in future}
    row = [one for one in ordered if one.id not in late]
    # The longest row that never goes back: of each length the smallest last date, and who came before.
    ends, last, before = list[int](), list[int](), list[int]()
    for place, one in enumerate(row):
        at = bisect_right(ends, one.time)
        ends[at : at + 1], last[at : at + 1] = [one.time], [place]
        before.append(last[at - 1] if at else -1)
    good, place = set[str](), last[-1] if last else -1
    while place >= 0:
        good.add(row[place].id)
        place = before[place]
    return [one for one in ordered if one.id not in good]


def _by_policy(series: Sequence[StoredSnapshot], policy: RetentionConfig, zone: tzinfo | None) -> dict[str, Why]:
    """Those of one series, in order, that a policy keeps."""
    if not series:
        return {}
    newest = series[-1]
    found = {newest.id: Why.NEWEST}
    for one in series:
        if newest.time - one.time < policy.keep_within * SECOND:
            found.setdefault(one.id, Why.WITHIN)
    rules: list[tuple[Why, int, Callable[[datetime], tuple[int, ...]]]] = [
        (Why.DAILY, policy.daily, lambda at: (at.year, at.month, at.day)),
        (Why.WEEKLY, policy.weekly, lambda at: tuple(at.isocalendar())[:2]),
        (Why.MONTHLY, policy.monthly, lambda at: (at.year, at.month)),
        (Why.YEARLY, policy.yearly, lambda at: (at.year,)),
    ]
    for why, count, bucket in rules:
        seen = set[tuple[int, ...]]()
        for one in reversed(series):
            key = bucket(_day_of(one.time, zone))
            if key in seen:
                continue
            if len(seen) >= count:
                break
            seen.add(key)
            found.setdefault(one.id, why)
    return found


def _day_of(time: int, zone: tzinfo | None) -> datetime:
    moment = datetime.fromtimestamp(time // SECOND, UTC)
    return moment.astimezone(zone)


def _dumps(
    dumps: Sequence[StoredSnapshot], ordered: Sequence[StoredSnapshot], staying: Sequence[StoredSnapshot],
    strange: Collection[str], policy: RetentionConfig, zone: tzinfo | None,
) -> dict[str, Why]:  # fmt: skip
    """The dumps that stay, beside the full snapshots that do."""
    fulls = [one for one in ordered if one.kind is SnapshotKind.FULL]
    kept = {one.id for one in staying}
    found = dict[str, Why]()
    for name in sorted({one.dump_name for one in dumps}):
        series = [one for one in dumps if one.dump_name == name]
        found[series[-1].id] = Why.NEWEST
        orders = [one.order for one in series]
        for full in staying:
            at = bisect_right(orders, full.order)
            if at:
                found.setdefault(series[at - 1].id, Why.WITH_FULL)
        counted = []  # those that are needed anyway count too, or the same policy would take more the next time
        for one in series:
            owner = _owner(one, fulls)
            if owner is not None and owner.id in strange:
                found.setdefault(one.id, Why.ODD)
            elif one.id in found or owner is None or owner.id in kept:
                counted.append(one)
        for snapshot, why in _by_policy(counted, policy, zone).items():
            found.setdefault(snapshot, why)
    return found


def _owner(dump: StoredSnapshot, fulls: Sequence[StoredSnapshot]) -> StoredSnapshot | None:
    """The full snapshot that a dump belongs to. A change set that found nothing changed has no snapshot of its own: it
    stands for the full one before it."""
    wanted = int(dump.dump_of.partition("-")[0]) if dump.dump_of else 0
    at = bisect_right(fulls, wanted, key=lambda one: one.order)
    return fulls[at - 1] if at else None

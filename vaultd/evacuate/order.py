"""The order: one word starts an evacuation, and everything else about it can be filled in afterwards.

It is kept in the store, with its ledger entry in the same transaction, before anything is done: the daemon that runs
(or the next one) takes it up. Whoever orders while one goes on joins it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from vaultd.approvals import Caller
from vaultd.custody import owe
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger.events import EvacuationChanged, EvacuationTier
from vaultd.restic.proc import boot_id
from vaultd.store import Store
from vaultd.store.evacuations import COPIED, ENDED, ORDERED, SAFE, SHORT, Evacuation
from vaultd.units import rfc3339

LEVELS = ("I", "II", "III")
CATEGORIES = ("unspecified", "fire", "flood", "theft", "power-cut", "leak-or-loss", "other")


@dataclass(frozen=True, slots=True)
class Details:
    """What people may say of an evacuation, now or later; None says nothing. The names are those of its entry."""

    report: str | None = None
    on_duty: str | None = None
    director: str | None = None
    warning: str | None = None
    playbook: str | None = None
    request: str | None = None
    note: str | None = None

    def given(self) -> dict[str, str]:
        """What was said."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def check(level: str | None, category: str | None) -> None:
    """Refuse a level or category that there is not. Raises ConfigError."""
    for value, known, what in ((level, LEVELS, "level"), (category, CATEGORIES, "category")):
        if value is not None and value not in known:
            raise ConfigError(
                _("the evacuation"), _("there is no {what} {value}").format(what=what, value=value),
                _("it is one of: {names}").format(names=", ".join(known)),
            )  # fmt: skip


def start(
    store: Store, state: Path, caller: Caller, *, level: str | None = None, category: str | None = None,
    details: Details | None = None, drill: bool = False,
) -> tuple[Evacuation, bool]:  # fmt: skip
    """Order an evacuation. Returns it, and whether it is new: one that goes on already is joined, and what is said of
    it anew is filled in. Raises ConfigError, StateError."""
    check(level, category)
    details = details or Details()
    with store.database.write():
        going = store.open_evacuation(drill=drill)
        if going is not None:
            return judge(store, state, going, caller.who, level=level, category=category, details=details), False
        prefix = f"{'DRILL' if drill else 'E'}-{time.localtime().tm_year}-"
        number = f"{prefix}{store.next_evacuation_number(prefix):03}"
        said = {**details.given(), "requester": caller.name, "account": caller.account}
        now, kind = time.time_ns(), category or "unspecified"
        one = Evacuation(number, drill, ORDERED, level or "I", kind, caller.who, now, None, boot_id(), said)
        store.add_evacuation(one)
        note(store, state, one, ORDERED, caller.who)
    return one, True


def going_on(store: Store) -> Evacuation | None:
    """The evacuation that goes on, or the drill. A real one goes before a drill."""
    return store.open_evacuation() or store.open_evacuation(drill=True)


def judge(
    store: Store, state: Path, one: Evacuation, who: str, *, level: str | None = None, category: str | None = None,
    details: Details | None = None,
) -> Evacuation:  # fmt: skip
    """Fill in, or change, what is said of an evacuation. Nothing given, or nothing new: nothing is done."""
    check(level, category)
    given = {**one.detail, **(details or Details()).given()}
    changed = replace(one, level=level or one.level, category=category or one.category, detail=given)
    if changed == one:
        return one
    with store.database.write():
        store.change_evacuation(one.id, level=changed.level, category=changed.category, detail=given)
        note(store, state, changed, "judged", who)
    return changed


def take_up(store: Store, state: Path, one: Evacuation) -> Evacuation:
    """Another daemon, perhaps after a reboot, goes on with it."""
    changed = replace(one, boot=boot_id())
    with store.database.write():
        store.change_evacuation(one.id, boot=changed.boot)
        note(store, state, changed, "taken up", "daemon")
    return changed


def copied(store: Store, state: Path, one: Evacuation) -> Evacuation:
    """All that was pending is safe."""
    changed = replace(one, state=COPIED)
    with store.database.write():
        store.change_evacuation(one.id, state=COPIED)
        note(store, state, changed, COPIED, "daemon")
    return changed


def end(
    store: Store, state: Path, one: Evacuation, who: str, details: Details | None = None, request: str | None = None
) -> Evacuation:  # fmt: skip
    """End it. What is not safe yet stays pending, and is protected as on any other day. ``request``: the approval under
    which it is ended."""
    moment = time.time_ns()
    given = {**one.detail, **(details or Details()).given()}
    changed = replace(one, state=ENDED, ended=moment, detail=given)
    with store.database.write():
        sent = store.sent_batches(one.id)
        for row in store.tiers(one.id):
            if row.state != SAFE and store.set_tier(one.id, row.tier, row.target, SHORT, None):
                files, size = sent.get((row.tier, row.target), (0, 0))
                owe(store, state, EvacuationTier(
                    one.id, row.tier, row.target, SHORT, list(row.vaults), files, size, rfc3339(moment),
                    drill=1 if one.drill else None,
                ))  # fmt: skip
        store.change_evacuation(one.id, state=ENDED, ended=moment, detail=given)
        said = replace(changed, detail={**given, "request": request}) if request else changed
        note(store, state, said, ENDED, who)
    return changed


_SAID = {field.name for field in fields(EvacuationChanged)}


def note(store: Store, state: Path, one: Evacuation, step: str, who: str) -> None:
    """Leave the entry of a step for the ledger, in the transaction that is open."""
    said: Mapping[str, Any] = {name: value for name, value in one.detail.items() if name in _SAID and value}
    owe(store, state, EvacuationChanged(
        one.id, step, one.level, one.category, rfc3339(time.time_ns()), who, one.boot or None, **said,
        drill=1 if one.drill else None,
    ))  # fmt: skip

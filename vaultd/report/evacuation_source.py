"""What a ledger has of emergencies: the entries of each evacuation and drill, and of all that goes on around them.

One pass. File versions are left out unread, and what has no end in number (alerts, snapshots, the daemon's starts) is
kept only while an evacuation is going on, and some of what was just before: an order may come on record after what
followed it. What is kept besides is as much as people do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vaultd.ledger import entry
from vaultd.ledger.events import TYPES
from vaultd.ledger.verify import schema
from vaultd.units import SECOND, parse_rfc3339

OWN = frozenset(
    {"evacuation", "evacuation-tier", "evacuation-batch", "evacuation-disk", "evacuation-measured"}
)  # fmt: skip
"""Entries that name their evacuation."""

AROUND = frozenset(
    {"warning", "warning-answer", "playbook-step", "notice", "approval-request", "approval", "media-custody",
     "media-signature", "improvement", "drill", "vault", "document"}
)  # fmt: skip
"""Entries that may belong to one."""

RECENT = 2000
"""So much of each is kept from before."""

_VERSION = b'"type":"version"'
"""In no other entry's bytes: within a text its quotes have backslashes before them."""

_LATEST = 6000 * 365 * 86_400 * SECOND
"""A bit below the year 8000: moments and what is added to them stay within what a date can say."""

_ALL_HAVE = frozenset({"v", "seq", "t", "at", "type", "origin", "salt"})


@dataclass(frozen=True, slots=True)
class Seen:
    """An entry. ``when``: the moment at which it happened as its record says, nanoseconds since 1970."""

    when: int
    seq: int
    kind: str
    fields: Mapping[str, Any]

    def own(self) -> tuple[tuple[str, str], ...]:
        """What it says itself: two entries that agree in it tell the same."""
        return tuple((key, repr(self.fields[key])) for key in sorted(self.fields.keys() - _ALL_HAVE))

    @property
    def moment(self) -> int:
        """When it happened as it says itself (``time``), else ``when``."""
        return stated(self.fields.get("time"), self.when)


@dataclass(frozen=True, slots=True)
class Start:
    """The daemon started or stopped. ``alive``: when it had last given a sign of life before; ``silent``: the one
    before ended without a word; ``rebooted``: the host was started anew in between."""

    when: int
    seq: int
    state: str
    alive: int
    silent: bool
    rebooted: bool


@dataclass(slots=True)
class Case:
    """An evacuation or a drill, as it is on record. ``alerts``: those that stood when its first entry was made."""

    id: str
    entries: list[Seen] = field(default_factory=list)
    alerts: dict[tuple[str, str, str], Seen] = field(default_factory=dict)
    running: bool | None = None
    _known: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set)

    def add(self, seen: Seen) -> None:
        """One more; not what is on record already: who is killed after writing it writes it again."""
        key = (seen.kind, seen.own())
        if key not in self._known:
            self._known.add(key)
            self.entries.append(seen)

    def of(self, kind: str) -> list[Seen]:
        """Its entries of a type, in their order."""
        return [one for one in self.entries if one.kind == kind]

    def step(self, state: str) -> Seen | None:
        """The first entry of a step."""
        return next((one for one in self.of("evacuation") if one.fields["state"] == state), None)

    @property
    def drill(self) -> bool:
        """Whether it was for practice."""
        return self.id.startswith("DRILL-") or any(one.fields.get("drill") for one in self.entries)

    @property
    def ordered(self) -> int:
        """When it was ordered; without such an entry, the moment of the first one."""
        found = self.step("ordered") or self.entries[0]
        return found.moment

    @property
    def ended(self) -> int | None:
        """When it was ended, or refused; None: it goes on."""
        found = self.step("ended") or self.step("refused")
        return None if found is None else max(found.moment, self.ordered)


class Emergencies:
    """Takes the entries in their order. ``bad``: how many cannot be read: none where the ledger holds."""

    def __init__(self) -> None:
        self.cases = dict[str, Case]()
        self.around: dict[str, list[Seen]] = {kind: [] for kind in AROUND}
        self.alerts = list[Seen]()
        self.starts = list[Start]()
        self.lags = dict[tuple[str, str, str], int]()
        """How long the oldest change had waited that a snapshot brought off-site, nanoseconds, by vault, target and
        change set."""
        self.begin: Mapping[str, Any] = {}
        self.last = 0
        self.software = ""
        self.bad = 0
        self._open = set[str]()
        self._recent_alerts = deque[Seen](maxlen=RECENT)
        self._recent_starts = deque[Start](maxlen=RECENT)
        self._recent_lags = deque[tuple[tuple[str, str, str], int]](maxlen=RECENT)
        self._standing = dict[tuple[str, str, str], Seen]()
        self._alive = 0
        self._running: bool | None = None
        self._boot = ""

    def bundle(self, entries: Sequence[bytes]) -> None:
        """The next entries."""
        for encoded in entries:
            if _VERSION in encoded:
                continue
            try:
                found = entry.decode(encoded)
                when = parse_rfc3339(found.get("at", found["t"]))
                shape = schema.SHAPES.get(found["type"]) if found["type"] in TYPES else None
                if shape is not None and schema.problem(found, shape):
                    raise ValueError(found["type"])
            except (ValueError, TypeError, AttributeError, KeyError):
                self.bad += 1  # only where the ledger does not hold: the caller says so
                continue
            self.last = max(self.last, when)
            if shape is not None:
                self._entry(Seen(when, found["seq"], found["type"], found))

    def tell(self, kind: str, fields: Mapping[str, Any], when: int) -> None:
        """What is not on record yet, after all that is."""
        self._entry(Seen(when, -1, kind, fields))

    def _entry(self, seen: Seen) -> None:
        kind, found = seen.kind, seen.fields
        if kind in OWN:
            self._own(seen)
        elif kind in AROUND:
            self.around[kind].append(seen)
        elif kind == "alert":
            self._alert(seen)
        elif kind == "daemon":
            self._daemon(seen)
        elif kind == "snapshot":
            self._alive = seen.when
            if "since_ns" in found:
                key, lag = (found["vault"], found["target"], found["change_set"]), seen.when - int(found["since_ns"])
                if self._open:
                    self.lags.setdefault(key, max(0, lag))
                else:
                    self._recent_lags.append((key, max(0, lag)))
        elif kind == "verification":
            self._alive = seen.when
        elif kind == "begin":
            self.begin = found

    def _own(self, seen: Seen) -> None:
        name = seen.fields["evacuation"]
        case = self.cases.get(name)
        if case is None:
            case = self.cases[name] = Case(name, alerts=dict(self._standing), running=self._running)
            self._open.add(name)
            self._begin_to_keep()
        case.add(seen)
        if seen.kind in ("evacuation-batch", "evacuation-tier"):
            self._alive = seen.when
        elif seen.kind == "evacuation" and seen.fields["state"] in ("ended", "refused"):
            self._open.discard(name)

    def _begin_to_keep(self) -> None:
        self.alerts.extend(self._recent_alerts)
        self.starts.extend(self._recent_starts)
        self.lags.update(self._recent_lags)
        for recent in (self._recent_alerts, self._recent_starts, self._recent_lags):
            recent.clear()

    def _alert(self, seen: Seen) -> None:
        found = seen.fields
        key = (found["code"], found.get("vault", ""), found.get("target", ""))
        if found["state"] == "raised":
            self._standing.setdefault(key, seen)
        elif found["state"] == "cleared":
            self._standing.pop(key, None)
        (self.alerts if self._open or "at" in found else self._recent_alerts).append(seen)

    def _daemon(self, seen: Seen) -> None:
        state, boot = seen.fields["state"], seen.fields["boot"]
        silent = state == "started" and self._running is True
        rebooted = state == "started" and bool(self._boot) and boot != self._boot
        found = Start(seen.when, seen.seq, state, self._alive or seen.when, silent, rebooted)
        (self.starts if self._open else self._recent_starts).append(found)
        self._running, self._boot, self._alive = state == "started", boot, seen.when
        self.software = seen.fields["software"]

    def objective(self, vault: str, moment: int) -> int | None:
        """The recovery-point objective of a vault at a moment, milliseconds; None: none is on record."""
        found: int | None = None
        for one in self.around["vault"]:
            if one.fields["vault"] == vault and one.when <= moment:
                found = one.fields.get("objective_ms")
        return found


def stated(text: object, otherwise: int) -> int:
    """A moment that somebody wrote, nanoseconds since 1970; ``otherwise`` for what is none, or is no time of ours."""
    try:
        found = parse_rfc3339(str(text))
    except (ValueError, OverflowError):
        return otherwise
    return found if 0 <= found < _LATEST else otherwise

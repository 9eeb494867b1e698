"""What a target's worker does next: by priority, by what is due, by what it costs. Reads the store, changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from vaultd.config.model import DumpConfig
from vaultd.model import SnapshotKind
from vaultd.protect import dump
from vaultd.protect.batches import BATCH_FILES
from vaultd.protect.cost import EXPRESS_FILES, Cost, Spent, full_is_affordable
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.statecopy import StateCopy
from vaultd.store import Backlog
from vaultd.watch.settle import Settle

IDLE_SECONDS = 30.0
SHAKY_BATCH_SECONDS = 10.0
HEARING_SECONDS = 0.3
"""So soon it is looked again whether all that was heard is on record."""

PATIENCE_SECONDS = 10.0
"""So long a first protection waits at the start for the first scan of a vault that goes before it. Not longer: that may
take an hour, or never end."""

LONG_SENDING = 10.0
NEARLY_FREE = 0.05
"""Where the bytes take longer than the one, a full snapshot may cost this part of their time more than express ones."""


@dataclass(slots=True)
class Series:
    """One vault on this target: when it is due, and what it costs. Times are monotonic seconds.

    ``hears``: whether changes are on their way that are not on record yet; it is not quiet then.
    """

    vault: VaultRef
    settle: Settle
    cost: Cost = field(default_factory=Cost)
    rest_until: float = 0.0
    first_scan: bool = False
    hears: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Round:
    """What the worker does next: a run, or waiting until ``at`` (monotonic seconds)."""

    at: float
    series: Series | None = None
    kind: SnapshotKind = SnapshotKind.FULL
    batch: bool = False
    dump: DumpConfig | None = None
    state: int | None = None


class Schedule:
    """One target's. ``shaky`` in its methods: the line broke a while ago, so batches are small."""

    def __init__(self, context: Context, target: TargetRef, vaults: Iterable[VaultRef], state: StateCopy) -> None:
        self.context = context
        self.target = target
        self.spent = Spent()
        self.series = {
            vault.id: Series(vault, Settle(vault.config.settle, vault.config.max_delay))
            for vault in sorted(vaults, key=lambda vault: (vault.config.priority, vault.name))
        }
        self._state_copy = state
        self._patient_until = time.monotonic() + PATIENCE_SECONDS

    def choose(self, now: float, *, shaky: bool) -> Round:
        """The next run by priority, or how long to wait."""
        soonest, content = now + IDLE_SECONDS, False
        before: int | None = None  # the priority of a vault that is still scanned, and goes first
        for series in self.series.values():
            found = self._due(series, now, shaky)
            if found is None:
                if before is None and series.first_scan and now < self._patient_until and self.first_protection(series):
                    before = series.vault.config.priority
                continue
            at = found.at
            if before is not None and before < series.vault.config.priority and self.first_protection(series):
                at = max(at, self._patient_until)
            if at <= now:
                return found
            soonest = min(soonest, at)
            content = content or found.series is not None
        return self._due_dump(now) or self._due_state(now, content) or Round(soonest)

    def _due_dump(self, now: float) -> Round | None:
        """A dump whose time has come; it waits for the vault's first full snapshot, to which it is tied."""
        for series in self.series.values():
            if self.first_protection(series):
                continue
            for wanted in series.vault.config.dump:
                if dump.due_at(self.context.store, series.vault, self.target.id, wanted) <= time.time():
                    return Round(now, series, SnapshotKind.DUMP, dump=wanted)
        return None

    def _due_state(self, now: float, content: bool) -> Round | None:
        """A copy of our own state. ``content``: something is due in a moment and would have to wait for it."""
        if content and not self._state_copy.overdue(now):
            return None
        newest = self.context.store.newest_snapshot(self.target.id)
        if not newest:
            return None
        # All of them only grow, and so does their sum.
        newest += self.context.store.media_revision() + self.context.store.approvals_revision()
        return Round(now, state=newest) if self._state_copy.due(now, newest) else None

    def _due(self, series: Series, now: float, shaky: bool) -> Round | None:
        store, vault = self.context.store, series.vault
        if series.first_scan and self.first_protection(series):
            return None
        backlog = store.backlog(self.target.id, vault.id)
        due = series.settle.due_at()
        if (backlog.files or backlog.due_since is not None) and series.hears():
            if due is None:
                series.settle.touch(now)
            due = series.settle.due_after(now + HEARING_SECONDS)
        ready = max(series.rest_until, due or 0.0)
        if backlog.files:
            kind, batch = self.kind(series, backlog, shaky=shaky)
            return Round(ready, series, kind, batch)
        if backlog.due_since is not None:  # content is safe; the exact state is owed
            expected = series.cost.expected_full(store.totals(vault.id)[0], 0)
            if self._affordable(expected) or self._overdue(backlog.due_since, vault.config.objective / 2):
                return Round(ready, series, SnapshotKind.FULL)
            return Round(now + IDLE_SECONDS)
        later = store.next_due(self.target.id, vault.id)
        return None if not later else Round(now + max(0.0, (later - time.time_ns()) / 1e9))

    def _overdue(self, since: int, seconds: float) -> bool:
        return time.time_ns() - since > seconds * 1e9

    def _affordable(self, expected: float) -> bool:
        host = self.context.config.host
        return full_is_affordable(expected, self.spent, full_seconds=host.full_seconds, full_share=host.full_share)

    def kind(self, series: Series, backlog: Backlog, *, shaky: bool) -> tuple[SnapshotKind, bool]:
        """Full, express, or a batch of a backlog that is too large for either."""
        store, cost = self.context.store, series.cost
        if backlog.files > BATCH_FILES or backlog.bytes > cost.rate * self.context.config.host.batch_seconds:
            return SnapshotKind.EXPRESS, True
        if shaky and backlog.bytes > 2 * self.batch_bytes(series, shaky=shaky):
            return SnapshotKind.EXPRESS, True
        if store.last_snapshot(self.target.id, series.vault.id, SnapshotKind.FULL) is None:
            return SnapshotKind.FULL, False
        files = store.totals(series.vault.id)[0]
        base, expected = cost.expected_full(files, 0), cost.expected_full(files, backlog.bytes)
        if self._affordable(expected):
            return SnapshotKind.FULL, False
        runs = -(-backlog.files // EXPRESS_FILES)
        # The bytes are sent in any case: what a full one costs is its base, less that of the express ones instead.
        extra, sending = base - runs * cost.expected_express(0), expected - base
        if extra <= 0 or (sending > LONG_SENDING and extra < NEARLY_FREE * sending):
            return SnapshotKind.FULL, False
        return SnapshotKind.EXPRESS, False

    def batch_bytes(self, series: Series, *, shaky: bool) -> int:
        """About how much a batch may hold."""
        seconds = self.context.config.host.batch_seconds
        return max(1, int(series.cost.rate * (min(seconds, SHAKY_BATCH_SECONDS) if shaky else seconds)))

    def first_protection(self, series: Series) -> bool:
        """Whether this target has no full snapshot of the vault yet."""
        return self.context.store.last_snapshot(self.target.id, series.vault.id, SnapshotKind.FULL) is None

    def owes_content(self) -> bool:
        """Whether anything is due to be sent."""
        store = self.context.store
        return any(store.backlog(self.target.id, series.vault.id).files for series in self.series.values())

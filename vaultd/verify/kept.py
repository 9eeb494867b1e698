"""What this host's state keeps of verifications, so that an interrupted one goes on; nothing on a machine without it.

A version that was read back is noted at once, not at the end of the run: Ctrl-C, ``kill -9`` and a broken line cost the
last seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.store import DifferenceRow, Store
from vaultd.verify.result import Asked, Difference, Kind, Result, Verdict
from vaultd.verify.rows import Row

LONGEST_NS = 7 * 86400 * 10**9
"""A run that was interrupted longer ago is not gone on with."""

NOTE_FILES = 5000
NOTE_SECONDS = 2.0


@dataclass(slots=True)
class Begun:
    """A run: its number, the moment since which what was verified counts, and what it is to verify."""

    number: int
    since: int
    asked: Asked
    goes_on: bool


class Kept:
    """The state's part, for one vault at one target."""

    def __init__(self, store: Store, vault: str, target: str) -> None:
        self.store, self.vault, self.target = store, store.vault_id(vault), store.target_id(target)
        self._waiting: list[tuple[bytes, bytes]] = []
        self._due = time.monotonic() + NOTE_SECONDS

    def begin(self, asked: Asked) -> Begun:
        """Begin a run, or go on with one of the same kind that was interrupted."""
        now = time.time_ns()
        found = None
        if not asked.again and asked.kind is not Kind.DAILY:
            found = self.store.unfinished_verification(self.target, self.vault, asked.kind.value, now - LONGEST_NS)
        if found is not None:
            chosen = json.loads(found.chosen)
            if chosen["share"] == asked.share and chosen["since"] == asked.since:
                same = Asked(asked.kind, asked.share, chosen["seed"], asked.since)
                return Begun(found.id, found.began, same, goes_on=True)
        chosen = {"share": asked.share, "seed": asked.seed, "since": asked.since}
        number = self.store.begin_verification(self.target, self.vault, asked.kind.value, json.dumps(chosen))
        return Begun(number, now, asked, goes_on=False)

    def note(self, rows: Iterable[Row]) -> None:
        """These are as on record."""
        self._waiting += [(row.path, row.sha256) for row in rows]
        if len(self._waiting) >= NOTE_FILES or time.monotonic() > self._due:
            self.flush()

    def flush(self) -> None:
        """Write down what is not written yet."""
        self._due = time.monotonic() + NOTE_SECONDS
        if self._waiting:
            self.store.note_verified(self.target, self.vault, self._waiting)
            self._waiting = []

    def end(self, begun: Begun, result: Result) -> None:
        """The run is over, or broken off."""
        self.flush()
        now = time.time_ns()
        rows = [_row(one, now) for one in (*result.others, *result.differences)]
        rows += [DifferenceRow(b"", Verdict.MISSING.value, one, None, None, "", now) for one in result.missing]
        whole = result.state == "done" and result.asked.kind is Kind.FULL
        self.store.note_differences(self.target, self.vault, rows, whole=whole)
        self.store.end_verification(begun.number, result.state, result.files, result.size, result.count)

    def verified(self, since: int) -> Iterable[tuple[bytes, bytes]]:
        """What was verified since a moment."""
        return self.store.verified_since(self.target, self.vault, since)

    def turn(self, asked: Asked) -> list[bytes]:
        """The paths whose turn it is: never verified, or longest ago, as much as the daily share has left."""
        size, files = asked.most or (0, 0)
        before, found = time.time_ns() - int(asked.period * 1e9), list[bytes]()
        for due in self.store.due_for_verification(self.target, self.vault, before):
            found.append(due.path)
            size, files = size - due.size, files - 1
            if size <= 0 or files <= 0:
                break
        return found

    def is_owed(self, path: bytes) -> bool:
        """Whether a change of the path is not yet at the target."""
        return self.store.is_pending(self.target, self.vault, path)

    def bound_as(self, path: bytes, sha256: bytes) -> int | None:
        """The file's ctime when this hash was bound, or that of a change of its mode since; where the catalog still has
        it."""
        entry = self.store.entries(self.vault, [path]).get(path)
        return entry.stat.ctime if entry is not None and entry.sha256 == sha256 else None


def _row(one: Difference, now: int) -> DifferenceRow:
    return DifferenceRow(one.path, one.verdict.value, one.snapshot, one.expected, one.found, one.why, now)

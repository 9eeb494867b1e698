"""What a verification has found: of each file, and of a vault at a target as a whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vaultd import names, units
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, EXIT_PARTIAL, VaultdError
from vaultd.ledger.events import Verified

MOST_ON_RECORD = 100
"""So many names of differing files are in the ledger's entry."""

MOST_TOLD = 1000
"""So many differences are told one by one; all are counted."""


class Verdict(StrEnum):
    """What a file is.

    ``OK``: stored as on record. ``OTHER``: another version of it is stored, since it changed while the snapshot was
    made; no damage. ``DAMAGED``: what is stored is not what is on record, or cannot be had back. ``MISSING``: on
    record, and not in the snapshot. ``UNREADABLE``: it could not be found out, since the folder's own data cannot be
    read. ``UNKNOWN``: in the snapshot, and never on record. ``DESTROYED``: on record, and taken out of the snapshot on
    purpose since (`vaultd forget --path`), as the ledger says.
    """

    OK = "ok"
    OTHER = "another version"
    DAMAGED = "damaged"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    DESTROYED = "destroyed"


DIFFERENCES = (Verdict.DAMAGED, Verdict.MISSING, Verdict.UNREADABLE, Verdict.UNKNOWN)


class Kind(StrEnum):
    """Which files were chosen: all, a sample, those that changed since a moment, those whose turn it was."""

    FULL = "full"
    SAMPLE = "sample"
    CHANGED = "changed"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be verified. ``share`` of a sample (0 to 1) and its ``seed``; ``since``: nanoseconds; ``most``: bytes
    and files of a daily share; ``again``: nothing counts that was verified before."""

    kind: Kind = Kind.FULL
    share: float = 1.0
    seed: int = 0
    since: int | None = None
    most: tuple[int, int] | None = None
    period: float = 0.0
    again: bool = False


@dataclass(frozen=True, slots=True)
class Good:
    """A version that is still whole: where, of which moment (nanoseconds), with which hash; ``same``: it is the very
    version that differs. ``read``: it was read back just now, and is."""

    target: str
    snapshot: str
    time: int
    sha256: bytes
    same: bool
    read: bool

    def as_json(self) -> dict[str, Any]:
        """As docs/json.md has it."""
        return {
            "target": self.target, "snapshot": self.snapshot, "time": units.rfc3339(self.time),
            "sha256": self.sha256.hex(), "same": self.same, "read": self.read,
        }  # fmt: skip


@dataclass(slots=True)
class Difference:
    """A file that is not as on record: ``expected`` and ``found`` are SHA-256."""

    path: bytes
    verdict: Verdict
    snapshot: str
    expected: bytes | None = None
    found: bytes | None = None
    why: str = ""
    good: Good | None = None

    def as_json(self) -> dict[str, Any]:
        """As docs/json.md has it."""
        return names.as_json(self.path) | {
            "result": self.verdict.value, "snapshot": self.snapshot,
            "expected": self.expected.hex() if self.expected else None,
            "found": self.found.hex() if self.found else None, "why": self.why,
            "good": self.good.as_json() if self.good else None,
        }  # fmt: skip


@dataclass(slots=True)
class Result:
    """One vault at one target. ``state``: "done", "interrupted" or "failed" (``error``).

    ``counts``: files by verdict, of this run; ``before``: files that the run which this one goes on with had verified.
    ``others``: what is another version, or destroyed. ``size``: bytes of the files that were read back. ``missing``:
    snapshots on record that the target has not.
    """

    vault: str
    target: str
    asked: Asked
    state: str = "done"
    snapshots: list[str] = field(default_factory=list)
    time: int | None = None
    files: int = 0
    size: int = 0
    before: int = 0
    counts: Counter[Verdict] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    others: list[Difference] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: VaultdError | None = None

    @property
    def count(self) -> int:
        """How many differences there are."""
        return sum(self.counts[one] for one in DIFFERENCES) + len(self.missing)

    def add(self, one: Difference) -> None:
        """Count what is not as on record, and keep it while there is room."""
        self.counts[one.verdict] += 1
        kept = self.differences if one.verdict in DIFFERENCES else self.others
        if len(kept) < MOST_TOLD:
            kept.append(one)

    @property
    def exit_code(self) -> int:
        """4 for any difference, however it ended."""
        if self.count:
            return EXIT_DIFFERENCE
        if self.error is not None:
            return self.error.exit_code
        return EXIT_DONE if self.state == "done" else EXIT_PARTIAL

    def entry(self, who: str) -> Verified:
        """What goes on record of it."""
        told = [names.display(one.path) for one in self.differences[:MOST_ON_RECORD]]
        return Verified(
            self.vault, self.target, self.asked.kind.value, self.state, self.snapshots, self.files, self.size,
            {one.value: self.counts[one] for one in Verdict if self.counts[one]}, self.count, who,
            self.asked.seed if self.asked.kind is Kind.SAMPLE else None,
            None if self.asked.since is None else str(self.asked.since), told or None, self.missing or None,
            None if self.error is None else self.error.code,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """As docs/json.md has it."""
        return {
            "vault": self.vault, "target": self.target, "kind": self.asked.kind.value, "state": self.state,
            "share": self.asked.share if self.asked.kind is Kind.SAMPLE else None,
            "seed": self.asked.seed if self.asked.kind is Kind.SAMPLE else None,
            "since": units.rfc3339(self.asked.since) if self.asked.since is not None else None,
            "snapshots": self.snapshots, "time": units.rfc3339(self.time) if self.time is not None else None,
            "files": self.files, "bytes": self.size, "before": self.before,
            "counts": {one.value: self.counts[one] for one in Verdict}, "count": self.count,
            "differences": [one.as_json() for one in self.differences], "missing_snapshots": self.missing,
            "seconds": round(self.seconds, 3), "error": self.error.as_json() if self.error else None,
        }  # fmt: skip

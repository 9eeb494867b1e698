"""What a reconcile scan found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LISTED = 200  # unreadable paths kept by name; all are counted


class RootProblem(StrEnum):
    """Why a vault was not scanned, or not to its end: each is an alert, and makes no deletions."""

    NONE = ""
    GONE = "gone"  # the folder is missing, or is not a directory, or cannot be read
    EMPTIED = "emptied"  # nothing in it, but the catalog knows files
    MOUNT = "mount"  # it lies on another file system than before


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan counted. ``files`` are the regular files, as restic counts them, ``size`` their bytes.

    ``began`` is nanoseconds since 1970. ``changed`` and ``gone`` count paths written to catalog and backlog.
    ``skipped_mounts`` are mounts that changed or vanished, or newly hide files; ``unreadable`` names the first 200 of
    ``unreadable_count``.
    """

    began: int
    seconds: float
    files: int = 0
    directories: int = 0
    size: int = 0
    changed: int = 0
    gone: int = 0
    unreadable_count: int = 0
    unreadable: tuple[bytes, ...] = ()
    skipped_mounts: tuple[bytes, ...] = ()
    root_problem: RootProblem = RootProblem.NONE

    @property
    def complete(self) -> bool:
        """Whether everything was looked at: the vault is known as of ``began``."""
        return not (self.unreadable_count or self.skipped_mounts or self.root_problem)


@dataclass(slots=True)
class Counts:
    """What a walk counts while it goes; see ``ScanResult`` for the meanings."""

    files: int = 0
    directories: int = 0
    size: int = 0
    changed: int = 0
    gone: int = 0
    unreadable_count: int = 0
    unreadable: tuple[bytes, ...] = ()
    skipped: frozenset[bytes] = frozenset()
    problem: RootProblem = RootProblem.NONE

    @classmethod
    def of(cls, result: ScanResult) -> Counts:
        """The counts of a scan."""
        return cls(
            result.files, result.directories, result.size, result.changed, result.gone, result.unreadable_count,
            result.unreadable, frozenset(result.skipped_mounts), result.root_problem,
        )  # fmt: skip

    def not_read(self, path: bytes) -> None:
        """A path could not be read. The same one is met twice: in its folder's listing, and when it is opened."""
        if path in self.unreadable:
            return
        self.unreadable_count += 1
        if len(self.unreadable) < LISTED:
            self.unreadable += (path,)

    def add(self, other: Counts) -> None:
        """Count another walk's part too."""
        self.files += other.files
        self.directories += other.directories
        self.size += other.size
        self.changed += other.changed
        self.gone += other.gone
        twice = len(set(self.unreadable) & set(other.unreadable))
        self.unreadable_count += other.unreadable_count - twice
        self.unreadable = tuple(dict.fromkeys(self.unreadable + other.unreadable))[:LISTED]
        self.skipped |= other.skipped
        self.problem = self.problem or other.problem

    def result(self, began: int, seconds: float) -> ScanResult:
        """The result of a scan that counted this."""
        return ScanResult(
            began, seconds, self.files, self.directories, self.size, self.changed, self.gone, self.unreadable_count,
            self.unreadable, tuple(sorted(self.skipped)), self.problem,
        )  # fmt: skip

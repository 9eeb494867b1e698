"""Hints: what may have changed, coalesced until somebody takes them, and what makes them incomplete."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum

from vaultd.names import lies_below

MOST_HINTS = 500_000  # about 100 MB; beyond, a scan is the better answer


class HintKind(StrEnum):
    """``CHANGED``: look at this path itself (it may be a directory whose mode or times changed). ``DIRECTORY``: a
    directory appeared, or a path changed between directory and something else: scan it and what is below. ``GONE``:
    it was deleted or moved away, and with it whatever the catalog has below it.
    """

    CHANGED = "changed"
    DIRECTORY = "directory"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Hint:
    """A path relative to the vault's folder (b"" is the folder itself) and what was heard of it. Never the whole
    truth.
    """

    path: bytes
    kind: HintKind


class Fault(StrEnum):
    """Why hints are incomplete. Each needs a reconcile scan; the first three also an operator."""

    WATCH_LIMIT = "watch-limit"  # fs.inotify.max_user_watches (or its user namespace's) is used up
    UNWATCHED = "unwatched"  # a directory may not be read, or its path is too long
    ROOT_GONE = "root-gone"  # the vault's folder was moved, deleted or unmounted: this watcher is at its end
    OVERFLOW = "overflow"  # the kernel's queue, or ours, was full


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many directories are watched, and how many (at least) are not."""

    watched: int
    unwatched: int


class HintBook:
    """The newest hint of each path, from the reading thread to the handing-over one."""

    def __init__(self, most: int = MOST_HINTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kinds: dict[bytes, HintKind] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, path: bytes, kind: HintKind) -> bool:
        """Note a hint. False when there were too many: all were dropped, and only a scan can tell."""
        with self._lock:
            if kind is HintKind.CHANGED:
                before = self._kinds.setdefault(path, kind)
                if before is HintKind.GONE:  # perhaps a folder replaced by a file: both sides have to be looked at
                    self._kinds[path] = HintKind.DIRECTORY
            else:
                self._kinds[path] = kind
            if len(self._kinds) <= self._most:
                return True
            self._kinds.clear()
            return False

    def take(self) -> list[Hint]:
        """All hints since the last call. A directory to be scanned makes those to be scanned or gone below it
        needless.
        """
        with self._lock:
            kinds, self._kinds = self._kinds, {}
        scanned = {path for path, kind in kinds.items() if kind is HintKind.DIRECTORY}
        if not scanned:
            return [Hint(path, kind) for path, kind in kinds.items()]
        return [
            Hint(path, kind)
            for path, kind in kinds.items()
            if kind is HintKind.CHANGED or not lies_below(path, scanned)
        ]

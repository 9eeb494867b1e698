"""The watcher of one vault: kernel events become hints, handed over every 0.1 s at most.

It keeps three promises. An overflow of the kernel's queue sets a flag and leaves every watch where it is; ``rewatch``
and a scan then put right what was missed. A directory is watched *before* it is looked into and hinted *after*, so
that whatever appears in it is either an event or found by the scan of that hint. What cannot be watched is a fault,
never silence.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent

from vaultd.errors import RootError, VaultdError
from vaultd.i18n import _
from vaultd.names import display, join
from vaultd.watch.canary import Canary
from vaultd.watch.hints import Coverage, Fault, Hint, HintBook, HintKind
from vaultd.watch.reader import CANARY_MASK, FOLDER_MASK, ROOT_MASK, InotifyReader
from vaultd.watch.tree import Node, WatchTree

__all__ = ["Coverage", "Fault", "Hint", "HintKind", "Watcher"]

log = logging.getLogger(__name__)

HAND_OVER_SECONDS = 0.1
MOVED_SECONDS = 2.0  # both halves of a rename are in the queue at once; after this the directory has left the vault

_GONE = InotifyConstants.IN_MOVED_FROM | InotifyConstants.IN_DELETE
_APPEARED = InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO
_ROOT_GONE = InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_UNMOUNT


class Watcher:
    """Watches ``root`` and all directories below it, across mounts, without following symlinks.

    ``on_hints`` and ``on_fault`` are called in the watcher's threads. While ``on_hints`` works, further hints coalesce.
    """

    def __init__(
        self,
        root: Path,
        vault: str,
        on_hints: Callable[[list[Hint]], None],
        *,
        on_fault: Callable[[Fault], None] | None = None,
        canary: Canary | None = None,
    ) -> None:
        self.vault = vault
        self._root = os.fsencode(root)
        self._on_hints = on_hints
        self._on_fault = on_fault
        self._canary = canary
        self._canary_watch: int | None = None
        self._book = HintBook()
        self._tree = WatchTree()
        self._lock = threading.Lock()  # the tree, and adding a watch together with its place in the tree
        self._moved: deque[tuple[float, Node]] = deque()
        self._unwatched = 0
        self._told: set[Fault] = set()
        self._overflowed = threading.Event()
        self._news = threading.Event()
        self._handing = False
        self._stopping = threading.Event()
        self._reader: InotifyReader | None = None
        self._courier = threading.Thread(target=self._hand_over, name=f"hints-{vault}", daemon=True)

    # What the daemon asks of it

    def start(self) -> Coverage:
        """Watch everything, then return (0.1 ms a directory). Raises RootError when the folder cannot be watched,
        VaultdError when inotify itself is not to be had.
        """
        what = _("cannot watch the folder {folder}").format(folder=display(self._root))
        hint = _("raise fs.inotify.max_user_instances and fs.inotify.max_user_watches")
        try:
            reader = self._reader = InotifyReader(f"inotify-{self.vault}", self._on_events)
        except OSError as error:
            raise VaultdError(what, error.strerror or str(error), hint) from error
        try:
            root = self._tree.set_root(reader.watch(self._root, ROOT_MASK))
            if self._canary is not None:
                self._canary_watch = reader.watch(os.fsencode(self._canary.folder), CANARY_MASK)
        except OSError as error:
            reader.close()
            if error.errno == errno.ENOSPC:
                raise VaultdError(what, _("the limit of inotify watches is reached"), hint) from error
            raise RootError(what, error.strerror or str(error)) from error
        reader.start()
        self._courier.start()
        self._cover(root)
        return self._coverage()

    def stop(self) -> None:
        """End both threads; what was heard until now is handed over."""
        self._stopping.set()
        self._news.set()
        if self._reader is not None:
            self._reader.stop()
            if self._reader.ident is not None:
                self._reader.join()
        if self._courier.ident is not None:
            self._courier.join()

    def alive(self) -> bool:
        """Whether both threads run and the vault's folder is watched. Only the canary proves that it hears."""
        return (
            self._reader is not None
            and self._reader.is_alive()
            and self._courier.is_alive()
            and not self._stopping.is_set()
            and self._tree.root is not None
        )

    def settled(self) -> bool:
        """Whether everything that the kernel has reported until now was taken, and nothing of it was lost."""
        # In this order, which is the way of an event: it may have moved on meanwhile, but not back.
        return (
            self._reader is not None and self._reader.idle() and not len(self._book) and not self._handing
            and not self.overflowed
        )  # fmt: skip

    async def hears(self, timeout: float) -> bool:
        """Proof by the canary, within ``timeout`` seconds. Raises OSError when the canary's file cannot be written."""
        return self.alive() and (self._canary is None or await self._canary.check_async(timeout))

    @property
    def overflowed(self) -> bool:
        """Whether events were lost since the last ``take_overflow``."""
        return self._overflowed.is_set()

    def take_overflow(self) -> bool:
        """Read and clear the flag. The caller must ``rewatch`` and then scan, in this order."""
        found = self._overflowed.is_set()
        self._overflowed.clear()
        return found

    def rewatch(self) -> Coverage:
        """Walk the directories and watch those that are not (after an overflow, a raised limit, a new mount).

        Scan *after* this: what appeared before a directory was watched is found by the scan, what appeared later is
        an event. It only adds: a directory watched already costs a few system calls. To be called in a thread.
        """
        self._unwatched = 0
        self._told.clear()
        root = self._tree.root
        if root is not None:
            self._cover(root)
        return self._coverage()

    def scanned(self, seconds: float) -> None:
        """A whole scan took so long: of interest to a poller only."""

    # Which directories are watched

    def _coverage(self) -> Coverage:
        return Coverage(len(self._tree), self._unwatched)

    def _cover(self, top: Node) -> None:
        """Watch what is below a watched directory."""
        stack = [top]
        while stack and not self._stopping.is_set():
            folder = stack.pop()
            path = self._tree.path(folder)
            if path is None:
                continue  # it moved or went: its own event tells where to
            try:
                names = _folders_in(join(self._root, path))
            except OSError as error:
                self._not_watched(error)
                continue
            for name in names:
                child = self._watch(folder, name)
                if child is not None:
                    stack.append(child)
            if folder.children is not None and len(folder.children) > len(names):
                self._drop_vanished(folder, names)

    def _watch(self, folder: Node, name: bytes) -> Node | None:
        """Watch one directory. None when it cannot be: gone again, or a fault."""
        # The lock: an event of the new watch must not be looked up before its place is known.
        with self._lock:
            above, reader = self._tree.path(folder), self._reader
            if above is None or reader is None or self._stopping.is_set():
                return None
            try:
                watch = reader.watch(join(join(self._root, above), name), FOLDER_MASK)
            except OSError as error:
                self._not_watched(error)
                return None
            return self._tree.place(watch, folder, name)

    def _drop_vanished(self, folder: Node, names: list[bytes]) -> None:
        """Directories whose end was lost in an overflow."""
        with self._lock:
            path = self._tree.path(folder)
            if path is None:
                return
            for name in (folder.children or {}).keys() - set(names):
                if not os.path.lexists(join(join(self._root, path), name)):
                    child = self._tree.child(folder, name)
                    if child is not None:
                        self._set_aside(child)

    def _set_aside(self, node: Node) -> None:
        """Without a place until it is seen at another; if it is not, its watches end."""
        self._tree.take_out(node)
        self._moved.append((time.monotonic(), node))
        self._news.set()

    def _not_watched(self, error: OSError) -> None:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return  # gone or replaced since it was listed
        self._unwatched += 1
        fault = Fault.WATCH_LIMIT if error.errno == errno.ENOSPC else Fault.UNWATCHED
        if fault not in self._told:
            self._told.add(fault)
            self._fault(fault)

    def _fault(self, fault: Fault) -> None:
        log.warning("vault %s: watcher: %s", self.vault, fault.value)
        if self._on_fault is not None:
            self._on_fault(fault)

    # The reading thread

    def _on_events(self, events: list[InotifyEvent]) -> None:
        for event in events:
            self._on_event(event)
        self._news.set()

    def _on_event(self, event: InotifyEvent) -> None:
        mask, name = event.mask, event.name
        if mask & InotifyConstants.IN_Q_OVERFLOW:
            self._overflow()
            return
        if event.wd == self._canary_watch:
            if self._canary is not None:
                self._canary.heard(name)
            return
        with self._lock:
            node = self._tree.get(event.wd)
            path = None if node is None else self._tree.path(node)
            if mask & InotifyConstants.IN_IGNORED:
                self._tree.forget(event.wd)
        if node is None or path is None:
            return
        if not name:
            self._on_itself(mask, path)
            return
        full = path + b"/" + name if path else name
        if mask & InotifyConstants.IN_ISDIR:
            self._on_folder(node, name, full, mask)
        elif mask & _GONE:
            self._hint(full, HintKind.GONE)
        else:
            self._hint(full, HintKind.CHANGED)
        if mask & (_GONE | _APPEARED):
            self._hint(path, HintKind.CHANGED)  # its own times changed with its content

    def _on_itself(self, mask: int, path: bytes) -> None:
        if mask & _ROOT_GONE:
            if not path:
                self._fault(Fault.ROOT_GONE)
            else:  # a mount inside the vault went; the scan tells a missing mount from deletions
                self._hint(path, HintKind.DIRECTORY)
        elif mask & InotifyConstants.IN_ATTRIB:
            self._hint(path, HintKind.CHANGED)

    def _on_folder(self, parent: Node, name: bytes, full: bytes, mask: int) -> None:
        if mask & _GONE:
            with self._lock:
                child = self._tree.child(parent, name)
                if child is not None:
                    self._set_aside(child)
            self._hint(full, HintKind.GONE)
        elif mask & _APPEARED:
            # Where it came from need not be known: the kernel answers with the number of the watch it already has.
            child = self._watch(parent, name)
            if child is not None:
                self._cover(child)
            self._hint(full, HintKind.DIRECTORY)
        else:
            self._hint(full, HintKind.CHANGED)

    def _hint(self, path: bytes, kind: HintKind) -> None:
        if not self._book.add(path, kind):
            self._overflow()

    def _overflow(self) -> None:
        if not self._overflowed.is_set():
            self._overflowed.set()
            self._fault(Fault.OVERFLOW)

    # The thread that hands over

    def _hand_over(self) -> None:
        while True:
            self._news.wait(MOVED_SECONDS if self._moved else None)
            self._news.clear()
            self._handing = True  # before they leave the book: see ``settled``
            hints = self._book.take()
            if hints:
                self._on_hints(hints)
            self._handing = False
            self._unwatch_moved()
            if self._stopping.is_set():
                if not len(self._book):
                    return
                self._news.set()
            else:
                self._stopping.wait(HAND_OVER_SECONDS)

    def _unwatch_moved(self) -> None:
        """Directories that left the vault and did not come back are none of our business any more."""
        while self._moved and self._moved[0][0] + MOVED_SECONDS <= time.monotonic():
            _when, top = self._moved.popleft()
            with self._lock:
                if top.parent is not None or self._tree.get(top.watch) is not top or self._reader is None:
                    continue
                for node in list(top.below()):
                    self._reader.unwatch(node.watch)
                    self._tree.forget(node.watch)


def _folders_in(path: bytes) -> list[bytes]:
    with os.scandir(path) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]

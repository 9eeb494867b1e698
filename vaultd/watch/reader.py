"""The kernel's inotify queue, read by watchdog's thread.

This is watchdog's ``InotifyFD`` (its system calls, its buffer parser, its stoppable thread) without its tables above
it: those answer an overflow by removing and adding every watch, which overflows the queue again, for ever on a large
tree; they follow a rename by copying every path; and they swallow a reached watch limit.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import termios
from collections.abc import Callable

from watchdog.observers.inotify_c import (
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    inotify_add_watch,
    inotify_rm_watch,
)

BUFFER = 256 * 1024

# Neither open nor close-without-write: reading a file (by restic, by us) would fill the queue. IN_CREATE because a
# hard link, a symlink or a new directory shows as nothing else; IN_MODIFY because a log is written to for days before
# it is closed.
FOLDER_MASK = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
    | InotifyConstants.IN_EXCL_UNLINK
)
# Of its own folder every directory but the vault's is told by the parent.
ROOT_MASK = Mask(FOLDER_MASK | InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF)
CANARY_MASK = Mask(InotifyConstants.IN_CREATE | InotifyConstants.IN_ONLYDIR | InotifyConstants.IN_DONT_FOLLOW)


class InotifyReader(InotifyFD):
    """Hands over what it reads in batches, in its own thread. An exception out of ``sink`` ends the thread: ask
    ``is_alive``.
    """

    def __init__(self, name: str, sink: Callable[[list[InotifyEvent]], None]) -> None:
        super().__init__()
        self.name = name
        self._sink = sink
        self._at_work = False
        os.set_inheritable(self._inotify_fd, False)  # watchdog opens it without close-on-exec

    def run(self) -> None:
        """Read until stopped."""
        while self.should_keep_running():
            events = self.read_events(event_buffer_size=BUFFER)
            if events:
                self._sink(events)

    def idle(self) -> bool:
        """Whether every event until now was handed to ``sink``, which has returned."""
        if self._closed or not self.is_alive():
            return False
        unread = array.array("i", [0])
        try:
            fcntl.ioctl(self._inotify_fd, termios.FIONREAD, unread)
        except OSError:
            return False
        # In this order: what has left the kernel's queue makes the thread busy before it does so.
        return unread[0] == 0 and not self._at_work

    def _check_inotify_fd(self) -> bool:
        self._at_work = False  # what was read before has been handed over
        found = super()._check_inotify_fd()
        self._at_work = True
        return found

    def watch(self, path: bytes, mask: Mask) -> int:
        """Watch a directory: the number of its watch, the same as before when the kernel has one already. Raises
        OSError: ENOSPC when the watch limit is reached.
        """
        watch = inotify_add_watch(self._inotify_fd, path, mask)
        if watch == -1:
            problem = ctypes.get_errno()
            raise OSError(problem, os.strerror(problem))
        return int(watch)

    def unwatch(self, watch: int) -> None:
        """Drop a watch; one that is gone already is fine."""
        inotify_rm_watch(self._inotify_fd, watch)  # type: ignore[arg-type]  # watchdog's NewType of int

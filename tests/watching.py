"""A watcher on a folder of a test, and what it told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from vaultd.watch.canary import Canary
from vaultd.watch.hints import Hint, HintKind
from vaultd.watch.observer import Fault, Watcher

DEADLINE = 30.0


class Children:
    """The processes that this one has begun since: a test before may have left one that stays (multiprocessing's
    resource tracker does)."""

    def __init__(self) -> None:
        self._before = set(psutil.Process().children(recursive=True))

    def __call__(self) -> list[psutil.Process]:
        """They and their own, those begun first first."""
        return [one for one in psutil.Process().children(recursive=True) if one not in self._before]


def wait_for(condition: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Poll until true; fail with ``what`` at the deadline."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.01)


class Heard:
    """Collects what a watcher tells, and lets a test wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hints: list[Hint] = []
        self.faults: list[Fault] = []
        self.batches = 0

    def on_hints(self, hints: list[Hint]) -> None:
        with self._lock:
            self.hints.extend(hints)
            self.batches += 1

    def on_fault(self, fault: Fault) -> None:
        with self._lock:
            self.faults.append(fault)

    def has(self, path: bytes, *kinds: HintKind) -> bool:
        with self._lock:
            return any(hint.path == path and (not kinds or hint.kind in kinds) for hint in self.hints)

    def wait(self, path: bytes, *kinds: HintKind) -> None:
        wait_for(lambda: self.has(path, *kinds), f"a hint of {path!r} {kinds or ''}; heard {self.tail()}")

    def tail(self) -> list[Hint]:
        with self._lock:
            return self.hints[-20:]

    def forget(self) -> None:
        with self._lock:
            self.hints.clear()


@contextlib.contextmanager
def watching(root: Path, canary: Path | None = None) -> Iterator[tuple[Watcher, Heard]]:
    """A started watcher; at the end it must have been alive and must stop."""
    heard = Heard()
    watcher = Watcher(root, "test", heard.on_hints, on_fault=heard.on_fault, canary=Canary(canary) if canary else None)
    watcher.start()
    try:
        yield watcher, heard
    finally:
        watcher.stop()
        assert not watcher.alive()


@contextlib.contextmanager
def short_queue(length: int) -> Iterator[None]:
    """Inotify instances made inside have a queue of ``length`` events; the machine's own setting comes back at once."""
    setting = Path("/proc/sys/fs/inotify/max_queued_events")
    # One process at a time: two runs of the tests would restore each other's short queue.
    with (Path(tempfile.gettempdir()) / "vaultd-tests-inotify.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = setting.read_text()
        setting.write_text(str(length))
        try:
            yield
        finally:
            setting.write_text(before)


def threads_of(watcher: Watcher) -> set[str]:
    return {thread.name for thread in threading.enumerate() if watcher.vault in thread.name}


def flush(watcher: Watcher, heard: Heard, root: Path, name: str = "flush") -> None:
    """Wait until everything before now was handed over: events come in order."""
    path = root / f"{name}-{os.urandom(4).hex()}"
    path.touch()
    heard.wait(os.fsencode(path.name))

"""A watcher for file systems that report nothing: it asks for a scan of the whole vault from time to time.

It has the watcher's face, so the daemon treats both alike.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from vaultd.watch.canary import Canary
from vaultd.watch.hints import Hint, HintKind
from vaultd.watch.mounts import needs_poll
from vaultd.watch.observer import Coverage, Fault, Watcher

POLL_SECONDS = 30.0
SHARE = 0.2  # of the time may go into scans: one that takes 10 s is not made more often than every 50 s


class HintSource(Protocol):
    """What ``Watcher`` and ``Poller`` have in common."""

    vault: str

    def start(self) -> Coverage:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def alive(self) -> bool:
        """Whether it works."""

    def settled(self) -> bool:
        """Whether everything that was reported until now was taken, and nothing of it was lost."""

    async def hears(self, timeout: float) -> bool:
        """Proof that it works, not just that its threads live."""

    @property
    def overflowed(self) -> bool:
        """Whether hints were lost."""

    def take_overflow(self) -> bool:
        """Read and clear ``overflowed``."""

    def rewatch(self) -> Coverage:
        """Watch what is not watched."""

    def scanned(self, seconds: float) -> None:
        """A whole scan took so long."""


class Poller:
    """Hints ``Hint(b"", DIRECTORY)``, a scan of everything, every ``interval`` seconds, and less often where scans
    are slow.
    """

    def __init__(
        self, root: Path, vault: str, on_hints: Callable[[list[Hint]], None], *, interval: float = POLL_SECONDS
    ) -> None:
        self.vault = vault
        self.root = root
        self.interval = interval
        self._on_hints = on_hints
        self._pause = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"poll-{vault}", daemon=True)

    def start(self) -> Coverage:
        """Begin; the first hint comes after one interval, since everything is scanned at start anyway."""
        self._thread.start()
        return Coverage(0, 0)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive() and not self._stopping.is_set()

    def settled(self) -> bool:
        """Always: nothing is reported, and what is known is as old as the last scan."""
        return True

    async def hears(self, timeout: float) -> bool:
        """Whether it runs: there is nothing to go deaf."""
        return self.alive()

    @property
    def overflowed(self) -> bool:
        """Never: it has no queue."""
        return False

    def take_overflow(self) -> bool:
        """Never."""
        return False

    def rewatch(self) -> Coverage:
        """Nothing to do."""
        return Coverage(0, 0)

    def scanned(self, seconds: float) -> None:
        """A whole scan took so long: the next pause keeps scans to their share of the time."""
        self._pause = max(self.interval, seconds / SHARE)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            self._on_hints([Hint(b"", HintKind.DIRECTORY)])


def source_for(
    root: Path,
    vault: str,
    on_hints: Callable[[list[Hint]], None],
    *,
    poll: bool | None = None,
    interval: float = POLL_SECONDS,
    on_fault: Callable[[Fault], None] | None = None,
    canary: Canary | None = None,
) -> HintSource:
    """A watcher, or a poller where ``poll`` says so or (None) where the folder lies on the network. A vault's
    ``poll``.
    """
    if needs_poll(os.fsencode(root)) if poll is None else poll:
        return Poller(root, vault, on_hints, interval=interval)
    return Watcher(root, vault, on_hints, on_fault=on_fault, canary=canary)

"""Proof that the watcher still hears: a file of ours is written, and its event must come back through the same queue.

A watcher can go deaf with every thread alive and no error anywhere, so silence proves nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

TRIES = 4  # an event that a full queue dropped proves nothing about the watcher: write again


class Canary:
    """``folder`` is vaultd's own (state/canary/<vault>), watched beside the vault by the same inotify instance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._heard = threading.Event()

    def heard(self) -> None:
        """The watcher's side: an event of the folder arrived."""
        self._heard.set()

    def check(self, timeout: float) -> bool:
        """Write the file; whether its event came within ``timeout`` seconds. Raises OSError when the file cannot be
        written.
        """
        deadline = time.monotonic() + timeout
        self._heard.clear()
        for left in range(TRIES, 0, -1):
            self._write()
            if self._heard.wait(max(0.0, (deadline - time.monotonic()) / left)):
                return True
        return False

    async def check_async(self, timeout: float) -> bool:
        """The same without holding up the event loop."""
        return await asyncio.to_thread(self.check, timeout)

    def _write(self) -> None:
        handle = os.open(
            self.folder / "canary", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            os.write(handle, b"%d\n" % time.time_ns())
        finally:
            os.close(handle)

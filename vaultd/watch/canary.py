"""Proof that the watcher still hears: a file of ours is made, and its event must come back through the same queue.

A watcher can go deaf with every thread alive and no error anywhere, so silence proves nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from pathlib import Path

TRIES = 4  # an event that a full queue dropped proves nothing about the watcher: try again


class Canary:
    """``folder`` is vaultd's own (state/canary/<vault>), watched beside the vault by the same inotify instance.

    Each file has a name of its own: a late event of an earlier one proves nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._awaited: set[bytes] = set()
        self._heard = threading.Event()

    def heard(self, name: bytes) -> None:
        """The watcher's side: an event of this file arrived."""
        if name in self._awaited:
            self._heard.set()

    def check(self, timeout: float) -> bool:
        """Write a file; whether its event came within ``timeout`` seconds. Raises OSError when it cannot be written."""
        deadline = time.monotonic() + timeout
        self._heard.clear()
        try:
            for left in range(TRIES, 0, -1):
                self._write()
                if self._heard.wait(max(0.0, (deadline - time.monotonic()) / left)):
                    return True
            return False
        finally:
            self._awaited.clear()

    async def check_async(self, timeout: float) -> bool:
        """The same without holding up the event loop."""
        return await asyncio.to_thread(self.check, timeout)

    def _write(self) -> None:
        name = f"canary-{secrets.token_hex(8)}"
        self._awaited.add(os.fsencode(name))
        path = self.folder / name
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        path.unlink()

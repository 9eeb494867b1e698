"""Hints become backlog: each path is looked at, and what was seen goes into catalog and backlog in one transaction.

Runs in the watchers' threads. A hint always marks its path pending, even when nothing differs: what ``lstat`` cannot
see (a write in the same clock tick) is then still protected.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from vaultd.errors import StateError
from vaultd.protect.refs import VaultRef
from vaultd.store import Store
from vaultd.watch.follow import follow
from vaultd.watch.hints import Hint, HintKind

log = logging.getLogger(__name__)

CHUNK = 5000


class Intake:
    """Takes the hints of one vault.

    ``touched`` is called with the vault's number after each chunk that is on record, and with when all of it had been
    heard (monotonic seconds): writing many down takes longer than a vault has to be quiet. ``scan_all`` is asked when
    a hint means the whole vault. What is hidden by a missing mount is found by the scan when the mount is back.
    """

    def __init__(
        self, store: Store, vault: VaultRef, touched: Callable[[int, float], None], scan_all: Callable[[], None]
    ) -> None:
        self._store = store
        self.vault = vault
        self._touched = touched
        self._scan_all = scan_all

    def take(self, hints: list[Hint]) -> None:
        """Record hints: folders before what is in them, else a file would be out of every later scan's sight.

        What cannot be written, because the state's disk is full, is left to a scan: the watcher's thread lives on.
        """
        try:
            self._take(hints)
        except StateError as error:
            log.warning("vault %s: %d hints could not be written: %s", self.vault.name, len(hints), error)
            self._scan_all()

    def _take(self, hints: list[Hint]) -> None:
        everything, heard = Hint(b"", HintKind.DIRECTORY), time.monotonic()
        vault, accept = self.vault, self._store.accepted(self.vault.id)
        if everything in hints:  # in a process of its own
            self._scan_all()
        rest = [hint for hint in hints if hint != everything]
        rest.sort(key=lambda hint: hint.kind is not HintKind.DIRECTORY)
        whole: set[bytes] = set()
        for start in range(0, len(rest), CHUNK):
            chunk = rest[start : start + CHUNK]
            found = follow(self._store, vault.id, vault.targets, vault.root, chunk, accept=accept, whole=whole)
            if found.changed or found.gone:
                self._touched(vault.id, heard)

"""Hints become backlog: each path is looked at, and what was seen goes into catalog and backlog in one transaction.

Runs in the watchers' threads. A hint always marks its path pending, even when nothing differs: what ``lstat`` cannot
see
(a write in the same clock tick) is then still protected.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from vaultd import names
from vaultd.model import Stat
from vaultd.protect.changeset import look
from vaultd.protect.refs import VaultRef
from vaultd.store import Store
from vaultd.watch.hints import Hint, HintKind
from vaultd.watch.scan import scan

log = logging.getLogger(__name__)

CHUNK = 5000


class Intake:
    """Takes the hints of one vault.

    ``touched`` is called with the vault's number after each chunk that is on record; ``scan_all`` is asked when a hint
    means the whole vault.
    """

    def __init__(
        self, store: Store, vault: VaultRef, touched: Callable[[int], None], scan_all: Callable[[], None]
    ) -> None:
        self._store = store
        self._vault = vault
        self._touched = touched
        self._scan_all = scan_all

    def take(self, hints: list[Hint]) -> None:
        """Record hints. Raises nothing that the watcher could not survive: a path that cannot be looked at is left to
        the reconcile scan, which names it."""
        folders = [hint.path for hint in hints if hint.kind is HintKind.DIRECTORY]
        paths = [hint for hint in hints if hint.kind is not HintKind.DIRECTORY]
        for start in range(0, len(paths), CHUNK):
            self._record(paths[start : start + CHUNK])
        if b"" in folders:  # everything: in a process of its own
            self._scan_all()
            return
        for folder in folders:
            scan(self._store, self._vault.id, self._vault.targets, self._vault.root, folder)
            self._touched(self._vault.id)

    def _record(self, hints: Sequence[Hint]) -> None:
        changed: list[tuple[bytes, Stat]] = []
        gone: list[bytes] = []
        for hint in hints:
            try:
                seen = look(self._vault.root, hint.path)
            except OSError as error:
                log.debug("cannot look at %s: %s", names.display(hint.path), error)
                continue
            if seen is not None:
                changed.append((hint.path, seen))
            elif hint.path:  # the vault's own folder gone is an alert, never a deletion
                gone.append(hint.path)
        if changed or gone:
            self._store.observe(self._vault.id, self._vault.targets, changed, gone)
            self._touched(self._vault.id)

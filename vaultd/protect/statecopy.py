"""vaultd's own state as a vault of its own: database (by SQLite's backup interface), ledger, configuration.

It makes no entries about itself. Keys and passwords are not in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from functools import partial

from vaultd import files
from vaultd.custody import DOCUMENTS
from vaultd.errors import StateError
from vaultd.model import SnapshotKind
from vaultd.protect.ledgercopy import bring_up_to_date
from vaultd.protect.recorded import STATE_VAULT, record_process
from vaultd.protect.refs import Context, TargetRef
from vaultd.protect.snapshot import monotone_time
from vaultd.restic import commands
from vaultd.restic.tags import new_change_set, tags_of

SHORTEST_SECONDS = 60.0
LONGEST_WAIT = 600.0
SHARE = 20.0
"""The next copy waits this many times as long as the last one took."""


class StateCopy:
    """Decides when the state is to be copied to a target, and does it."""

    def __init__(self, context: Context, target: TargetRef) -> None:
        self._context = context
        self._target = target
        self._due = 0.0
        self._number = -1

    def due(self, now: float, number: int) -> bool:
        """Whether something was acknowledged, or the media register changed, since the last copy (``number`` grows
        with both), and it is time."""
        return number > self._number and now >= self._due

    def overdue(self, now: float) -> bool:
        """Whether it has been put off long enough for others."""
        return now >= self._due + LONGEST_WAIT

    async def make(self, number: int) -> None:
        """Copy the state. Raises VaultdError when the target fails."""
        store, config = self._context.store, self._context.config
        begun = time.monotonic()
        folder = config.host.state / "copy"
        files.make_private_directory(folder)
        await asyncio.to_thread(store.database.backup_to, folder / "state.db")
        files.replace(folder / "vaultd.toml", await asyncio.to_thread(config.file.read_bytes))
        if config.ledger_folder.is_dir():
            await asyncio.to_thread(bring_up_to_date, config.ledger_folder, folder / "ledger")
        if (config.host.state / DOCUMENTS).is_dir():
            await asyncio.to_thread(bring_up_to_date, config.host.state / DOCUMENTS, folder / DOCUMENTS)
        run = new_change_set(store.next_order())
        root = os.fsencode(folder)
        store.begin_run(run, self._target.id, store.vault_id(STATE_VAULT), SnapshotKind.FULL)
        state = "failed"
        try:
            moment, forced = monotone_time(store)
            result = await commands.backup(
                self._target.repository, roots=[root], host=config.host.name, time=forced,
                tags=tags_of(STATE_VAULT, SnapshotKind.FULL, run, root), stall=config.host.stall_seconds, marker=run,
                started=partial(record_process, store, run),
            )  # fmt: skip
            store.note_time(moment if forced is not None or result.began is None else result.began)
            state = "done"
        finally:
            seconds = time.monotonic() - begun
            with contextlib.suppress(StateError):
                store.end_run(run, state, seconds)
            self._due = time.monotonic() + max(SHORTEST_SECONDS, SHARE * seconds)
        self._number = number

"""Runs of restic are on record before restic runs, so that the next daemon can end what this one leaves behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial

from vaultd.model import SnapshotKind
from vaultd.protect.refs import TargetRef
from vaultd.restic.process import Started, boot_id
from vaultd.restic.tags import new_change_set
from vaultd.store import Store

STATE_VAULT = "vaultd-state"
"""The name that vaultd's own state goes by: the copy of it, and runs that store nothing of a vault."""


def record_process(store: Store, run: str, pid: int, start_time: int) -> None:
    """Put the process on record that is about to become restic."""
    store.set_process(run, pid, start_time, boot_id())


@contextlib.contextmanager
def upkeep(store: Store, target: TargetRef) -> Iterator[tuple[str, Started]]:
    """A run that changes the repository and stores nothing: its marker, and what to call before restic starts. It takes
    an exclusive lock, which must be told as ours if it dies."""
    run, begun, state = new_change_set(store.next_order()), time.monotonic(), "failed"
    store.begin_run(run, target.id, store.vault_id(STATE_VAULT), SnapshotKind.FULL)
    try:
        yield run, partial(record_process, store, run)
        state = "done"
    finally:
        store.end_run(run, state, time.monotonic() - begun)

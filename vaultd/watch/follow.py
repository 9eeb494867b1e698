"""From hints to catalog and backlog."""

from __future__ import annotations

from collections.abc import Iterable

from vaultd.names import parent
from vaultd.store import Store
from vaultd.watch.hints import Hint, HintKind
from vaultd.watch.record import record
from vaultd.watch.result import Counts
from vaultd.watch.scan import scan

BATCH = 5000


def follow(
    store: Store, vault: int, targets: tuple[int, ...], root: bytes, hints: Iterable[Hint], *, accept: bool = False,
    whole: set[bytes] | None = None,
) -> Counts:  # fmt: skip
    """Look at what a watcher hinted and write it. Directories first: what changed in a new one needs it in the catalog.

    A hinted path is marked pending even where nothing differs: what ``lstat`` cannot see (a write within one clock
    tick) is protected too. ``whole``, kept by the caller from call to call for hints that were taken together:
    directories that were new to the catalog, so that what is in them is pending already. ``scan(b"")``, the whole
    vault, is done here and now when it is hinted: take that hint out to have it elsewhere.
    """
    counts, whole = Counts(), set() if whole is None else whole
    hints = list(hints)
    folders = [hint.path for hint in hints if hint.kind is HintKind.DIRECTORY]
    if folders:
        counts.add(Counts.of(scan(store, vault, targets, root, *folders, accept=accept, whole=whole)))
    paths = [
        hint.path
        for hint in hints
        if hint.kind is HintKind.GONE or (hint.kind is HintKind.CHANGED and parent(hint.path) not in whole)
    ]
    for start in range(0, len(paths), BATCH):
        counts.add(record(store, vault, targets, root, paths[start : start + BATCH], accept=accept))
    return counts

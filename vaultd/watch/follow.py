"""From hints to catalog and backlog."""

from __future__ import annotations

from collections.abc import Iterable

from vaultd.store import Store
from vaultd.watch.hints import Hint, HintKind
from vaultd.watch.record import record
from vaultd.watch.result import Counts
from vaultd.watch.scan import scan

BATCH = 5000


def follow(
    store: Store, vault: int, targets: tuple[int, ...], root: bytes, hints: Iterable[Hint], *, accept: bool = False
) -> Counts:
    """Look at what a watcher hinted and write it. Directories first: what changed in a new one needs it in the catalog.

    A hinted path is marked pending even where nothing differs: what ``lstat`` cannot see (a write within one clock
    tick) is protected too. ``scan(b"")``, the whole vault, is done here and now when it is hinted: take that hint out
    to have it elsewhere.
    """
    counts, paths = Counts(), []
    for hint in hints:
        if hint.kind is HintKind.DIRECTORY:
            found = scan(store, vault, targets, root, hint.path, accept=accept)
            counts.add(Counts.of(found))
        else:
            paths.append(hint.path)
    for start in range(0, len(paths), BATCH):
        counts.add(record(store, vault, targets, root, paths[start : start + BATCH], accept=accept))
    return counts

"""Looking at paths and writing what was seen: the one way from the disk into catalog and backlog.

Three rules keep the catalog true. Nothing is looked at through a symlink. Nothing below a folder that the catalog
does not have is written: it would be out of every later scan's sight (the folder's own hint, or the walk, brings it).
And nothing is called gone while its mount, or the whole vault, is not what it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from vaultd.model import FileKind, Stat
from vaultd.names import parent
from vaultd.store import Store, catalog
from vaultd.watch import guard
from vaultd.watch.look import Look
from vaultd.watch.result import Counts


def record(
    store: Store, vault: int, targets: tuple[int, ...], root: bytes, paths: Iterable[bytes], *, accept: bool = False
) -> Counts:
    """Look at some paths (a few thousand) and keep what is there now, in one transaction; each is marked pending.

    ``accept``: an emptied folder and changed mounts are meant. Of the result ``changed``, ``gone``, the unreadable
    paths, ``skipped`` and ``problem`` are set.
    """
    counts, look = Counts(), Look(root)
    changed: list[tuple[bytes, Stat]] = []
    gone: list[bytes] = []
    # Inside the transaction: between a listing and now somebody else may have seen, and written, something younger.
    with store.database.write():
        for path in sorted(set(paths)):  # a folder before what is in it
            try:
                seen = look.at(path)
            except OSError:
                counts.not_read(path)
                continue
            if seen is not None:
                changed.append((path, seen))
            elif path:
                gone.append(path)
        now = guard.check(store, vault, root, accept=accept)  # after the looks: a disk may have gone in between
        counts.skipped, counts.problem = now.skipped, now.problem
        gone = [path for path in gone if not now.holds(path) and _knows(store, vault, path)]
        changed = _below_known(store, vault, [(path, seen) for path, seen in changed if not now.hides(path)])
        if changed or gone:
            store.observe(vault, targets, changed, gone)
    counts.changed, counts.gone = len(changed), len(gone)
    return counts


def _knows(store: Store, vault: int, path: bytes) -> bool:
    if store.entries(vault, (path,)):
        return True
    return catalog.folder_id(store.database.reader(), vault, path) is not None


def _below_known(store: Store, vault: int, changed: list[tuple[bytes, Stat]]) -> list[tuple[bytes, Stat]]:
    """Those in folders that the catalog has, or will have by this."""
    known: dict[bytes, bool] = {b"": True}
    kept = []
    for path, seen in changed:
        folder = parent(path)
        if folder not in known:
            entry = store.entries(vault, (folder,)).get(folder)
            known[folder] = entry is not None and entry.stat.kind is FileKind.DIRECTORY
        if known[folder]:
            kept.append((path, seen))
            if path:
                known[path] = seen.kind is FileKind.DIRECTORY
    return kept

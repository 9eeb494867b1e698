"""The reconcile scan: hints are never complete, this is the truth.

Nothing is deleted from the catalog that was not looked for and found missing: what lies below an unreadable
directory, or below a mount that changed or went away, stays, and so does everything when the vault's folder itself is
gone, emptied or on another file system.
"""

from __future__ import annotations

import os
import stat as stat_module
import time

from vaultd.model import FileKind
from vaultd.names import is_below, join, parent, topmost
from vaultd.store import Store, catalog
from vaultd.watch import guard
from vaultd.watch.guard import current_mounts
from vaultd.watch.result import RootProblem, ScanResult
from vaultd.watch.walk import OnProgress, Walk

__all__ = ["RootProblem", "ScanResult", "current_mounts", "note_orphans", "scan"]


def scan(
    store: Store,
    vault: int,
    targets: tuple[int, ...],
    root: bytes,
    *subtrees: bytes,
    on_progress: OnProgress | None = None,
    accept: bool = False,
    whole: set[bytes] | None = None,
) -> ScanResult:
    """Compare a vault, or some paths of it and what is below them, with the catalog, and write the differences for
    ``targets``.

    ``subtrees`` may be directories, files, or gone; a path through something that is no directory, or through a
    directory that the catalog does not have, is scanned from there. ``accept``: an emptied folder and changed mounts
    are meant. ``whole`` gets the directories of which the catalog had nothing before: every path in them is pending
    now, as it was listed. Blocking; a whole vault is better scanned by ``scanner.scan_in_process``.
    """
    began, clock = time.time_ns(), time.monotonic()
    before = guard.check(store, vault, root, accept=accept)
    if before.problem:
        return ScanResult(began, time.monotonic() - clock, root_problem=before.problem)
    walk = Walk(store, vault, targets, root, before.skipped, accept=accept, on_progress=on_progress)
    tops = topmost(_top(store, vault, root, subtree) for subtree in subtrees or (b"",))
    walk.at(tops)
    if b"" in tops:
        note_orphans(store, vault, walk)
    counts = walk.finish()
    if whole is not None:
        whole.update(walk.whole)
    skipped = before.skipped | counts.skipped
    counts.skipped = frozenset(
        path for path in skipped if any(is_below(path, top) or is_below(top, path) for top in tops)
    )
    return counts.result(began, time.monotonic() - clock)


def _top(store: Store, vault: int, root: bytes, subtree: bytes) -> bytes:
    """The path, or the first one above it that is no directory (what is below a symlink lies elsewhere) or is new."""
    parts = subtree.split(b"/")
    for depth in range(1, len(parts)):
        above = b"/".join(parts[:depth])
        try:
            found = os.lstat(join(root, above))
        except OSError:
            return above
        if not stat_module.S_ISDIR(found.st_mode) or not store.entries(vault, (above,)):
            return above
    return subtree


def note_orphans(store: Store, vault: int, walk: Walk) -> None:
    """Look at directories that the catalog has without their entry in the one above: no walk meets them."""
    known = {b""}
    for _number, path in catalog.folders(store.database.reader(), vault, b""):  # a folder before what is in it
        if path in known:
            continue
        entry = store.entries(vault, (path,)).get(path)
        if parent(path) in known and entry is not None and entry.stat.kind is FileKind.DIRECTORY:
            known.add(path)
        else:
            walk.doubt(path)

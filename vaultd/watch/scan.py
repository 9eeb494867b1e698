"""The reconcile scan: hints are never complete, this is the truth.

Nothing is deleted from the catalog that was not looked for and found missing: what lies below an unreadable
directory, or below a mount that changed or went away, stays, and so does everything when the vault's folder itself is
gone, emptied or on another file system.
"""

from __future__ import annotations

import os
import stat as stat_module
import time
from collections.abc import Mapping

from vaultd.names import is_below, join
from vaultd.store import Store
from vaultd.watch import mounts as mounts_module
from vaultd.watch.result import RootProblem, ScanResult
from vaultd.watch.walk import OnProgress, Walk, knows_below

__all__ = ["RootProblem", "ScanResult", "check_mounts", "current_mounts", "reachable", "root_problem", "scan"]


def scan(
    store: Store,
    vault: int,
    targets: tuple[int, ...],
    root: bytes,
    subtree: bytes = b"",
    *,
    on_progress: OnProgress | None = None,
    accept: bool = False,
    mounts: Mapping[bytes, str] | None = None,
) -> ScanResult:
    """Compare a vault, or one path of it and what is below, with the catalog, and write the differences for
    ``targets``.

    ``subtree`` may be a directory, a file, or gone; a path through something that is no directory is scanned from
    there. ``accept``: an emptied folder and changed mounts are meant. ``mounts``: those inside the vault now, path to
    identity, and the vault's own under b"" (None: looked up). Blocking; a whole vault is better scanned by
    ``scanner.scan_in_process``.
    """
    began, clock = time.time_ns(), time.monotonic()
    mounts = current_mounts(root) if mounts is None else mounts
    problem = root_problem(store, vault, root, mounts, accept=accept)
    if problem:
        return ScanResult(began, time.monotonic() - clock, root_problem=problem)
    subtree = reachable(root, subtree)
    skipped = check_mounts(store, vault, mounts, subtree, accept=accept)
    walk = Walk(store, vault, targets, root, skipped, on_progress=on_progress)
    walk.at(subtree)
    return walk.finish().result(began, time.monotonic() - clock, skipped)


def current_mounts(root: bytes) -> dict[bytes, str]:
    """The identity of each mount inside a folder, and under b"" of the one that it lies on."""
    table = mounts_module.current()
    found = {path: mounts_module.identity(mount) for path, mount in mounts_module.mounts_below(root, table).items()}
    own = mounts_module.mount_of(root, table)
    if own is not None:
        found[b""] = mounts_module.identity(own)
    return found


def root_problem(
    store: Store, vault: int, root: bytes, mounts: Mapping[bytes, str], *, accept: bool = False
) -> RootProblem:
    """Whether the vault's folder is what it was. The first look, and one with ``accept``, notes what it lies on."""
    try:
        with os.scandir(root) as entries:
            empty = next(entries, None) is None
    except OSError:
        return RootProblem.GONE
    here, known = mounts.get(b""), store.mounts(vault).get(b"")
    if here is not None and here != known:
        if known is not None and not accept:
            return RootProblem.MOUNT
        store.set_mount(vault, b"", here)
    if empty and not accept and not store.is_empty(vault):
        return RootProblem.EMPTIED
    return RootProblem.NONE


def reachable(root: bytes, subtree: bytes) -> bytes:
    """The path, or the first one above it that is no directory: what is below a symlink lies elsewhere."""
    parts = subtree.split(b"/")
    for depth in range(1, len(parts)):
        above = b"/".join(parts[:depth])
        try:
            found = os.lstat(join(root, above))
        except OSError:
            return above
        if not stat_module.S_ISDIR(found.st_mode):
            return above
    return subtree


def check_mounts(
    store: Store, vault: int, mounts: Mapping[bytes, str], subtree: bytes, *, accept: bool = False
) -> set[bytes]:
    """Note new mounts inside a vault, and return those to skip: changed, vanished, or newly in front of known files."""
    known = {path: name for path, name in store.mounts(vault).items() if path}
    skipped = set()
    for path in known.keys() | (mounts.keys() - {b""}):
        here, before = mounts.get(path), known.get(path)
        if here == before:
            continue
        if accept or (before is None and not knows_below(store, vault, path)):
            store.set_mount(vault, path, here)
        elif is_below(path, subtree) or is_below(subtree, path):
            skipped.add(path)
    return skipped

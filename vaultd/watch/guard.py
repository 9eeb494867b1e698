"""Whether a vault is all there: its folder is what it was, and so is each mount inside it.

Asked before a scan, and again before anything is written: a disk that is unmounted in the middle of a walk looks like
a deletion.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vaultd.names import is_below
from vaultd.store import Store
from vaultd.watch import mounts as mounts_module
from vaultd.watch.result import RootProblem


@dataclass(frozen=True, slots=True)
class Guard:
    """``problem``: the vault must not be looked at. ``skipped``: mounts that changed or vanished, or newly hide known
    files.
    """

    problem: RootProblem = RootProblem.NONE
    skipped: frozenset[bytes] = frozenset()

    def hides(self, path: bytes) -> bool:
        """Whether nothing can be said of this path now: it lies on a mount to be skipped."""
        return bool(self.problem) or any(is_below(path, mount) for mount in self.skipped)

    def holds(self, path: bytes) -> bool:
        """Whether a mount to be skipped lies below this path (or hides it): it must not be called gone."""
        return self.hides(path) or any(is_below(mount, path) for mount in self.skipped)


def check(store: Store, vault: int, root: bytes, *, accept: bool = False) -> Guard:
    """Look at the folder and the mounts now. New mounts, and with ``accept`` all that changed, are noted as known."""
    mounts = current_mounts(root)
    problem = _root_problem(store, vault, root, mounts.get(b""), accept)
    if problem:
        return Guard(problem)
    return Guard(skipped=frozenset(_changed_mounts(store, vault, mounts, accept)))


def current_mounts(root: bytes) -> dict[bytes, str]:
    """The identity of each mount inside a folder, and under b"" of the one that it lies on."""
    table = mounts_module.current()
    found = {path: mounts_module.identity(mount) for path, mount in mounts_module.mounts_below(root, table).items()}
    own = mounts_module.mount_of(root, table)
    if own is not None:
        found[b""] = mounts_module.identity(own)
    return found


def _root_problem(store: Store, vault: int, root: bytes, here: str | None, accept: bool) -> RootProblem:
    try:
        with os.scandir(root) as entries:
            empty = next(entries, None) is None
    except OSError:
        return RootProblem.GONE
    known = store.mounts(vault).get(b"")
    if here is not None and here != known:
        if known is not None and not accept:
            return RootProblem.MOUNT
        store.set_mount(vault, b"", here)
    if empty and not accept and not store.is_empty(vault):
        return RootProblem.EMPTIED
    return RootProblem.NONE


def _changed_mounts(store: Store, vault: int, mounts: Mapping[bytes, str], accept: bool) -> set[bytes]:
    known = {path: name for path, name in store.mounts(vault).items() if path}
    skipped = set()
    for path in known.keys() | (mounts.keys() - {b""}):
        here, before = mounts.get(path), known.get(path)
        if here == before:
            continue
        if accept or (before is None and not _knows_below(store, vault, path)):
            store.set_mount(vault, path, here)
        else:
            skipped.add(path)
    return skipped


def _knows_below(store: Store, vault: int, path: bytes) -> bool:
    query = "SELECT 1 FROM dir JOIN file ON file.dir=dir.id WHERE dir.vault=? AND dir.path=? LIMIT 1"
    return store.database.reader().execute(query, (vault, path)).fetchone() is not None

"""What one run is to protect: the backlog's paths as they are on disk now.

``take`` looks at each path once, *before* restic is spawned; whatever it finds different from the catalog goes into the
catalog and the backlog of every target first. ``upto`` is then the newest sequence number: what changes later stays
pending.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vaultd.model import FileKind, Stat
from vaultd.protect.batches import Batch
from vaultd.protect.cost import EXPRESS_FILES
from vaultd.protect.refs import VaultRef
from vaultd.store import PendingRow, Store
from vaultd.watch.look import Look
from vaultd.watch.record import record

DIRECT_FILES = 20_000
LARGE = 5000
"""More paths than this are taken as the catalog has them, while restic runs."""
CLAIM = 200_000
"""At most so many paths with unsafe content in one run; more are left to the next."""


@dataclass(slots=True)
class ChangeSet:
    """The paths that one run answers for, with what ``lstat`` said before it.

    ``files`` have content to be bound (regular files and symlinks); ``known`` holds digests bound to just that state
    earlier; ``gone`` are missing now; ``unread`` could not be looked at. ``began`` is the clock (ns) before the
    first reader. ``roots`` are what restic is told to store, relative; empty for a full snapshot. ``expected``: files
    and bytes. ``fill``, where it is set, finds the files: to be called in a thread while restic runs already
    (``take_as_seen``). ``check`` looks at the whole set once it is known, for alerts. ``since``: when the oldest change
    of content among the files was seen that no snapshot there has, those set aside with a problem left out.
    """

    upto: int
    began: int
    files: dict[bytes, Stat] = field(default_factory=dict)
    known: dict[bytes, bytes] = field(default_factory=dict)
    gone: list[bytes] = field(default_factory=list)
    unread: list[bytes] = field(default_factory=list)
    attempts: dict[bytes, int] = field(default_factory=dict)
    roots: list[bytes] = field(default_factory=list)
    expected: tuple[int, int] = (0, 0)
    fill: Callable[[], None] | None = None
    check: Callable[[], object] | None = None
    since: int | None = None

    def waits(self, row: PendingRow) -> None:
        """A row is among what is to be protected."""
        if row.unsafe_since is not None and row.problem is None:
            self.since = row.unsafe_since if self.since is None else min(self.since, row.unsafe_since)

    def to_hash(self) -> list[bytes]:
        """Regular files whose hash is not known yet."""
        return [p for p, seen in self.files.items() if seen.kind is FileKind.FILE and p not in self.known]


def take(store: Store, vault: VaultRef, rows: Iterable[PendingRow], roots: Sequence[bytes] | None) -> ChangeSet:
    """Look at the rows' paths. ``roots`` None: a full snapshot; an empty list: the files themselves are the roots."""
    changes, look = ChangeSet(0, time.time_ns()), Look(vault.root)
    seen: dict[bytes, Stat] = {}
    for row in rows:
        changes.attempts[row.path] = row.attempts
        try:
            found = look.at(row.path)
        except OSError:
            changes.unread.append(row.path)
            continue
        if found is None:
            changes.gone.append(row.path)
        else:
            seen[row.path] = found
            changes.waits(row)
    _update_catalog(store, vault, changes, seen)
    changes.upto = store.seq()
    for path, found in seen.items():
        if found.kind in (FileKind.FILE, FileKind.SYMLINK):
            changes.files[path] = found
    if roots is not None:
        changes.roots = list(roots) or list(changes.files)
    changes.expected = (len(changes.files), sum(seen.size for seen in changes.files.values()))
    return changes


def take_as_seen(
    store: Store,
    vault: VaultRef,
    rows: Callable[[int], list[PendingRow]],
    roots: Sequence[bytes],
    expected: tuple[int, int],
) -> ChangeSet:
    """A large change set, without a look at each path before restic starts: the catalog's entries are from before.

    ``rows`` gives the rows up to a sequence number; a path that is seen again after that is not among them.
    """
    changes = ChangeSet(store.seq(), time.time_ns(), roots=list(roots), expected=expected)

    def fill() -> None:
        with store.one_moment():
            found = rows(changes.upto)
            entries = store.entries(vault.id, [row.path for row in found])
        for row in found:
            entry = entries.get(row.path)
            if entry is None or entry.stat.kind.value != row.kind:
                continue
            changes.files[row.path] = entry.stat
            changes.waits(row)
            if row.attempts:
                changes.attempts[row.path] = row.attempts
            if entry.sha256 is not None:
                changes.known[row.path] = entry.sha256

    changes.fill = fill
    return changes


def _update_catalog(store: Store, vault: VaultRef, changes: ChangeSet, seen: dict[bytes, Stat]) -> None:
    entries = store.entries(vault.id, [*seen, *changes.gone])
    different = [path for path, found in seen.items() if path not in entries or entries[path].stat != found]
    different += [path for path in changes.gone if path in entries]
    if different:
        record(store, vault.id, vault.targets, vault.root, different, accept=store.accepted(vault.id))
    for path, found in seen.items():
        entry = entries.get(path)
        if entry is not None and entry.sha256 is not None and entry.stat.same_content(found):
            changes.known[path] = entry.sha256


def rows_for_full(
    store: Store, vault: VaultRef, target: int, all_due: bool, upto: int | None = None
) -> list[PendingRow]:
    """The rows whose content a full snapshot has to bind. What is only owed is settled page by page afterwards.

    What could not be read is among them: restic tries it in any case, and a folder above it may be open by now.
    """
    due = None if all_due else time.time_ns()
    return store.pending_rows(target, vault.id, upto=upto, unsafe=True, due=due, limit=CLAIM, unread_too=True)


def rows_for_express(store: Store, vault: VaultRef, target: int, all_due: bool) -> list[PendingRow]:
    """The oldest unsafe rows, as many as an express snapshot may list."""
    due = None if all_due else time.time_ns()
    return store.pending_rows(target, vault.id, unsafe=True, due=due, limit=EXPRESS_FILES)


def take_batch(store: Store, vault: VaultRef, target: int, batch: Batch) -> ChangeSet:
    """The change set of a batch: whole folders, and files of folders that are not taken whole."""
    direct: list[PendingRow] = []
    for folder in batch.direct:
        direct += store.unsafe_below(target, vault.id, folder, direct=True, limit=DIRECT_FILES - len(direct))
        if len(direct) >= DIRECT_FILES:
            break

    def rows(upto: int) -> list[PendingRow]:
        found = [row for row in direct if row.seq <= upto]
        for folder in batch.whole:
            below = store.unsafe_below(target, vault.id, folder, direct=False, limit=CLAIM)
            found += [row for row in below if row.seq <= upto]
        return found

    roots = [*batch.whole, *(row.path for row in direct)]
    return take_as_seen(store, vault, rows, roots, (batch.files, batch.total))

"""What was seen of the vaults: the catalog side of the store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from vaultd.model import Stat
from vaultd.store import catalog, pending
from vaultd.store.base import StoreBase
from vaultd.store.catalog import Entry, Row

FEW_IN_FOLDER = 20


class SeenStore(StoreBase):
    """Catalog, totals and mounts. What changes the catalog marks the backlog in the same transaction."""

    def observe(
        self, vault: int, targets: Iterable[int], changed: Iterable[tuple[bytes, Stat]], gone: Iterable[bytes] = ()
    ) -> int:
        """Keep what was seen and mark it pending for each target, in one transaction. Returns how many paths.

        A gone directory takes everything known below it along; so does a directory that became something else.
        """
        now, count, targets = time.time_ns(), 0, tuple(targets)
        with self.database.write() as db:
            seq = pending.next_seq(db)
            lost: list[tuple[bytes, Stat | None]] = []
            for path in gone:
                lost.extend((name, None) for name, _stat in catalog.below(db, vault, path))
                lost.append((path, None))
                catalog.forget(db, vault, path)
            folders: dict[bytes, int] = {}
            known_folders: dict[bytes, set[bytes]] = {}
            marks: list[tuple[bytes, Stat | None]] = []
            rows: list[tuple[int, bytes, Stat]] = []
            for path, seen in changed:
                where, name = catalog.split(path)
                if where not in folders:
                    folders[where] = catalog.make_folder_id(db, vault, where)
                if where not in known_folders:
                    known_folders[where] = catalog.folder_names(db, folders[where])
                if seen.kind == "d":
                    folders[path] = catalog.make_folder_id(db, vault, path)
                elif name in known_folders[where]:  # a directory became something else
                    lost.extend((below, None) for below, _stat in catalog.below(db, vault, path))
                    catalog.forget(db, vault, path)
                rows.append((folders[where], name, seen))
                marks.append((path, seen))
            catalog.put_all(db, rows)
            pending.mark(db, targets, vault, seq, now, [*lost, *marks])
            count = len(lost) + len(marks)
        return count

    def observe_listings(
        self, vault: int, targets: Iterable[int], listings: Iterable[tuple[bytes, Sequence[Row]]]
    ) -> tuple[int, list[bytes]]:
        """Keep whole listings of directories that the catalog has, but nothing in them, in one transaction: the same
        as ``observe``, at a third of the time. Returns how many paths, and the directories that are not so."""
        now, count, left = time.time_ns(), 0, list[bytes]()
        with self.database.write() as db:
            seq = pending.next_seq(db)
            for folder, rows in listings:
                if not catalog.is_bare(db, vault, folder):
                    left.append(folder)
                    continue
                prefix = folder + b"/" if folder else b""
                catalog.put_rows(db, catalog.make_folder_id(db, vault, folder), rows)
                for row in rows:
                    if row[1] == "d":
                        catalog.make_folder_id(db, vault, prefix + row[0])
                pending.mark_rows(db, targets, vault, seq, now, prefix, rows)
                count += len(rows)
        return count, left

    def is_bare(self, vault: int, path: bytes) -> bool:
        """Whether the catalog has this directory, and nothing in it."""
        return catalog.is_bare(self._db, vault, path)

    def entries(self, vault: int, paths: Iterable[bytes]) -> dict[bytes, Entry]:
        """What the catalog knows of these paths; those that it does not know are left out."""
        db, found = self._db, dict[bytes, Entry]()
        folders: dict[bytes, list[bytes]] = {}
        for path in paths:
            folders.setdefault(catalog.split(path)[0], []).append(path)
        for where, wanted in folders.items():
            folder = catalog.folder_id(db, vault, where)
            if folder is None:
                continue
            if len(wanted) < FEW_IN_FOLDER:
                known = {p: catalog.get(db, folder, catalog.split(p)[1]) for p in wanted}
                found.update((path, entry) for path, entry in known.items() if entry is not None)
            else:  # one query instead of many; a folder with many more names than wanted is rare
                names = catalog.entries_in(db, folder)
                start = len(where) + 1 if where else 0
                found.update((path, names[path[start:]]) for path in wanted if path[start:] in names)
        return found

    def is_empty(self, vault: int) -> bool:
        """Whether the catalog has nothing of a vault but its folder."""
        row = self._db.execute(
            "SELECT 1 FROM dir JOIN file ON file.dir=dir.id WHERE dir.vault=? AND file.name<>x'' LIMIT 1", (vault,)
        ).fetchone()
        return row is None

    def is_empty_vault(self, name: str) -> bool:
        """Whether the catalog has nothing of a vault of this name, or does not know it."""
        number = self.known("vault", name)
        return number is None or self.is_empty(number)

    def set_totals(self, vault: int, files: int, total: int, complete_as_of: int | None) -> None:
        """Keep what a whole scan counted, and when it began (None: it was not complete)."""
        with self.database.write() as db:
            db.execute(
                "UPDATE vault SET files=?, bytes=?, complete_as_of=coalesce(?, complete_as_of) WHERE id=?",
                (files, total, complete_as_of, vault),
            )

    def totals(self, vault: int) -> tuple[int, int, int | None]:
        """Files, bytes and "complete as of" of the last whole scan."""
        row = self._db.execute("SELECT files, bytes, complete_as_of FROM vault WHERE id=?", (vault,)).fetchone()
        return (0, 0, None) if row is None else (row[0], row[1], row[2])

    def accept(self, vault: int, meant: bool) -> None:
        """The operator says (or it is over) that an emptied folder or a missing mount is meant."""
        with self.database.write() as db:
            db.execute("UPDATE vault SET accepted=? WHERE id=?", (int(meant), vault))

    def accepted(self, vault: int) -> bool:
        """Whether an emptied folder or a missing mount was said to be meant."""
        row = self._db.execute("SELECT accepted FROM vault WHERE id=?", (vault,)).fetchone()
        return bool(row and row[0])

    def mounts(self, vault: int) -> dict[bytes, str]:
        """The mounts known inside a vault: path and identity; the vault's own folder under b""."""
        return dict(self._db.execute("SELECT path, identity FROM mount WHERE vault=?", (vault,)).fetchall())

    def set_mount(self, vault: int, path: bytes, identity: str | None) -> None:
        """Keep a mount's identity; None forgets it."""
        with self.database.write() as db:
            db.execute("DELETE FROM mount WHERE vault=? AND path=?", (vault, path))
            if identity is not None:
                db.execute("INSERT INTO mount VALUES(?,?,?)", (vault, path, identity))

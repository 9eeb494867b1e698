"""What should be at a target, by the ledger: the files of a vault's newest full snapshot there, and of the express ones
that are younger.

Nothing of the rows is believed: the manifest of the full snapshot's must have the SHA-256 that its entry names
(``bag.record``). A snapshot that is on record and that the repository does not list is told, and the one before it is
verified instead. Where records were destroyed in it, or the repository was moved, its copy is the one that is meant: it
has the change set, and an id of its own; what it holds is compared all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaultd.bag import record
from vaultd.errors import LedgerError
from vaultd.ledger.destroyed import Destroyed, destroyed
from vaultd.ledger.entry import path_of
from vaultd.ledger.events import FileVersion, RepositoryMoved, SnapshotMade
from vaultd.ledger.query import Query, matching
from vaultd.ledger.reading import Reader
from vaultd.model import StoredSnapshot
from vaultd.names import join, replaced
from vaultd.restic.commands import Found
from vaultd.verify.rows import Place, Row, Rows

OnEntries = Callable[[int, int], None]


@dataclass(slots=True)
class Part:
    """A snapshot to be verified, and its rows. ``entry``: its place in the ledger.

    ``others``, of an express one: versions that the run of another target has put on record, so that the snapshot's own
    change set does not name them; by the names that restic tells. Which of them it holds, its listing says (``add``).
    """

    snapshot: StoredSnapshot
    rows: Rows
    entry: int
    others: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, listed: Iterable[Found]) -> None:
        """Rows for those of the other versions that are listed, with their size and time."""
        named = [(found, self.others.get(found.path, ())) for found in listed]
        self.rows.fill(
            next(row for row in rows if _is_of(row, found))
            for found, rows in named if any(_is_of(row, found) for row in rows)
        )  # fmt: skip


@dataclass(slots=True)
class Expected:
    """``target``: as the ledger names it. ``parts``: the full snapshot, then the express ones that are younger, the
    newest first. ``missing``: ids of snapshots that are on record and not there; ``gone``: the rows of a full one of
    them, when nothing is left to read. ``destroyed``: files of express ones that went because nothing was left in
    them."""

    target: str = ""
    parts: list[Part] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gone: Rows | None = None
    destroyed: int = 0


@dataclass(slots=True)
class _There:
    """Which snapshots on record the repository lists, by their ids or as copies that the ledger explains."""

    reader: Reader
    vault: str
    target: str
    listed: Mapping[str, StoredSnapshot]
    _destroyed: Destroyed | None = None
    _moved: int | None = None

    def find(self, entry: Mapping[str, Any]) -> StoredSnapshot | None:
        """The one that an entry is of."""
        found = self.listed.get(str(entry["snapshot"]))
        if found is not None:
            return found
        copies = [one for one in self.listed.values() if one.change_set == entry["change_set"]]
        made = int(entry["seq"])
        explained = bool(copies) and (made < self.moved or self.destroyed.rewrote(made))
        return min(copies, key=lambda one: one.id) if explained else None

    @property
    def destroyed(self) -> Destroyed:
        """What was destroyed at the target; looked for when something is missing."""
        if self._destroyed is None:
            self._destroyed = destroyed(self.reader, self.vault, self.target)
        return self._destroyed

    @property
    def moved(self) -> int:
        """Where in the ledger the target got a new repository last, -1 for never."""
        if self._moved is None:
            found = matching(self.reader.newest_first(), Query(RepositoryMoved.TYPE))
            self._moved = next((int(one["seq"]) for one in found if one["target"] == self.target), -1)
        return self._moved


def _is_of(row: Row, found: Found) -> bool:
    return row.size == found.size and row.mtime in (None, found.mtime)


def load(
    ledger: Path, vault: str, target: str | None, listed: Mapping[str, StoredSnapshot], place: Place, tell: OnEntries
) -> Expected:
    """Read it from the ledger. ``listed``: the vault's snapshots in the repository, by id; ``target`` None: of whatever
    target those are. Raises LedgerError where there is none on record, DifferenceError where the versions on record do
    not give the manifest."""
    reader, found = Reader(ledger), Expected()
    target = target or _target_of(reader, vault, listed)
    there = _There(reader, vault, target, listed)
    entry = record.newest(reader, vault, None, target)
    target = there.target = found.target = str(entry["target"])
    while (snapshot := there.find(entry)) is None:
        found.missing.append(str(entry["snapshot"]))
        try:
            entry = record.newest(reader, vault, None, target, lambda one: there.find(one) is not None)
        except LedgerError:  # none of them is there
            found.gone = place.base(b"")
            record.fill(reader, entry, place.bench, tell)
            return found
    base = Part(snapshot, place.base(_prefix(snapshot.root)), int(entry["seq"]))
    record.fill(reader, entry, place.bench, tell)
    found.parts.append(base)
    _express(reader, there, base, int(entry["manifest_to"]), place, found)
    return found


def _target_of(reader: Reader, vault: str, listed: Mapping[str, StoredSnapshot]) -> str:
    """The name by which the ledger knows a repository: that of the newest of its snapshots."""
    for one in reader.newest_first():
        if one["type"] == SnapshotMade.TYPE and one["vault"] == vault and one["snapshot"] in listed:
            return str(one["target"])
    return ""


def _prefix(root: bytes) -> bytes:
    inside = root.strip(b"/")
    return inside + b"/" if inside else b""


@dataclass(slots=True)
class _Since:
    """What the ledger has of a vault since a full snapshot's manifest, the newest first: entries of the target's
    express snapshots, and versions by change set and with their places."""

    made: list[dict[str, Any]] = field(default_factory=list)
    by_set: dict[str, list[Row]] = field(default_factory=dict)
    versions: list[tuple[int, Row]] = field(default_factory=list)

    def take(self, one: Mapping[str, Any], target: str, base: int) -> None:
        """Take an entry in."""
        if one["type"] == SnapshotMade.TYPE and one["kind"] == "express" and one["target"] == target:
            if one["seq"] > base:
                self.made.append(dict(one))
        elif one["type"] == FileVersion.TYPE and "sha256" in one:
            path, mtime = path_of(one), one.get("mtime_ns")
            if path is not None:
                row = Row(path, bytes.fromhex(one["sha256"]), one["size"], None if mtime is None else int(mtime))
                self.by_set.setdefault(one["change_set"], []).append(row)
                self.versions.append((int(one["seq"]), row))


def _express(
    reader: Reader, there: _There, base: Part, since: int, place: Place, found: Expected
) -> None:  # fmt: skip
    """``since``: what the full snapshot's manifest does not have begins here in the ledger."""
    later = _Since()
    for one in reader.newest_first():
        if one["seq"] < since:
            break
        if one.get("vault") == there.vault:
            later.take(one, there.target, base.entry)
    for one in later.made:
        rows, snapshot = later.by_set.get(one["change_set"], []), there.find(one)
        if snapshot is None:
            if rows and all(there.destroyed.covers(row.path, int(one["seq"])) for row in rows):
                found.destroyed += len(rows)
            else:
                found.missing.append(str(one["snapshot"]))
            continue
        others = _others(snapshot, int(one["seq"]), rows, later.versions) if snapshot.files > len(rows) else {}
        if rows or others:
            part = Part(snapshot, place.more(_prefix(snapshot.root)), int(one["seq"]), others)
            part.rows.fill(rows)
            found.parts.append(part)


def _others(
    snapshot: StoredSnapshot, made: int, rows: Sequence[Row], versions: Iterable[tuple[int, Row]]
) -> dict[str, list[Row]]:
    """The versions that were on record before an express snapshot and that its own change set does not name."""
    own, found = {row.path for row in rows}, dict[str, list[Row]]()
    for seq, row in versions:
        if seq < made and row.path not in own:
            found.setdefault(replaced(join(snapshot.root, row.path)), []).append(row)
    return found

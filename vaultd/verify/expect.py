"""What should be at a target, by the ledger: the files of a vault's newest full snapshot there, and of the express ones
that are younger.

Nothing of the rows is believed: the manifest of the full snapshot's must have the SHA-256 that its entry names
(``bag.record``). A snapshot that is on record and that the repository does not list is told, and the one before it is
verified instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaultd.bag import record
from vaultd.errors import LedgerError
from vaultd.ledger.entry import path_of
from vaultd.ledger.events import FileVersion, SnapshotMade
from vaultd.ledger.reading import Reader
from vaultd.model import StoredSnapshot
from vaultd.verify.rows import Place, Row, Rows

OnEntries = Callable[[int, int], None]


@dataclass(slots=True)
class Part:
    """A snapshot to be verified, and its rows. ``entry``: its place in the ledger."""

    snapshot: StoredSnapshot
    rows: Rows
    entry: int


@dataclass(slots=True)
class Expected:
    """``target``: as the ledger names it. ``parts``: the full snapshot, then the express ones that are younger, the
    newest first. ``missing``: ids of snapshots that are on record and not there; ``gone``: the rows of a full one of
    them, when nothing is left to read."""

    target: str = ""
    parts: list[Part] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gone: Rows | None = None


def load(
    ledger: Path, vault: str, target: str | None, listed: Mapping[str, StoredSnapshot], place: Place, tell: OnEntries
) -> Expected:
    """Read it from the ledger. ``listed``: the vault's snapshots in the repository, by id; ``target`` None: of whatever
    target those are. Raises LedgerError where there is none on record, DifferenceError where the versions on record do
    not give the manifest."""
    reader, found = Reader(ledger), Expected()
    among = None if target is not None else set(listed)
    entry = record.newest(reader, vault, None, target or _target_of(reader, vault, listed), among)
    target = found.target = str(entry["target"])
    while entry["snapshot"] not in listed:
        found.missing.append(str(entry["snapshot"]))
        try:
            entry = record.newest(reader, vault, None, target, set(listed))
        except LedgerError:  # none of them is there
            found.gone = place.base(b"")
            record.fill(reader, entry, place.bench, tell)
            return found
    snapshot = listed[str(entry["snapshot"])]
    base = Part(snapshot, place.base(_prefix(snapshot.root)), int(entry["seq"]))
    record.fill(reader, entry, place.bench, tell)
    found.parts.append(base)
    _express(reader, vault, target, base, listed, place, found)
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


def _express(
    reader: Reader, vault: str, target: str, base: Part, listed: Mapping[str, StoredSnapshot], place: Place,
    found: Expected,
) -> None:  # fmt: skip
    made, versions = list[dict[str, Any]](), dict[str, list[Row]]()
    for one in reader.newest_first():
        if one["seq"] <= base.entry:
            break
        if one.get("vault") != vault:
            continue
        if one["type"] == SnapshotMade.TYPE and one["kind"] == "express" and one["target"] == target:
            made.append(one)
        elif one["type"] == FileVersion.TYPE and "sha256" in one:
            path, mtime = path_of(one), one.get("mtime_ns")
            if path is not None:
                row = Row(path, bytes.fromhex(one["sha256"]), one["size"], None if mtime is None else int(mtime))
                versions.setdefault(one["change_set"], []).append(row)
    for one in made:
        if one["snapshot"] not in listed:
            found.missing.append(str(one["snapshot"]))
            continue
        rows = versions.get(one["change_set"], [])
        if rows:
            snapshot = listed[str(one["snapshot"])]
            part = Part(snapshot, place.more(_prefix(snapshot.root)), int(one["seq"]))
            part.rows.fill(rows)
            found.parts.append(part)

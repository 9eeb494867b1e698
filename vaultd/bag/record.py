"""What the ledger says of a vault at a moment: a full snapshot's entry with its proof, and the files that it had.

Nothing of the rows is believed: their manifest must have the SHA-256 that the entry names, and the entry must be in
the tree of a checkpoint that the log's key has signed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaultd import manifest
from vaultd.bag.bench import Bench
from vaultd.errors import DifferenceError, LedgerError, VaultdError
from vaultd.i18n import _
from vaultd.ledger import epochs, note
from vaultd.ledger.chain import older
from vaultd.ledger.destroyed import destroyed
from vaultd.ledger.entry import path_of, time_text
from vaultd.ledger.events import FileVersion, SnapshotMade
from vaultd.ledger.proof import Proof
from vaultd.ledger.prove import prove
from vaultd.ledger.query import Query, matching
from vaultd.ledger.reading import Reader
from vaultd.names import display
from vaultd.units import local

_VERSION = b'"type":"version"'
_INSERT = "INSERT OR REPLACE INTO recorded(path, sha256, size, sm3, mtime) VALUES (?, ?, ?, ?, ?)"

OnEntries = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Record:
    """A full snapshot as the ledger has it. ``leaf``: the entry's bytes; ``sm3``: some of its files have an SM3."""

    ledger: Path
    entry: dict[str, Any]
    leaf: bytes
    proof: Proof
    size: int
    sm3: bool

    @property
    def time(self) -> int:
        """The snapshot's moment, in nanoseconds."""
        return int(self.entry["time_ns"])

    @property
    def not_exact(self) -> int:
        """How many paths the snapshot may have as other than on record. Those in motion were hashed as stored."""
        return sum(count for name, count in self.entry["exceptions"].items() if name != "in_motion")


def load(ledger: Path, vault: str, before: int | None, bench: Bench, tell: OnEntries) -> Record:
    """Find the newest full snapshot of a vault not after a moment, and put its files into the bench.

    Raises LedgerError where the ledger has none or cannot prove it, DifferenceError where its versions do not give the
    manifest that the entry names.
    """
    reader = Reader(ledger)
    entry = newest(reader, vault, before)
    leaf, proof = prove(ledger, int(entry["seq"]))
    size = _signed(ledger, proof)
    fill(reader, entry, bench, tell)
    sm3 = bool(bench.one("SELECT EXISTS(SELECT 1 FROM recorded WHERE sm3 IS NOT NULL)"))
    return Record(ledger, entry, leaf, proof, size, sm3)


def destroyed_since(found: Record) -> Callable[[bytes], bool]:
    """Says of a path whether it was destroyed on purpose, at the snapshot's target, after that was made."""
    gone = destroyed(Reader(found.ledger), found.entry["vault"], found.entry["target"])
    return lambda path: gone.covers(path, int(found.entry["seq"]))


def fill(reader: Reader, entry: dict[str, Any], bench: Bench, tell: OnEntries) -> None:
    """Put the files of a full snapshot's entry into the bench. Raises DifferenceError as ``load`` does."""
    ledger = reader.folder.path
    for folder in older(ledger, reader):
        before_it = Reader(folder)
        bench.fill(_INSERT, _versions(before_it, entry, before_it.size, tell))
    bench.fill(_INSERT, _versions(reader, entry, int(entry["manifest_to"]), tell))
    bench.db.execute("DELETE FROM recorded WHERE sha256 IS NULL")
    if manifest.digest(bench.manifest()).hex() != entry["manifest"]:
        raise DifferenceError(
            _("manifest of vault {vault}").format(vault=entry["vault"]),
            _("the versions on record do not give the manifest that entry {entry} names").format(entry=entry["seq"]),
            _("`vaultd ledger verify` says what is wrong; a ledger that continues another needs that one beside it"),
        )


def newest(
    reader: Reader, vault: str, before: int | None, target: str | None = None,
    wanted: Callable[[dict[str, Any]], bool] = lambda _entry: True,
) -> dict[str, Any]:  # fmt: skip
    """The entry of the newest full snapshot not after a moment. ``target``: of those there that have a manifest;
    ``wanted``: of those that it says yes to. Raises LedgerError where there is none."""
    best: dict[str, Any] | None = None
    for one in matching(reader.newest_first(), Query(SnapshotMade.TYPE, vault)):
        if target is not None and (one["target"] != target or "manifest_to" not in one):
            continue
        if not wanted(one):
            continue
        time = int(one["time_ns"])
        if one["kind"] == "full" and (before is None or time <= before):
            best = one if best is None or time > int(best["time_ns"]) else best
        # An entry is written after its snapshot was made: what was on record before this one is older.
        if best is not None and one["t"] < time_text(int(best["time_ns"])):
            break
    what = _("manifest of vault {vault}").format(vault=vault)
    if best is None:
        why = _("the ledger has no full snapshot of it")
        if target is not None:
            why = _("the ledger has no full snapshot of it at target {target}").format(target=target)
        if before is not None:
            why = _("the ledger has no full snapshot of it up to {moment}").format(moment=local(before))
        raise LedgerError(what, why, _("see what it has: `vaultd ledger show --type snapshot`"))
    if "manifest" not in best or "manifest_to" not in best:
        raise LedgerError(
            what, _("the ledger was out of order when the snapshot of {moment} was made: it has no manifest").format(
                moment=local(int(best["time_ns"]))),
            _("take an earlier moment with --at, or make a new one: `vaultd backup {vault} --full`").format(
                vault=vault),
        )  # fmt: skip
    return best


def _signed(ledger: Path, proof: Proof) -> int:
    """The size of the proof's checkpoint. Raises LedgerError when the key of its epoch has not signed it."""
    try:
        keys, signed = epochs.read(ledger), note.parse(proof.checkpoint)
        size = int(signed.text.split("\n")[1])
        note.verify(signed, [keys.at(size).key])
    except (OSError, ValueError) as error:
        raise LedgerError(
            _("the ledger {folder} cannot be read").format(folder=display(ledger)), str(error),
            _("`vaultd ledger verify` says what is wrong"),
        ) from error  # fmt: skip
    return size


def _versions(
    reader: Reader, snapshot: dict[str, Any], known: int, tell: OnEntries
) -> Iterator[tuple[bytes, bytes | None, int | None, bytes | None, int | None]]:
    """The rows of the versions before ``known`` and of the snapshot's change set, in the order of the log."""
    vault, change_set = snapshot["vault"], snapshot["change_set"]
    for number, raw in enumerate(reader.in_order()):
        if number % 4096 == 0:
            tell(number, reader.size)
        if _VERSION not in raw:
            continue
        one = json.loads(raw)
        if one["type"] != FileVersion.TYPE or one["vault"] != vault:
            continue
        if number >= known and one["change_set"] != change_set:
            continue
        path = path_of(one)
        if path is None:
            raise VaultdError(_("entry {index} of the ledger").format(index=number), _("it names no file"))
        sha256, sm3, mtime = one.get("sha256"), one.get("sm3"), one.get("mtime_ns")
        yield (
            path, None if sha256 is None else bytes.fromhex(sha256), one.get("size"),
            None if sm3 is None else bytes.fromhex(sm3), None if mtime is None else int(mtime),
        )  # fmt: skip

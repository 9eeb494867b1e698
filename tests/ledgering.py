"""What the ledger's tests share: a log in a folder, bodies for its entries, its entries as they are on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vaultd.ledger import epochs, private, tree
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.events import Begin, Body, DaemonState, FileVersion
from vaultd.ledger.log import Log, create
from vaultd.ledger.note import SignerKey
from vaultd.ledger.reading import Reader

ORIGIN = "ward/vaultd/0badcafe"


@dataclass(frozen=True, slots=True)
class Made:
    """A log's folder, and its keys."""

    folder: Path
    key_file: Path
    signer: SignerKey
    root: SignerKey

    def open(self) -> Log:
        return Log(self.folder, self.signer)


def make_log(folder: Path) -> Made:
    """A log with its first entry, signed."""
    signer = private.write_new(folder.with_name("ledger.key"), ORIGIN)
    root = private.generate(epochs.root_name(ORIGIN))
    create(folder, signer, root, Begin("ward", "0.1.0"))
    return Made(folder, folder.with_name("ledger.key"), signer, root)


def some(count: int, first: int = 0) -> list[Body]:
    """Bodies that differ."""
    return [body(number) for number in range(first, first + count)]


def body(number: int) -> Body:
    if number % 7 == 3:
        return DaemonState("started", "0.1.0", number, "boot")
    path = b"names/\xb2\xa1-%d" % number if number % 5 == 0 else b"names/%d" % number
    return FileVersion("records", path, "bound", "00001-x", number, 1_700_000_000_000_000_000 + number, b"h" * 32)


def all_entries(folder: Path) -> list[bytes]:
    """The bytes of every entry on record, in order, signed or not."""
    return list(Reader(folder).in_order())


def root_of(entries: list[bytes]) -> bytes:
    """The root of a tree of these entries, by the definition of RFC 6962 and nothing of the tiles."""
    row = [tree.leaf_hash(entry) for entry in entries]

    def node(height: int, index: int) -> bytes:
        return tree.complete_hash(b"".join(row[index << height : index + 1 << height]))

    return tree.root_hash(node, len(row))


def assert_holds(folder: Path, seen: Checkpoint) -> None:
    """The log begins with what a checkpoint says, and keeps that checkpoint."""
    assert root_of(all_entries(folder)[: seen.size]) == seen.root
    assert (folder / "checkpoints" / str(seen.size)).exists()

"""Logs for tests, made by the real writer; and what somebody who has its keys could make instead.

``make``     a log whose checkpoints have the sizes that are asked for, and whose key is changed where that is asked for
``forged``   the files of a log of these entries, signed with the real keys: every hash and digest fits
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vaultd.ledger import canonical, epochs, log, tree
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.edge import Edge
from vaultd.ledger.events import AlertChanged, Begin, Body, FileVersion, KeyRotated, RunEnded, SnapshotMade
from vaultd.ledger.folder import LogFolder, split_bundle
from vaultd.ledger.note import Note, SignerKey
from vaultd.ledger.tiles import ENTRIES, WIDTH, tile_at, tiles_of

ORIGIN = "example.org/ward"


def new_key(name: str = ORIGIN) -> SignerKey:
    return SignerKey(name, Ed25519PrivateKey.generate())


def body(number: int) -> Body:
    """What entry ``number`` is to say: mostly versions of files, some of each way to write a name."""
    if number % 17 == 5:
        counts = {"unread": 1, "retry": 0, "in_motion": number}
        return SnapshotMade("records", "offsite", "full", "c1", "ab" * 32, "17", 1, 2, 3, counts, manifest=bytes(32))
    if number % 17 == 6:
        return RunEnded("records", "offsite", "express", "c1", "partial", error='a "quote"\n', left=number)
    if number % 17 == 7:
        return AlertChanged("behind", "raised", vault="档案")
    path = {0: b"name \xff\x00", 1: "档案/卷宗.pdf".encode(), 2: b'tab\t "quote" \\ \x01\x7f'}.get(number % 11)
    if number % 13 == 3:
        return FileVersion("records", path or b"gone", "deleted", f"c{number // 9}")
    return FileVersion(
        "records", path or b"case/%d.pdf" % number, "bound", f"c{number // 9}", number, 10**18 - number,
        hashlib.sha256(b"%d" % number).digest(), bytes(32),
    )  # fmt: skip


@dataclass
class Made:
    """A log, and the keys that nobody but its writer has."""

    folder: Path
    root: SignerKey
    signers: list[tuple[int, SignerKey]]
    notes: dict[int, bytes] = field(default_factory=dict)
    """The checkpoints as they were signed, by their size."""

    def signer(self, size: int) -> SignerKey:
        return next(signer for first, signer in reversed(self.signers) if first <= size)

    @property
    def newest(self) -> int:
        return max(self.notes)

    def open(self) -> log.Log:
        return log.Log(self.folder, self.signers[-1][1])

    def seal(self, size: int) -> None:
        """Fill up to a size, and sign."""
        writer = self.open()
        fill(writer, size)
        note = writer.seal()
        assert note is not None
        self.notes[size] = note
        writer.close()

    def rotate(self) -> None:
        """Change the key."""
        signer = new_key()
        writer = self.open()
        index = writer.append([KeyRotated(len(self.signers), signer.verifier.encoded(), "somebody")])
        writer.close()
        epoch = epochs.Epoch(len(self.signers), index + 1, signer.verifier)
        certificate = epochs.certify(epoch, self.root, self.signers[-1][1])
        (self.folder / "keys" / str(epoch.number)).write_bytes(certificate)
        self.signers.append((epoch.first, signer))

    def entries(self) -> list[bytes]:
        """All signed entries."""
        return list(read_entries(self.folder, self.newest))


def fill(writer: log.Log, size: int) -> None:
    """Put entries on record until there are so many."""
    writer.append([])  # names the last checkpoint, if no entry does yet
    assert writer.size <= size
    writer.append([body(number) for number in range(writer.size, size)])


def make(folder: Path, *sizes: int, rotated: int = 0) -> Made:
    """A log with checkpoints of these sizes besides that of its first entry. ``rotated``: the key is changed after the
    one of this size."""
    made = Made(folder, new_key(epochs.root_name(ORIGIN)), [(0, new_key())])
    log.create(folder, made.signers[0][1], made.root, Begin("ward", "vaultd 0"))
    made.notes[1] = (folder / "checkpoint").read_bytes()
    for size in sizes:
        made.seal(size)
        if size == rotated:
            made.rotate()
    return made


def read_entries(folder: Path, size: int) -> Iterator[bytes]:
    for index in range(-(-size // WIDTH)):
        yield from split_bundle(LogFolder(folder).content(tile_at(ENTRIES, index, size)), "")


def changed(entry: bytes, **fields: Any) -> bytes:
    """An entry with other values of some fields; None takes a field away."""
    found = {**canonical.decode(entry), **fields}
    return canonical.encode({name: value for name, value in found.items() if value is not None})


def tiles(entries: Sequence[bytes], sizes: Sequence[int]) -> dict[str, bytes]:
    """The tiles and bundles of a log with checkpoints of these sizes, covered ones too."""
    files, edge = dict[str, bytes](), Edge(0, (), ())
    for size in sizes:
        edge, contents = edge.extended(entries[edge.size : size])
        files |= {tile.path: content for tile, content in contents}
    assert {tile.path for size in sizes for tile in tiles_of(size)} == files.keys()
    return files


def forged(made: Made, entries: Sequence[bytes], sizes: Sequence[int]) -> dict[str, bytes]:
    """The files of a log of these entries with checkpoints of these sizes, signed with the real keys. What the entries
    say of checkpoints is what they must say now."""
    entries, digests, files = list(entries), dict[int, str](), dict[str, bytes]()
    begin = 0
    for size in sizes:
        for index in range(begin, size):
            if b'"type":"checkpoint"' in entries[index]:
                named = canonical.decode(entries[index])["size"]
                entries[index] = changed(entries[index], digest=digests.get(named, "00" * 32))
        begin = size
        leaves = [tree.leaf_hash(one) for one in entries[:size]]
        root = tree.root_hash(lambda height, at, row=leaves: _complete(row, height, at), size)
        text = Checkpoint(ORIGIN, size, root).text()
        note = Note(text, (made.signer(size).sign(text),)).encoded()
        digests[size] = hashlib.sha256(note).hexdigest()
        files[f"checkpoints/{size}"] = files["checkpoint"] = note
    return files | tiles(entries, sizes)


def _complete(leaves: Sequence[bytes], height: int, index: int) -> bytes:
    return tree.complete_hash(b"".join(leaves[index << height : index + 1 << height]))


def content(folder: Path) -> dict[str, bytes]:
    """Every file that the format protects."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = ((path.relative_to(folder).as_posix(), path) for path in paths)
    return {name: path.read_bytes() for name, path in names if not name.startswith(("wal/", "lock", "SPEC/"))}


def put(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Write files, or take them away, with the folders that they leave empty."""
    for name, value in files.items():
        path = folder / name
        if value is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value)
            continue
        path.unlink(missing_ok=True)
        while (path := path.parent) != folder and path.is_dir() and not any(path.iterdir()):
            path.rmdir()

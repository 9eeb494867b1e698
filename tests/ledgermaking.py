"""Logs for tests, made by the real writer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vaultd.ledger import checkpoint, epochs, log, proof, tree
from vaultd.ledger.events import Begin, FileVersion
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.log import Log
from vaultd.ledger.note import SignerKey
from vaultd.ledger.tiles import WIDTH

ORIGIN = "archive.example/ledger"


def signer(seed: int = 1, name: str = ORIGIN) -> SignerKey:
    return SignerKey(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


SIGNER = signer()
ROOT = signer(2, epochs.root_name(ORIGIN))


def version(number: int) -> FileVersion:
    """An entry that differs from every other."""
    path = b"1998/\xb5\xb5\xb0\xb8%06d" % number if number % 7 == 0 else f"1998/档案 {number:06d}.pdf".encode()
    return FileVersion("records", path, "bound", f"{number:026x}", number, str(10**18 + number), bytes(32))


def create(folder: Path) -> None:
    log.create(folder, SIGNER, ROOT, Begin("host.example", "vaultd 0.1.0"))


@contextmanager
def opened(folder: Path) -> Iterator[Log]:
    with closing(Log(folder, SIGNER)) as found:
        yield found


def grow(open_log: Log, size: int) -> None:
    """Entries up to a size, and its checkpoint."""
    open_log.append([])  # this may put the checkpoint before it on record
    open_log.append([version(number) for number in range(open_log.size, size)])
    assert open_log.size == size
    open_log.seal()


def make(folder: Path, sizes: Iterable[int]) -> LogFolder:
    """A log with checkpoints of these sizes, after that of its first entry."""
    create(folder)
    with opened(folder) as open_log:
        for size in sizes:
            if size > 1:
                grow(open_log, size)
    return LogFolder(folder)


def entry_at(folder: LogFolder, index: int, size: int) -> bytes:
    return folder.bundle(index // WIDTH, size)[index % WIDTH]


def hashes_for(folder: LogFolder, index: int, size: int) -> tuple[bytes, ...]:
    return tuple(tree.inclusion_proof(lambda height, at: folder.node(size, height, at), index, size))


def proof_of(folder: LogFolder, index: int, size: int) -> bytes:
    """A .tlog-proof of an entry, as vaultd writes it, with the checkpoint of a size."""
    kept = folder.kept_file(size).read_bytes()
    assert checkpoint.parse(folder.read_note(folder.kept_file(size)).text).size == size
    return proof.Proof(index, hashes_for(folder, index, size), kept).encoded()

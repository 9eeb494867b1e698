"""What the tests of anchors share: a log that grows, and its other histories."""

from __future__ import annotations

import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vaultd.ledger import log
from vaultd.ledger.epochs import root_name
from vaultd.ledger.events import Begin, ConfigurationLoaded
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.log import Log
from vaultd.ledger.note import SignerKey


class Ledger:
    """A real log in a folder. ``folder`` is what vaultd.anchor takes."""

    def __init__(self, path: Path, origin: str = "ward.example/records", signer: SignerKey | None = None) -> None:
        self.path = path
        self.signer = signer or SignerKey(origin, Ed25519PrivateKey.generate())
        if signer is None and path.exists():  # that of the shared configuration, which has another name and key
            shutil.rmtree(path)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            root = SignerKey(root_name(origin), Ed25519PrivateKey.generate())
            log.create(path, self.signer, root, Begin("ward", "test"))

    @property
    def folder(self) -> LogFolder:
        """Read anew: nothing is cached from before."""
        return LogFolder(self.path)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.signer.name

    def note(self, size: int | None = None) -> bytes:
        """The newest checkpoint, or that of a size."""
        return (self.folder.checkpoint_file if size is None else self.folder.kept_file(size)).read_bytes()

    def grow(self, entries: int = 1, word: str = "more") -> bytes:
        """Append and sign; the new checkpoint."""
        writer = Log(self.path, self.signer)
        try:
            writer.append([ConfigurationLoaded(word, bytes(32), "test") for _number in range(entries)])
            note = writer.seal()
        finally:
            writer.close()
        assert note is not None
        return note

    @property
    def size(self) -> int:
        """How many entries are signed."""
        return self.folder.kept_sizes()[-1]

    def copied(self, to: Path) -> Ledger:
        """Another folder of the same log and key: what it appends is another history."""
        shutil.copytree(self.path, to)
        return Ledger(to, self.origin, self.signer)

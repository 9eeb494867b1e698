"""Who may sign: the log's keys, each for the sizes of an epoch, certified by a root key that is kept off the host.

``keys/root`` has the root's public half (a vkey), ``keys/<n>`` the certificate of epoch n: a signed note with the
origin, the epoch, the first size that its key may sign, and the key; signed by the root, from the second epoch on by
the key before it too. An epoch ends where the next begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaultd.i18n import _
from vaultd.ledger import note
from vaultd.ledger.note import Note, SignerKey, VerifierKey

HEADER = "vaultd ledger key"
ROOT = "root"


@dataclass(frozen=True, slots=True)
class Epoch:
    """A key's time: it may sign sizes from ``first`` on, up to the next epoch's."""

    number: int
    first: int
    key: VerifierKey

    def text(self) -> str:
        """The text of its certificate."""
        return f"{HEADER}\n{self.key.name}\n{self.number}\n{self.first}\n{self.key.encoded()}\n"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a log, as its folder has them; the certificates were verified."""

    root: VerifierKey
    epochs: tuple[Epoch, ...]

    @property
    def origin(self) -> str:
        """The log's name, which all of its keys have."""
        return self.epochs[0].key.name

    @property
    def newest(self) -> Epoch:
        """The epoch of the key that signs now."""
        return self.epochs[-1]

    def at(self, size: int) -> Epoch:
        """The epoch whose key may sign a size."""
        return next((one for one in reversed(self.epochs) if one.first <= size), self.epochs[0])


def root_name(origin: str) -> str:
    """The name of a log's root key."""
    return f"{origin}/root"


def certify(epoch: Epoch, root: SignerKey, before: SignerKey | None = None) -> bytes:
    """The certificate of an epoch, signed by the root and by the key of the epoch before it."""
    signers = (root,) if before is None else (root, before)
    return Note(epoch.text(), tuple(signer.sign(epoch.text()) for signer in signers)).encoded()


def read(folder: Path) -> Keys:
    """The keys of a log's folder. Raises ValueError for a certificate that does not hold, OSError when one is gone."""
    keys = folder / "keys"
    names = {path.name for path in keys.iterdir()} - {ROOT}
    return parse((keys / ROOT).read_bytes(), [(keys / str(number)).read_bytes() for number in range(len(names))])


def parse(root_file: bytes, certificates: Sequence[bytes]) -> Keys:
    """The keys that a log's files tell: ``keys/root``, and ``keys/<epoch>`` in order. Raises ValueError."""
    root_line = root_file.decode()
    if not root_line.endswith("\n"):
        raise ValueError(_("keys/root does not end with a line feed"))
    root = note.parse_key(root_line.removesuffix("\n"))
    epochs = list[Epoch]()
    for number, certificate in enumerate(certificates):
        epochs.append(_epoch(note.parse(certificate), number, root, epochs))
    if not epochs:
        raise ValueError(_("keys has no certificate"))
    return Keys(root, tuple(epochs))


def _epoch(certificate: Note, number: int, root: VerifierKey, before: list[Epoch]) -> Epoch:
    where = f"keys/{number}"
    lines = certificate.text.split("\n")
    if len(lines) != 6 or lines[0] != HEADER or not (lines[2].isdigit() and lines[3].isdigit()):
        raise ValueError(_("{file} is no certificate").format(file=where))
    epoch = Epoch(int(lines[2]), int(lines[3]), note.parse_key(lines[4]))
    if epoch.text() != certificate.text or epoch.number != number or epoch.key.kind != note.ED25519:
        raise ValueError(_("{file} is not the certificate of its epoch").format(file=where))
    origin = before[0].key.name if before else epoch.key.name
    if epoch.key.name != origin or root.name != root_name(origin):
        raise ValueError(_("{file} is of another log").format(file=where))
    if epoch.first <= before[-1].first if before else epoch.first != 0:
        raise ValueError(_("{file} does not begin where it must").format(file=where))
    signers = [root, *([before[-1].key] if before else [])]
    lines_of = list(map(VerifierKey.made, signers, certificate.signatures))
    if len(certificate.signatures) != len(signers) or not all(lines_of):
        names = ", ".join(key.name for key in signers)
        raise ValueError(_("{file} is not signed by {names}").format(file=where, names=names))
    note.verify(certificate, signers)
    return epoch

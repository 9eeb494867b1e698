"""Proofs that can be kept for years (C2SP tlog-proof): a leaf's place, the way to the root, the checkpoint."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from vaultd.ledger.checkpoint import LARGEST
from vaultd.ledger.tree import HASH_SIZE

_HEADER = "c2sp.org/tlog-proof@v1"
_MOST = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """That entry ``index`` is in the tree of ``checkpoint``, a signed note as it is. ``extra``, which is not
    authenticated, is never empty."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encoded(self) -> bytes:
        """The proof as a file."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode('ascii')}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(one).decode("ascii") for one in self.hashes]
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint


def parse(encoded: bytes) -> Proof:
    """Read a proof. Raises ValueError when it is none, or in another spelling. Its checkpoint is not looked at."""
    head, blank, checkpoint = encoded.partition(b"\n\n")
    lines = head.decode("ascii").split("\n")
    if not blank or lines.pop(0) != _HEADER:
        raise ValueError("no proof of this kind")
    try:
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = base64.b64decode(lines.pop(0).removeprefix("extra "), validate=True)
        number = lines.pop(0).removeprefix("index ") if lines else ""
        if not number.isdigit() or len(number) > 19 or int(number) > LARGEST or len(lines) > _MOST or extra == b"":
            raise ValueError("a proof without the index of an entry")
        proof = Proof(int(number), tuple(base64.b64decode(one, validate=True) for one in lines), checkpoint, extra)
    except binascii.Error as error:
        raise ValueError("no base64") from error
    if proof.encoded() != encoded or any(len(one) != HASH_SIZE for one in proof.hashes):
        raise ValueError("a proof in another spelling")
    return proof

"""Checkpoints (C2SP tlog-checkpoint): a log's name, its size and its root hash, as the text of a signed note."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from vaultd.i18n import _
from vaultd.ledger.tree import EMPTY, HASH_SIZE

LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log was at one size. ``origin`` names the log; its key has the same name."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text of its note. There are no extension lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


def parse(text: str) -> Checkpoint:
    """Read a note's text. Raises ValueError when it is no checkpoint, or one with extension lines."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise ValueError(_("a checkpoint has three lines"))
    origin, size, root = lines[:3]
    if not origin:
        raise ValueError(_("a checkpoint without an origin"))
    if not size.isascii() or not size.isdigit() or len(size) > len(str(LARGEST)):
        raise ValueError(_("a checkpoint's second line is its size"))
    try:
        found = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except binascii.Error as error:
        raise ValueError(_("a checkpoint's third line is its root hash")) from error
    if found.text() != text or len(found.root) != HASH_SIZE or found.size > LARGEST:
        raise ValueError(_("a checkpoint in another spelling"))
    if not found.size and found.root != EMPTY:
        raise ValueError("an empty tree with another root than that of one")
    return found

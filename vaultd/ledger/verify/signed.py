"""Who signed what: the keys of a log, its checkpoints, and those of others' hands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vaultd.ledger import checkpoint, epochs, note
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.epochs import Keys
from vaultd.ledger.note import VerifierKey
from vaultd.ledger.verify.finding import Code, Finding
from vaultd.ledger.verify.reading import Reader
from vaultd.ledger.verify.there import MOST_CHECKPOINTS, MOST_KEYS, is_left_over, number_of

NEWEST = "checkpoint"
LARGEST_KEY = 1 << 16


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that the log's key signed, and its note as it is in the file."""

    checkpoint: Checkpoint
    note: bytes

    @property
    def digest(self) -> str:
        """What the entry that names it says of it."""
        return hashlib.sha256(self.note).hexdigest()


def read_keys(reader: Reader, root: VerifierKey | None) -> Keys:
    """The keys of the folder. ``root``: the key on paper, if somebody has it at hand."""
    names = reader.names("keys", MOST_KEYS)
    if names is None:
        raise Finding(Code.MISSING, "keys")
    known = {epochs.ROOT, *map(str, range(sum(number_of(name) is not None for name in names)))}
    for name, folder in names.items():
        if folder:
            raise Finding(Code.NOT_A_FILE, f"keys/{name}")
        if name not in known and number_of(name) is None and not is_left_over(name):
            raise Finding(Code.EXTRA, f"keys/{name}")
    root_file = reader.read(f"keys/{epochs.ROOT}", LARGEST_KEY)
    certificates = [reader.read(f"keys/{number}", LARGEST_KEY) for number in range(max(1, len(known) - 1))]
    try:
        keys = epochs.parse(root_file, certificates)
    except ValueError as error:
        raise Finding(Code.KEYS, "keys", why=str(error)) from None
    if root is not None and keys.root != root:
        raise Finding(Code.ROOT_KEY, f"keys/{epochs.ROOT}")
    return keys


def read_newest(reader: Reader) -> bytes:
    """The note in ``checkpoint``."""
    return reader.read(NEWEST, note.LONGEST)


def read_kept(reader: Reader, keys: Keys, size: int) -> Signed:
    """A checkpoint that is kept."""
    name = f"checkpoints/{size}"
    found = signed(reader.read(name, note.LONGEST), name, keys)
    if found.checkpoint.size != size:
        raise Finding(Code.CHECKPOINT_FORM, name)
    return found


def signed(content: bytes, name: str, keys: Keys) -> Signed:
    """A checkpoint of this log, signed by the key of its epoch and nobody else."""
    try:
        parsed = note.parse(content)
        found = checkpoint.parse(parsed.text)
    except ValueError as error:
        raise Finding(Code.CHECKPOINT_FORM, name, why=str(error)) from None
    if found.origin != keys.origin:
        raise Finding(Code.CHECKPOINT_FORM, name, why=found.origin)
    if len(parsed.signatures) != 1:
        raise Finding(Code.CHECKPOINT_SIGNATURE, name)
    try:
        note.verify(parsed, [keys.at(found.size).key])
    except ValueError as error:
        raise Finding(Code.CHECKPOINT_SIGNATURE, name, why=str(error)) from None
    return Signed(found, content)


def kept_sizes(reader: Reader) -> list[int]:
    """The sizes of the checkpoints that are kept, the smallest first."""
    found = list[int]()
    for name, folder in (reader.names("checkpoints", MOST_CHECKPOINTS) or {}).items():
        size = number_of(name)
        if folder:
            raise Finding(Code.NOT_A_FILE, f"checkpoints/{name}")
        if size:
            found.append(size)
        elif not is_left_over(name):
            raise Finding(Code.EXTRA, f"checkpoints/{name}")
    return sorted(found)


def by_size(outside: Sequence[bytes], keys: Keys) -> Mapping[int, list[tuple[int, bytes]]]:
    """Checkpoints from elsewhere: for each size which ones (by number) say which root. Others may have signed them too,
    such as witnesses."""
    found = dict[int, list[tuple[int, bytes]]]()
    for number, content in enumerate(outside):
        try:
            parsed = note.parse(content)
            said = checkpoint.parse(parsed.text)
            note.verify(parsed, [keys.at(said.size).key])
        except ValueError as error:
            raise Finding(Code.OUTSIDE_UNKNOWN, outside=number, why=str(error)) from None
        if said.origin != keys.origin:
            raise Finding(Code.OUTSIDE_UNKNOWN, outside=number, why=said.origin)
        found.setdefault(said.size, []).append((number, said.root))
    return found

"""The write-ahead files: entries on record that no checkpoint has yet, as far as they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vaultd.ledger import wal
from vaultd.ledger.tiles import WIDTH, tile_at
from vaultd.ledger.tree import HASH_SIZE, leaf_hash
from vaultd.ledger.verify.finding import Code, Finding
from vaultd.ledger.verify.reading import Reader
from vaultd.ledger.verify.there import MOST_WAITING, number_of
from vaultd.ledger.verify.tree import SignedTree, hashes

LARGEST = 1 << 28
"""Bytes of a write-ahead file; what is beyond is not looked at."""


def unsigned(reader: Reader, tree: SignedTree) -> list[bytes]:
    """The entries that come after the signed ones. Raises Finding where the files do not agree with the tree, or with
    each other, and for an entry that none may be."""
    found = list[bytes]()
    for start in _starts(reader):
        if start > tree.size:
            raise Finding(Code.CHECKPOINT_GONE, f"wal/{start}.a")
        row, row_index = b"", -1
        for index, encoded in enumerate(frames(reader, start), start):
            if index < tree.size:
                if index // WIDTH != row_index:
                    row_index = index // WIDTH
                    row = hashes(reader, tile_at(0, row_index, tree.size))
                at = index % WIDTH * HASH_SIZE
                differs = leaf_hash(encoded) != row[at : at + HASH_SIZE]
            elif index - tree.size < len(found):
                differs = encoded != found[index - tree.size]
            else:
                differs = False
                found.append(encoded)
            if differs:
                raise Finding(Code.UNSIGNED, f"wal/{start}.a", entry=index)
    tree.rules.copy().check(tree.size, found)
    return found


def _starts(reader: Reader) -> list[int]:
    """The first entries of the files that are there, in order."""
    names = (name.partition(".") for name in reader.names("wal", MOST_WAITING) or {})
    numbers = {number_of(number) for number, _dot, copy in names if copy in wal.COPIES}
    return sorted(number for number in numbers if number is not None)


def frames(reader: Reader, start: int) -> Iterator[bytes]:
    """The entries in the two files that begin with one, each from the copy that has it whole."""
    handles = list[int]()
    try:
        for copy in wal.COPIES:
            handle = reader.open(f"wal/{start}.{copy}")
            if handle is not None:
                handles.append(handle)
        at, index = 0, start
        while at < LARGEST:
            encoded = next(filter(None, (_frame(handle, at, index) for handle in handles)), None)
            if encoded is None:
                return
            yield encoded
            at, index = at + wal.HEAD + len(encoded), index + 1
    except OSError as error:
        raise Finding(Code.UNREADABLE, f"wal/{start}.a", why=error.strerror or str(error)) from None
    finally:
        for handle in handles:
            os.close(handle)


def _frame(handle: int, at: int, index: int) -> bytes | None:
    length = wal.length_at(os.pread(handle, wal.HEAD, at))
    frame = os.pread(handle, wal.HEAD + length, at)
    return frame[wal.HEAD :] if length and wal.is_whole(frame, index) else None

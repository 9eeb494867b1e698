"""The write-ahead files: entries are durable here before anybody is told that they are on record.

A frame is the entry's length (4 bytes), CRC32C (4 bytes; over the entry's index in 8 bytes, and the entry), the entry;
all numbers big-endian. There are two files of the same bytes, ``<start>.a`` and ``<start>.b``, where ``start`` is the
index of the first entry: a page that a power cut or a worn disk has torn in one is read from the other. What neither
has whole, and what comes after, was never acknowledged, unless both are damaged.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from google_crc32c import value as crc32c

from vaultd.files import fsync_directory
from vaultd.ledger.entry import LONGEST

_HEAD = struct.Struct(">II")
_INDEX = struct.Struct(">Q")
HEAD = _HEAD.size
COPIES = ("a", "b")
_NEW = "-new"
_PAGE = 10_000
"""So many entries are put into frames at a time."""


class WriteAhead:
    """Two files that grow together. Not for several threads at once."""

    def __init__(self, folder: Path, start: int, entries: Sequence[bytes] = ()) -> None:
        """Make new files with these entries in them, durable when this returns. Those of the same names, which may be
        the only copy of these entries, are replaced only then."""
        self.folder = folder
        self.start = start
        self.end = start + len(entries)
        self._size = 0
        self._handles: list[int] = []
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            for path in paths(folder, start):
                self._handles.append(os.open(path.with_suffix(path.suffix + _NEW), flags, 0o600))
            self._write(start, entries)
            for path in paths(folder, start):
                path.with_suffix(path.suffix + _NEW).replace(path)
            fsync_directory(folder)
        except BaseException:
            self.close()
            raise

    def append(self, entries: Sequence[bytes]) -> None:
        """Add entries; durable when this returns. Raises OSError; the files are then what they were before."""
        try:
            self._write(self.end, entries)
        except OSError:
            for handle in self._handles:
                with contextlib.suppress(OSError):  # the CRC and the index tell what is left over
                    os.ftruncate(handle, self._size)
            raise
        self.end += len(entries)

    def _write(self, first: int, entries: Sequence[bytes]) -> None:
        end = self._size
        for start in range(0, len(entries), _PAGE):
            frames = _frames(first + start, entries[start : start + _PAGE])
            for handle in self._handles:
                at, view = end, memoryview(frames)
                while view:
                    done = os.pwrite(handle, view, at)
                    at, view = at + done, view[done:]
            end += len(frames)
        for handle in self._handles:
            os.fdatasync(handle)
        self._size = end

    def close(self) -> None:
        """Close the files; they stay."""
        while self._handles:
            os.close(self._handles.pop())


def paths(folder: Path, start: int) -> list[Path]:
    """The two files that begin with an entry."""
    return [folder / f"{start}.{copy}" for copy in COPIES]


def starts(folder: Path) -> list[int]:
    """The first entries of the files that are there."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = (name.partition(".") for name in names)
    return sorted({int(number) for number, _dot, copy in found if copy in COPIES and number.isdigit()})


def read(folder: Path, start: int) -> tuple[list[bytes], int]:
    """The entries in the files that begin at ``start``, as far as they are whole, and how many bytes come after."""
    contents = []
    for path in paths(folder, start):
        with contextlib.suppress(FileNotFoundError):
            contents.append(path.read_bytes())
    entries, at = list[bytes](), 0
    while True:
        entry = next(_whole(contents, at, start + len(entries)), None)
        if entry is None:
            return entries, max((len(content) for content in contents), default=at) - at
        entries.append(entry)
        at += HEAD + len(entry)


def _whole(contents: Sequence[bytes], at: int, index: int) -> Iterator[bytes]:
    for content in contents:
        length = length_at(content[at : at + HEAD])
        frame = content[at : at + HEAD + length]
        if length and is_whole(frame, index):
            yield frame[HEAD:]


def length_at(head: bytes) -> int:
    """How long an entry is that a frame begins with, 0 when nothing that could be one begins so."""
    length = _HEAD.unpack(head)[0] if len(head) == HEAD else 0
    return length if length <= LONGEST else 0


def is_whole(frame: bytes, index: int) -> bool:
    """Whether a frame is whole, and of the entry of this index."""
    length, expected = _HEAD.unpack_from(frame)
    return len(frame) == HEAD + length and bool(crc32c(_INDEX.pack(index) + frame[HEAD:]) == expected)


def _frames(first: int, entries: Sequence[bytes]) -> bytes:
    parts = list[bytes]()
    for number, entry in enumerate(entries, first):
        parts += (_HEAD.pack(len(entry), crc32c(_INDEX.pack(number) + entry)), entry)
    return b"".join(parts)

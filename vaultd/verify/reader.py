"""Hash what restic dumps, in a process of its own: ``python -P -m vaultd.verify.reader PARENT tar|file``.

Standard input is a tar archive (``tar``) or the content of one file (``file``); nothing of it is kept. Standard output
has a record for each file that came whole, a mark twice a second for how much was read, and one for how it ended. Read
by hand and not with ``tarfile``, which takes ten times as long for each small file.

What Go's ``archive/tar`` writes, and so restic: ustar headers, pax records before those that ustar cannot say, base-256
sizes in neither; GNU long names are read too. Anything else ends the stream as broken: it is then read file by file.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from vaultd.priority import die_with_parent

BLOCK = 512
CHUNK = 1 << 20
MARK_SECONDS = 0.5
FLUSH = 1 << 14

FILE, LINK, MARK, BROKEN, END = b"f", b"l", b"p", b"b", b"e"
"""Kinds of records: a whole file; a hard link to one (no hash); bytes so far; the end, too early; the end."""

HEAD = struct.Struct("=cIQ32s")
"""Kind, length of the name that follows, size (of the file, or bytes so far), SHA-256."""

_NONE = bytes(32)
_LARGEST = 64 << 20
"""Bytes of a header's names and attributes."""


class Record(NamedTuple):
    """What the process says; of ``BROKEN`` the name is that of the file in which it ended, empty between two."""

    kind: bytes
    name: bytes
    size: int
    sha256: bytes


class BrokenStreamError(Exception):
    """The archive ends too early or is none; the argument is the name of the file in which that was (or empty)."""


class _Source:
    """Bytes from a descriptor, buffered."""

    def __init__(self, handle: int) -> None:
        self.handle, self.buffer, self.at, self.total = handle, b"", 0, 0

    def some(self, most: int) -> bytes:
        """What is there, at most so much; empty at the end."""
        if self.at == len(self.buffer):
            self.buffer, self.at = os.read(self.handle, CHUNK), 0
            self.total += len(self.buffer)
        found = self.buffer[self.at : self.at + most]
        self.at += len(found)
        return found

    def exactly(self, size: int) -> bytes | None:
        """So many bytes; None when there are not."""
        end = self.at + size
        if end <= len(self.buffer):
            found = self.buffer[self.at : end]
            self.at = end
            return found
        parts = []
        while size:
            part = self.some(size)
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def files_of(source: _Source) -> Iterator[tuple[bytes, bytes, int, bytes]]:
    """Kind, name, size and SHA-256 of each file of an archive. Raises BrokenStreamError."""
    pax: dict[bytes, bytes] = {}
    while True:
        head = source.exactly(BLOCK)
        if head is None:
            raise BrokenStreamError(b"")
        if not head.strip(b"\0"):
            return
        kind, size, name = head[156:157], _number(head[124:136]), _name(head)
        if kind in b"xgLK":  # what the next header cannot say itself
            pax |= _said(source, kind, size)
            continue
        name, size = pax.get(b"path", name), int(pax.get(b"size", size))
        pax = {}
        if kind in b"0\0":
            digest = _hash(source, size)
            if digest is None or (size % BLOCK and source.exactly(-size % BLOCK) is None):
                raise BrokenStreamError(name)
            yield FILE, name, size, digest
        elif kind == b"1":
            yield LINK, name, 0, _NONE
        elif kind not in b"23456" or size:
            raise BrokenStreamError(b"")


def _said(source: _Source, kind: bytes, size: int) -> dict[bytes, bytes]:
    """What a header says of the one that follows."""
    said = source.exactly(size + -size % BLOCK) if size <= _LARGEST else None
    if said is None:
        raise BrokenStreamError(b"")
    if kind == b"x":
        return _pax(said[:size])
    return {b"path": said[:size].rstrip(b"\0")} if kind == b"L" else {}


def _hash(source: _Source, size: int) -> bytes | None:
    if size <= len(source.buffer) - source.at:
        found = source.buffer[source.at : source.at + size]
        source.at += size
        return hashlib.sha256(found).digest()
    digest = hashlib.sha256()
    while size:
        part = source.some(size)
        if not part:
            return None
        digest.update(part)
        size -= len(part)
    return digest.digest()


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    try:
        return int(field.rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        raise BrokenStreamError(b"") from None


def _name(head: bytes) -> bytes:
    name = head[:100].partition(b"\0")[0]
    prefix = head[345:500].partition(b"\0")[0] if head[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _pax(said: bytes) -> dict[bytes, bytes]:
    found, at = dict[bytes, bytes](), 0
    try:
        while at < len(said):
            space = said.index(b" ", at)
            end = at + int(said[at:space])
            key, _equals, value = said[space + 1 : end - 1].partition(b"=")
            found[key] = value
            if end <= at:
                raise ValueError("length")
            at = end
    except ValueError:
        raise BrokenStreamError(b"") from None
    return found


class _Answer:
    """Records on standard output: together, but not later than twice a second."""

    def __init__(self, source: _Source) -> None:
        self.source, self.waiting, self.due = source, bytearray(), 0.0

    def put(self, kind: bytes, name: bytes, size: int, digest: bytes = _NONE) -> None:
        self.waiting += HEAD.pack(kind, len(name), size, digest)
        self.waiting += name
        if len(self.waiting) > FLUSH or time.monotonic() > self.due:
            self.flush()

    def flush(self) -> None:
        self.waiting += HEAD.pack(MARK, 0, self.source.total, _NONE)
        left = memoryview(bytes(self.waiting))
        while left:
            left = left[os.write(1, left) :]
        self.waiting.clear()
        self.due = time.monotonic() + MARK_SECONDS


class _Marked(_Source):
    """A source that tells how far it is while one large file is read."""

    answer: _Answer | None = None

    def some(self, most: int) -> bytes:
        if self.answer is not None and self.at == len(self.buffer) and time.monotonic() > self.answer.due:
            self.answer.flush()
        return super().some(most)


def main() -> int:
    """Hash standard input to its end."""
    die_with_parent(int(sys.argv[1]))
    source = _Marked(0)
    answer = source.answer = _Answer(source)
    try:
        try:
            if sys.argv[2] == "tar":
                for kind, name, size, digest in files_of(source):
                    answer.put(kind, name, size, digest)
            else:
                whole = hashlib.sha256()
                while part := source.some(CHUNK):
                    whole.update(part)
                answer.put(FILE, b"", source.total, whole.digest())
            while source.some(CHUNK):  # what follows the end of the archive
                pass
            answer.put(END, b"", 0)
        except BrokenStreamError as error:
            answer.put(BROKEN, error.args[0], 0)
            answer.flush()
            while source.some(CHUNK):  # its writer must not die of it
                pass
        answer.flush()
    except BrokenPipeError:
        return 1  # the parent is gone
    return 0


if __name__ == "__main__":
    sys.exit(main())

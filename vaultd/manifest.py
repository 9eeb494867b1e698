"""The manifest of a moment: SHA-256 and path of every file, a line each, as ``sha256sum -c`` reads it.

Sorted by the bytes of the path. A path with a backslash or a line end is escaped as coreutils does it: the line begins
with a backslash, and these characters are written with one.
"""

from __future__ import annotations

import hashlib
import re
from binascii import hexlify
from collections.abc import Iterable, Iterator, Mapping

Row = tuple[bytes, bytes]
"""Path and SHA-256."""

_SPECIAL = re.compile(rb"[\\\n\r]")
_FLUSH = 4096


def line(path: bytes, sha256: bytes) -> bytes:
    """One line, with its line feed."""
    if _SPECIAL.search(path) is None:
        return hexlify(sha256) + b"  " + path + b"\n"
    path = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"\\" + hexlify(sha256) + b"  " + path + b"\n"


def digest(rows: Iterable[Row]) -> bytes:
    """SHA-256 of the manifest of these rows, which are in order."""
    found, parts = hashlib.sha256(), list[bytes]()
    for path, sha256 in rows:
        parts.append(line(path, sha256))
        if len(parts) == _FLUSH:
            found.update(b"".join(parts))
            parts.clear()
    found.update(b"".join(parts))
    return found.digest()


def changed(rows: Iterable[Row], changes: Mapping[bytes, bytes | None]) -> Iterator[Row]:
    """The rows after some changes: a path's new SHA-256, or None where it is gone. All in order."""
    waiting = sorted(changes, reverse=True)
    for path, sha256 in rows:
        while waiting and waiting[-1] < path:
            yield from _row(waiting.pop(), changes)
        if waiting and waiting[-1] == path:
            yield from _row(waiting.pop(), changes)
        else:
            yield path, sha256
    while waiting:
        yield from _row(waiting.pop(), changes)


def _row(path: bytes, changes: Mapping[bytes, bytes | None]) -> Iterator[Row]:
    sha256 = changes[path]
    if sha256 is not None:
        yield path, sha256

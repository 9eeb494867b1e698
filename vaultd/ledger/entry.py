"""An entry of the ledger: canonical JSON with the fields that all have, and those of its type.

``v`` (1), ``seq`` (its index in the log), ``t`` (RFC 3339, UTC, microseconds), ``type``, ``origin`` (the log's name),
``salt`` (16 random bytes in hex: who is shown one entry's neighbours in a proof cannot guess what they say).
A name that is not UTF-8 goes in ``path_b64`` instead of ``path``.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Any, NamedTuple

from vaultd.ledger import canonical
from vaultd.ledger.events import Body, FileVersion, Given

VERSION = 1
LONGEST = 65_535
"""Bytes: an entry bundle gives each entry two bytes of length (C2SP tlog-tiles)."""

_SALT = 32
BASE = frozenset({"v", "seq", "t", "type", "origin", "salt"})


class NewerError(ValueError):
    """A newer vaultd has written it."""


def time_text(nanoseconds: int) -> str:
    """A time since 1970 as entries have it."""
    return (
        datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
        .replace(microsecond=nanoseconds // 1000 % 1_000_000)
        .strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    )


def path_fields(path: bytes) -> dict[str, str]:
    """A file name as fields of an entry."""
    try:
        return {"path": path.decode()}
    except UnicodeDecodeError:
        return {"path_b64": base64.b64encode(path).decode("ascii")}


def path_of(entry: Mapping[str, Any]) -> bytes | None:
    """The file name that an entry tells, None when it tells none."""
    if "path_b64" in entry:
        return base64.b64decode(entry["path_b64"])
    found = entry.get("path")
    return None if found is None else str(found).encode()


class Begun(NamedTuple):
    """A file version's entry but for its place and its time, which come between these parts."""

    head: bytes
    middle: bytes
    end: bytes


def begin_versions(bodies: Sequence[FileVersion], origin: str) -> list[Begun]:
    """Have the entries of file versions ready before it is known whether, and where, they go on record."""
    where = quoted(origin)
    return [_begun(body, where, salt) for body, salt in zip(bodies, _salts(len(bodies)), strict=True)]


def encode_all(bodies: Sequence[Body | Begun], origin: str, first: int, t: str) -> list[bytes]:
    """The entries' bytes, for the places from ``first`` on. Raises ValueError for one that no entry may be."""
    where, at, found = quoted(origin), t.encode("ascii"), list[bytes]()
    for seq, (body, salt) in enumerate(zip(bodies, _salts(len(bodies)), strict=True), first):
        begun = _begun(body, where, salt) if isinstance(body, FileVersion) else body
        if isinstance(begun, Begun):
            entry = b"%b%d%b%b%b" % (begun.head, seq, begun.middle, at, begun.end)
        else:
            own = {"v": VERSION, "seq": seq, "t": t, "type": begun.TYPE, "origin": origin, "salt": salt}
            entry = canonical.encode({**fields_of(begun), **own})
        if len(entry) > LONGEST:
            raise ValueError(f"an entry of {len(entry)} bytes")
        found.append(entry)
    return found


def _salts(count: int) -> list[str]:
    salts = os.urandom(count * _SALT // 2).hex()
    return [salts[start : start + _SALT] for start in range(0, len(salts), _SALT)]


def _begun(body: FileVersion, origin: str, salt: str) -> Begun:
    """What ``canonical.encode`` says of it, five times as fast: a first protection has a hundred thousand of them."""
    try:
        path = f'"path":{quoted(body.path.decode())}'
    except UnicodeDecodeError:
        path = f'"path_b64":"{base64.b64encode(body.path).decode("ascii")}"'
    mtime = "" if body.mtime_ns is None else f'"mtime_ns":"{body.mtime_ns}",'
    sha256 = "" if body.sha256 is None else f'"sha256":"{body.sha256.hex()}",'
    size = "" if body.size is None else f'"size":{body.size},'
    sm3 = "" if body.sm3 is None else f'"sm3":"{body.sm3.hex()}",'
    head = f'{{"change_set":{quoted(body.change_set)},{mtime}"origin":{origin},{path},"salt":"{salt}","seq":'
    middle = f',{sha256}{size}{sm3}"state":"{body.state}","t":"'
    return Begun(head.encode(), middle.encode(), _end(body.vault))


@lru_cache(maxsize=16)
def _end(vault: str) -> bytes:
    return f'","type":"version","v":{VERSION},"vault":{quoted(vault)}}}'.encode()


def fields_of(body: Body) -> dict[str, Any]:
    """The fields of a body's own: None is left out, ``path`` is a name of bytes, other bytes are hex, ``_ns`` text."""
    found: dict[str, Any] = dict(body.fields) if isinstance(body, Given) else {}
    for name in () if found else type(body).__slots__:
        value = getattr(body, name)
        if name == "path" and value is not None:
            found.update(path_fields(value))
        elif isinstance(value, bytes):
            found[name] = value.hex()
        elif name.endswith("_ns") and value is not None:
            found[name] = str(value)
        elif isinstance(value, str):
            found[name] = _text(value)
        elif value is not None:
            found[name] = value
    if BASE & found.keys():
        raise ValueError(f"{body.TYPE}: a field of all entries cannot be its own")
    return found


def _text(value: str) -> str:
    """A text that JSON can carry: of one that is not UTF-8 (what a server has said, a file's name) the bytes are
    shown."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def decode(entry: bytes) -> dict[str, Any]:
    """An entry's fields. Raises ValueError when it is not canonical, or lacks what all entries have."""
    found = canonical.decode(entry)
    if not found.keys() >= BASE or type(found["v"]) is not int or found["v"] < VERSION:
        raise ValueError("not an entry of a ledger")
    if found["v"] > VERSION:
        raise NewerError(f"an entry of version {found['v']}, this vaultd knows up to {VERSION}")
    if type(found["seq"]) is not int or not all(type(found[name]) is str for name in ("t", "type", "origin", "salt")):
        raise ValueError("an entry whose fields are of other types")
    return found

"""``names.jsonl``: what the bag's formats cannot say, an object a line, in order of the paths.

A file under another name (``stored``), a hard link (``of`` is the first name), a symbolic link (``target``), a device,
FIFO or socket, an empty folder, a file that was destroyed on purpose. Names are ``path``, or ``path_b64`` where they
are not UTF-8, as in the ledger.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vaultd.bag.names import PLACE
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.ledger.entry import path_fields, path_of
from vaultd.names import display

FILE, FOLDER, LINK, SYMLINK, DESTROYED = "file", "folder", "hard link", "symlink", "destroyed"
_KINDS = {
    stat.S_IFDIR: FOLDER, stat.S_IFLNK: SYMLINK, stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device", stat.S_IFBLK: "block device",
}  # fmt: skip
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""JSON may have them as they are; for many readers they end a line, or do something to a terminal."""

KEPT = frozenset({LINK, FOLDER})
"""Kinds whose paths are in the payload too."""


def of_file(path: bytes, stored: bytes) -> str:
    """The line of a file that has another name in the payload."""
    return _line(path, FILE, {"stored": f"data/{stored.decode()}"})


def of_link(path: bytes, first: bytes) -> str:
    """The line of a path that was one file with another."""
    return _line(path, LINK, _named("of", first))


def of_destroyed(path: bytes) -> str:
    """The line of a file that the manifest has, and that was destroyed since."""
    return _line(path, DESTROYED, {})


def of_other(path: bytes, place: bytes, status: os.stat_result) -> tuple[str, str]:
    """Kind and line of what is no regular file; ``place`` is where it can be looked at."""
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    found: dict[str, Any] = {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}", "uid": status.st_uid, "gid": status.st_gid,
        "mtime_ns": str(status.st_mtime_ns),
    }  # fmt: skip
    if kind == SYMLINK:
        found |= _named("target", os.readlink(place))
    if kind.endswith("device"):
        found["device"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return kind, _line(path, kind, found)


def read(file: Path) -> Iterator[tuple[bytes, str, str, bytes | None]]:
    """Path, kind, line, and the stored name relative to the payload. Raises VaultdError for a file that is not ours."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                one = json.loads(line)
                path, kind, stored = path_of(one), str(one["kind"]), one.get("stored")
                if not path or (kind == FILE) != isinstance(stored, str):
                    raise ValueError("no name")
                place = None if stored is None else _place(stored)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise VaultdError(
                    display(file), _("line {number} is not as vaultd writes it").format(number=number),
                    _("restore into a new folder, and make the bag there"),
                ) from error  # fmt: skip
            yield path, kind, line.removesuffix("\n"), place


def _place(stored: str) -> bytes:
    place = stored.removeprefix("data/").encode()
    folder, _slash, name = place.partition(b"/")
    if folder != PLACE or not name.isdigit():
        raise ValueError(stored)
    return place


def _line(path: bytes, kind: str, more: dict[str, Any]) -> str:
    text = json.dumps(path_fields(path) | {"kind": kind} | more, ensure_ascii=False)
    return _LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _named(field: str, path: bytes) -> dict[str, str]:
    try:
        return {field: path.decode()}
    except UnicodeDecodeError:
        return {f"{field}_b64": base64.b64encode(path).decode("ascii")}

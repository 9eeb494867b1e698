"""File names are bytes. Inside vaultd a path is ``bytes`` relative to its vault's folder (``b""``: the folder itself).

Text for people shows bytes that are not UTF-8, and control characters, as ``\\xNN``; JSON carries such a name in a
second field as base64 (``path_b64``), so that nothing is lost.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Iterable


def display(path: bytes | str | os.PathLike[str]) -> str:
    """A path for people: one line, nothing that a terminal would obey, every byte told apart."""
    raw = os.fsencode(path)
    text = raw.decode("utf-8", "surrogateescape")
    parts = []
    for character in text:
        point = ord(character)
        if 0xDC80 <= point <= 0xDCFF:
            parts.append(f"\\x{point - 0xDC00:02x}")
        elif character == "\\":
            parts.append("\\\\")
        elif not character.isprintable():
            parts.append("".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass")))
        else:
            parts.append(character)
    return "".join(parts)


def as_json(path: bytes) -> dict[str, str]:
    """``{"path": ...}``, with ``path_b64`` beside it when the name is not UTF-8 (docs/json.md)."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path": path.decode("utf-8", "replace"), "path_b64": base64.b64encode(path).decode("ascii")}


def replaced(path: bytes) -> str:
    """The path as restic's JSON shows it: each byte that is not UTF-8 becomes U+FFFD, as Go's encoder does."""
    out, rest = [], path
    while rest:
        try:
            out.append(rest.decode("utf-8"))
            break
        except UnicodeDecodeError as error:
            out.append(rest[: error.start].decode("utf-8") + "�")
            rest = rest[error.start + 1 :]
    return "".join(out)


def join(root: bytes, relative: bytes) -> bytes:
    """The absolute path of a path inside a vault."""
    if not relative:
        return root
    return root + relative if root.endswith(b"/") else root + b"/" + relative


def parent(relative: bytes) -> bytes:
    """The folder of a relative path; the vault's folder for a top-level name."""
    return relative.rpartition(b"/")[0]


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether a relative path lies inside a relative folder (or is it)."""
    return not folder or path == folder or path.startswith(folder + b"/")


def topmost(paths: Iterable[bytes]) -> list[bytes]:
    """Relative paths without those that lie below another of them, sorted."""
    found = set(paths)
    return sorted(path for path in found if not lies_below(path, found))


def lies_below(path: bytes, folders: Collection[bytes]) -> bool:
    """Whether a folder above a relative path is one of these."""
    while path:
        path = parent(path)
        if path in folders:
            return True
    return False

"""Where a target has checkpoints: ``.vaultd`` beside the repository's folder, as the server sees it."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import quote

from vaultd.anchor.kept import size_of
from vaultd.config import TargetConfig
from vaultd.sftp import Session

FOLDER = ".vaultd"
PROBE = "probe-"
_LONGEST = 200
_GENERATION = re.compile(r"[0-9]{8}T[0-9]{6}[0-9.]{0,12}Z", re.ASCII)
_CHANGED = re.compile(r"([0-9]+)\.[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder of checkpoints. ``sizes`` ascending; ``changed``: names under which the server has put aside
    another content of a size; ``junk``: how many names say nothing."""

    folder: str
    sizes: tuple[int, ...] = ()
    changed: tuple[tuple[str, int], ...] = field(default=())
    junk: int = 0


def base(target: TargetConfig) -> str:
    """The folder that holds the repository's folder; empty: the account's start folder."""
    return base_of(target.path)


def base_of(path: str) -> str:
    """The same for a repository's folder, as the configuration has it."""
    path = posixpath.normpath(path)
    if path == "." or path == ".." or path.endswith("/.."):
        return posixpath.join(path, "..")
    return posixpath.dirname(path)


def escaped(origin: str) -> str:
    """A log's name as one component of a path: every byte but letters, digits and ``_-~.`` as ``%XX``; a dot at the
    beginning too. One that would be too long for a file system is its SHA-256."""
    found = quote(origin, safe="")
    if found.startswith("."):
        found = "%2E" + found[1:]
    return found if len(found) <= _LONGEST else "sha256-" + sha256(origin.encode()).hexdigest()


def mirror(target: TargetConfig, origin: str) -> str:
    """The folder that we publish into."""
    return posixpath.join(base(target), FOLDER, "checkpoints", escaped(origin))


def copies(target: TargetConfig) -> str:
    """The folder where the server keeps copies of that out of our reach, in one folder for each generation."""
    return posixpath.join(base(target), FOLDER, "anchored")


def newest_copies(session: Session, target: TargetConfig, origin: str) -> str | None:
    """The folder of our log in the newest generation of the server's copies; None when it keeps none."""
    folder = copies(target)
    found = [name for name in session.names(folder, 100_000) if _GENERATION.fullmatch(name)]
    return posixpath.join(folder, max(found), escaped(origin)) if found else None


def listing(session: Session, folder: str, *, copies: bool = False) -> Listing:
    """What is in a folder; names are whatever the server says. ``copies``: the folder is one of the server's own."""
    sizes, changed, junk = list[int](), list[tuple[str, int]](), 0
    for name in session.names(folder):
        size = size_of(name)
        aside = _CHANGED.fullmatch(name)
        if size is not None:
            sizes.append(size)
        elif copies and aside is not None and (of := size_of(aside[1])) is not None:
            changed.append((name, of))
        elif not name.startswith(PROBE):
            junk += 1
    return Listing(folder, tuple(sorted(sizes)), tuple(changed), junk)

"""What may be in a log's folder, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vaultd.ledger.tiles import ENTRIES, HEIGHT, WIDTH, Tile
from vaultd.ledger.verify.finding import Code, Finding
from vaultd.ledger.verify.reading import Reader

FOLDERS = frozenset({"anchors", "checkpoints", "keys", "tile", "wal", "SPEC"})
FILES = frozenset({"checkpoint", "lock"})

MOST_KEYS = 1_000
MOST_CHECKPOINTS = 5_000_000
MOST_WAITING = 5_000_000  # tiles are written there first, all that one seal makes
MOST = 10_000
"""Names in any other folder; vaultd makes about a thousand. Whoever puts in more is not to use up the memory."""

_LARGEST_INDEX = 1 << 63 - HEIGHT
_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{12}")
_WAITING = re.compile(r"[0-9]+\.[ab](-new)?|new\.[0-9]+")


def number_of(name: str) -> int | None:
    """The number that a name is, in its one spelling."""
    if not (name.isascii() and name.isdigit() and len(name) < 20 and str(int(name)) == name):
        return None
    return int(name)


def is_left_over(name: str) -> bool:
    """Whether a name is one that files have while they are written: a crash may leave one. It is not looked into."""
    return _LEFT_OVER.fullmatch(name) is not None


def top(reader: Reader) -> None:
    """Raise Finding when the folder has something else than it may have, or has it not as what it must be."""
    names = reader.names("", MOST)
    if names is None:
        raise Finding(Code.MISSING, ".")
    for name, folder in names.items():
        if name not in FOLDERS | FILES and (folder or not is_left_over(name)):
            raise Finding(Code.EXTRA, name)
        if folder is not (name in FOLDERS):
            raise Finding(Code.NOT_A_FILE, name)
    for name, folder in (reader.names("wal", MOST_WAITING) or {}).items():
        if folder or not _WAITING.fullmatch(name):
            raise Finding(Code.EXTRA, f"wal/{name}")


def tiles(reader: Reader) -> Iterator[Tile]:
    """Every tile and bundle that is there. Raises Finding for what is none. An empty folder may be left by a crash."""
    for name in _folders(reader, "tile"):
        level = ENTRIES if name == "entries" else number_of(name)
        if level is None or level > 63:
            raise Finding(Code.EXTRA, f"tile/{name}")
        yield from _below(reader, level, f"tile/{name}", "")


def _folders(reader: Reader, where: str) -> list[str]:
    names = reader.names(where, MOST) or {}
    for name, folder in names.items():
        if not folder:
            raise Finding(Code.EXTRA, f"{where}/{name}")
    return list(names)


def _below(reader: Reader, level: int, where: str, digits: str) -> Iterator[Tile]:
    for name, folder in (reader.names(where, MOST) or {}).items():
        path = f"{where}/{name}"
        stem = name.removesuffix(".p") if folder else name
        further = folder and stem == name
        last = stem.removeprefix("x") if further else stem
        if len(last) != 3 or not (last.isascii() and last.isdigit()) or further is not stem.startswith("x"):
            raise Finding(Code.EXTRA, path)
        index = int(digits + last)
        if index >= _LARGEST_INDEX:
            raise Finding(Code.EXTRA, path)
        if further:
            if not index:
                raise Finding(Code.EXTRA, path)  # another spelling of a lower number
            yield from _below(reader, level, path, digits + last)
        elif folder:
            yield from _partial(reader, Tile(level, index), path)
        else:
            yield Tile(level, index)


def _partial(reader: Reader, tile: Tile, where: str) -> Iterator[Tile]:
    for name, folder in (reader.names(where, MOST) or {}).items():
        width = number_of(name)
        if width is None or not 0 < width < WIDTH:
            raise Finding(Code.EXTRA, f"{where}/{name}")
        if folder:
            raise Finding(Code.NOT_A_FILE, f"{where}/{name}")
        yield Tile(tile.level, tile.index, width)

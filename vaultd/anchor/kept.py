"""``ledger/anchors/<kind>/<name>/<size>``: what was had of each anchor. Mode 0600, durable, never overwritten.

mirror/<target>/<size>             the checkpoint as it was read back from a target
anchored/<target>/<size>           the same from the copies that the target's server keeps out of our reach
witness/<witness>/<size>           the checkpoint with the witness's cosignature
timestamp/<authority>/<size>.tsr   the answer of a time-stamp authority (RFC 3161, DER)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vaultd.errors import LedgerError
from vaultd.files import create_exclusive, make_private_directory
from vaultd.i18n import _
from vaultd.ledger.folder import LogFolder

ANCHORS = "anchors"
MIRROR, ANCHORED, WITNESS, TIMESTAMP = "mirror", "anchored", "witness", "timestamp"
_SUFFIX = {TIMESTAMP: ".tsr"}
LARGEST = 1 << 20


def size_of(name: str) -> int | None:
    """The size that a name says: a number as a checkpoint has it, in its one spelling."""
    if not name.isascii() or not name.isdigit() or len(name) > 19 or str(int(name)) != name:
        return None
    return int(name)


def file_of(folder: LogFolder, kind: str, name: str, size: int) -> Path:
    """Where an anchor is kept."""
    return folder.path / ANCHORS / kind / name / f"{size}{_SUFFIX.get(kind, '')}"


def names(folder: LogFolder, kind: str) -> list[str]:
    """The targets, witnesses or authorities of which something is kept."""
    try:
        return sorted(os.listdir(folder.path / ANCHORS / kind))
    except FileNotFoundError:
        return []


def sizes(folder: LogFolder, kind: str, name: str) -> list[int]:
    """The sizes of which something is kept, ascending."""
    return sorted(size for _file, size in entries(folder, kind, name) if size is not None)


def entries(folder: LogFolder, kind: str, name: str) -> Iterator[tuple[Path, int | None]]:
    """Every file that is kept under a name, with its size; None for one that has no business there."""
    where = folder.path / ANCHORS / kind / name
    suffix = _SUFFIX.get(kind, "")
    try:
        found = os.listdir(where)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        yield where, None
        return
    for one in found:
        if not one.startswith("."):  # what a crash left half-written
            yield where / one, size_of(one.removesuffix(suffix)) if one.endswith(suffix) else None


def read(file: Path) -> bytes:
    """A kept file's content, as far as it is one of ours. Raises OSError."""
    with file.open("rb") as stream:
        return stream.read(LARGEST)


def keep(folder: LogFolder, kind: str, name: str, size: int, content: bytes) -> bool:
    """Keep what was had; False when something was kept for this size before, which stays. Raises LedgerError."""
    file = file_of(folder, kind, name, size)
    try:
        make_private_directory(file.parent)
        create_exclusive(file, content)
    except FileExistsError:
        return False
    except OSError as error:
        raise LedgerError(
            _("{file} cannot be written").format(file=file), error.strerror or str(error),
            _("make room, or bring the ledger's folder back; it is asked for again by itself"),
        ) from error  # fmt: skip
    return True


def forget(folder: LogFolder, kind: str, name: str, size: int) -> None:
    """Drop what was kept for a size: the place itself no longer has it, and need not. Raises LedgerError."""
    file = file_of(folder, kind, name, size)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise LedgerError(
            _("{file} cannot be removed").format(file=file), error.strerror or str(error),
            _("make the ledger's folder writable; it is tried again by itself"),
        ) from error  # fmt: skip

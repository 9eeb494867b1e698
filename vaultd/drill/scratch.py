"""The scratch folder of a drill: in memory where there is room, so that nothing of the vault ever reaches a disk.

On a disk a file is overwritten once before it is unlinked. That helps on a plain hard disk, and on no other: flash
storage writes elsewhere, and so do file systems that copy on write, keep snapshots or journal data. What must not be
left on a disk belongs in memory, or on one that is encrypted (docs/kit.md).
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.kit import passing
from vaultd.kit.passing import MEMORY
from vaultd.names import display
from vaultd.restore import workplace
from vaultd.units import size

PREFIX = "vaultd-drill-"
MARGIN = 64 * 1024 * 1024
"""Room beside the vault: state, ledger, restic's cache."""

_BLOCK = b"\0" * (1 << 20)


@dataclass(frozen=True, slots=True)
class Scratch:
    """``in_memory``: the folder is on a tmpfs."""

    path: Path
    in_memory: bool


@contextlib.contextmanager
def scratch(needed: int, wanted: Path | None) -> Iterator[Scratch]:
    """A private folder with room for ``needed`` bytes, below ``wanted``, else in memory, else where temporary files
    are. Removed at the end, whatever ends it. Raises VaultdError when there is not enough room."""
    above, in_memory = _choose(needed, wanted)
    folder = passing.new(PREFIX, above)
    try:
        yield Scratch(folder, in_memory)
    finally:
        erase(folder, overwrite=not in_memory)


def _choose(needed: int, wanted: Path | None) -> tuple[Path, bool]:
    if wanted is None:
        # Half of the free memory stays with everybody else.
        if os.path.ismount(MEMORY) and 2 * (needed + MARGIN) <= min(_free(MEMORY), _free_memory()):
            return MEMORY, True
        wanted = Path(tempfile.gettempdir())
    if needed + MARGIN > _free(wanted):
        raise VaultdError(
            _("restore drill"), _("it needs up to {needed}, and {folder} has {free} free").format(
                needed=size(needed + MARGIN), folder=display(wanted), free=size(_free(wanted))),
            _("name a folder with more room: --scratch DIR"),
        )  # fmt: skip
    return wanted, False


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def erase(folder: Path, *, overwrite: bool) -> None:
    """Remove a folder with all below; ``overwrite``: files that have no other name are written over first."""
    if overwrite:
        for top, _folders, names in os.walk(bytes(folder)):
            for name in names:
                _write_over(os.path.join(top, name))
    workplace.remove(folder)


def _write_over(path: bytes) -> None:
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        return
    with contextlib.suppress(PermissionError):
        os.chmod(path, 0o600)
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # Only where there is something: the holes of a sparse file hold nothing.
        left = min(status.st_size, status.st_blocks * 512)
        while left > 0:
            left -= os.write(handle, _BLOCK[: min(left, len(_BLOCK))])
        os.fsync(handle)
    finally:
        os.close(handle)

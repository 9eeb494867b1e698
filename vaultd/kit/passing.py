"""Private folders that go when their process goes: in memory where that can be had.

``kill -9`` leaves one behind. Its name has the process's number, and whoever makes the next one removes those of
processes that are gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vaultd.restore import workplace

MEMORY = Path("/dev/shm")  # noqa: S108  # folders of ours in it, mode 0700


def new(prefix: str, above: Path | None) -> Path:
    """A new folder (mode 0700) below ``above``, else where temporary files are; first those of dead processes go."""
    sweep(prefix, above or Path(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=above))


def sweep(prefix: str, above: Path) -> None:
    """Remove the folders of this user's processes that are gone."""
    for folder in above.glob(f"{prefix}*-*"):
        number = folder.name.removeprefix(prefix).partition("-")[0]
        if number.isdigit() and not os.path.exists(f"/proc/{number}") and folder.lstat().st_uid == os.geteuid():
            workplace.remove(folder)


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """A folder for secrets that programs must read from a file."""
    above = MEMORY if os.path.ismount(MEMORY) and os.access(MEMORY, os.W_OK) else None
    folder = new("vaultd-kit-", above)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""The ledger's folder as the copy of the state has it: what never changes is linked, not copied."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from vaultd import files

LEFT_OUT = frozenset({"lock"})
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
"""Another file system, or one that cannot link: then it is copied."""

CHANGING = frozenset({"checkpoint", "wal"})
"""Replaced or appended to: a link would be of another file tomorrow, or of one that grows."""


def bring_up_to_date(ledger: Path, copy: Path) -> None:
    """Make ``copy`` what the ledger's folder is now; the daemon may write to that meanwhile. Its newest checkpoint is
    taken first: all that it needs is there then."""
    files.make_private_directory(copy)
    for name in sorted(os.listdir(ledger), key=lambda one: one not in CHANGING):
        if name in CHANGING:
            _copied(ledger / name, copy / name)
        elif name not in LEFT_OUT:
            _linked(ledger / name, copy / name)


def _copied(source: Path, to: Path) -> None:
    if not source.is_dir():
        files.replace(to, source.read_bytes())
        return
    if to.is_dir():
        shutil.rmtree(to)
    files.make_private_directory(to)
    for name in os.listdir(source):
        with contextlib.suppress(FileNotFoundError):  # signed, and moved into tiles, meanwhile
            files.create_exclusive(to / name, (source / name).read_bytes())


def _link(source: Path, to: Path) -> None:
    try:
        os.link(source, to)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        files.create_exclusive(to, source.read_bytes())


def _linked(source: Path, to: Path) -> None:
    if not source.is_dir():
        if not to.exists():
            with contextlib.suppress(FileNotFoundError):  # a partial tile that has just become a full one
                _link(source, to)
        return
    to.mkdir(mode=0o700, exist_ok=True)
    try:
        there = set(os.listdir(source))
    except FileNotFoundError:
        there = set()
    for name in set(os.listdir(to)) - there:
        if (to / name).is_dir():
            shutil.rmtree(to / name)
        else:
            (to / name).unlink()
    for name in there:
        _linked(source / name, to / name)

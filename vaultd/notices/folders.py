"""The outbox on disk: ``notices`` in the state folder, and who may do what there.

    kept/      what was handed over, as it was; the daemon's alone
    new/       what the courier is to take
    sending/   what it has taken
    done/ failed/   what is over: everything was sent; something never was
    courier/   the courier's lock (``lock``)

As long as one user does it all, folders are 0700 and files 0600. Where the courier is another user, whoever sets the
host up gives ``notices`` to a group that is the primary one of both, and lets it in (0750): the folders that both write
to are then 0770, and files 0640. ``kept`` stays closed to the courier, and ``notices`` itself to its pen: it cannot put
a link in the place of one of its folders.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vaultd import files
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.notices import form

NOTICES = "notices"
KEPT, NEW, SENDING, DONE, FAILED, COURIER = "kept", "new", "sending", "done", "failed", "courier"
SHARED = (NEW, SENDING, DONE, FAILED, COURIER)


def root(state: Path) -> Path:
    """The outbox of a state folder."""
    return state / NOTICES


def file(state: Path, folder: str, number: str) -> Path:
    """Where a notice is in a folder of the outbox."""
    return root(state) / folder / f"{number}.json"


def shared(state: Path) -> bool:
    """Whether the courier may be another user, of the folder's group."""
    return bool(root(state).stat().st_mode & stat.S_IRGRP)


def file_mode(state: Path) -> int:
    """The mode of a file that both sides read."""
    return 0o640 if shared(state) else 0o600


def prepare(state: Path) -> None:
    """Make what is missing, and let the group in where ``notices`` does. What root makes is the state folder's owner's.

    Raises StateError.
    """
    base = root(state)
    try:
        if not base.is_dir():
            files.make_private_directory(base)
            if os.geteuid() == 0:
                owner = state.stat()
                os.chown(base, owner.st_uid, owner.st_gid)
        _folder(state, base / KEPT, 0o700)
        mode = 0o770 if shared(state) else 0o700
        for name in SHARED:
            _folder(state, base / name, mode)
    except OSError as error:
        raise unusable(state, error) from error


def unusable(state: Path, error: OSError) -> StateError:
    """That the outbox cannot be used."""
    return StateError(
        _("the outbox {path} cannot be used").format(path=display(root(state))), error.strerror or str(error),
        _("run it as root or as the daemon's user; check that its disk is mounted and not full"),
    )  # fmt: skip


def _folder(state: Path, path: Path, mode: int) -> None:
    if not path.is_dir():
        files.make_private_directory(path)
        give(state, path)
    found, group = path.stat(), root(state).stat().st_gid
    mine = os.geteuid() in (0, found.st_uid)
    if not mine or (stat.S_IMODE(found.st_mode) == mode and found.st_gid == group):
        return
    _let_in(path, group, mode)
    if mode & stat.S_IRGRP:  # the group was let in just now: what is there already is for it too
        for one in path.iterdir():
            if one.name.endswith(".json") and stat.S_ISREG(one.lstat().st_mode):
                _let_in(one, group, 0o640)


def _let_in(path: Path, group: int, mode: int) -> None:
    if path.lstat().st_gid != group:  # the daemon's unit refuses the call itself
        os.chown(path, -1, group, follow_symlinks=False)
    path.chmod(mode)


def give(state: Path, path: Path) -> None:
    """What root has made is the state folder's owner's, and of the outbox's group. Raises OSError."""
    if os.geteuid() == 0:
        os.chown(path, state.stat().st_uid, root(state).stat().st_gid, follow_symlinks=False)


def listed(state: Path, folder: str) -> list[str]:
    """The ids in a folder, oldest first; none where it is not there."""
    try:
        names = os.listdir(root(state) / folder)
    except FileNotFoundError:
        return []
    found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(name for name in found if form.is_id(name))


def unfinished(state: Path, folder: str) -> Iterator[Path]:
    """What a process that was killed has left half-written in a folder."""
    for path in (root(state) / folder).iterdir():
        if path.name.startswith("."):
            yield path

"""The folder in which a demo is played, and that nothing of it is left: no process, and no file unless it is wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from vaultd.demo import children
from vaultd.demo.ending import EndedError, Ending
from vaultd.demo.layout import Layout
from vaultd.demo.offsite import OffsiteServer
from vaultd.demo.story import Report, Story
from vaultd.demo.teller import Teller
from vaultd.errors import ConfigError, VaultdError
from vaultd.files import make_private_directory
from vaultd.i18n import _
from vaultd.names import display
from vaultd.units import size

ROOM = 5
"""Times the vault's size that a demo needs: vault, repository, what is restored, caches."""

LONGEST_SOCKET = 107


def play(keep: Path | None, wanted: int, teller: Teller, ending: Ending) -> Report:
    """Play the demo with a vault of ``wanted`` bytes, in ``keep`` (which stays) or in a temporary folder.

    Raises VaultdError when a step fails, EndedError when somebody ended it; then nothing is kept.
    """
    folder, is_new = (_temporary(), True) if keep is None else _own(keep)
    layout = Layout(folder)
    server = OffsiteServer(layout.offsite)
    story = Story(layout, server, teller, ending, wanted)
    stays = keep is not None
    children.adopt_orphans(True)
    try:
        _check_room(folder, wanted)
        story.run()
    except (VaultdError, OSError, subprocess.SubprocessError) as error:
        # Ctrl-C also reaches what runs in our process group: its failure is the signal's.
        try:
            ending.check()
        except EndedError as ended:
            stays = False
            raise ended from error
        raise
    finally:
        story.close()
        server.stop()
        children.end_all()
        children.adopt_orphans(False)
        if stays:
            bring_back(layout)
            layout.mark(server.port)
        else:
            _remove(folder, itself=is_new)
    return story.report | ({"kept": str(folder)} if stays else {})


def _temporary() -> Path:
    """A new temporary folder, where TMPDIR says unless that is too long a path for a socket in it."""
    for above in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes it private
        folder = Path(tempfile.mkdtemp(prefix="vaultd-demo-", dir=above))
        if _fits(folder):
            return folder
        folder.rmdir()
    raise AssertionError(folder)


def _fits(folder: Path) -> bool:
    return len(os.fsencode(Layout(folder).socket)) <= LONGEST_SOCKET


def _own(keep: Path) -> tuple[Path, bool]:
    """The folder to keep, made if it is not there; whether it was made. Raises ConfigError if it is in use."""
    folder = Path(os.path.realpath(keep))
    what = _("--keep {folder}").format(folder=display(keep))
    if folder.exists() and not folder.is_dir():
        raise ConfigError(what, _("this is not a folder"))
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(what, _("the folder is not empty"), _("name a new folder, or remove this one"))
    try:
        os.fspath(folder).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(what, _("the name is not UTF-8, and the configuration is")) from None
    if not _fits(folder):
        raise ConfigError(what, _("the path is too long for a socket in it"), _("take a folder with a shorter path"))
    is_new = not folder.exists()
    make_private_directory(folder)
    return folder, is_new


def _check_room(folder: Path, wanted: int) -> None:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < ROOM * wanted:
        raise VaultdError(
            _("there is no room for the demo"),
            _("{folder} has {free} free, it needs {needed}").format(
                folder=display(folder), free=size(free), needed=size(ROOM * wanted)
            ),
            _("take another disk with --keep DIR or TMPDIR=DIR, or a smaller vault with --size"),
        )


def bring_back(layout: Layout) -> None:
    """Put vault and state where they were before the host was lost: a kept demo can be gone on with."""
    for name in ("vault", "state"):
        away = layout.lost / name
        if away.exists() and not (layout.folder / name).exists():
            os.rename(away, layout.folder / name)
    for folder in (layout.lost, layout.new_host):
        shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path, *, itself: bool) -> None:
    """Remove what is in a folder, also below folders that nobody may write to, and the folder itself if it is ours."""
    for top, folders, _names in os.walk(folder):
        for name in folders:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if itself:
        folder.rmdir()

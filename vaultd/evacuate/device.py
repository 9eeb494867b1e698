"""A block device that is to hold a repository: what stands on it, what is on it, its file system, its mount.

Nothing is written to a device that is in use, that holds bytes of a vault, or that has anything on it which nobody has
said may go.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaultd.disks import helper, running
from vaultd.disks import inventory as disks
from vaultd.disks.inventory import Folder
from vaultd.disks.machine import Machine, clean
from vaultd.disks.model import Disk
from vaultd.errors import ConfigError, VaultdError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.pull import users, words
from vaultd.pull.stack import Reader

OPTIONS = "rw,nosuid,nodev,noexec,nosymfollow,noatime,errors=remount-ro"
"""How a medium is mounted: it may come from anywhere, so nothing on it is a program or a device, and no link leads
anybody to another place. After an error it is read-only at once: what was not written is then noticed."""

KIND = "ext4"
_SECONDS = 60.0
_FORMAT_SECONDS = 1800.0
ALONE_SECONDS = 15.0
_NOTHING = 2
"""blkid's exit code where it recognises nothing."""


class MediumError(VaultdError):
    """A medium cannot be made ready, or cannot be let go."""

    code = "medium"


@dataclass(frozen=True, slots=True)
class Device:
    """``name``: the kernel's; ``kind`` and ``uuid`` of its file system, or what else blkid recognises (a partition
    table, a RAID member), both empty where it recognises nothing. ``serial``: of its disk, as far as it says."""

    path: Path
    name: str
    kind: str
    uuid: str
    serial: str


def look(path: Path, folders: Iterable[tuple[str, Path]]) -> Device:
    """A device that may be used. ``folders``: the vaults (name, folder), none of which may have bytes on its disk.
    Raises ConfigError for what is none, MediumError for what is in use; nothing was changed then."""
    what = _("device {device}").format(device=display(path))
    try:
        found = os.stat(path)
    except OSError as error:
        raise ConfigError(what, error.strerror or str(error), _("lsblk shows the devices that are there")) from None
    if not stat.S_ISBLK(found.st_mode):
        raise ConfigError(what, _("it is no block device"), _("lsblk shows the devices that are there"))
    name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"))
    _refuse_in_use(what, name)
    disk = _disk_of(name)
    if disk is not None:
        _refuse_vaults(what, disk, folders)
    kind, uuid = recognised(path)
    return Device(path, name, kind, uuid, disk.serial if disk is not None else "")


def _refuse_in_use(what: str, name: str) -> None:
    reader = Reader()
    stack = reader.stack([name])
    if stack.mounts:
        places = ", ".join(sorted({display(one.path) for one in stack.mounts.values()}))
        raise MediumError(what, _("it is mounted at {places}").format(places=places), _("unmount it first"))
    if stack.swaps:
        raise MediumError(what, _("the system swaps to it"), _("take another one"))
    above = sorted(one for one in stack.devices if one != name)
    if above:
        raise MediumError(
            what, _("{names} stand on it").format(names=", ".join(above)),
            _("name the partition itself, or take what stands on it down first"),
        )  # fmt: skip


def _disk_of(name: str) -> Disk | None:
    """The disk that a device is, or is a partition of."""
    disk = whole(name)
    return next((one for one in disks.read(Machine(), health=False).disks if disk in one.names), None)


def whole(name: str) -> str:
    """The kernel's name of the disk that a partition is on; of a disk, its own."""
    place = Path(os.path.realpath(f"/sys/class/block/{name}"))
    return place.parent.name if (place / "partition").exists() else name


def _refuse_vaults(what: str, disk: Disk, folders: Iterable[tuple[str, Path]]) -> None:
    found = disks.read(Machine(), [Folder(os.fsencode(path), name) for name, path in folders], health=False)
    held = sorted({one.vault for one in found.maps if one.vault is not None and disk.key in one.every})
    if held:
        raise MediumError(
            what, _("the disk holds bytes of {vaults}").format(vaults=", ".join(held)),
            _("a copy on the same disk goes with it: take another one"),
        )  # fmt: skip


def recognised(path: Path) -> tuple[str, str]:
    """What blkid sees on a device itself: kind and UUID, empty for nothing. Raises MediumError."""
    ended = program(("blkid", "-p", "-o", "export", "--", str(path)), allowed=(0, _NOTHING))
    said = dict(line.split("=", 1) for line in ended.decode("utf-8", "replace").splitlines() if "=" in line)
    return clean(said.get("TYPE") or said.get("PTTYPE") or ""), clean(said.get("UUID", ""))


def make_file_system(device: Device) -> Device:
    """Make an ext4 on it, over whatever there is. Raises MediumError."""
    wait_alone(device.path)
    program(("wipefs", "--all", "--quiet", "--", str(device.path)))
    program(("mkfs.ext4", "-q", "-F", "-m", "0", "-L", "vaultd", "--", str(device.path)), _FORMAT_SECONDS)
    kind, uuid = recognised(device.path)
    if kind != KIND:
        raise MediumError(_("device {device}").format(device=device.path), _("it has no file system afterwards"))
    return Device(device.path, device.name, kind, uuid, device.serial)


def wait_alone(path: Path, seconds: float = ALONE_SECONDS) -> None:
    """Until the kernel gives a device to us alone: the end of a mount, and of what udev looks at, may take a moment.
    Raises MediumError, with who has it mounted in a view of their own."""
    until = time.monotonic() + seconds
    while True:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > until:
                reader = Reader()
                names = ", ".join(words.user(one) for one in users.elsewhere(reader.stack([path.name]), reader))
                raise MediumError(
                    _("device {device}").format(device=display(path)),
                    _("something still holds it: {why}").format(why=names or error.strerror or error),
                    _("end that, then again"),
                ) from error
        time.sleep(0.1)


def mount(device: Device, folder: Path) -> None:
    """Look through its file system, and mount it. Raises MediumError."""
    wait_alone(device.path)
    # 1: errors were mended. After a pull-out there is a journal to be worked off; more than that a person must look at.
    program(("e2fsck", "-p", "--", str(device.path)), _FORMAT_SECONDS, allowed=(0, 1))
    program(("mount", "-t", KIND, "-o", OPTIONS, "--", str(device.path), str(folder)))


def remount_read_only(device: Device, folder: Path) -> None:
    """Mount it again so that nothing can be changed, to look at what has arrived. Raises MediumError."""
    program(("mount", "-t", KIND, "-o", f"{OPTIONS.replace('rw,', 'ro,')}", "--", str(device.path), str(folder)))


def unmount(folder: Path) -> None:
    """Unmount it, now and truly; never lazily. Raises MediumError."""
    program(("umount", "--", str(folder)), _FORMAT_SECONDS)


def program(words: Sequence[str], seconds: float = _SECONDS, *, allowed: Sequence[int] = (0,)) -> bytes:
    """Run a program to its end; what it printed. Raises MediumError with what it said."""
    found = shutil.which(words[0], path=helper.PATH)
    what = " ".join(words)
    if found is None:
        raise MediumError(what, _("there is no program {program}").format(program=words[0]))
    try:
        ended = running.run((found, *words[1:]), seconds, environment={"PATH": helper.PATH, "LC_ALL": "C.UTF-8"})
    except OSError as error:
        raise MediumError(what, error.strerror or str(error)) from error
    if ended.code is None:
        raise MediumError(what, _("it does not end: the disk may be dying"), _("take another one"))
    if ended.code not in allowed:
        said = [clean(line) for line in ended.err.decode("utf-8", "replace").splitlines() if line.strip()]
        why = said[-1] if said else _("{program} ended with {code}").format(program=words[0], code=ended.code)
        raise MediumError(what, why)
    return ended.out

"""What stands on a disk now, read upwards: devices on it, file systems mounted from them, swap, images in its files.

Read from sysfs, mountinfo and the udev database below a root that tests may choose. Nothing here waits for a disk.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Device:
    """A block device. ``name``: the kernel's; ``kind``: "disk", "partition", "crypt", "lvm", "multipath", "array",
    "bcache", "loop", "mapping"; ``label``: as its own tools call it; ``number``: major:minor; ``below``: the names of
    what it stands on; ``group``: of an LVM volume; ``file``: of a loop device."""

    name: str
    kind: str
    label: str
    number: str
    below: tuple[str, ...] = ()
    group: str = ""
    file: bytes = b""


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo. ``root``: the folder of the file system that is mounted."""

    id: int
    parent: int
    number: str
    root: bytes
    path: bytes
    type: str
    source: bytes
    options: bytes


@dataclass(frozen=True, slots=True)
class Swap:
    """Swap space: ``path`` as the kernel has it; on ``device``, or a file on the mount ``mount``."""

    path: bytes
    device: str = ""
    mount: int = 0


@dataclass(slots=True)
class Stack:
    """What stands on some disks, they included: devices by name, mounts by number, swap, ZFS pools.

    ``on_devices``: the devices that a mounted file system is on; ``on_mounts``: the mounts that one lies on or is made
    of; ``loop_on``: the mount that a loop device's file is on; each as far as it is of the stack. ``groups``: all
    volumes that each volume group has on this machine, here or not.
    """

    disks: tuple[str, ...]
    devices: dict[str, Device] = field(default_factory=dict)
    mounts: dict[int, Mount] = field(default_factory=dict)
    swaps: list[Swap] = field(default_factory=list)
    pools: list[str] = field(default_factory=list)
    on_devices: dict[int, tuple[str, ...]] = field(default_factory=dict)
    on_mounts: dict[int, tuple[int, ...]] = field(default_factory=dict)
    loop_on: dict[str, int] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)

    @property
    def own_mounts(self) -> list[Mount]:
        """Mounts of file systems that are on the disks themselves; the others only lie on them."""
        return [one for number, one in self.mounts.items() if number in self.on_devices]

    @property
    def numbers(self) -> set[str]:
        """major:minor of every device, and of every file system on them."""
        return {one.number for one in self.devices.values()} | {one.number for one in self.own_mounts}

    @property
    def is_root(self) -> bool:
        """Whether the running system's own file system is on it: then only switching off lets the disk go."""
        return any(mount.path == b"/" for mount in self.mounts.values())

    @property
    def size(self) -> tuple[int, int]:
        """Grows while more is found."""
        return len(self.devices), len(self.mounts)


class Reader:
    """Reads a machine below ``root``. ``sandboxed``: this process is a service whose view of the mounts systemd has
    changed (``ProtectSystem``): folders that are mounted onto themselves are then no mounts of the machine."""

    def __init__(self, root: Path = Path("/"), *, sandboxed: bool = False) -> None:
        self.root = root
        self.sandboxed = sandboxed
        self.block = root / "sys/class/block"

    def exists(self, name: str) -> bool:
        """Whether the kernel has a block device of that name."""
        return bool(name) and (self.block / name).exists()

    def sequence(self, name: str) -> str:
        """The number that the kernel gives to each appearance of a disk: another one after a swap. Empty on kernels
        that have none (before 5.15)."""
        return _text(self.block / name / "diskseq")

    def mounts(self, process: str = "self") -> list[Mount]:
        """The mounts that a process sees, in the kernel's order; none when it is gone or not ours to look at."""
        try:
            found = list(parse_mounts((self.root / "proc" / process / "mountinfo").read_bytes()))
        except OSError:
            return []
        by_id = {one.id: one for one in found}
        return [one for one in found if not (self.sandboxed and _onto_itself(one, by_id.get(one.parent)))]

    def swaps(self) -> list[bytes]:
        """The swap spaces in use, as the kernel has their paths."""
        try:
            lines = (self.root / "proc/swaps").read_bytes().splitlines()[1:]
        except OSError:
            return []
        return [unescape(line.split()[0]) for line in lines if line.strip()]

    def is_cache(self, name: str) -> bool:
        """Whether a device is bcache's cache, which keeps it after the devices that it serves have stopped."""
        return (self.block / name / "bcache/set").exists()

    def backing_file(self, name: str) -> bytes:
        """The file that a loop device stands on; empty when it stands on none."""
        try:
            return (self.block / name / "loop/backing_file").read_bytes().rstrip(b"\n")
        except OSError:
            return b""

    def stack(self, disks: Iterable[str]) -> Stack:
        """All that stands on these disks: what is mounted over it, and in files of it, too."""
        found, mounts = Stack(tuple(disks)), self.mounts()
        self._add_devices(found, found.disks)
        before = None
        while found.size != before:
            before = found.size
            self._add_mounts(found, mounts)
            self._add_loops(found, mounts)
        found.swaps = [swap for path in self.swaps() if (swap := _placed(found, mounts, path)) is not None]
        for name in _names(self.block):
            if (self.block / name / "dm").is_dir() and (device := self._device(name)).group:
                found.groups.setdefault(device.group, set()).add(name)
        return found

    # devices

    def _add_devices(self, found: Stack, names: Iterable[str]) -> None:
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in found.devices or not self.exists(name):
                continue
            found.devices[name] = self._device(name)
            udev = self._udev(found.devices[name].number)
            pool = udev.get("ID_FS_LABEL", "") if udev.get("ID_FS_TYPE") == "zfs_member" else ""
            if pool and pool not in found.pools:
                found.pools.append(pool)
            waiting += _names(self.block / name / "holders")
            waiting += [one for one in _names(self.block / name) if (self.block / name / one / "partition").exists()]

    def _device(self, name: str) -> Device:
        folder, number = self.block / name, _text(self.block / name / "dev")
        below = tuple(sorted(_names(folder / "slaves")))
        if (folder / "partition").exists():
            return Device(name, "partition", name, number, (folder.resolve().parent.name,))
        if (folder / "dm").is_dir():
            label, uuid = _text(folder / "dm/name"), _text(folder / "dm/uuid")
            kind = next((kind for mark, kind in _MAPPINGS.items() if uuid.startswith(mark)), "mapping")
            return Device(name, kind, label, number, below, _split(label)[0] if kind == "lvm" else "")
        if (folder / "md").is_dir():
            # A volume of a firmware's array, such as "external:/md127/0", stands on its container.
            container = re.fullmatch(r"external:/([^/]+)/.*", _text(folder / "md/metadata_version"))
            return Device(name, "array", name, number, (*below, container[1]) if container else below)
        if name.startswith("bcache"):
            return Device(name, "bcache", name, number, below)
        file = self.backing_file(name)
        return Device(name, "loop" if file else "disk", name, number, below, file=file)

    def _udev(self, number: str) -> dict[str, str]:
        rows = _text(self.root / "run/udev/data" / f"b{number}").splitlines()
        return dict(row[2:].split("=", 1) for row in rows if row.startswith("E:") and "=" in row)

    def _add_loops(self, found: Stack, mounts: list[Mount]) -> None:
        """Loop devices whose file lies on a mount of the stack."""
        for name in _names(self.block):
            file = self.backing_file(name)
            holding = _holding(mounts, file) if file and name not in found.disks else None
            if holding is not None and holding.id in found.mounts:
                self._add_devices(found, [name])
                found.loop_on[name] = holding.id

    # mounts

    def _add_mounts(self, found: Stack, mounts: list[Mount]) -> None:
        by_number = {one.number: name for name, one in found.devices.items()}
        for mount in mounts:
            names = {by_number[mount.number]} if mount.number in by_number else set[str]()
            if mount.type == "btrfs":
                names = self._btrfs_members(mount) & found.devices.keys()
            elif mount.type == "zfs" and _display_name(mount.source.partition(b"/")[0]) in found.pools:
                names = set(found.disks)
            if names:
                found.mounts[mount.id] = mount
                found.on_devices[mount.id] = tuple(sorted(names))
        more = True
        while more:  # what is mounted on top of that, or made of it
            more = False
            for mount in mounts:
                made_of = (_holding(mounts, folder) for folder in _layers(mount))
                on = {mount.parent, *(one.id for one in made_of if one is not None)}
                on &= found.mounts.keys() - {mount.id}
                if on:
                    more = more or mount.id not in found.mounts
                    found.mounts[mount.id] = mount
                    found.on_mounts[mount.id] = tuple(sorted(on))

    def _btrfs_members(self, mount: Mount) -> set[str]:
        """The devices of the whole btrfs that a mount is of."""
        source = _real_name(mount.source)
        for folder in _names(self.root / "sys/fs/btrfs"):
            members = set(_names(self.root / "sys/fs/btrfs" / folder / "devices"))
            if source in members:
                return members
        return {source}


_MAPPINGS = {"CRYPT-": "crypt", "LVM-": "lvm", "mpath-": "multipath"}
"""What a mapping is, by the beginning of its uuid."""

_OVERLAY_FOLDERS = (b"lowerdir", b"upperdir", b"workdir", b"lowerdir+", b"datadir+")


def parse_mounts(text: bytes) -> Iterator[Mount]:
    """The lines of a mountinfo text."""
    for line in text.splitlines():
        left, _dash, right = line.partition(b" - ")
        fields, tail = left.split(b" "), right.split(b" ")
        if len(fields) >= 6 and len(tail) >= 3:
            yield Mount(
                int(fields[0]), int(fields[1]), fields[2].decode(), unescape(fields[3]), unescape(fields[4]),
                tail[0].decode("ascii", "replace"), unescape(tail[1]), tail[2],
            )  # fmt: skip


def _onto_itself(mount: Mount, parent: Mount | None) -> bool:
    if parent is None or mount.number != parent.number:
        return False
    inside = mount.path.removeprefix(parent.path.rstrip(b"/"))
    return mount.root == parent.root.rstrip(b"/") + inside


def unescape(text: bytes) -> bytes:
    r"""A path as the kernel writes it, with ``\040`` for a blank."""
    return re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match[1], 8)]), text)


def volume(label: str) -> str:
    """The volume in a mapping's name: "vg--a-home" is vg-a/home."""
    return "/".join(_split(label))


def _split(label: str) -> tuple[str, str]:
    group, _dash, name = label.replace("--", "\0").partition("-")
    return group.replace("\0", "-"), name.replace("\0", "-")


def _placed(found: Stack, mounts: list[Mount], path: bytes) -> Swap | None:
    """A swap space, if it is of the stack."""
    name = _real_name(path) if path.startswith(b"/dev/") else ""
    if name in found.devices:
        return Swap(path, device=name)
    holding = _holding(mounts, path)
    return Swap(path, mount=holding.id) if holding is not None and holding.id in found.mounts else None


def _real_name(path: bytes) -> str:
    """The kernel's name behind a path in /dev."""
    return os.path.realpath(os.fsdecode(path)).rpartition("/")[2]


def _display_name(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _holding(mounts: list[Mount], path: bytes) -> Mount | None:
    """The mount that a path lies on: the longest, and of several at one place the last, which hides the others."""
    holding = None
    for mount in mounts:
        inside = path == mount.path or path.startswith(mount.path.rstrip(b"/") + b"/")
        if inside and (holding is None or len(mount.path) >= len(holding.path)):
            holding = mount
    return holding


def _layers(mount: Mount) -> list[bytes]:
    """The folders that an overlay is made of."""
    if mount.type == "fuse.mergerfs":
        return [part for part in mount.source.split(b":") if part.startswith(b"/")]
    if mount.type not in ("overlay", "fuse.overlayfs"):
        return []
    folders = list[bytes]()
    for option in mount.options.split(b","):
        name, _equals, value = option.partition(b"=")
        if name in _OVERLAY_FOLDERS:
            folders += [unescape(part.replace(b"\\:", b":")) for part in re.split(rb"(?<!\\):+", value) if part]
    return folders


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(os.listdir(folder))
    return []


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip("\n")
    except OSError:
        return ""

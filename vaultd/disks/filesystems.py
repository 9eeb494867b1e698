"""Layers of file systems: those on one device, those that spread over many by themselves, and those on none."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Protocol

from vaultd.disks import rules
from vaultd.disks.machine import Machine, clean
from vaultd.disks.model import Kind, Layer
from vaultd.disks.sysfs import Block
from vaultd.disks.tools import btrfs, zpool
from vaultd.watch.mounts import Mount, unescape

PSEUDO = frozenset(
    b"autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts efivarfs fusectl mqueue nsfs proc pstore "
    b"devtmpfs rpc_pipefs securityfs selinuxfs smackfs sysfs tracefs nfsd fuse.lxcfs fuse.portal".split()
)
"""What holds no file of anybody's."""

MEMORY = frozenset(b"tmpfs ramfs rootfs hugetlbfs".split())


class Mounted(Protocol):
    """What the layers of a file system need of the rest of the graph."""

    machine: Machine
    blocks: dict[str, Block]
    nodes: dict[str, str]
    pools: dict[str, zpool.Pool]
    usages: dict[str, btrfs.Usage]

    def device(self, name: str) -> Layer:
        """The layers below a block device."""
        ...

    def numbered(self, number: str) -> Layer:
        """The same by "8:16"."""
        ...

    def node(self, path: str) -> Layer:
        """The same by a path in /dev."""
        ...

    def at(self, path: bytes) -> Layer:
        """The layers below a path of the machine."""
        ...

    def journal(self, number: str) -> str | None:
        """The device of the journal of the file system on a device, where it is another one."""
        ...


def layer(graph: Mounted, mount: Mount) -> Layer:
    """The layer of what is mounted, and all below it."""
    kind = mount.type.decode("ascii", "replace")
    source = clean(mount.source)
    if mount.type in (b"fuseblk", b"exfat", b"ntfs3"):
        return _on(kind, source, (graph.node(os.fsdecode(mount.source)),))
    if mount.type in MEMORY:
        return Layer(Kind.MEMORY, source, kind)
    if mount.type in (b"overlay", b"aufs"):
        return _overlay(graph, mount)
    if mount.type == b"btrfs":
        return _btrfs(graph, mount)
    if mount.type == b"zfs":
        return _zfs(graph, mount)
    if mount.type == b"bcachefs":
        return _bcachefs(graph, mount)
    if mount.type.startswith(b"fuse"):
        return Layer(Kind.UNKNOWN, source, kind)
    if mount.network:
        return Layer(Kind.REMOTE, source, kind)
    below = [graph.numbered(mount.device)]
    if below[0].kind is Kind.UNKNOWN and os.fsdecode(mount.source) in graph.nodes:
        below = [graph.node(os.fsdecode(mount.source))]
    # A journal may stand on another device, and without it the rest cannot be mounted.
    journal = re.search(rb"(?:^|,)logdev=([^,]+)", mount.options)  # XFS
    if journal:
        below.append(graph.node(os.fsdecode(unescape(journal[1]))))
    elif graph.journal(mount.device) is not None:
        below.append(graph.node(graph.journal(mount.device) or ""))
    return _on(kind, source, tuple(below))


def _on(kind: str, source: str, below: tuple[Layer, ...], notes: tuple[str, ...] = ()) -> Layer:
    return Layer(Kind.FILESYSTEM, source, kind, below, rules.all_of(len(below)), notes=notes)


def _overlay(graph: Mounted, mount: Mount) -> Layer:
    """All lower folders and the upper one: a file may come from any of them."""
    paths = list[bytes]()
    for option in re.split(rb"(?<!\\),", unescape(mount.options)):
        name, _equal, value = option.partition(b"=")
        if name in (b"upperdir", b"lowerdir+", b"datadir+"):
            paths.append(_plain(value))
        elif name == b"lowerdir":
            paths += [_plain(part) for part in re.split(rb"(?<!\\):+", value) if part]
    below = tuple(graph.at(path) for path in dict.fromkeys(paths))
    return Layer(Kind.OVERLAY, clean(mount.source), "overlay", below, rules.all_of(len(below)),
                 notes=() if below else ("guessed",))  # fmt: skip


def _plain(path: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", path)


def _btrfs(graph: Mounted, mount: Mount) -> Layer:
    source = os.fsdecode(mount.source)
    first = graph.nodes.get(source) or graph.nodes.get(os.path.realpath(source) if graph.machine.live else source)
    uuid, names = _btrfs_members(graph, first)
    profiles = {
        profile
        for what in ("data", "metadata", "system")
        for profile in graph.machine.names(f"sys/fs/btrfs/{uuid}/allocation/{what}")
        if profile in ("single", "dup") or re.fullmatch(r"raid\d+(c\d)?", profile)
    }
    missing = any(
        graph.machine.text(f"sys/fs/btrfs/{uuid}/devinfo/{number}/missing") == "1"
        for number in graph.machine.names(f"sys/fs/btrfs/{uuid}/devinfo")
    )
    usage = graph.usages.get(source)
    if usage:
        profiles = profiles or set(usage.profiles)
        missing = missing or usage.missing
        names = names or [name for node in usage.devices if (name := graph.nodes.get(node))]
    below = tuple(graph.device(name) for name in names) or (graph.node(source),)
    present = {slot: slot for slot in range(len(below))}
    groups = tuple(
        group for profile in sorted(profiles) for group in _btrfs_groups(profile, len(below), missing, present)
    )
    notes: tuple[str, ...] = ("degraded",) if missing else ()
    if not profiles:
        groups, notes = rules.all_of(len(below)), (*notes, *(("guessed",) if len(below) > 1 else ()))
    detail = "btrfs " + "+".join(sorted(profiles)) if len(below) > 1 and profiles else "btrfs"
    return Layer(Kind.FILESYSTEM, clean(mount.source), detail, below, tuple(dict.fromkeys(groups)), notes=notes)


def _btrfs_members(graph: Mounted, first: str | None) -> tuple[str, list[str]]:
    """The file system's UUID and all its devices, from the kernel, else from udev."""
    for uuid in graph.machine.names("sys/fs/btrfs"):
        names = graph.machine.names(f"sys/fs/btrfs/{uuid}/devices")
        if first is not None and first in names:
            return uuid, names
    uuid = graph.blocks[first].udev.get("ID_FS_UUID") if first else ""
    same = [
        block.name
        for block in graph.blocks.values()
        if uuid and block.udev.get("ID_FS_UUID") == uuid and block.udev.get("ID_FS_TYPE") == "btrfs"
    ]
    return uuid, same or ([first] if first else [])


def _btrfs_groups(profile: str, count: int, missing: bool, present: dict[int, int]) -> rules.Groups:
    """btrfs spreads each profile over whichever devices have room: so many may be gone is all that is guaranteed."""
    spare = {"raid1": 1, "raid10": 1, "raid5": 1, "raid1c3": 2, "raid6": 2, "raid1c4": 3}.get(profile, 0)
    return rules.at_least(max(1, count - max(0, spare - int(missing))), present)


def _zfs(graph: Mounted, mount: Mount) -> Layer:
    name = clean(mount.source).split("/")[0].split("@")[0]
    pool = graph.pools.get(name)
    if pool is None:
        members = [block for block in graph.blocks.values() if block.udev.get("ID_FS_TYPE") == "zfs_member"]
        below = tuple(graph.device(one.name) for one in members if one.udev.get("ID_FS_LABEL") == name)
        made = Layer(Kind.ZPOOL, name, "", below, rules.all_of(len(below)), notes=("guessed",))
        return _on("zfs", clean(mount.source), (made,))
    parts = [_vdev(graph, part) for part in (*pool.data, *pool.special)]
    needed = len(parts)
    parts += [_vdev(graph, part) for heading, part in pool.other if heading == "logs"]  # the last seconds' writes
    notes = () if pool.state == "ONLINE" else ("degraded",)
    made = Layer(Kind.ZPOOL, name, pool.state.lower(), tuple(parts), rules.all_of(needed), notes=notes)
    return _on("zfs", clean(mount.source), (made,))


def _vdev(graph: Mounted, part: zpool.Part) -> Layer:
    if not part.parts:
        node = part.name if part.name.startswith("/dev/") else _zfs_node(graph, part.name)
        if part.name.startswith("/") and not part.name.startswith("/dev/"):
            return graph.at(os.fsencode(part.name))
        return graph.node(node)
    below = tuple(_vdev(graph, one) for one in part.parts)
    good = {slot: slot for slot, one in enumerate(part.parts) if one.good}
    notes = () if len(good) == len(below) else ("degraded", "not-in-sync")
    return Layer(Kind.ZPOOL, part.name, re.sub(r"[-:].*", "", part.name), below, rules.at_least(zpool.need(part), good),
                 notes=notes)  # fmt: skip


def _zfs_node(graph: Mounted, name: str) -> str:
    """ZFS shortens a path to its last part."""
    for folder in ("/dev/", "/dev/disk/by-id/", "/dev/disk/by-vdev/", "/dev/disk/by-path/", "/dev/disk/by-partuuid/",
                   "/dev/mapper/"):  # fmt: skip
        if folder + name in graph.nodes:
            return folder + name
    return "/dev/" + name


def _bcachefs(graph: Mounted, mount: Mount) -> Layer:
    """The source names all devices ("/dev/sda:/dev/sdb"). Which of them a copy needs is up to targets and replicas."""
    nodes = [os.fsdecode(one) for one in mount.source.split(b":") if one]
    first = {graph.nodes.get(node) for node in nodes}
    names: Sequence[str] = ()
    for uuid in graph.machine.names("sys/fs/bcachefs"):
        folder = f"sys/fs/bcachefs/{uuid}"
        found = [os.path.basename(graph.machine.link(f"{folder}/{one}/block") or "") for one in
                 graph.machine.names(folder) if one.startswith("dev-")]  # fmt: skip
        if first & set(found):
            names = [name for name in found if name in graph.blocks]
    below = tuple(graph.device(name) for name in names) or tuple(graph.node(node) for node in nodes)
    return _on("bcachefs", clean(mount.source), below, ("guessed",) if len(below) > 1 else ())

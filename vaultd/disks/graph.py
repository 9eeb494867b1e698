"""From a folder, or a block device, to the physical disks: the stack of layers between.

Everything that was read of the machine comes in; nothing is asked here. Each block device's layer is made once, so two
folders on one array share it. A cycle, which no healthy kernel makes, ends in a layer that says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from vaultd.disks import bcache, filesystems, mapped, md, rules
from vaultd.disks.machine import Machine, clean
from vaultd.disks.model import Disk, Kind, Layer, Unseen
from vaultd.disks.physical import is_network
from vaultd.disks.sysfs import Block
from vaultd.disks.tools import btrfs, dmsetup, lvm, mdadm, zpool
from vaultd.names import display
from vaultd.watch.mounts import Mount, mount_of, mounts_below

DEPTH = 64
"""Layers above each other; a loop image in a loop image in ... is a mistake at some point."""


@dataclass(slots=True)
class Told:
    """What programs said, all of it optional."""

    tables: dmsetup.Tables = field(default_factory=dict)
    states: dmsetup.Tables = field(default_factory=dict)
    volumes: dict[str, lvm.Volume] = field(default_factory=dict)  # by "253:4"
    arrays: dict[str, mdadm.Array] = field(default_factory=dict)
    pools: dict[str, zpool.Pool] = field(default_factory=dict)
    usages: dict[str, btrfs.Usage] = field(default_factory=dict)  # by the mount's source
    journals: dict[str, str] = field(default_factory=dict)  # path in /dev of a file system -> that of its journal
    locks: dict[str, tuple[str, ...]] = field(default_factory=dict)  # encrypted device -> "tpm", "header", ...


_BEHIND: dict[Unseen | None, tuple[str, ...]] = {Unseen.CONTROLLER: ("raid-controller",)}


class Graph:
    """The layers of a machine, made when they are asked for."""

    def __init__(
        self,
        machine: Machine,
        blocks: dict[str, Block],
        nodes: dict[str, str],
        mounts: list[Mount],
        disks: list[Disk],
        told: Told | None = None,
    ) -> None:
        told = told or Told()
        self.machine, self.blocks, self.nodes, self.mounts = machine, blocks, nodes, mounts
        self.tables, self.states, self.volumes, self.arrays = told.tables, told.states, told.volumes, told.arrays
        self.pools, self.usages, self._locks = told.pools, told.usages, told.locks
        self._journals = {nodes[one]: journal for one, journal in told.journals.items() if one in nodes}
        self._disks = {name: disk for disk in disks for name in disk.names}
        self._leaves = {
            disk.key: Layer(Kind.DISK, disk.names[0], disk.model, disk=disk.key, notes=_BEHIND.get(disk.unseen, ()))
            for disk in disks
            if disk.names
        }
        self._numbers = {block.number: block.name for block in blocks.values() if block.number}
        self._made = dict[str, Layer]()
        self._making = list[str]()

    def folder(self, path: bytes, mount: Mount | None = None) -> Layer:
        """The stack of an absolute path: its own file system, and what is mounted below it. ``mount``: the one that it
        was found on, when that is known better than by its name."""
        below = [self._mounted(mount or mount_of(path, self.mounts))]
        for inner in mounts_below(path, self.mounts).values():
            if inner.type not in filesystems.PSEUDO:
                below.append(self._mounted(inner))
        below = list(dict.fromkeys(below))
        return Layer(Kind.FOLDER, display(path), "", tuple(below), rules.all_of(len(below)))

    def at(self, path: bytes) -> Layer:
        """The stack of a path that another layer lies in."""
        return self._guarded("path:" + os.fsdecode(path), lambda: self._mounted(mount_of(path, self.mounts)))

    def node(self, path: str) -> Layer:
        """The stack of a path in /dev."""
        name = self.nodes.get(path)
        return self.device(name) if name else Layer(Kind.UNKNOWN, clean(path), "gone", notes=("gone",))

    def numbered(self, number: str) -> Layer:
        """The stack of a device number ("8:16")."""
        name = self._numbers.get(number)
        return self.device(name) if name else Layer(Kind.UNKNOWN, number, "gone", notes=("gone",))

    def device(self, name: str) -> Layer:
        """The stack of a block device by the kernel's name."""
        made = self._made.get(name)
        if made is None:
            made = self._guarded(name, lambda: self._device(name))
            self._made[name] = made
        return made

    def journal(self, number: str) -> str | None:
        """The device of the journal of the file system on a device, where it is another one."""
        return self._journals.get(self._numbers.get(number, ""))

    def crypt_notes(self, below: str) -> tuple[str, ...]:
        """What unlocking an encrypted device needs besides a passphrase."""
        return self._locks.get(below, ())

    def _guarded(self, name: str, make: Callable[[], Layer]) -> Layer:
        if name in self._making or len(self._making) > DEPTH:
            return Layer(Kind.UNKNOWN, name, "cycle", notes=("cycle",))
        self._making.append(name)
        try:
            return make()
        finally:
            self._making.pop()

    def _mounted(self, mount: Mount | None) -> Layer:
        if mount is None:
            return Layer(Kind.UNKNOWN, "", "not mounted", notes=("gone",))
        return self._guarded(f"mount:{mount.id}", lambda: filesystems.layer(self, mount))

    def _device(self, name: str) -> Layer:
        block = self.blocks.get(name)
        if block is None:
            return Layer(Kind.UNKNOWN, name, "gone", notes=("gone",))
        if name in self._disks:
            return self._leaves[self._disks[name].key]
        if block.parent is not None:
            return Layer(Kind.PARTITION, name, "", (self.device(block.parent),), rules.all_of(1))
        if self.machine.has(f"{block.folder}/dm") or name.startswith("dm-"):
            return mapped.layer(self, block)
        if self.machine.has(f"{block.folder}/md") or name.startswith("md"):
            return md.layer(self, block)
        if self.machine.has(f"{block.folder}/loop") or name.startswith("loop"):
            return self._loop(block)
        if self.machine.has(f"{block.folder}/bcache") or name.startswith("bcache"):
            return bcache.layer(self, block)
        if is_network(block) and not block.slaves:
            return Layer(Kind.REMOTE, name, "")
        if name.startswith(("zram", "ram")):
            return Layer(Kind.MEMORY, name, "")
        below = tuple(self.device(slave) for slave in block.slaves)
        return Layer(Kind.UNKNOWN, name, "", below, rules.all_of(len(below)), notes=("guessed",))

    def _loop(self, block: Block) -> Layer:
        raw = (self.machine.read(f"{block.folder}/loop/backing_file") or b"").rstrip(b"\n")
        if not raw:
            return Layer(Kind.LOOP, block.name, "", notes=("gone",))
        # Of a file that was removed the data stay where they are until the device is let go.
        file = Layer(Kind.FILE, display(raw), "", (self.at(raw.removesuffix(b" (deleted)")),), rules.all_of(1))
        return Layer(Kind.LOOP, block.name, "", (file,), rules.all_of(1))

"""The block devices of a machine, as the kernel has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vaultd.disks import udevdb
from vaultd.disks.machine import Machine

SECTOR = 512
"""The unit of the attribute ``size``, whatever the disk's own sectors are."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block device. ``name``: the kernel's ("sda1", "dm-3"); ``number``: "8:1"; ``path``: its place in the device
    tree; ``parent``: the disk of a partition; ``slaves``: the devices that it is made of, where the kernel says so;
    ``size`` in bytes."""

    name: str
    number: str
    path: str
    folder: str  # below the machine's root
    parent: str | None
    size: int
    slaves: tuple[str, ...]
    udev: udevdb.Entry

    @property
    def virtual(self) -> bool:
        """Whether the kernel made it, without hardware of its own."""
        return self.path.startswith("/devices/virtual/")

    @property
    def node(self) -> str:
        """Its name in /dev ("cciss!c0d0" is cciss/c0d0 there)."""
        return "/dev/" + self.name.replace("!", "/")


def blocks(machine: Machine) -> dict[str, Block]:
    """All block devices by name, partitions among them."""
    top = "sys/block" if machine.names("sys/block") else "sys/class/block"
    found = dict[str, Block]()
    for name in machine.names(top):
        folder = f"{top}/{name}"
        path = machine.device_path(folder)
        if machine.has(f"{folder}/partition"):  # only in sys/class/block
            found[name] = _block(machine, name, folder, path, path.split("/")[-2])
            continue
        found[name] = _block(machine, name, folder, path, None)
        for part in machine.names(folder):
            if part.startswith(name) and machine.has(f"{folder}/{part}/partition"):
                found[part] = _block(machine, part, f"{folder}/{part}", f"{path}/{part}", name)
    return found


def _block(machine: Machine, name: str, folder: str, path: str, parent: str | None) -> Block:
    number = machine.text(f"{folder}/dev")
    size = max(0, machine.number(f"{folder}/size") or 0) * SECTOR
    slaves = tuple(machine.names(f"{folder}/slaves"))
    found = udevdb.entry(machine, number, folder)
    return Block(name, number, path, folder, parent, size, slaves, found)


def completed(found: dict[str, Block], slaves: Mapping[str, Iterable[str]]) -> dict[str, Block]:
    """The devices, with the slaves that programs tell where the kernel's own are not there (a recorded machine)."""
    made = dict(found)
    for name, names in slaves.items():
        known = tuple(one for one in names if one in found)
        if name in found and known and not found[name].slaves:
            made[name] = replace(found[name], slaves=known)
    return made


def by_node(found: dict[str, Block], machine: Machine) -> dict[str, str]:
    """Every path in /dev that leads to a block device, and the device's name."""
    paths = dict[str, str]()
    for block in found.values():
        for link in block.udev.links:
            paths.setdefault(link, block.name)
    for block in found.values():
        paths[block.node] = block.name
        mapped = machine.text(f"{block.folder}/dm/name") or block.udev.get("DM_NAME")
        if mapped:
            paths[f"/dev/mapper/{mapped}"] = block.name
    return paths

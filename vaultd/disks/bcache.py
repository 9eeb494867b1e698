"""Layers of bcache: a backing device with a fast one before it.

What was only written to the cache yet (writeback) is on no other disk, so both are needed then; otherwise the backing
device is a whole copy by itself.
"""

from __future__ import annotations

import os
from typing import Protocol

from vaultd.disks import rules
from vaultd.disks.machine import Machine
from vaultd.disks.model import Kind, Layer
from vaultd.disks.sysfs import Block


class Devices(Protocol):
    """What the layer needs of the rest of the graph."""

    machine: Machine
    blocks: dict[str, Block]

    def device(self, name: str) -> Layer:
        """The layers below a block device."""
        ...


def layer(graph: Devices, block: Block) -> Layer:
    """The layer of a bcache device and all below it."""
    machine = graph.machine
    folders = {slave: f"{graph.blocks[slave].folder}/bcache" for slave in block.slaves if slave in graph.blocks}
    # The backing device is the one that has a mode and says which bcache it is for.
    backing = [
        one for one, folder in folders.items() if machine.has(f"{folder}/dev") or machine.has(f"{folder}/cache_mode")
    ]
    modes = {_chosen(machine.text(f"{folders[one]}/cache_mode")) for one in backing} - {""}
    dirty = any(machine.text(f"{folders[one]}/state") == "dirty" for one in backing)
    members = list(
        dict.fromkeys((*block.slaves, *(cache for one in backing for cache in _caches(machine, folders[one]))))
    )
    below = tuple(graph.device(one) for one in members)
    origin = tuple(number for number, one in enumerate(members) if one in backing)
    mode = "+".join(sorted(modes))
    if len(below) == len(origin) or (origin and modes and not dirty and "writeback" not in modes):
        return Layer(Kind.BCACHE, block.name, mode, below, ((len(origin), origin),) if origin else ())
    notes = ("writeback-cache",) if dirty or "writeback" in modes else ("guessed",)
    return Layer(Kind.BCACHE, block.name, mode, below, rules.all_of(len(below)), notes=notes)


def _caches(machine: Machine, folder: str) -> list[str]:
    """The cache devices of the set that a backing device is attached to; older kernels do not have them as slaves."""
    target = machine.link(f"{folder}/cache")
    if not target:
        return []
    place = f"sys/fs/bcache/{os.path.basename(target)}"
    found = []
    for name in machine.names(place):
        if name.startswith("cache") and name.removeprefix("cache").isdigit():
            found.append(os.path.basename(os.path.dirname(machine.device_path(f"{place}/{name}"))))
    return found


def _chosen(text: str) -> str:
    """The word in brackets of an attribute that lists what there is: "writethrough [writeback] none"."""
    return next((word.strip("[]") for word in text.split() if word.startswith("[")), "")

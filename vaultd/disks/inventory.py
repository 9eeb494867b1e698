"""Everything together: one look at a machine, its disks, and a map for each folder that is asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vaultd.disks import behind, crosscheck, listing, mapping, sysfs, telling
from vaultd.disks.graph import Graph
from vaultd.disks.helper import Ask
from vaultd.disks.machine import Machine
from vaultd.disks.mapping import Folder
from vaultd.disks.model import Inventory

__all__ = ["Folder", "read"]


def read(
    machine: Machine,
    folders: Sequence[Folder] = (),
    *,
    ask: Ask | None = None,
    confirmed: Mapping[str, str] | None = None,
    health: bool = True,
) -> Inventory:
    """Look at a machine. ``ask``: who runs programs (None: nobody). ``confirmed``: bays that an operator has looked at,
    by the disk's key. ``health``: whether SMART is asked."""
    now = time.time_ns() // 1_000_000 * 1_000_000  # as exact as it is kept
    blocks, mounts = sysfs.blocks(machine), mapping.mounts(machine)
    answers = telling.ask(machine, blocks, mounts, ask)
    blocks = sysfs.completed(blocks, answers.slaves)
    disks = listing.disks(machine, blocks, confirmed or {})
    if machine.live:
        disks = listing.counted(disks)
    disks = behind.disks(disks, answers.others)
    problems = [*answers.problems, *crosscheck.differences(answers.others, disks, blocks, mounts)]
    if health and ask is not None:
        said, silent = telling.health(disks, ask)
        disks = [replace(disk, health=said.get(disk.key, disk.health)) for disk in disks]
        problems += silent
    graph = Graph(machine, blocks, sysfs.by_node(blocks, machine), mounts, disks, answers.told)
    maps, unread = mapping.maps(graph, folders)
    return Inventory(now, tuple(disks), tuple(maps), (*problems, *unread))

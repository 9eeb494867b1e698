"""Layers of the kernel's software raid (md), by what it says in sysfs: level, layout, and the state of each member."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from vaultd.disks import rules
from vaultd.disks.machine import Machine
from vaultd.disks.model import Kind, Layer
from vaultd.disks.sysfs import Block
from vaultd.disks.tools import mdadm


class Devices(Protocol):
    """What the layers of an array need of the rest of the graph."""

    machine: Machine
    arrays: dict[str, mdadm.Array]

    def device(self, name: str) -> Layer:
        """The layers below a block device."""
        ...


@dataclass(frozen=True, slots=True)
class Array:
    """An array. ``members``: (device, slot or None, in sync) of each."""

    level: str
    disks: int
    layout: int
    members: tuple[tuple[str, int | None, bool], ...]
    journal: str | None  # a device that holds writes which are not in the array yet
    reshaping: bool


def layer(graph: Devices, block: Block) -> Layer:
    """The layer of an array and all below it."""
    found = from_sysfs(graph.machine, block)
    guessed = False
    if found is None or (not found.members and block.name in graph.arrays):
        told = graph.arrays.get(block.name)  # /proc/mdstat, or mdadm's own words
        guessed = told is None or not told.certain
        found = _told(told, block)
    known = {device for device, _slot, _in_sync in found.members} | {found.journal}
    beside = [slave for slave in block.slaves if slave not in known]
    if not found.members:  # only that they are part of it is known
        found = replace(found, members=tuple((slave, slot, True) for slot, slave in enumerate(beside)))
        beside, guessed = [], True
    below, present, notes = list[Layer](), dict[int, int](), list[str]()
    for device, slot, in_sync in found.members:
        if in_sync and slot is not None and slot not in present:
            present[slot] = len(below)
        elif "not-in-sync" not in notes:
            notes.append("not-in-sync")
        below.append(graph.device(device))
    below += [graph.device(slave) for slave in beside]  # whatever they are, bytes may be on them
    groups = rules.raid(found.level, found.disks, present, found.layout)
    if groups is None and found.level == "container":
        groups = rules.all_of(len(below))
    if found.journal:
        below.append(graph.device(found.journal))
        groups = (*(groups or ()), (1, (len(below) - 1,)))
        notes.append("writeback-cache")
    if len(present) < found.disks:
        notes.insert(0, "degraded")
    if groups is None or found.reshaping or guessed:
        groups = groups or rules.all_of(len(below))
        notes.append("guessed")
    return Layer(Kind.MD, block.name, found.level, tuple(below), groups, notes=tuple(notes))


def from_sysfs(machine: Machine, block: Block) -> Array | None:
    """What the kernel says of an array; None where sysfs has nothing of it."""
    folder = f"{block.folder}/md"
    level = machine.text(f"{folder}/level")
    disks = machine.text(f"{folder}/raid_disks").split(" ")[0]  # "4 (3)" while it is reshaped
    if not level or not disks.isdigit():
        return None
    members, journal = list[tuple[str, int | None, bool]](), None
    for name in machine.names(folder):
        if not name.startswith("dev-"):
            continue
        # Of a member that left the machine the folder stays for a moment, without a device behind it.
        device = name.removeprefix("dev-")
        states = machine.text(f"{folder}/{name}/state").split(",")
        slot = machine.text(f"{folder}/{name}/slot")
        if "journal" in states:
            if "[write-back]" in machine.text(f"{folder}/journal_mode"):
                journal = device
            continue
        in_sync = "in_sync" in states and "faulty" not in states
        members.append((device, int(slot) if slot.isdigit() else None, in_sync))
    position = machine.text(f"{folder}/reshape_position")
    layout = machine.number(f"{folder}/layout") or 0
    return Array(level, int(disks), layout, tuple(members), journal, position not in ("", "none"))


def _told(told: mdadm.Array | None, block: Block) -> Array:
    if told is None:
        members = tuple((slave, slot, True) for slot, slave in enumerate(block.slaves))
        return Array("", len(members), 0, members, None, False)
    return Array(told.level, told.disks, told.layout, told.members, None, told.reshaping)

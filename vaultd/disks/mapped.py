"""Layers of device mapper: LVM, LUKS, multipath, firmware raid, and what else it has.

The kernel's own table says it exactly (``dmsetup table``, needs root). Without it the kernel's slaves are known, and
the names that LVM gives to its hidden volumes; a level is then a guess, and said to be one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from vaultd.disks import rules
from vaultd.disks.machine import Machine
from vaultd.disks.model import Kind, Layer
from vaultd.disks.sysfs import Block
from vaultd.disks.tools import dmsetup, lvm
from vaultd.disks.tools.dmsetup import Segment


class Devices(Protocol):
    """What the layers of a device need of the rest of the graph."""

    machine: Machine
    blocks: dict[str, Block]
    tables: dmsetup.Tables
    states: dmsetup.Tables
    volumes: dict[str, lvm.Volume]

    def device(self, name: str) -> Layer:
        """The layers below a block device."""
        ...

    def numbered(self, number: str) -> Layer:
        """The same by "8:16"."""
        ...

    def crypt_notes(self, below: str) -> tuple[str, ...]:
        """What unlocking needs besides a passphrase, by the encrypted device's name."""
        ...


def layer(graph: Devices, block: Block) -> Layer:
    """The layer of a device-mapper device and all below it."""
    folder = f"{block.folder}/dm"
    name = graph.machine.text(f"{folder}/name") or block.udev.get("DM_NAME") or block.name
    uuid = graph.machine.text(f"{folder}/uuid") or block.udev.get("DM_UUID")
    kind = kind_of(uuid)
    table = _valid(graph, block, graph.tables.get(name, ()))
    if kind is Kind.PARTITION and not table:
        return _all(graph, kind, name, "", block.slaves)
    if kind is Kind.CRYPT:
        return _crypt(graph, block, name, uuid, table)
    if kind is Kind.MULTIPATH:
        return _multipath(graph, block, name)
    if not table:
        return _with_snapshots(graph, block, _without_table(graph, block, name, kind))
    made = [_segment(graph, kind, name, segment, _health(graph, name, number)) for number, segment in enumerate(table)]
    return _with_snapshots(graph, block, made[0] if len(made) == 1 else _joined(kind, name, made))


def _with_snapshots(graph: Devices, block: Block, layer: Layer) -> Layer:
    """A volume of which snapshots were taken: what was in it before lies where they are. No copy needs them, but they
    must not be left behind."""
    if layer.kind is not Kind.LOGICAL_VOLUME or len(block.slaves) != 1:
        return layer
    origin = block.slaves[0]
    others = [
        slave
        for snapshot in graph.blocks.values()
        if origin in snapshot.slaves and snapshot.name != block.name and len(snapshot.slaves) > 1
        for slave in snapshot.slaves
        if slave != origin
    ]
    if not others or not _name(graph, origin).endswith("-real"):
        return layer
    below = (*layer.below, *(graph.device(one) for one in dict.fromkeys(others)))
    return replace(layer, below=below, notes=(*layer.notes, "snapshots"))


def _name(graph: Devices, device: str) -> str:
    """The device-mapper name of a device; LVM calls what volume and snapshots share NAME-real."""
    block = graph.blocks.get(device)
    return "" if block is None else graph.machine.text(f"{block.folder}/dm/name") or block.udev.get("DM_NAME")


def _valid(graph: Devices, block: Block, table: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The table, when it is of the device as the kernel has it now: an older one may name other devices."""
    numbers = {graph.blocks[slave].number for slave in block.slaves if slave in graph.blocks}
    told = {number for segment in table for number in dmsetup.numbers(segment)}
    return table if not numbers or told == numbers else ()


def kind_of(uuid: str) -> Kind:
    """What a device is, by the prefix of its uuid that its maker sets."""
    for form, kind in (
        (r"CRYPT-", Kind.CRYPT), (r"LVM-", Kind.LOGICAL_VOLUME), (r"mpath-", Kind.MULTIPATH),
        (r"part\d+-", Kind.PARTITION), (r"DMRAID-", Kind.DM_RAID),
    ):  # fmt: skip
        if re.match(form, uuid):
            return kind
    return Kind.LOGICAL_VOLUME


def _health(graph: Devices, name: str, number: int) -> str:
    states = graph.states.get(name, ())
    return dmsetup.health(states[number]) if number < len(states) else ""


def _all(
    graph: Devices, kind: Kind, name: str, detail: str, slaves: Sequence[str], notes: tuple[str, ...] = ()
) -> Layer:
    below = tuple(graph.device(slave) for slave in slaves)
    return Layer(kind, name, detail, below, rules.all_of(len(below)), notes=notes if below else (*notes, "guessed"))


def _joined(kind: Kind, name: str, parts: list[Layer]) -> Layer:
    """Several segments one after the other: all are needed. Plain ones are told as one."""
    if all(part.groups == rules.all_of(len(part.below)) for part in parts):
        below = tuple(dict.fromkeys(one for part in parts for one in part.below))
        details = {part.detail for part in parts}
        notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
        return Layer(kind, name, details.pop() if len(details) == 1 else "mixed", below, rules.all_of(len(below)),
                     notes=notes)  # fmt: skip
    return Layer(kind, name, "mixed", tuple(parts), rules.all_of(len(parts)))


def _segment(graph: Devices, kind: Kind, name: str, segment: Segment, health: str) -> Layer:
    target = segment.target
    if target == "raid":
        return _raid(graph, kind, name, segment, health)
    if target == "mirror":
        return _mirror(graph, kind, name, segment, health)
    if target == "cache":
        return _cache(graph, kind, name, segment)
    if target in ("error", "zero"):
        return Layer(Kind.UNKNOWN, name, target)
    below = tuple(graph.numbered(number) for number in dmsetup.numbers(segment))
    notes = () if target in _ALL_NEEDED else ("guessed",)
    if target == "writecache":
        notes = ("writeback-cache",)
    return Layer(kind, name, target, below, rules.all_of(len(below)), notes=notes if below else (*notes, "guessed"))


_ALL_NEEDED = frozenset(
    [
        "linear",
        "striped",
        "crypt",
        "thin",
        "thin-pool",
        "snapshot",
        "snapshot-origin",
        "snapshot-merge",
        "integrity",
        "verity",
        "era",
        "delay",
        "flakey",
        "zoned",
        "unstriped",
        "vdo",
        "writecache",
        "ebs",
        "clone",
        "dust",
        "log-writes",
        "multipath",
    ]
)


def _raid(graph: Devices, kind: Kind, name: str, segment: Segment, health: str) -> Layer:
    parts = dmsetup.raid(segment)
    if parts is None:
        found = tuple(graph.numbered(number) for number in dmsetup.numbers(segment))
        return Layer(kind, name, "raid", found, rules.all_of(len(found)), notes=("guessed",))
    below, present, notes = list[Layer](), dict[int, int](), list[str]()
    for slot, (_meta, data) in enumerate(parts.members):
        if data == "-":
            continue
        if slot >= len(health) or health[slot] in "AW-":
            present[slot] = len(below)
        below.append(graph.numbered(data))
    count = len(parts.members)
    if not health:
        notes.append("guessed")  # which of them are in sync is not told
    elif len(present) < count:
        notes += ["degraded", "not-in-sync"] if len(below) > len(present) else ["degraded"]
    if parts.level.startswith("raid10"):
        far = parts.placement != "near"
        layout = parts.copies << 8 | 1 << 17 | 1 if far else 1 << 8 | parts.copies
        groups = rules.raid10(count, layout, present)
        if far:
            notes.append("guessed")
    else:
        groups = rules.raid(parts.level, count, present)
    if groups is None:
        groups = rules.all_of(len(below))
        notes.append("guessed")
    # Their metadata lie on the same physical volumes; they hold no byte of a file.
    return Layer(kind, name, parts.level, tuple(below), groups, notes=tuple(dict.fromkeys(notes)))


def _mirror(graph: Devices, kind: Kind, name: str, segment: Segment, health: str) -> Layer:
    """``mirror <log> <count> <words...> <copies> <device> <offset> ...``: the log's device holds no byte of a file."""
    words = segment.words
    try:
        at = 2 + int(words[1])
        legs = words[at + 1 : at + 1 + 2 * int(words[at]) : 2]
    except (IndexError, ValueError):
        legs = ()
    below = tuple(graph.numbered(leg) for leg in legs)
    present = {slot: slot for slot in range(len(below)) if slot >= len(health) or health[slot] == "A"}
    notes = ("guessed",) if not health else () if len(present) == len(below) else ("degraded", "not-in-sync")
    return Layer(kind, name, "mirror", below, rules.at_least(1, present), notes=notes)


def _cache(graph: Devices, kind: Kind, name: str, segment: Segment) -> Layer:
    """``cache <metadata> <cache> <origin> <block> <count> <features...>``: a writeback cache counts with its origin."""
    found = dmsetup.numbers(segment)[:3]
    below = tuple(graph.numbered(number) for number in found)
    if len(below) != 3:
        return Layer(kind, name, "cache", below, rules.all_of(len(below)), notes=("guessed",))
    if "writethrough" in segment.words or "passthrough" in segment.words:
        return Layer(kind, name, "cache", below, ((1, (2,)),))
    return Layer(kind, name, "cache", below, rules.all_of(3), notes=("writeback-cache",))


def _crypt(graph: Devices, block: Block, name: str, uuid: str, table: tuple[Segment, ...]) -> Layer:
    match = re.match(r"CRYPT-([A-Z0-9]+)-", uuid)
    scheme = (match[1] if match else "").lower()
    numbers = [number for segment in table for number in dmsetup.numbers(segment)]
    below = tuple(graph.numbered(number) for number in dict.fromkeys(numbers)) or tuple(
        graph.device(slave) for slave in block.slaves
    )
    notes = tuple(note for slave in block.slaves for note in graph.crypt_notes(slave))
    found = [graph.blocks[slave].udev for slave in block.slaves if slave in graph.blocks]
    if scheme.startswith("luks") and any(one.links and one.get("ID_FS_TYPE") != "crypto_LUKS" for one in found):
        notes = (*notes, "header")  # udev has looked at it and saw none
    return Layer(Kind.CRYPT, name, {"bitlk": "bitlocker"}.get(scheme, scheme), below, rules.all_of(len(below)),
                 notes=notes)  # fmt: skip


def _multipath(graph: Devices, block: Block, name: str) -> Layer:
    """All paths lead to one disk, whose layer they share."""
    below = tuple(dict.fromkeys(graph.device(slave) for slave in block.slaves))
    return Layer(Kind.MULTIPATH, name, str(len(block.slaves)), below, rules.any_of(range(len(below))))


def _without_table(graph: Devices, block: Block, name: str, kind: Kind) -> Layer:
    names = {slave: graph.machine.text(f"sys/block/{slave}/dm/name") for slave in block.slaves}
    legs = [slave for slave in block.slaves if re.search(r"_[rm]image_\d+$", names[slave])]
    volume = graph.volumes.get(block.number)
    level = volume.type if volume else ""
    if legs:
        below = tuple(graph.device(leg) for leg in legs)
        present = {slot: slot for slot in range(len(legs))}
        groups = rules.raid(level, len(legs), present) if level and not level.startswith("raid10") else None
        notes = () if groups and volume and not volume.health else ("guessed",)
        return Layer(kind, name, level or "raid", below, groups or rules.all_of(len(below)), notes=notes)
    one = len(block.slaves) == 1 or level in ("linear", "striped")
    return _all(graph, kind, name, level, block.slaves, () if one else ("guessed",))

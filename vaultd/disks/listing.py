"""Every physical disk that the kernel has, with what it and udev say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vaultd.disks import bays, encryption, identity, physical
from vaultd.disks.machine import Machine
from vaultd.disks.mapped import kind_of
from vaultd.disks.model import Bay, Disk, Kind
from vaultd.disks.sysfs import Block


def disks(machine: Machine, blocks: Mapping[str, Block], confirmed: Mapping[str, str]) -> list[Disk]:
    """The disks, in the kernel's order. ``confirmed``: bays that an operator has looked at, by key."""
    found = {name: physical.facts(machine, block) for name, block in blocks.items() if physical.is_disk(machine, block)}
    sizes = {name: blocks[name].size for name in found}
    schemes = encryption.schemes(machine, blocks)
    made, places = list[Disk](), dict[str, Bay | None]()
    for one in identity.identities(found, sizes, _multipath(machine, blocks)):
        first = next((name for name in one.names if found[name].serial or found[name].wwn), one.names[0])
        facts = found[first]
        seen = [bays.bay(machine, blocks[name]) for name in one.names]
        bay = next((bay for bay, _doubtful in seen if bay and bay.source == "enclosure"), seen[0][0])
        scheme, part = encryption.of_disk([schemes[name] for name in one.names])
        problems = [*one.problems]
        if any(doubtful for _bay, doubtful in seen):
            problems.append("slot-differs")
        if part:
            problems.append("part-encrypted")
        if not any(sizes[name] for name in one.names):
            problems.append("no-size")
        if one.key in confirmed:
            bay = Bay(confirmed[one.key], "confirmed")
        places[one.key] = bay
        made.append(
            Disk(
                key=one.key, names=one.names, vendor=facts.vendor, model=facts.model, serial=facts.serial,
                wwn=f"0x{facts.wwn}" if facts.wwn else "",
                size=sum(sizes[name] for name in one.names) if facts.transport == "nvme" else sizes[first],
                transport=facts.transport, rotational=facts.rotational, removable=facts.removable, bay=bay,
                encryption=scheme, unseen=facts.unseen, problems=tuple(problems),
            )
        )  # fmt: skip
    double = bays.doubled(places)
    return [replace(one, problems=(*one.problems, "double-slot")) if one.key in double else one for one in made]


def counted(found: Iterable[Disk]) -> list[Disk]:
    """The disks of this machine with what was written to them since it started: whoever pulls one sees whether it is
    still in use."""
    import psutil

    counters = psutil.disk_io_counters(perdisk=True)
    made = []
    for one in found:
        known = [counters[name].write_bytes for name in one.names if name in counters]
        made.append(replace(one, written=sum(known)) if known else one)
    return made


def _multipath(machine: Machine, blocks: Mapping[str, Block]) -> Iterable[frozenset[str]]:
    for block in blocks.values():
        uuid = machine.text(f"{block.folder}/dm/uuid") or block.udev.get("DM_UUID")
        if uuid and kind_of(uuid) is Kind.MULTIPATH and block.slaves:
            yield frozenset(block.slaves)

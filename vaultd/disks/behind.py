"""Disks behind a RAID controller: the kernel sees its volumes only; the maker's program knows what they are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vaultd.disks.helper import Answer
from vaultd.disks.identity import token
from vaultd.disks.machine import Machine
from vaultd.disks.model import Bay, Disk, Health, Unseen
from vaultd.disks.tools import nvme
from vaultd.disks.tools.controllers import PARSERS, PROGRAMS, Member


def questions(machine: Machine) -> list[str]:
    """Who is to be asked on this machine: by the drivers of its SCSI hosts."""
    drivers = {machine.text(f"sys/class/scsi_host/{host}/proc_name") for host in machine.names("sys/class/scsi_host")}
    return sorted({key for driver in drivers for key in PROGRAMS.get(driver, ())})


def disks(found: Iterable[Disk], answers: Mapping[str, Answer]) -> list[Disk]:
    """The disks, with those that only a controller knows, and with its word on where the others are."""
    made, extra = list(found), list[Disk]()
    for key in (key for key in PARSERS if key in answers):
        for member in PARSERS[key](answers[key].text):
            at = next((number for number, disk in enumerate(made) if _same(disk, member)), None)
            if at is None:
                if not any(_same(disk, member) for disk in extra):
                    extra.append(_hidden(member, answers[key].time))
            elif (bay := made[at].bay) is None or bay.source == "path":
                made[at] = replace(made[at], bay=Bay(f"{member.bay} ({member.controller})", "controller"))
    if "nvme" in answers:
        made = [_slotted(disk, nvme.namespaces(answers["nvme"].text)) for disk in made]
    return _told_apart([*made, *extra])


def _same(disk: Disk, member: Member) -> bool:
    if disk.unseen is Unseen.CONTROLLER and disk.names:
        return False  # a volume of the controller, which may have the name of one of its disks
    if member.wwn.strip("0") and disk.wwn.removeprefix("0x") == member.wwn:
        return True
    if not member.serial or disk.serial != member.serial:
        return False
    return disk.bay is None or disk.bay.source != "controller" or member.bay in disk.bay.text


def _hidden(member: Member, now: int) -> Disk:
    return Disk(
        key=f"wwn-{member.wwn}" if member.wwn.strip("0") else _by_serial(member), names=(), vendor=member.vendor,
        model=member.model, serial=member.serial, wwn=f"0x{member.wwn}" if member.wwn.strip("0") else "",
        size=member.size, transport=member.transport, bay=Bay(f"{member.bay} ({member.controller})", "controller"),
        health=Health(member.good, now, member.state), encryption="opal" if member.encrypted else "",
        unseen=Unseen.CONTROLLER, problems=() if member.serial else ("no-serial",),
    )  # fmt: skip


def _by_serial(member: Member) -> str:
    if not member.serial:
        return "path-" + token(f"{member.controller} {member.bay}")
    return "serial-" + "-".join(token(part) for part in (member.vendor, member.model, member.serial) if part)


def _told_apart(disks: list[Disk]) -> list[Disk]:
    """Two of one key (a serial that is not one) are told apart by where they sit."""
    count = Counter(disk.key for disk in disks)
    return [
        disk if count[disk.key] == 1 or disk.names or disk.bay is None
        else replace(disk, key="path-" + token(disk.bay.text), problems=(*disk.problems, "double-serial"))
        for disk in disks
    ]  # fmt: skip


def _slotted(disk: Disk, known: Iterable[nvme.Namespace]) -> Disk:
    slot = next((one.slot for one in known if one.slot and one.device in disk.names), "")
    if slot and (disk.bay is None or disk.bay.source == "path"):
        return replace(disk, bay=Bay(f"slot {slot}", "path"))
    return disk

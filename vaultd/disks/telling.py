"""What programs add to what the kernel says in its files: which of them are worth asking on this machine, and what
their answers mean. Without any of them the map is still made; what is then a guess is said to be one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vaultd.disks import behind, crosscheck
from vaultd.disks.graph import Told
from vaultd.disks.helper import LEFT, Answer, Ask, ask_all
from vaultd.disks.machine import TABLE_LIMIT, Machine
from vaultd.disks.model import Disk, Health, Unseen
from vaultd.disks.sysfs import Block
from vaultd.disks.tools import blkid, btrfs, dmsetup, luks, lvm, mdadm, multipath, smart, zpool
from vaultd.i18n import _
from vaultd.units import local
from vaultd.watch.mounts import Mount


@dataclass(frozen=True, slots=True)
class Answers:
    """``told``: for the graph. ``problems``: what could not be asked, as text. ``slaves``: what a device is made of.
    ``others``: what was said by commands that need no device, by their key."""

    told: Told
    problems: tuple[str, ...] = ()
    slaves: Mapping[str, list[str]] = field(default_factory=dict)
    others: Mapping[str, Answer] = field(default_factory=dict)


def ask(machine: Machine, blocks: Mapping[str, Block], mounts: Iterable[Mount], one: Ask | None) -> Answers:
    """Ask what this machine has use for: nothing of LVM where there is no device mapper, no zpool without ZFS."""
    told = Told(arrays=mdadm.mdstat((machine.read("proc/mdstat", TABLE_LIMIT) or b"").decode("utf-8", "replace")))
    if one is None:
        return Answers(told, slaves=_slaves(blocks, told, (), {}))
    answers = ask_all(_questions(machine, blocks, mounts), one)

    def text(key: str, device: str = "") -> str:
        return answers[key, device].text if (key, device) in answers else ""

    told.tables = dmsetup.parse(text("dm-table"))
    if ("dm-status", "") in answers and not answers["dm-status", ""].problem:
        told.states = dmsetup.parse(text("dm-status"))  # who was in sync an hour ago need not be so now
    told.volumes = {volume.number: volume for volume in lvm.volumes(text("lvs")) if volume.number}
    told.pools = zpool.status(text("zpool"))
    told.usages = {
        f"/dev/{device}": usage
        for key, device in answers
        if key == "btrfs" and (usage := btrfs.usage(text(key, device))) is not None
    }
    told.journals = blkid.journals(text("blkid"))
    for key, device in answers:
        if key == "luks":
            told.locks[device] = luks.needs(text(key, device))
    slaves = _slaves(blocks, told, multipath.maps(text("multipath")), lvm.physical(text("pvs")))
    others = {key: answer for (key, device), answer in answers.items() if not device}
    return Answers(told, tuple(_problems(answers)), slaves, others)


def _slaves(
    blocks: Mapping[str, Block], told: Told, maps: Iterable[multipath.Map], physical: Mapping[str, str]
) -> dict[str, list[str]]:
    """What each device is made of, by what programs and udev say. Of a volume of which nothing else is known, all of
    its group: more than it may lie on, never less."""
    numbers = {block.number: block.name for block in blocks.values()}
    names = {block.udev.get("DM_NAME"): block.name for block in blocks.values()}
    nodes = {link: block.name for block in blocks.values() for link in (*block.udev.links, block.node)}
    found = dict[str, list[str]]()
    for block in blocks.values():
        disk, group = numbers.get(block.udev.get("ID_PART_ENTRY_DISK")), block.udev.get("DM_VG_NAME")
        if disk is not None and disk != block.name and block.name.startswith("dm-"):
            found[block.name] = [disk]
        elif group:
            found[block.name] = [nodes[one] for one, of in physical.items() if of == group and one in nodes]
    found |= {one.kernel: [path for path, _works in one.paths] for one in maps}
    for name, array in told.arrays.items():
        found[name] = [member for member, _slot, _sync in array.members]
    for name, table in told.tables.items():
        used = [number for segment in table for number in dmsetup.numbers(segment)]
        found[names.get(name, name)] = [numbers[number] for number in dict.fromkeys(used) if number in numbers]
    return found


def _questions(machine: Machine, blocks: Mapping[str, Block], mounts: Iterable[Mount]) -> Iterable[tuple[str, str]]:
    """By what there is: block devices, what udev found on them, drivers, mounts."""
    for key in (*crosscheck.KEYS, *behind.questions(machine)):
        yield key, ""
    types = {block.udev.get("ID_FS_TYPE") for block in blocks.values()}
    uuids = {block.udev.get("DM_UUID").partition("-")[0] for block in blocks.values()}
    for key, wanted in {
        "nvme": any(block.name.startswith("nvme") for block in blocks.values()),
        "dm-table": any(_mapped(machine, block) for block in blocks.values()),
        "dm-status": any(_mapped(machine, block) for block in blocks.values()),
        "lvs": "LVM2_member" in types or "LVM" in uuids,
        "pvs": any(block.udev.get("DM_VG_NAME") and not block.slaves for block in blocks.values()),
        "multipath": "mpath_member" in types or "mpath" in uuids,
        "blkid": "jbd" in types,
        "zpool": "zfs_member" in types or any(mount.type == b"zfs" for mount in mounts),
    }.items():
        if wanted:
            yield key, ""
    nodes = {block.node: block.name for block in blocks.values()}
    for mount in mounts if not machine.names("sys/fs/btrfs") else ():  # where the kernel tells it, it is not asked
        if mount.type == b"btrfs" and os.fsdecode(mount.source) in nodes:
            yield "btrfs", nodes[os.fsdecode(mount.source)]
    for block in blocks.values():
        if block.udev.get("ID_FS_TYPE") == "crypto_LUKS":
            yield "luks", block.name


def _mapped(machine: Machine, block: Block) -> bool:
    return machine.has(f"{block.folder}/dm") or block.name.startswith("dm-")


SPARE = frozenset(("nvme", "megacli", "arcconf", *crosscheck.KEYS))
"""What is asked where it is there, and not missed where it is not: another way tells the same."""


def _problems(answers: Mapping[tuple[str, str], Answer]) -> Iterable[str]:
    for (key, device), answer in sorted(answers.items()):
        name = f"{key} {device}".strip()
        if answer.text and answer.problem in ("root", "time", "stuck"):
            when = local(answer.time)
            yield _("{command} could not be asked now; its answer of {time} is taken").format(command=name, time=when)
        elif answer.problem == "root":
            yield _("{command} needs root; what only it knows is a guess").format(command=name)
        elif answer.problem == "missing" and key not in SPARE:
            yield _("the program for {command} is not installed; what only it knows is a guess").format(command=name)
        elif answer.problem == "time":
            yield _("{command} did not answer in time and was ended").format(command=name)
        elif answer.problem == "stuck":
            yield _("{command} does not answer and cannot even be ended; it was left behind").format(command=name)
        elif answer.problem not in ("", "missing", LEFT):
            yield _("{command} failed (exit code {code})").format(command=name, code=answer.code)


def health(disks: Iterable[Disk], one: Ask) -> tuple[dict[str, Health], tuple[str, ...]]:
    """What SMART says of each disk that can be asked, by key, and what could not be asked. An answer that names another
    disk (a new one took the name) is not taken."""
    asked = {
        ("smart", disk.names[0]): disk
        for disk in disks
        if disk.names and disk.unseen in (None, Unseen.VIRTUAL) and disk.transport not in ("virtio", "xen", "mmc")
    }
    answers = ask_all(asked, one)
    found = dict[str, Health]()
    for question, answer in answers.items():
        disk, said = asked[question], smart.parse(answer.text)
        if said is not None and (not said.serial or not disk.serial or said.serial == disk.serial):
            found[disk.key] = Health(said.passed, answer.time, said.detail)
    silent = {answer.problem for answer in answers.values()} - {""}
    if silent and silent <= {"root", "missing"}:  # the same for all: once is enough
        answers = dict(list(answers.items())[:1])
    return found, tuple(_problems({key: one for key, one in answers.items() if one.problem in
                                   ("root", "missing", "time", "stuck")}))  # fmt: skip

"""Recordings of libstorage-ng and of curtin, made into roots that vaultd reads."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.disking import Box, load
from vaultd.disks import sysfs
from vaultd.disks.tools import dmsetup


@dataclass
class Mockup:
    """A recording of libstorage-ng: outputs of commands and contents of files."""

    commands: dict[str, str]
    files: dict[str, str]

    @classmethod
    def of(cls, file: Path) -> Mockup:
        top = ElementTree.parse(file).getroot()

        def lines(kind: str, tag: str) -> dict[str, str]:
            return {
                one.findtext("name", ""): "\n".join(line.text or "" for line in one.findall(tag))
                for one in top.iter(kind)
            }

        return cls(lines("Command", "stdout"), lines("File", "content"))

    def output(self, *starts: str) -> str:
        return next((text for name, text in self.commands.items() if name.startswith(starts)), "")


def materialised(mockup: Mockup, folder: Path) -> Box:
    """The machine of a recording as a root: udev database, files of /sys, mounts; and outputs to ask for."""
    box = Box(folder)
    infos = {text for name, text in mockup.commands.items() if "udevadm info" in name and text.startswith("P: ")}
    for text in sorted(infos, key=lambda text: len(text.split("\n", 1)[0])):
        values = dict(line[3:].split("=", 1) for line in text.splitlines() if line.startswith("E: ") and "=" in line)
        number = f"{values.get('MAJOR', '0')}:{values.get('MINOR', '0')}"
        size = mockup.files.get(f"/sys{text[3:].splitlines()[0]}/size", "2097152")
        box.block(text[3:].splitlines()[0], number, int(size) * 512)
        links = tuple(line[3:] for line in text.splitlines() if line.startswith("S: "))
        box.udev(number, values, links)
    for name, content in mockup.files.items():
        if name.startswith("/sys/") and "/../" not in name:
            box.write(name[1:], content + "\n")
    _dmraid(box, mockup.output("/sbin/dmraid"))
    _bcache(box, mockup)
    _hidden(box, dmsetup.parse(mockup.output("/sbin/dmsetup table")))
    box.write("proc/mdstat", mockup.files.get("/proc/mdstat", "") + "\n")
    _mounts(box, mockup.files.get("/proc/mounts", ""))
    for key, starts in {
        "dm-table": ("/sbin/dmsetup table",), "multipath": ("/sbin/multipath",), "blkid": ("/sbin/blkid --cache",),
        "lvs": ("/sbin/lvs",), "pvs": ("/sbin/pvs",), "btrfs": ("/sbin/btrfs filesystem show",),
    }.items():  # fmt: skip
        text = mockup.output(*starts)
        if text:
            box.outputs[key, ""] = text
    return box


def _names(box: Box) -> dict[str, str]:
    """Number of each device -> its place in the device tree."""
    return {block.number: block.path for block in sysfs.blocks(box.machine).values()}


def _dmraid(box: Box, text: str) -> None:
    """The kernel has slaves; this recording has what dmraid says instead."""
    for block in sysfs.blocks(box.machine).values():
        name = block.udev.get("DM_NAME")
        members = re.findall(rf"^/dev/(\w+):\w+:{re.escape(name)}:", text, re.M) if name else []
        box.slaves(block.path, *members)


def _bcache(box: Box, mockup: Mockup) -> None:
    """In /sys/fs/bcache and by the link "bcache" of each device, of which only what was read through them is here."""
    places, found = _names(box), mockup.files
    sets = [name for name in found if re.search(r"/cache\d+/\.\./dev$", name)]
    caches = [Path(places[found[name]]).name for name in sets if found[name] in places]
    for block in sysfs.blocks(box.machine).values():
        backing = places.get(found.get(f"/sys{block.path}/bcache/../dev", ""), "")
        if backing:
            mode = found.get(f"/sys{block.path}/bcache/cache_mode", "")
            box.write(f"sys{backing}/bcache/cache_mode", mode + "\n")
            used = any(found[name] == block.number for name in found if re.search(r"/bdev\d+/dev/dev$", name))
            box.slaves(block.path, Path(backing).name, *(caches if used else []))


def _hidden(box: Box, tables: dmsetup.Tables) -> None:
    """Of LVM's hidden volumes the recording has the tables alone; the kernel's names for them are in the tables of the
    volumes that are made of them."""
    known = _names(box)

    def made(number: str, name: str) -> None:
        if number not in known and name in tables:
            known[number] = f"/devices/virtual/block/dm-{number.partition(':')[2]}"
            box.block(known[number], number, 1 << 30, {"DM_NAME": name, "DM_UUID": "LVM-hidden"})
            box.write(f"sys{known[number]}/dm/name", name + "\n")

    for name, segments in tables.items():
        for segment in segments:
            numbers = dmsetup.numbers(segment)
            parts = {"raid": [f"{name}_r{part}_{slot}" for slot in range(9) for part in ("meta", "image")],
                     "mirror": [f"{name}_mlog", *(f"{name}_mimage_{slot}" for slot in range(9))]}  # fmt: skip
            for number, part in zip(numbers, parts.get(segment.target, []), strict=False):
                made(number, part)
            if segment.target == "cache":
                pool = next(one.removesuffix("_cdata") for one in tables if one.endswith("_cdata"))
                for number, part in zip(numbers, (f"{pool}_cmeta", f"{pool}_cdata", f"{name}_corig"), strict=False):
                    made(number, part)


def _mounts(box: Box, text: str) -> None:
    """Of /proc/mounts, which has no device numbers."""
    nodes = {}
    for file in (box.root / "run/udev/data").glob("b*"):
        for line in file.read_text().splitlines():
            if line.startswith("S:"):
                nodes["/dev/" + line[2:]] = file.name[1:]
            elif line.startswith("E:DEVNAME="):
                nodes[line.partition("=")[2]] = file.name[1:]
    for number, line in enumerate(text.splitlines()):
        source, path, kind, options = line.split(" ")[:4]
        device = nodes.get(source, "") if kind not in ("btrfs", "zfs") else ""
        box.mounts.append(f"{number + 20} 1 {device or f'0:{number + 20}'} / {path} rw - {kind} {source} {options}\n")
    box.write("proc/self/mountinfo", "".join(box.mounts))


def storage_of(path: Path) -> dict[str, Any]:
    """A recording of curtin."""
    found = load(path)
    return found.get("storage", found)  # type: ignore[no-any-return]


def probed(storage: dict[str, Any], folder: Path) -> Box:
    """The machine of a recording of curtin (probert) as a root: udev's database, attributes, mounts."""
    box = Box(folder)
    rows = storage["blockdev"]
    for node in sorted(rows, key=lambda node: len(rows[node]["DEVPATH"])):
        row, attrs = rows[node], rows[node]["attrs"]
        values = {key: value for key, value in row.items() if isinstance(value, str) and key != "DEVLINKS"}
        number = f"{row['MAJOR']}:{row['MINOR']}"
        box.block(row["DEVPATH"], number, int(attrs.get("size") or 0))
        box.udev(number, values, tuple(link.removeprefix("/dev/") for link in row.get("DEVLINKS", "").split()))
        for name, value in attrs.items():
            if isinstance(value, str) and name not in ("size", "partition", "dev", "subsystem"):
                box.write(f"sys{row['DEVPATH']}/{name}", value + "\n")
    for node, row in storage.get("raid", {}).items():
        box.write(f"sys{row['DEVPATH']}/md/level", row.get("raidlevel", row.get("MD_LEVEL", "")) + "\n")
        devices = [one.removeprefix("/dev/") for one in row.get("devices", [])]
        box.slaves(row["DEVPATH"], *devices)
        box.write(f"sys{row['DEVPATH']}/md/raid_disks", f"{len(devices)}\n")
        for slot, name in enumerate(devices):
            box.write(f"sys{row['DEVPATH']}/md/dev-{name}/state", "in_sync\n")
            box.write(f"sys{row['DEVPATH']}/md/dev-{name}/slot", f"{slot}\n")
        assert node.startswith("/dev/md")
    for one in storage.get("dmcrypt", {}).values():
        box.slaves(f"/devices/virtual/block/{one['blkdevname']}", one["blkdevs_used"])
    _tree(box, storage.get("mount", []))
    return box


def _tree(box: Box, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        name = row["source"].split("[")[0]
        found = [
            file.name[1:]
            for file in (box.root / "run/udev/data").glob("b*")
            if {f"E:DEVNAME={name}", f"S:{name[5:]}"} & set(file.read_text().splitlines())
        ]
        device = found[0] if found else ""
        box.mount(device or "0:99", row["target"], row["fstype"], name, options=row["options"])
        _tree(box, row.get("children", []))

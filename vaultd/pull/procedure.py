"""The steps that let a disk go, for what stands on it now: users stop, sync, unmount deepest first, swap off, then
every layer of devices from the top, then the disk itself by the way it is connected.

What only seems to end a use (a lazy unmount, a deferred close) is never a step.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable
from pathlib import Path

from vaultd.disks.model import Disk
from vaultd.names import display
from vaultd.pull.model import Do, Procedure, Step, User
from vaultd.pull.stack import Device, Reader, Stack, volume

HOLD_TEXT = "AUTO -all\n"
"""What keeps mdadm from assembling an array again when udev sees its members (mdadm.conf(5))."""

HOLD_FOLDERS = ("etc/mdadm/mdadm.conf.d", "etc/mdadm.conf.d")
HOLD_NAME = "vaultd-release.conf"
"""Read by mdadm beside its own file, of Debian and of others; removed again at the end."""


def procedure(
    disk: Disk, reader: Reader, users: Iterable[User] = (), *, users_seen: bool = True, found: Stack | None = None
) -> Procedure:  # fmt: skip
    """How a disk is let go now."""
    stack = found if found is not None else reader.stack(every_name(disk, reader))
    if stack.is_root:
        return Procedure((Step(Do.POWER_OFF, _shown(disk)),), (), users_seen)
    users = tuple(users)
    return Procedure((*_steps(disk, reader, stack, busy=bool(stack.mounts or users)),), users, users_seen)


def every_name(disk: Disk, reader: Reader) -> tuple[str, ...]:
    """The kernel's names of a disk that are there, and those of what goes with it: all name spaces of an NVMe
    controller."""
    names = [name for name in disk.names if reader.exists(name)]
    for name in tuple(names):
        for controller in controllers(name, reader):
            names += [one for one in _spaces(controller, reader) if one not in names]
    return tuple(names)


def controllers(name: str, reader: Reader) -> list[str]:
    """The NVMe controllers of a disk; more than one by multipath. None for another kind of disk."""
    if not name.startswith("nvme"):
        return []
    device = reader.block / name / "device"
    try:
        inside = sorted(one for one in os.listdir(device) if one.startswith("nvme") and "n" not in one[4:])
    except OSError:
        return []
    if inside:  # a subsystem, with its controllers in it
        return inside
    return [device.resolve().name] if device.resolve().name.startswith("nvme") else []


def _spaces(controller: str, reader: Reader) -> list[str]:
    try:
        names = os.listdir(reader.root / "sys/class/nvme" / controller)
    except OSError:
        return []
    return sorted(name for name in names if name.startswith("nvme") and reader.exists(name))


def _shown(disk: Disk) -> str:
    return " ".join(part for part in (disk.model, disk.serial) if part) or disk.key


def _steps(disk: Disk, reader: Reader, stack: Stack, *, busy: bool) -> Iterable[Step]:
    if busy:
        yield Step(Do.STOP_USERS, "")
    for path in sorted({one.number: one.path for one in stack.own_mounts}.values()):
        yield Step(Do.SYNC, display(path), ("sync", "-f", os.fsdecode(path)))
    held = False
    for step in _downwards(reader, stack):
        if step.do is Do.ARRAY and not held:
            held = True
            yield Step(Do.HOLD, "", write=(str(hold_file(reader)), HOLD_TEXT))
        yield step
    for name in sorted(filter(reader.is_cache, stack.devices)):
        yield Step(Do.BCACHE, name, write=(str(reader.block / name / "bcache/set/stop"), "1"))
    names = stack.disks
    if names:
        yield Step(Do.FREE, _shown(disk), gone=names)
        yield from _detach(disk, reader, names)


def hold_file(reader: Reader) -> Path:
    """Where the word goes that keeps mdadm from assembling."""
    folders = [reader.root / folder for folder in HOLD_FOLDERS]
    found = next((one for one in folders if one.is_dir() or (one.parent.name == "mdadm" and one.parent.is_dir())), None)
    return (found if found is not None else folders[-1]) / HOLD_NAME


# from the top down


def _downwards(reader: Reader, stack: Stack) -> Iterable[Step]:
    """Each mount, swap space and device once, after everything that stands on it."""
    for one in _ordered(_below(stack), stack):
        kind, _blank, name = one.partition(" ")
        if kind == "mount":
            mount = stack.mounts[int(name)]
            yield Step(Do.UNMOUNT, display(mount.path), ("umount", "--", os.fsdecode(mount.path)), gone=(name,))
        elif kind == "swap":
            path = stack.swaps[int(name)].path
            yield Step(Do.SWAP_OFF, display(path), ("swapoff", "--", os.fsdecode(path)))
        elif kind == "pool":
            yield Step(Do.EXPORT, name, ("zpool", "export", name))
        elif kind == "group":
            yield Step(Do.LVM, name, ("vgchange", "-an", name), gone=tuple(sorted(stack.groups[name])))
        elif name not in stack.disks:
            yield from _device_step(reader, stack, stack.devices[name])


def _below(stack: Stack) -> dict[str, set[str]]:
    """What everything stands on. A volume group of which nothing is elsewhere is one thing."""
    own = {name for name, volumes in stack.groups.items() if volumes <= stack.devices.keys()}

    def thing(name: str) -> str:
        group = stack.devices[name].group if name in stack.devices else ""
        return f"group {group}" if group in own else f"device {name}"

    below = dict[str, set[str]]()
    for number, mount in stack.mounts.items():
        below[f"mount {number}"] = {f"mount {one}" for one in stack.on_mounts.get(number, ())}
        below[f"mount {number}"] |= {thing(name) for name in stack.on_devices.get(number, ())}
        if mount.type == "zfs":
            below[f"mount {number}"] |= {f"pool {pool}" for pool in stack.pools}
    for number, swap in enumerate(stack.swaps):
        below[f"swap {number}"] = {thing(swap.device) if swap.device else f"mount {swap.mount}"}
    for pool in stack.pools:
        below[f"pool {pool}"] = {thing(name) for name in stack.disks}
    for name, device in stack.devices.items():
        on = below.setdefault(thing(name), set())
        on |= {thing(one) for one in device.below if one in stack.devices} - {thing(name)}
        if name in stack.loop_on:
            on.add(f"mount {stack.loop_on[name]}")
    return below


def _ordered(below: dict[str, set[str]], stack: Stack) -> Iterable[str]:
    """What nothing stands on, again and again: mounts first, deepest first. A cycle (the kernel makes none) comes last,
    and its first step then fails."""
    above = dict.fromkeys(below, 0)
    for on in below.values():
        for one in on:
            above[one] += 1
    ready = [(_rank(one, stack), one) for one, count in above.items() if not count]
    heapq.heapify(ready)
    left = set(above)
    while ready:
        _rank_of, one = heapq.heappop(ready)
        left.discard(one)
        yield one
        for under in below[one]:
            above[under] -= 1
            if not above[under]:
                heapq.heappush(ready, (_rank(under, stack), under))
    yield from sorted(left, key=lambda one: _rank(one, stack))


_KINDS = ("mount", "swap", "pool", "group", "device")


def _rank(one: str, stack: Stack) -> tuple[int, int, str]:
    kind, _blank, name = one.partition(" ")
    depth = stack.mounts[int(name)].path.count(b"/") if kind == "mount" else 0
    return (_KINDS.index(kind), -depth, one)


def _device_step(reader: Reader, stack: Stack, device: Device) -> Iterable[Step]:
    """How a device above the disk ends; nothing for a partition, and for the hidden parts of a volume."""
    name, label = device.name, device.label
    match device.kind:
        case "crypt":
            yield Step(Do.CRYPT, label, ("cryptsetup", "close", "--", label), gone=(name,))
        case "lvm":
            if not any(name in one.below and one.group == device.group for one in stack.devices.values()):
                yield Step(Do.LVM, volume(label), ("lvchange", "-an", volume(label)), gone=(name,))
        case "array":
            yield Step(Do.ARRAY, name, ("mdadm", "--stop", f"/dev/{name}"), gone=(name,))
        case "multipath":
            yield Step(Do.MULTIPATH, label, ("multipath", "-f", label), gone=(name,))
        case "loop":
            yield Step(Do.LOOP, name, ("losetup", "-d", f"/dev/{name}"), gone=(name,))
        case "bcache":
            yield Step(Do.BCACHE, name, write=(str(reader.block / name / "bcache/stop"), "1"), gone=(name,))
        case "mapping":
            yield Step(Do.MAPPING, label, ("dmsetup", "remove", "--", label), gone=(name,))


# the disk itself


def _detach(disk: Disk, reader: Reader, names: tuple[str, ...]) -> Iterable[Step]:
    shown = _shown(disk)
    found = [one for name in names for one in controllers(name, reader)]
    if found:
        for controller in dict.fromkeys(found):
            file = reader.root / "sys/class/nvme" / controller / "device/remove"
            yield Step(Do.DETACH, shown, write=(str(file), "1"), gone=names)
        return
    if disk.transport == "usb":
        yield Step(Do.DETACH, shown, ("udisksctl", "power-off", "--block-device", f"/dev/{names[0]}"), gone=names)
        return
    for name in names:
        if name.startswith("loop"):
            yield Step(Do.DETACH, name, ("losetup", "-d", f"/dev/{name}"), gone=(name,))
        elif (reader.block / name / "device/delete").exists():
            yield Step(Do.DETACH, shown, write=(str(reader.block / name / "device/delete"), "1"), gone=(name,))

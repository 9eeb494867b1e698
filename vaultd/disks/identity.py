"""One key for each physical disk, whatever the kernel calls it today.

By WWN where it is not zero and no other disk has it, else by vendor, model and serial where that is somebody's alone,
else by the path of its connection. Paths of one disk (multipath) and namespaces of one NVMe disk share a key.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vaultd.disks.physical import Facts


@dataclass(frozen=True, slots=True)
class Identity:
    """``key`` of a disk, ``names`` of its block devices, ``problems`` as in ``model.Disk``."""

    key: str
    names: tuple[str, ...]
    problems: tuple[str, ...]


def identities(found: Mapping[str, Facts], sizes: Mapping[str, int], same: Iterable[frozenset[str]]) -> list[Identity]:
    """The disks that block devices stand for. ``same``: names that multipath has put together."""
    pieces = _pieces(found, sizes, same)
    by_wwn, by_serial = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for number, names in enumerate(pieces):
        wwn, serial = _wwn(found, names), _serial(found, names)
        if wwn:
            by_wwn[wwn].append(number)
        if serial:
            by_serial[serial].append(number)
    made = []
    for names in pieces:
        wwn, serial = _wwn(found, names), _serial(found, names)
        problems = []
        if not wwn:
            problems.append("no-wwn")
        elif len(by_wwn[wwn]) > 1:
            problems.append("double-wwn")
        if not serial:
            problems.append("no-serial")
        elif len(by_serial[serial]) > 1:
            problems.append("double-serial")
        if wwn and len(by_wwn[wwn]) == 1:
            key = f"wwn-{wwn}"
        elif serial and len(by_serial[serial]) == 1:
            key = f"serial-{serial}"
        else:
            key = f"path-{token(min(found[name].path for name in names))}"
        made.append(Identity(key, names, tuple(problems)))
    return made


def _pieces(
    found: Mapping[str, Facts], sizes: Mapping[str, int], same: Iterable[frozenset[str]]
) -> list[tuple[str, ...]]:
    """Names put together: what multipath says, namespaces of one unit, and what looks like paths of one disk."""
    leader = {name: name for name in found}

    def lead(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    def join(names: Iterable[str]) -> None:
        first, *rest = [lead(name) for name in names if name in leader] or [""]
        for one in rest:
            leader[lead(one)] = lead(first)

    for names in same:
        join(sorted(names))
    units, twins = defaultdict[str, list[str]](list), defaultdict[tuple[str, ...], list[str]](list)
    for name, one in sorted(found.items()):
        units[one.unit].append(name)
        if one.wwn and one.serial and one.transport not in ("usb", "mmc", "sata", "nvme"):
            # Two ports of one disk: the same in everything, but for the way there. Two disks with a WWN that their
            # maker gave twice differ in their serial. What has one port only is never two ways to one disk.
            twins[one.wwn, one.vendor, one.model, one.serial, str(sizes.get(name, 0))].append(name)
    for group in [*units.values(), *twins.values()]:
        join(group)
    pieces = defaultdict[str, list[str]](list)
    for name in sorted(found, key=natural):
        pieces[lead(name)].append(name)
    return [tuple(names) for names in pieces.values()]


def natural(name: str) -> tuple[int, str, int, str]:
    """An order in which sdb comes before sdaa, and nvme2n1 before nvme10n1."""
    stem = re.match(r"\D*", name)
    number = re.search(r"\d+", name)
    return len(stem[0]) if stem else 0, stem[0] if stem else "", int(number[0]) if number else -1, name


def _wwn(found: Mapping[str, Facts], names: tuple[str, ...]) -> str:
    return next((found[name].wwn for name in names if found[name].wwn), "")


def _serial(found: Mapping[str, Facts], names: tuple[str, ...]) -> str:
    for name in names:
        one = found[name]
        if one.serial.strip(" 0-") and one.serial.casefold() not in ("none", "unknown", "n/a"):
            return "-".join(token(part) for part in (one.vendor, one.model, one.serial) if part)
    return ""


def token(text: str) -> str:
    """A text as part of a key: letters, digits and a few signs."""
    return re.sub(r"[^A-Za-z0-9._:+-]+", "_", text).strip("_") or "x"

"""The udev database: what udev's rules found out about a block device, read as files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vaultd.disks.machine import TABLE_LIMIT, Machine, clean


@dataclass(frozen=True, slots=True)
class Entry:
    """Properties and links of one device; both empty where udev does not run (a container)."""

    properties: dict[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """A property; "" where there is none."""
        return self.properties.get(name, "")


def entry(machine: Machine, number: str, folder: str) -> Entry:
    """What udev knows of the block device ``number`` ("8:0"), and the kernel's own properties of it (``folder``: its
    place in sysfs). Where a machine is replayed (umockdev), the kernel's file has all of them."""
    found = parse(machine.read(f"run/udev/data/b{number}", TABLE_LIMIT) or b"") if number else Entry()
    kernel = (machine.read(f"{folder}/uevent") or b"").split(b"\n")
    own = parse(b"\n".join(b"E:" + line for line in kernel))
    links = own.get("DEVLINKS").split()
    return Entry({**own.properties, **found.properties}, tuple(dict.fromkeys((*found.links, *links))))


def parse(data: bytes) -> Entry:
    """A file of the database: a letter, a colon and a value in each line. Lines that are cut off are left out."""
    properties, links = dict[str, str](), list[str]()
    for line in data.split(b"\n"):
        letter, colon, rest = line.partition(b":")
        if not colon:
            continue
        if letter == b"E":
            name, equal, value = rest.partition(b"=")
            if equal and name:
                properties[name.decode("ascii", "replace")] = clean(value)
        elif letter == b"S" and rest:
            links.append("/dev/" + rest.decode("utf-8", "surrogateescape"))
    return Entry(properties, tuple(links))


def decoded(value: str) -> str:
    r"""A value in which udev wrote what a file name must not have as ``\x20`` (``ID_MODEL_ENC``), for people."""
    raw = re.sub(
        rb"\\x([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), value.encode("utf-8", "surrogateescape")
    )
    return clean(raw)

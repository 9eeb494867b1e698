"""``multipath -ll``: the disks that are reached by several paths, and the state of each path."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Map:
    """``kernel``: its device-mapper name ("dm-3"). ``paths``: (device, whether it works now) of each."""

    name: str
    wwid: str
    kernel: str
    paths: tuple[tuple[str, bool], ...]


def maps(text: str) -> list[Map]:
    """All maps; with and without an alias before the WWID in brackets."""
    found = list[Map]()
    for line in text.splitlines():
        head = re.match(r"(?:\w+: )?(\S+)(?: \(([^)]+)\))? (dm-\d+)\b", line)
        path = re.search(r"\d+:\d+:\d+:\d+\s+(\S+)\s+\d+:\d+\s+(.*)$", line)
        if head:
            found.append(Map(head[1], head[2] or head[1], head[3], ()))
        elif path and found:
            last = found[-1]
            works = "active" in path[2].split() and not re.search(r"fail|fault|offline|shaky", path[2])
            found[-1] = Map(last.name, last.wwid, last.kernel, (*last.paths, (path[1], works)))
    return found

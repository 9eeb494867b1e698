"""``btrfs filesystem usage``: profiles and devices of a mounted file system."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """``profiles``: those in use, of data, metadata and system. ``devices``: without /dev/. ``missing``: whether one is
    not there."""

    profiles: frozenset[str]
    devices: tuple[str, ...]
    missing: bool


def usage(text: str) -> Usage | None:
    """The table of ``filesystem usage -T``, or the paragraphs without ``-T``; None when it is neither."""
    profiles = {one.lower() for one in re.findall(r"^(?:Data|Metadata|System)(?:\+Metadata)?,\s*(\w+):", text, re.M)}
    devices = dict[str, None]()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"Id\s+Path\b", line) and "Unallocated" in line:
            profiles |= {one.lower() for one in re.findall(r"\b(single|dup|raid\w+)\b", line, re.I)}
            for row in lines[number + 2 :]:
                match = re.match(r"\s*\d+\s+(/dev/\S+|missing)\s", row)
                if not match:
                    break
                devices[match[1]] = None
    for match in re.finditer(r"^\s+(/dev/\S+|missing)\s+\d+", text, re.M):
        devices[match[1]] = None
    if not profiles:
        return None
    gone = re.search(r"Device missing:\s+(\d+)", text)
    missing = "missing" in devices or bool(gone and int(gone[1]))
    return Usage(frozenset(profiles), _nodes(devices), missing)


def _nodes(devices: dict[str, None]) -> tuple[str, ...]:
    return tuple(one for one in devices if one.startswith("/dev/"))

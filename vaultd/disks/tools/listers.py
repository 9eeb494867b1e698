"""``lsblk -J`` and ``findmnt -J``: what others read out of the same kernel, for a cross-check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def disks(text: str) -> dict[str, int | None]:
    """Kernel name -> size in bytes (None where it is not told) of everything that lsblk calls a disk."""
    found = {}
    for row in _rows(text, "blockdevices"):
        name, size = row.get("kname") or row.get("name"), row.get("size")
        if row.get("type") == "disk" and isinstance(name, str):
            found[name] = int(str(size)) if str(size).isdigit() else None  # older versions write numbers as texts
    return found


def mounts(text: str) -> dict[str, str]:
    """Where -> device number ("8:1") of every mount of a real file system; of several at one place the uppermost."""
    return {
        row["target"]: row["maj:min"]
        for row in _rows(text, "filesystems")
        if isinstance(row.get("target"), str) and isinstance(row.get("maj:min"), str)
    }


def _rows(text: str, name: str) -> Iterator[dict[str, Any]]:
    """All rows, those below others too, in the order of the text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    waiting = [document.get(name)] if isinstance(document, dict) else []
    while waiting:
        rows = waiting.pop(0)
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict):
                yield row
                waiting.append(row.get("children"))

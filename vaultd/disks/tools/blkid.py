"""``blkid``: what udev does not keep, which is the external journal of an ext4 file system."""

from __future__ import annotations

import re


def journals(text: str) -> dict[str, str]:
    """Device that a file system is on -> device of its journal (both as paths in /dev)."""
    rows = {}
    for line in text.splitlines():
        device, colon, rest = line.partition(": ")
        if colon and device.startswith("/dev/"):
            rows[device] = dict(re.findall(r'([A-Z_]+)="([^"]*)"', rest))
    logs = {row.get("LOGUUID") or row.get("UUID", ""): device for device, row in rows.items()
            if row.get("TYPE") == "jbd"}  # fmt: skip
    return {device: logs[row["EXT_JOURNAL"]] for device, row in rows.items() if row.get("EXT_JOURNAL") in logs}

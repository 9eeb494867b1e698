"""Registered media that are plugged in and could be targets: which, and the one command that makes them so.

The daemon only looks: it may not mount. So it tells root what to type.
"""

from __future__ import annotations

import os
from pathlib import Path

from vaultd.config.medium import MEDIA, folder_name
from vaultd.disks.model import Disk, Inventory
from vaultd.media import items
from vaultd.pull.model import Noticed
from vaultd.pull.stack import Reader
from vaultd.store import Store


def noticed(state: Path, store: Store, inventory: Inventory) -> list[Noticed]:
    """Those that are there, by their labels. Asks the kernel's files alone, no disk."""
    used = frozenset[str]().union(*(one.every for one in inventory.maps))
    found, reader = list[Noticed](), Reader()
    for disk in inventory.disks:
        if disk.key in used or not disk.names or not reader.exists(disk.names[0]):
            continue
        medium = items.registered(disk, store)
        if medium is None or os.path.ismount(state / MEDIA / folder_name(medium.label)):
            continue
        stack = reader.stack(disk.names)
        above = {one.kind for name, one in stack.devices.items() if name not in disk.names} - {"partition"}
        if not stack.mounts and not stack.swaps and not above:
            found.append(Noticed(medium.label, _device(disk, reader)))
    return sorted(found, key=lambda one: one.label)


def _device(disk: Disk, reader: Reader) -> str:
    """Its one partition; else the disk, of which the command then says what stands on it."""
    name = disk.names[0]
    parts = [one.name for one in reader.stack([name]).devices.values() if one.kind == "partition"]
    return f"/dev/{parts[0] if len(parts) == 1 else name}".replace("!", "/")

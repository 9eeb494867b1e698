"""``nvme list -o json``: which NVMe disk is in which slot; its layout changed with version 2.4 or so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Namespace:
    """``device``: the kernel's name. ``slot``: "" where it is not told (older versions never do)."""

    device: str
    serial: str
    model: str
    size: int
    slot: str = ""


def namespaces(text: str) -> list[Namespace]:
    """All of both layouts: flat, and by subsystem with controllers. Who is not root is told nothing."""
    try:
        rows = json.loads(text).get("Devices")
    except (ValueError, AttributeError, RecursionError):
        return []
    found = list[Namespace]()
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict):
            continue
        if isinstance(row.get("DevicePath"), str):
            name = row["DevicePath"].removeprefix("/dev/")
            found.append(Namespace(name, _text(row, "SerialNumber"), _text(row, "ModelNumber"), _size(row)))
        for subsystem in _rows(row, "Subsystems"):
            controllers = _rows(subsystem, "Controllers")
            first = controllers[0] if controllers else {}
            inner = [(first, one) for one in _rows(subsystem, "Namespaces")]
            inner += [(one, space) for one in controllers for space in _rows(one, "Namespaces")]
            for controller, space in inner:
                device, slot = _text(space, "NameSpace"), _text(controller, "Slot")
                serial, model = _text(controller, "SerialNumber"), _text(controller, "ModelNumber")
                found.append(Namespace(device, serial, model, _size(space), slot))
    return found


def _rows(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = row.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _size(row: dict[str, Any]) -> int:
    value = row.get("PhysicalSize")
    return value if isinstance(value, int) else 0

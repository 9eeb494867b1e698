"""An inventory as JSON and back: for ``--json``, and for the file in which the last one is kept.

Layers are numbered, as one array may carry many folders: ``layers`` holds each once, ``below`` and ``top`` are indices.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from vaultd import names, units
from vaultd.disks.model import Bay, Disk, DiskMap, Health, Inventory, Kind, Layer, Unseen

VERSION = 1


def disk(one: Disk) -> dict[str, Any]:
    """A disk; docs/json.md says what each field means."""
    return {
        "key": one.key, "names": list(one.names), "vendor": one.vendor, "model": one.model, "serial": one.serial,
        "wwn": one.wwn or None, "size": one.size, "transport": one.transport or None, "rotational": one.rotational,
        "removable": one.removable,
        "bay": None if one.bay is None else {"text": one.bay.text, "source": one.bay.source},
        "health": None if one.health is None else
        {"passed": one.health.passed, "time": units.rfc3339(one.health.time), "detail": one.health.detail},
        "encryption": one.encryption or None, "unseen": None if one.unseen is None else one.unseen.value,
        "written": one.written, "problems": list(one.problems),
    }  # fmt: skip


def disk_map(one: DiskMap) -> dict[str, Any]:
    """A map with its layers."""
    numbers, rows = dict[int, int](), list[dict[str, Any]]()
    top = _number(one.top, numbers, rows)
    return {
        **names.as_json(one.path), "vault": one.vault, "every": sorted(one.every),
        "copies": [sorted(each) for each in one.copies], "all_copies": one.all_copies, "sure": one.sure, "top": top,
        "layers": rows,
    }  # fmt: skip


def _number(layer: Layer, numbers: dict[int, int], rows: list[dict[str, Any]]) -> int:
    if id(layer) not in numbers:
        below = [_number(one, numbers, rows) for one in layer.below]
        numbers[id(layer)] = len(rows)
        rows.append({
            "kind": layer.kind.value, "name": layer.name, "detail": layer.detail or None, "below": below,
            "groups": [{"need": need, "of": list(members)} for need, members in layer.groups], "disk": layer.disk,
            "notes": list(layer.notes),
        })  # fmt: skip
    return numbers[id(layer)]


def inventory(one: Inventory) -> dict[str, Any]:
    """All of it."""
    return {
        "version": VERSION, "time": units.rfc3339(one.time), "disks": [disk(each) for each in one.disks],
        "maps": [disk_map(each) for each in one.maps], "problems": list(one.problems),
    }  # fmt: skip


def read_inventory(document: Mapping[str, Any]) -> Inventory:
    """The inventory again. Raises ValueError, TypeError, KeyError or IndexError for what is none of this version."""
    if document["version"] != VERSION:
        raise ValueError("another version")
    return Inventory(
        units.parse_rfc3339(document["time"]), tuple(map(read_disk, document["disks"])),
        tuple(map(_map, document["maps"])), tuple(map(str, document["problems"])),
    )  # fmt: skip


def read_disk(row: Mapping[str, Any]) -> Disk:
    """A disk again. Raises as ``read_inventory`` does."""
    bay, health = row["bay"], row["health"]
    return Disk(
        key=str(row["key"]), names=tuple(map(str, row["names"])), vendor=str(row["vendor"]), model=str(row["model"]),
        serial=str(row["serial"]), wwn=row["wwn"] or "", size=int(row["size"]), transport=row["transport"] or "",
        rotational=row["rotational"], removable=bool(row["removable"]),
        bay=None if bay is None else Bay(str(bay["text"]), str(bay["source"])),
        health=None if health is None else
        Health(health["passed"], units.parse_rfc3339(health["time"]), str(health["detail"])),
        encryption=row["encryption"] or "", unseen=None if row["unseen"] is None else Unseen(row["unseen"]),
        written=row["written"], problems=tuple(map(str, row["problems"])),
    )  # fmt: skip


def _map(row: Mapping[str, Any]) -> DiskMap:
    made = list[Layer]()
    for one in row["layers"]:  # each stands after those below it
        made.append(_layer(one, made))
    path = base64.b64decode(row["path_b64"]) if "path_b64" in row else str(row["path"]).encode()
    return DiskMap(
        path, row["vault"], made[row["top"]], frozenset(row["every"]), tuple(map(frozenset, row["copies"])),
        bool(row["sure"]), bool(row["all_copies"]),
    )  # fmt: skip


def _layer(row: Mapping[str, Any], made: Sequence[Layer]) -> Layer:
    return Layer(
        Kind(row["kind"]), str(row["name"]), row["detail"] or "", tuple(made[number] for number in row["below"]),
        tuple((int(group["need"]), tuple(map(int, group["of"]))) for group in row["groups"]), row["disk"],
        tuple(map(str, row["notes"])),
    )  # fmt: skip

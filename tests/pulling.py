"""Inventories for the tests of pull lists, made of values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vaultd.disks.model import Bay, Disk, DiskMap, Inventory, Kind, Layer

TIME = 1_790_000_000_123_000_000


def disk(key: str, bay: str = "", **more: Any) -> Disk:
    """A disk of 8 TB whose serial is its key in capitals."""
    values: dict[str, Any] = {
        "names": (f"sd{key}",), "vendor": "ACME", "model": "M8000", "serial": key.upper(), "wwn": f"0x5000{key}",
        "size": 8 * 10**12, "transport": "sas", "bay": Bay(bay, "enclosure") if bay else None,
    }  # fmt: skip
    return Disk(key, **{**values, **more})


def leaf(key: str) -> Layer:
    return Layer(Kind.DISK, f"sd{key}", disk=key)


def every_of(top: Layer) -> frozenset[str]:
    return (frozenset({top.disk}) if top.disk else frozenset()).union(*(every_of(one) for one in top.below))


def carries(top: Layer, keys: frozenset[str]) -> bool:
    """Whether these disks carry a whole copy of a layer, by its groups alone."""
    if not top.below:
        return top.disk in keys
    return bool(top.groups) and all(
        sum(carries(top.below[member], keys) for member in members) >= need for need, members in top.groups
    )


def smallest(top: Layer) -> tuple[frozenset[str], ...]:
    """The smallest sets that carry a copy, by trying all."""
    keys = sorted(every_of(top))
    subsets = [frozenset(key for at, key in enumerate(keys) if number >> at & 1) for number in range(1, 1 << len(keys))]
    whole = [one for one in subsets if carries(top, one)]
    return tuple(sorted((one for one in whole if not any(other < one for other in whole)), key=sorted))


def mapped(vault: str | None, top: Layer, *, sure: bool = True) -> DiskMap:
    return DiskMap(b"/srv/" + (vault or "x").encode(), vault, top, every_of(top), smallest(top), sure)


def need(count: int, *below: Layer, kind: Kind = Kind.MD, detail: str = "") -> Layer:
    """``count`` of these are enough."""
    return Layer(kind, "md0", detail, below, ((count, tuple(range(len(below)))),))


def over(kind: Kind, below: Layer) -> Layer:
    return Layer(kind, kind.value, "", (below,), ((1, (0,)),))


def inventory(disks: Iterable[Disk], maps: Iterable[DiskMap]) -> Inventory:
    return Inventory(TIME, tuple(disks), tuple(maps))

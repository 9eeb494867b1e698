"""``lvs`` and ``pvs`` with ``--reportformat json``: logical volumes and what they lie on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

OLD_DOUBLE_COMMA = re.compile(r",(\s*[}\]])")


@dataclass(frozen=True, slots=True)
class Volume:
    """A logical volume. ``number``: "253:4", "" when it is not active. ``segments``: (type, ranges) of each."""

    name: str
    group: str
    number: str
    health: str
    segments: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def type(self) -> str:
        """The segment type when all have the same, else "mixed"."""
        types = {one for one, _ranges in self.segments}
        return types.pop() if len(types) == 1 else "mixed"


def rows(text: str, name: str) -> list[dict[str, str]]:
    """The rows of a report ("lv", "pv"); nothing when it is no such report."""
    start = text.find("{")  # warnings may stand before it
    try:
        document = json.JSONDecoder().raw_decode(OLD_DOUBLE_COMMA.sub(r"\1", text[start:]))[0] if start >= 0 else {}
    except (ValueError, RecursionError):
        return []
    found = []
    for report in _list(document.get("report") if isinstance(document, dict) else None):
        for row in _list(report.get(name) if isinstance(report, dict) else None):
            if isinstance(row, dict):
                found.append({str(key): str(value) for key, value in row.items() if value is not None})
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def volumes(text: str) -> list[Volume]:
    """All logical volumes; the segments of one, which are rows of their own, put together."""
    made = dict[tuple[str, str], Volume]()
    for row in rows(text, "lv"):
        name, group = row.get("lv_name", "").strip("[]"), row.get("vg_name", "")
        if not name:
            continue
        major, minor = row.get("lv_kernel_major", "-1"), row.get("lv_kernel_minor", "-1")
        number = f"{major}:{minor}" if major.isdigit() and minor.isdigit() else ""
        segment = (row.get("segtype", ""), tuple(row.get("seg_pe_ranges", "").split()))
        before = made.get((group, name))
        segments = (*before.segments, segment) if before else (segment,)
        made[group, name] = Volume(name, group, number, row.get("lv_health_status", ""), segments)
    return list(made.values())


def where(volume: Volume) -> tuple[str, ...]:
    """The devices or hidden volumes that hold its extents, without their ranges."""
    found = dict[str, None]()
    for _type, ranges in volume.segments:
        for one in ranges:
            found[one.rpartition(":")[0] or one] = None
    return tuple(found)


def physical(text: str) -> dict[str, str]:
    """Device -> volume group of every physical volume."""
    return {row["pv_name"]: row.get("vg_name", "") for row in rows(text, "pv") if row.get("pv_name")}

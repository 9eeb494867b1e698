"""Numbers by which evacuations and drills are compared (R29): of each as a whole, and of each vault in it.

Durations are seconds from the order. None: it was not reached, or is not on record; it is never shown as a zero.
"""

from __future__ import annotations

from typing import Any

from vaultd.report.evacuation_parts import After
from vaultd.report.period import seconds

RESTORED = "restore"
"""What a drill calls its sampled restore."""


def indicators(after: After) -> dict[str, Any]:
    """Of one evacuation as a whole."""
    rows = after.tiers.in_order()
    targets = sorted({row.target for row in rows})
    first = min((row.tier for row in rows), default=1)
    tier_one = [after.tiers.taken(row) for row in rows if row.tier == first]
    whole = [_whole(after, target) for target in targets]
    met = [after.tiers.met(row) for row in rows]
    restored = [one for one in after.measured() if RESTORED in one["what"]]
    answered = after.people.answered()
    disks = after.disks.figures()
    size = sum(row.safe_size for row in rows)
    return {
        "first_tier_seconds": _least(tier_one), "first_tier_everywhere_seconds": _most(tier_one),
        "all_seconds": _least(whole), "all_everywhere_seconds": _most(whole),
        "objectives": sum(one is not None for one in met), "objectives_met": sum(one is True for one in met),
        "objectives_missed": sum(one is False for one in met),
        "files": sum(row.safe_files for row in rows), "bytes": size,
        "short_bytes": sum(after.tiers.unsafe(row)[1] for row in rows),
        "batches": sum(row.safe_batches for row in rows), "broken_batches": sum(row.broken for row in rows),
        **{f"answer_{name}": value for name, value in answered.items()},
        "undelivered_notices": len(after.people.undelivered()),
        "restored_files": sum(one["files"] for one in restored) if restored else None,
        "restore_differences": sum(one["differences"] for one in restored) if restored else None,
        "restore_seconds": max(one["seconds"] for one in restored) if restored else None,
        "disks": len(disks), "disks_complete": after.disks.complete(),
        "steps": len(after.people.steps()),
        "steps_late": sum(one["met"] is False for one in after.people.steps()),
        "daemon_down_seconds": round(sum(one["seconds"] for one in after.course.downs()), 3),
        "line_down_seconds": round(sum(one["seconds"] for one in after.course.lines()), 3),
        "open_items": len(after.open_items()),
    }  # fmt: skip


def of_vaults(after: After) -> list[dict[str, Any]]:
    """Of each vault at each target."""
    broken = dict[tuple[str, str], int]()
    for one in after.tiers.batches:
        if one.fields["state"] != "safe":
            key = (one.fields["vault"], one.fields["target"])
            broken[key] = broken.get(key, 0) + 1
    rows = [{**one, "broken_batches": broken.pop((one["vault"], one["target"]), 0)} for one in after.tiers.recovery()]
    rows += [
        {"vault": vault, "target": target, "batches": 0, "bytes": 0, "safe": None, "waited_seconds": None,
         "objective_seconds": None, "met": None, "broken_batches": count}
        for (vault, target), count in sorted(broken.items())
    ]  # fmt: skip
    return rows


def _whole(after: After, target: str) -> int | None:
    """Until everything was safe at a target, nanoseconds."""
    return _last([after.tiers.taken(row) for row in after.tiers.in_order() if row.target == target])


def _last(taken: list[int | None]) -> int | None:
    known = [one for one in taken if one is not None]
    return max(known) if known and len(known) == len(taken) else None


def _least(taken: list[int | None]) -> float | None:
    known = [one for one in taken if one is not None]
    return seconds(min(known)) if known else None


def _most(taken: list[int | None]) -> float | None:
    last = _last(taken)
    return None if last is None else seconds(last)

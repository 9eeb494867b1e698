"""What the status says beside protection: kit, media register, warnings, evacuations, approvals (docs/json.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vaultd import units
from vaultd.kit import register
from vaultd.protect import estimate
from vaultd.store import Store
from vaultd.warning.answers import Answers


def kit(store: Store, targets: Iterable[str]) -> dict[str, Any]:
    """The recovery kit that counts, if there is one (docs/json.md)."""
    found = register.standing(store, targets, register.today())
    kit = found.kit
    return {
        "state": found.state, "id": kit.id if kit else None, "created": kit.created if kit else None,
        "expires": kit.expires if kit else None, "shares": kit.shares if kit else None,
        "threshold": kit.threshold if kit else None, "lacking": list(found.lacking),
    }  # fmt: skip


def media(store: Store, now: int) -> dict[str, Any] | None:
    """What is open in the media register; None where there is none (docs/json.md)."""
    found = store.media_counts(now) if store.has_media() else None
    if found is None or not found.media:
        return None
    return {
        "media": found.media, "out": found.out, "overdue": found.overdue, "unsigned": found.owed,
        "trouble": found.trouble,
    }  # fmt: skip


def evacuation(store: Store, shown: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The evacuation that goes on, and how long one would take if it were ordered now (docs/json.md)."""
    going = store.open_evacuation() or store.open_evacuation(drill=True)
    numbers = estimate.numbers_of_tiers([vault["priority"] for vault in shown])
    owed: dict[str, list[estimate.Owed]] = {}
    for vault in shown:
        for there in vault["targets"]:
            row = estimate.Owed(vault["name"], vault["priority"], there["pending_files"], there["pending_bytes"])
            owed.setdefault(there["target"], []).append(row)
    found = []
    for target, rows in owed.items():
        rate = estimate.rate_of(store, target)
        found.append({
            "target": target, "bytes_a_second": None if rate is None else int(rate),
            "tiers": [
                {"tier": one.tier, "vaults": list(one.vaults), "files": one.files, "bytes": one.bytes,
                 "seconds": None if one.seconds is None else round(one.seconds, 1)}
                for one in estimate.tiers_of(rows, numbers, rate)
            ],
        })  # fmt: skip
    return {
        "going_on": None if going is None else {
            "id": going.id, "drill": going.drill, "state": going.state, "level": going.level,
            "category": going.category, "ordered": units.rfc3339(going.ordered),
        },
        "if_ordered_now": found,
    }  # fmt: skip


def approvals(store: Store, now: int) -> dict[str, Any] | None:
    """What waits for approval, and what is owed; None in a state of before (docs/json.md)."""
    if not store.has_approvals():
        return None
    found = store.approval_counts(now)
    return {
        "enforced": store.approvals_enforced(), "open": found.open, "late": found.late,
        "late_since": None if found.late_since is None else units.rfc3339(found.late_since), "waiting": found.waiting,
    }  # fmt: skip


def warnings(store: Store, now: int) -> dict[str, Any] | None:
    """The warnings that stand, and how many proposals wait; None where there is neither (docs/json.md)."""
    found = store.warnings() if store.has_warnings() else []
    if not found:
        return None
    return {
        "proposed": sum(not row.standing for row in found),
        "standing": [
            {
                "id": row.id, "level": row.level, "category": row.category, "since": units.rfc3339(row.start),
                "seconds": max(0.0, round((now - row.start) / units.SECOND, 3)), "drill": row.drill,
                "unanswered": list(Answers(tuple(store.answers(row.id, row.asked))).open),
            }
            for row in sorted(found, key=lambda one: (one.level, one.created)) if row.standing
        ],
    }  # fmt: skip

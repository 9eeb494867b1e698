"""How far an evacuation is, from the store alone: what ``evacuate status`` and ``watch`` show.

It needs no daemon: whoever may read the state folder sees the same when that is dead.
"""

from __future__ import annotations

import time
from typing import Any

from vaultd.status import alert_json
from vaultd.store import Store
from vaultd.store.evacuations import BROKEN, SAFE, SENDING, Evacuation, TierRow
from vaultd.units import rfc3339

TARGET_ALERTS = {
    "target-unreachable", "host-key", "authentication", "repository-missing", "repository-foreign",
    "repository-locked", "repository-damaged", "target-full", "target-read-only", "restic", "state", "state-full",
}  # fmt: skip


def document(store: Store, one: Evacuation) -> dict[str, Any]:
    """The document (docs/json-evacuation.md)."""
    now = time.time_ns()
    sent, rates = store.sent_batches(one.id), _rates(store, one)
    tiers = [
        _tier(store, row, sent.get((row.tier, row.target), (0, 0)), rates.get(row.target))
        for row in store.tiers(one.id)
    ]
    standing = [alert for alert in store.alerts.list() if alert.code in TARGET_ALERTS or alert.vault]
    batches = store.batches(one.id)
    return {
        "evacuation": {
            "id": one.id, "drill": one.drill, "state": one.state, "level": one.level, "category": one.category,
            "who": one.who, "ordered": rfc3339(one.ordered),
            "ended": None if one.ended is None else rfc3339(one.ended),
            "seconds": ((one.ended or now) - one.ordered) // 10**9,
            **{name: one.detail.get(name) for name in _SAID},
        },
        "tiers": tiers,
        "targets": [
            {
                "target": name, "bytes_a_second": rates.get(name),
                "batches": {
                    state: sum(row.state == state and row.target == name for row in batches)
                    for state in (SAFE, BROKEN, SENDING)
                },
                "alerts": [alert_json(alert) for alert in standing if alert.target == name],
            }
            for name in sorted({row.target for row in store.tiers(one.id)})
        ],
        "alerts": [alert_json(alert) for alert in standing if not alert.target],
        "as_of": rfc3339(now),
    }  # fmt: skip


_SAID = ("report", "on_duty", "director", "warning", "playbook", "request", "note")
RECENT_NS = 30 * 10**9


def _rates(store: Store, one: Evacuation) -> dict[str, int | None]:
    """Bytes a second at each target: of the batches of the last half minute, else as it was measured last."""
    now, found = time.time_ns(), dict[str, int | None]()
    recent: dict[str, list[tuple[int, int, int]]] = {}
    for row in store.batches(one.id, state=SAFE):
        if row.ended is not None and row.ended > now - RECENT_NS:
            recent.setdefault(row.target, []).append((row.began, row.ended, row.bytes))
    for target in {tier.target for tier in store.tiers(one.id)}:
        known = store.get_meta(f"rate:{target}")
        found[target] = int(known) if known else None
        if target in recent:
            begun, ended = min(x[0] for x in recent[target]), max(x[1] for x in recent[target])
            found[target] = int(sum(x[2] for x in recent[target]) / max(0.1, (ended - begun) / 1e9))
    return found


def _tier(store: Store, row: TierRow, sent: tuple[int, int], rate: int | None) -> dict[str, Any]:
    files = size = unread = moving = 0
    target = store.known("target", row.target)
    for name in row.vaults:
        vault = store.known("vault", name)
        if vault is None or target is None:
            continue
        backlog = store.backlog(target, vault)
        files, size = files + backlog.files, size + backlog.bytes
        unread, moving = unread + backlog.unread, moving + backlog.in_motion
    total = sent[1] + size
    left = None if not size else int(size / rate) + 1 if rate else None
    return {
        "tier": row.tier, "target": row.target, "vaults": list(row.vaults), "state": row.state,
        "planned_files": row.files, "planned_bytes": row.bytes, "safe_files": sent[0], "safe_bytes": sent[1],
        "left_files": files, "left_bytes": size, "unread": unread, "in_motion": moving,
        "share": 1.0 if row.state == SAFE or not total else round(sent[1] / total, 4),
        "safe_at": None if row.safe_at is None else rfc3339(row.safe_at),
        "seconds_left": 0 if row.state == SAFE else left,
    }  # fmt: skip

"""The status document: how far every vault is protected at every target. Read only, and made from the store alone.

The daemon adds what only it knows (``Live``). Without a daemon the same document is made by the command line: then
nobody watches, and ``daemon.running`` is false, ``as_of`` the moment of the last write to the state.

States, from good to bad (``STATES``); a vault has the worst of its targets, the host the worst of its vaults:
``protected``         everything that is known to have changed is in a full snapshot there
``in-motion``         as protected, but for files that are written to all the time: an older moment of them is there
``pending``           changes are on their way, and within the vault's objective; or it is being found out whether some
                      are (after a start, or when more came at once than could be heard)
``unread``            some files could not be read and are not there
``first-protection``  no full snapshot is there yet
``behind``            the oldest change that is not there is older than the objective
``error``             the last attempt failed; it is tried again
``unreachable``       the target does not answer; it is tried again
``blocked``           a person must act: see the alert
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vaultd import affairs, alerts, units
from vaultd.config.duration import seconds
from vaultd.model import Progress, SnapshotKind
from vaultd.store import Backlog, SnapshotRow, Store
from vaultd.store.alerts import Alert

VERSION = 1

PROTECTED, IN_MOTION, PENDING, UNREAD = "protected", "in-motion", "pending", "unread"
FIRST, BEHIND, ERROR, UNREACHABLE, BLOCKED = "first-protection", "behind", "error", "unreachable", "blocked"
STATES = (PROTECTED, IN_MOTION, PENDING, UNREAD, FIRST, BEHIND, ERROR, UNREACHABLE, BLOCKED)
GOOD = frozenset({PROTECTED, IN_MOTION, PENDING})
"""The states in which the objective is kept."""

_BY_ALERT = {
    BLOCKED: {
        "vault-missing", "vault-emptied", "vault-replaced", "vault-unreadable", "host-key", "authentication",
        "repository-missing", "repository-foreign", "repository-damaged", "target-full", "target-read-only",
    },
    UNREACHABLE: {"target-unreachable"},
    ERROR: {"restic", "internal", "state", "state-full", "dump-failed", "repository-locked", "mount-missing"},
}  # fmt: skip

_DEFAULT_OBJECTIVE = 900.0


@dataclass(frozen=True, slots=True)
class VaultPlan:
    """What the configuration says of a vault, as far as the status needs it. ``objective`` is seconds."""

    name: str
    path: str
    classification: str = ""
    priority: int = 5
    custodian: str = ""
    objective: float = _DEFAULT_OBJECTIVE
    targets: tuple[str, ...] = ()


_LEDGER_STATES = {"ledger-stopped": "stopped", "ledger-missing": "missing", "ledger": "failing"}


@dataclass(frozen=True, slots=True)
class Live:
    """What only the running daemon knows. ``next_retry``: target -> nanoseconds since 1970, while it backs off.

    ``unsure``: vaults of which not everything is known to be on record: hints are on their way, some were lost, or the
    first scan since the start is not over.
    """

    started: int
    state: Path
    next_retry: Mapping[str, int] = field(default_factory=dict)
    progress: Sequence[Progress] = ()
    unsure: frozenset[str] = frozenset()


def plans(tables: Mapping[str, Any]) -> list[VaultPlan]:
    """The vaults of a configuration as TOML has them, unchecked: what is not what it should be is left out."""
    found = []
    for table in tables.get("vault", ()):
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            continue
        priority, targets = table.get("priority", 5), table.get("targets", ())
        try:
            objective = seconds(table.get("objective", _DEFAULT_OBJECTIVE))
        except ValueError:
            objective = _DEFAULT_OBJECTIVE
        found.append(
            VaultPlan(
                table["name"],
                str(table.get("path", "")),
                str(table.get("classification", "")),
                priority if isinstance(priority, int) else 5,
                str(table.get("custodian", "")),
                objective,
                tuple(str(name) for name in targets) if isinstance(targets, list) else (),
            )
        )
    return sorted(found, key=lambda plan: plan.priority)


def document(store: Store, host: str, vaults: Sequence[VaultPlan], live: Live | None = None) -> dict[str, Any]:
    """The whole document (docs/json.md), with numbers for sizes and durations, and RFC 3339 for moments."""
    now = time.time_ns()
    as_of = now if live is not None else min(_last_write(store.database.path), now)
    standing = store.alerts.list()
    unsure = live.unsure if live is not None else frozenset()
    shown = [_vault(store, plan, standing, now, plan.name in unsure) for plan in vaults]
    return {
        "version": VERSION,
        "host": host,
        "as_of": units.rfc3339(as_of),
        "daemon": _daemon(live),
        "state": worst(vault["state"] for vault in shown),
        "vaults": shown,
        "targets": _targets(store, shown, standing, live),
        "ledger": _ledger(store, standing),
        "kit": affairs.kit(store, dict.fromkeys(name for plan in vaults for name in plan.targets)),
        "media": affairs.media(store, now),
        "evacuation": affairs.evacuation(store, shown),
        "approvals": affairs.approvals(store, now),
        "warnings": affairs.warnings(store, now),
        "alerts": [alert_json(alert) for alert in standing],
        "progress": [asdict(one) for one in live.progress] if live else [],
    }


def _ledger(store: Store, standing: Sequence[Alert]) -> dict[str, Any]:
    """The record: how much of it is signed, what it lacks, and who else holds what was signed (docs/json.md)."""
    codes = {alert.code for alert in standing}
    state = next((name for code, name in _LEDGER_STATES.items() if code in codes), "ok")
    signed = store.signed()
    return {
        "state": state, "origin": signed.origin if signed else None, "size": signed.size if signed else 0,
        "signed": _moment(signed.at) if signed else None, "unrecorded": store.count_unrecorded(),
        "anchors": store.anchors(),
    }  # fmt: skip


def worst(states: Iterable[str]) -> str:
    """The worst of some states; ``protected`` when there is none."""
    return max(states, key=STATES.index, default=PROTECTED)


def alert_json(alert: Alert) -> dict[str, object]:
    """An open or past alert as JSON has it (docs/json.md)."""
    what = (alert.code, alert.vault, alert.target, alert.detail)
    return {
        "id": alert.id, "code": alert.code, "severity": alerts.severity(alert.code).value, "vault": alert.vault,
        "target": alert.target, "detail": dict(alert.detail), "text": alerts.text(*what), "hint": alerts.hint(*what),
        "raised": units.rfc3339(alert.raised), "seen": units.rfc3339(alert.seen), "times": alert.times,
        "cleared": _moment(alert.cleared), "acknowledged": _moment(alert.acknowledged),
        "acknowledged_by": alert.acknowledged_by,
    }  # fmt: skip


def _vault(store: Store, plan: VaultPlan, standing: Sequence[Alert], now: int, unsure: bool) -> dict[str, Any]:
    number = store.known("vault", plan.name)
    files, size, complete = store.totals(number) if number is not None else (0, 0, None)
    targets = [_vault_at_target(store, plan, number, name, standing, now, unsure) for name in plan.targets]
    return {
        "name": plan.name, "path": plan.path, "classification": plan.classification, "priority": plan.priority,
        "custodian": plan.custodian, "objective": plan.objective, "files": files, "bytes": size,
        "complete_as_of": _moment(complete), "state": worst(target["state"] for target in targets),
        "targets": targets,
    }  # fmt: skip


def _vault_at_target(
    store: Store,
    plan: VaultPlan,
    vault: int | None,
    name: str,
    standing: Sequence[Alert],
    now: int,
    unsure: bool,
) -> dict[str, Any]:
    target = store.known("target", name)
    backlog, full, express = Backlog(0, 0, 0, 0, 0, None, None), None, None
    if vault is not None and target is not None:
        backlog = store.backlog(target, vault)
        full = store.last_snapshot(target, vault, SnapshotKind.FULL)
        express = store.last_snapshot(target, vault, SnapshotKind.EXPRESS)
    codes = {alert.code for alert in standing if alert.vault in ("", plan.name) and alert.target in ("", name)}
    state = state_of(codes, backlog, full is not None, plan.objective, now)
    if unsure and state in (PROTECTED, IN_MOTION):
        state = PENDING
    return {
        "target": name, "state": state,
        "pending_files": backlog.files, "pending_bytes": backlog.bytes, "owed": backlog.owed,
        "in_motion": backlog.in_motion, "unread": backlog.unread, "lag": _age(backlog.unsafe_since, now),
        "exact_lag": _age(backlog.since, now), "last_full": _snapshot(full), "last_express": _snapshot(express),
    }  # fmt: skip


def state_of(codes: set[str], backlog: Backlog, has_full: bool, objective: float, now: int) -> str:
    """One of ``STATES``, from the alerts that stand for it and what is not there yet."""
    for state in (BLOCKED, UNREACHABLE, ERROR):
        if codes & _BY_ALERT[state]:
            return state
    if not has_full:
        return FIRST
    if _age(backlog.unsafe_since, now) > objective or "overdue" in codes:
        return BEHIND
    if backlog.unread or "unread-folders" in codes:
        return UNREAD
    if backlog.owed > backlog.in_motion:
        return PENDING
    return IN_MOTION if backlog.in_motion else PROTECTED


def _targets(
    store: Store, shown: Sequence[dict[str, Any]], standing: Sequence[Alert], live: Live | None
) -> list[dict[str, Any]]:
    names = dict.fromkeys(target["target"] for vault in shown for target in vault["targets"])
    verified = store.noted_coverage()
    retry = live.next_retry if live else {}
    found = []
    for name in names:
        rows = [target for vault in shown for target in vault["targets"] if target["target"] == name]
        codes = {alert.code for alert in standing if alert.target == name}
        found.append(
            {
                "name": name,
                "state": worst(row["state"] for row in rows),
                "reachable": not codes & (_BY_ALERT[UNREACHABLE] | {"host-key", "authentication"}),
                "pending_files": sum(row["pending_files"] for row in rows),
                "pending_bytes": sum(row["pending_bytes"] for row in rows),
                "lag": max(row["lag"] for row in rows),
                "next_retry": _moment(retry.get(name)),
                "verification": _verification(store, name, verified.get(name)),
            }
        )
    return found


def _verification(store: Store, target: str, noted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How much of what is there was read back within the period, as it was counted last (docs/json.md)."""
    number = store.known("target", target)
    if number is None or noted is None:
        return None
    last = store.last_verification(number)
    unit = "bytes" if noted["bytes"] else "files"
    share = noted[f"verified_{unit}"] / noted[unit] if noted[unit] else 1.0
    return {
        "as_of": units.rfc3339(noted["as_of"]), "period": noted["period"], "share": round(share, 4),
        "files": noted["files"], "bytes": noted["bytes"], "verified_files": noted["verified_files"],
        "verified_bytes": noted["verified_bytes"], "oldest": _moment(noted["oldest"]),
        "last": _moment(last.finished) if last else None, "differences": store.count_differences(number),
        "stored": _stored(noted.get("stored")),
    }  # fmt: skip


def _stored(noted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The same of all packs there; None where they were never looked at."""
    if noted is None or not noted["packs"]:
        return None
    share = noted["read_bytes"] / noted["bytes"] if noted["bytes"] else 1.0
    return {**noted, "share": round(share, 4), "oldest": _moment(noted["oldest"])}


def _daemon(live: Live | None) -> dict[str, Any]:
    if live is None:
        return {"running": False}
    import psutil  # only the daemon comes here; the command line's fallback has no time for it

    process = psutil.Process()
    times = process.cpu_times()
    return {
        "running": True, "pid": os.getpid(), "started": units.rfc3339(live.started),
        "memory": process.memory_info().rss, "cpu_seconds": round(times.user + times.system, 2),
        "load": round(os.getloadavg()[0], 2), "state_free": psutil.disk_usage(str(live.state)).free,
    }  # fmt: skip


def _snapshot(row: SnapshotRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "snapshot": row.snapshot, "change_set": row.change_set, "time": units.rfc3339(row.time),
        "acknowledged": units.rfc3339(row.acknowledged), "files": row.files, "bytes": row.total,
        "exceptions": row.exceptions,
    }  # fmt: skip


def _age(since: int | None, now: int) -> float:
    """Seconds, 0 for None and for what a clock puts into the future."""
    return 0.0 if since is None else max(0.0, round((now - since) / units.SECOND, 3))


def _moment(value: int | None) -> str | None:
    return None if value is None else units.rfc3339(value)


def _last_write(path: Path) -> int:
    found = [path.stat().st_mtime_ns]
    journal = path.with_name(f"{path.name}-wal")
    if journal.exists():
        found.append(journal.stat().st_mtime_ns)
    return max(found)

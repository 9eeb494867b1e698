"""What raises proposals by itself: alerts, disks that say that they fail, power.

A signal is counted by what happens, not by how often somebody looks: each alert once, by its number, which is kept; a
state (power, health, a target that is away) once for each time that it begins. Both survive a restart.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.config.model import Config
from vaultd.disks.model import Inventory
from vaultd.store import Store
from vaultd.store.alerts import Alert
from vaultd.units import SECOND
from vaultd.warning.desk import Desk

ALERTS = {
    "mass-change": "mass-change",
    "vault-emptied": "mass-change",
    "vault-missing": "mass-change",
    "snapshots-missing": "mass-change",
    "disk-gone": "disk-gone",
    "host-key": "host-key",
    "ledger": "ledger-fault",
    "ledger-stopped": "ledger-fault",
    "ledger-missing": "ledger-fault",
    "ledger-inconsistent": "ledger-fault",
}
"""Alert codes and the signals that they are."""

AWAY = frozenset({"target-unreachable", "host-key", "authentication"})
"""Alerts of a target at which nothing arrives."""

SEEN = "warning:alert"
"""Under this key: the highest number of an alert that was looked at."""

BATCH = 1000


@dataclass(frozen=True, slots=True)
class State:
    """A signal that is on or off. ``scope``: what the proposal says of where it is."""

    signal: str
    subject: str
    on: bool
    scope: str = ""


def from_alerts(desk: Desk) -> None:
    """Look at the alerts that were raised since the last time, and at those that stand."""
    store = desk.store
    known = store.get_meta(SEEN)
    standing = store.alerts.list()
    if known is None:  # what happened before warnings were there proposes nothing, but for what still stands
        newest = max((one.id for one in store.alerts.list(open_only=False, limit=1)), default=0)
        _count(desk, [one for one in standing if one.id and one.id <= newest], str(newest))
    else:
        new = store.alerts.since(int(known), BATCH)
        while new:
            _count(desk, new, str(new[-1].id))
            new = store.alerts.since(new[-1].id, BATCH)
    for one in standing:
        if one.code in ALERTS and one.id:  # when it still stands after the quiet time, it is proposed again
            desk.propose(ALERTS[one.code], _subject(one), _scope(one), times=0, standing=True)
    note_states(desk, targets_away(desk.config, standing, desk.clock()))


def _count(desk: Desk, alerts: Iterable[Alert], upto: str) -> None:
    """Each alert once: the place up to which they were counted is kept in the same transaction."""
    with desk.store.database.write():
        for one in alerts:
            if one.code in ALERTS:
                desk.propose(ALERTS[one.code], _subject(one), _scope(one), times=1, standing=True)
        desk.store.set_meta(SEEN, upto)


def _subject(alert: Alert) -> str:
    return ":".join(part for part in (alert.code, alert.vault, alert.target) if part)


def _scope(alert: Alert) -> str:
    """Names of vaults and targets, of a disk its bay: never a file's name or a path."""
    if alert.code == "disk-gone":
        return " ".join(str(alert.detail.get(name, "")) for name in ("disk", "bay", "vaults")).strip()
    return " ".join(part for part in (alert.vault, alert.target) if part)


def targets_away(config: Config, standing: Iterable[Alert], now: int) -> list[State]:
    """For each target whether it is out of reach for longer than the shortest objective of its vaults."""
    since = dict[str, int]()
    for one in standing:
        if one.code in AWAY and one.target:
            since[one.target] = min(one.raised, since.get(one.target, one.raised))
    found = []
    for target in config.target:
        objectives = [vault.objective for vault in config.vault if target.name in vault.targets]
        away = target.name in since and bool(objectives)
        on = away and now - since[target.name] > min(objectives) * SECOND
        found.append(State("target-lost", target.name, on, target.name))
    return found


def disks(inventory: Inventory | None) -> list[State]:
    """For each disk that says how it is whether it fails; of one that is silent nothing is known."""
    if inventory is None:
        return []
    return [
        State("smart-failed", one.key, not one.health.passed, " ".join(filter(None, [
            one.vendor, one.model, one.serial, one.bay.text if one.bay is not None else ""])))
        for one in inventory.disks if one.health is not None and one.health.passed is not None
    ]  # fmt: skip


def note_states(desk: Desk, states: Iterable[State]) -> None:
    """Count those that have come on, propose again those that still are, and note those that went off."""
    store: Store = desk.store
    for one in states:
        known = store.signal_is_on(one.signal, one.subject)
        if one.on and not known:
            with store.database.write():
                store.set_signal(one.signal, one.subject, time.time_ns())
                desk.propose(one.signal, one.subject, one.scope, times=1, standing=True)
        elif one.on:
            desk.propose(one.signal, one.subject, one.scope, times=0, standing=True)
        elif known:
            store.set_signal(one.signal, one.subject, None)

"""What the duty room sees beside the copying: the disks to pull and who has signed for them, who was told and who has
answered, the steps of the playbook with their ticks and limits."""

from __future__ import annotations

import logging
import time
from typing import Any

from vaultd.config.model import Config
from vaultd.errors import VaultdError
from vaultd.evacuate import view
from vaultd.pull import kept
from vaultd.store import Store
from vaultd.store.evacuations import Evacuation
from vaultd.units import rfc3339
from vaultd.warning import playbook
from vaultd.warning.view import warning_json

log = logging.getLogger(__name__)


def document(config: Config, store: Store, one: Evacuation) -> dict[str, Any]:
    """``view.document`` with all of that (docs/json-evacuation.md)."""
    return {
        **view.document(store, one), "disks": _disks(config), "told": _told(store, one),
        "answers": _answers(store, one), "steps": _steps(config, store, one),
    }  # fmt: skip


def _disks(config: Config) -> list[dict[str, Any]] | None:
    """In the order of the kept list; None where none is kept, or it cannot be read."""
    try:
        made = kept.read(config.host.state)
    except VaultdError as error:
        log.warning("%s", error)
        return None
    if made is None:
        return None
    return [
        {
            "number": pull.number, "disk": pull.disk.key, "bay": pull.disk.bay.text if pull.disk.bay else None,
            "label": pull.label.number if pull.label else None, "vaults": list(pull.vaults),
            "pending_files": pull.pending_files, "pending_bytes": pull.pending_bytes,
            "signed_off": None if pull.gone is None else {
                "by": pull.gone.by, "to": pull.gone.to, "time": rfc3339(pull.gone.time),
            },
        }
        for pull in made.pulls
    ]  # fmt: skip


def _told(store: Store, one: Evacuation) -> list[dict[str, Any]]:
    """What became of the notices about it, and about the warning that led to it."""
    if not store.has_notices():
        return []
    about = {one.id, one.detail.get("warning")}
    return [
        {"person": row.person, "channel": row.channel, "state": row.state, "at": rfc3339(row.recorded)}
        for row in store.notice_results() if row.about in about
    ]  # fmt: skip


def _answers(store: Store, one: Evacuation) -> list[dict[str, Any]]:
    number = one.detail.get("warning")
    row = store.warning(number) if number and store.has_warnings() else None
    found: list[dict[str, Any]] = warning_json(store, row)["answers"] if row is not None else []
    return found


def _steps(config: Config, store: Store, one: Evacuation) -> list[dict[str, Any]]:
    name = one.detail.get("playbook")
    if not name:
        return []
    try:
        book = playbook.load(name, config.response.playbooks)
    except VaultdError as error:
        log.warning("%s", error)
        return []
    done = playbook.ticked(store.steps(one.id), name) if store.has_warnings() else {}
    found = []
    for step in book.steps:
        row = done.get(step.id)
        limit = None if step.minutes is None else one.ordered + step.minutes * 60 * 10**9
        state = "open" if row is None or row.state == "undone" else row.state
        found.append({
            "step": step.id, "text": {"en": step.text.en, "zh": step.text.zh}, "state": state,
            "person": row.person if row is not None and state != "open" else None,
            "time": rfc3339(row.at) if row is not None and state != "open" else None,
            "until": None if limit is None else rfc3339(limit),
            "late": state == "open" and limit is not None and time.time_ns() > limit,
        })  # fmt: skip
    return found

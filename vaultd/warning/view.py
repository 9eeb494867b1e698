"""A warning as ``--json`` has it (docs/json-warnings.md)."""

from __future__ import annotations

import json
from typing import Any

from vaultd.store import Store
from vaultd.store.warningrows import ActionRow, AnswerRow, RingRow, WarningRow
from vaultd.units import rfc3339
from vaultd.warning.answers import Answers


def warning_json(store: Store, row: WarningRow) -> dict[str, Any]:
    """A warning with its recipients' answers."""
    found = Answers(tuple(store.answers(row.id, row.asked)))
    return {
        "id": row.id, "revision": row.revision, "state": row.state, "level": row.level, "category": row.category,
        "recipients": list(row.recipients), "start": rfc3339(row.start), "scope": row.scope, "cautions": row.cautions,
        "measures": row.measures, "unit": row.unit, "who": row.who, "on_duty": row.on_duty or None,
        "signal": row.signal or None, "subject": row.subject or None, "count": row.count, "drill": row.drill,
        "seen": rfc3339(row.seen) if row.signal else None, "created": rfc3339(row.created),
        "changed": rfc3339(row.changed),
        "answers": [answer_json(one) for one in found.rows], "unanswered": list(found.open) if row.standing else [],
    }  # fmt: skip


def answer_json(one: AnswerRow) -> dict[str, Any]:
    """A recipient."""
    return {
        "person": one.person, "state": one.state, "asked": rfc3339(one.asked), "told": rfc3339(one.told),
        "times": one.times, "escalated_to": one.escalated or None, "at": rfc3339(one.at) if one.at else None,
        "how": one.how or None,
    }  # fmt: skip


def ring_json(one: RingRow) -> dict[str, Any]:
    """Somebody was rung."""
    return {"person": one.person, "at": rfc3339(one.at), "reached": one.reached, "who": one.who}


def action_json(one: ActionRow) -> dict[str, Any]:
    """What was set in motion."""
    return {"action": one.action, "state": one.state, "at": rfc3339(one.at), "error": one.error or None}


def history_json(store: Store, row: WarningRow) -> list[dict[str, Any]]:
    """Every revision, as its entry has it."""
    return [{"at": rfc3339(at), **json.loads(fields)} for _number, at, fields in store.warning_revisions(row.id)]

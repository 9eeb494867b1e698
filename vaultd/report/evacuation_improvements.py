"""What is to be better next time: the items of an evacuation, and those of earlier ones that it inherits."""

from __future__ import annotations

from datetime import date
from typing import Any

from vaultd.report.evacuation_source import Case, Emergencies, Seen
from vaultd.report.period import Period, day, or_none


def items(found: Emergencies) -> list[dict[str, Any]]:
    """Every item as it is now, in the order in which they were noted."""
    rows = dict[str, list[Seen]]()
    for one in found.around["improvement"]:
        rows.setdefault(one.fields["item"], []).append(one)
    return [_row(entries) for entries in rows.values()]


def _row(entries: list[Seen]) -> dict[str, Any]:
    newest = entries[-1].fields
    over = newest["state"] != "open"
    return {
        "item": newest["item"], "evacuation": newest["evacuation"], "state": newest["state"], "text": newest["text"],
        "owner": newest["owner"], "due": newest["due"], "noted": or_none(entries[0].when),
        "noted_by": entries[0].fields["who"], "closed": or_none(entries[-1].when) if over else None,
        "closed_by": newest["who"] if over else None,
    }  # fmt: skip


def figures(case: Case, found: Emergencies, period: Period) -> dict[str, Any]:
    """Those of one evacuation; and those of others that were open when it was ordered, with what became of them.
    ``overdue``: open on the day on which the record ends, and due before it."""
    today = day(found.last, period.zone)
    rows = [{**one, "overdue": one["state"] == "open" and is_before(one["due"], today)} for one in items(found)]
    ordered = or_none(case.ordered) or ""
    return {
        "own": [one for one in rows if one["evacuation"] == case.id],
        "earlier": [
            one for one in rows
            if one["evacuation"] != case.id and one["noted"] <= ordered
            and (one["closed"] is None or one["closed"] >= ordered)
        ],
    }  # fmt: skip


def is_before(due: str, today: str) -> bool:
    """Whether a date lies before another; what is no date does not."""
    try:
        return date.fromisoformat(due) < date.fromisoformat(today)
    except ValueError:
        return False

"""Who was told, who has answered and how soon, who has approved, and which steps of the playbook were ticked off."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from vaultd.report.evacuation_disks import item
from vaultd.report.evacuation_source import Case, Emergencies, Seen
from vaultd.report.period import or_none, seconds

_IN_FORCE = frozenset({"issued", "adjusted"})
_TOLD = frozenset({"repeated", "escalated"})
_ENDED = frozenset({"withdrawn", "expired"})


class People:
    """What persons did in one evacuation, and what they owe."""

    def __init__(self, case: Case, found: Emergencies) -> None:
        self.case = case
        steps = [one.fields for one in case.of("evacuation")]
        ids = {str(one["warning"]) for one in steps if one.get("warning")}
        self.requests = list(dict.fromkeys(str(one["request"]) for one in steps if one.get("request")))
        self.warnings = _once([one for one in found.around["warning"] if one.fields["warning"] in ids])
        # A repetition is another one each time, though it says the same.
        self.answers = [one for one in found.around["warning-answer"] if one.fields["warning"] in ids]
        about = {case.id, *ids, *self.requests}
        self.notices = _once([one for one in found.around["notice"] if one.fields["of"] in about])
        self.ticks = _once([one for one in found.around["playbook-step"] if one.fields["of"] in (case.id, *ids)])
        self._requested = [one for one in found.around["approval-request"] if one.fields["request"] in self.requests]
        self._approved = _once([one for one in found.around["approval"] if one.fields["request"] in self.requests])

    # approvals

    def approvals(self) -> list[dict[str, Any]]:
        """The approvals that its steps name: what was asked, who has signed, which roles have not."""
        found = list[dict[str, Any]]()
        for request in self.requests:
            asked = [one for one in self._requested if one.fields["request"] == request]
            given = [one for one in self._approved if one.fields["request"] == request]
            newest = asked[-1].fields if asked else {}
            roles = list(newest.get("roles", ()))
            for one in given:
                if one.fields["role"] in roles:
                    roles.remove(one.fields["role"])
            found.append({
                "request": request, "action": newest.get("action"), "state": newest.get("state"),
                "requester": newest.get("requester"), "late": bool(newest.get("late")),
                "requested": or_none(asked[0].when) if asked else None, "expires": newest.get("expires"),
                "missing": roles if asked else None,
                "given": [{"person": one.fields["person"], "role": one.fields["role"], "time": or_none(one.when),
                           "key": one.fields["key"]} for one in given],
            })  # fmt: skip
        return found

    # warnings and answers

    def _revisions(self) -> dict[tuple[str, int], Seen]:
        found = dict[tuple[str, int], Seen]()
        for one in self.warnings:
            found.setdefault((one.fields["warning"], one.fields["revision"]), one)
        return found

    def warning_rows(self) -> list[dict[str, Any]]:
        """Each revision of the warnings that it belongs to."""
        return [
            {"time": or_none(one.when), "recipients": list(one.fields["recipients"]),
             **{key: one.fields.get(key) for key in ("warning", "revision", "state", "level", "category", "start",
                                                     "scope", "cautions", "measures", "unit", "who", "signal",
                                                     "count")}}
            for one in self._revisions().values()
        ]  # fmt: skip

    def answer_rows(self) -> list[dict[str, Any]]:
        """For each recipient of each warning: when it was told first, and when they acknowledged; how soon."""
        rows = dict[tuple[str, str], dict[str, Any]]()
        for one in self._revisions().values():
            if one.fields["state"] in _IN_FORCE:
                for person in one.fields["recipients"]:
                    self._row(rows, one.fields["warning"], person, one.when)
        for one in self.answers:
            fields = one.fields
            row = self._row(rows, fields["warning"], fields["person"], one.when)
            if fields["state"] in _TOLD:
                row[fields["state"]] += 1
            elif fields["state"] == "acknowledged":
                row["acknowledged_revision"] = max(fields["revision"], row["acknowledged_revision"] or 0)
                if row["acknowledged"] is None:
                    row.update(acknowledged=or_none(one.when), how=fields.get("how"),
                               seconds=seconds(max(0, one.when - row.pop("begin"))))  # fmt: skip
        for row in rows.values():
            row.pop("begin", None)
        return list(rows.values())

    @staticmethod
    def _row(rows: dict[tuple[str, str], dict[str, Any]], warning: str, person: str, when: int) -> dict[str, Any]:
        return rows.setdefault((warning, person), {
            "warning": warning, "person": person, "told": or_none(when), "begin": when, "acknowledged": None,
            "acknowledged_revision": None, "seconds": None, "how": None, "repeated": 0, "escalated": 0,
        })  # fmt: skip

    def answered(self) -> dict[str, Any]:
        """How soon people have answered, in all."""
        rows = self.answer_rows()
        known = sorted(row["seconds"] for row in rows if row["seconds"] is not None)
        return {
            "recipients": len(rows), "answered": len(known), "first_seconds": known[0] if known else None,
            "median_seconds": round(statistics.median(known), 3) if known else None,
            "last_seconds": known[-1] if known else None,
        }  # fmt: skip

    # notices

    def notice_rows(self) -> list[dict[str, Any]]:
        """Each notice by each channel: whether it arrived."""
        return [
            {"time": or_none(one.when), "of": one.fields["of"],
             **{key: one.fields.get(key) for key in ("notice", "kind", "state", "channel", "attempts", "person",
                                                     "error", "who")}}
            for one in self.notices
        ]  # fmt: skip

    def undelivered(self) -> list[dict[str, Any]]:
        """Notices that no channel has brought to whom they were for."""
        rows = self.notice_rows()
        arrived = {(row["notice"], row["person"]) for row in rows if row["state"] != "failed"}
        return [row for row in rows if row["state"] == "failed" and (row["notice"], row["person"]) not in arrived]

    # the playbook

    def steps(self) -> list[dict[str, Any]]:
        """The steps of its playbooks as they are now, in the order in which they first come on record."""
        rows = dict[tuple[str, str], dict[str, Any]]()
        for one in self.ticks:
            fields = one.fields
            key = (fields["playbook"], fields["step"])
            row = rows.setdefault(key, {"playbook": key[0], "step": key[1], "text": None, "role": None,
                                        "limit_seconds": None, "items": []})  # fmt: skip
            if "limit_ms" in fields:
                row["limit_seconds"] = fields["limit_ms"] / 1000
            row.update({name: fields[name] for name in ("text", "role") if name in fields})
            row["items"] = list(fields.get("items", row["items"]))
            is_done = fields["state"] in ("done", "skipped")
            row.update(
                state=fields["state"], time=or_none(one.moment), time_source=fields["time_source"],
                person=fields["person"], who=fields["who"], note=fields.get("note"),
                seconds=seconds(max(0, one.moment - self.case.ordered)) if is_done else None,
            )  # fmt: skip
        for row in rows.values():
            limit, taken = row["limit_seconds"], row["seconds"]
            row["met"] = None if limit is None or taken is None else taken <= limit
        return list(rows.values())

    # what is owed, and what happened

    def open_items(self) -> Iterator[dict[str, Any]]:
        """Approvals that are missing, warnings not acknowledged, notices that did not arrive, open steps."""
        for one in self.approvals():
            if one["missing"] is None:
                yield item("approval", one["request"], None, None)
            elif one["state"] not in _ENDED or one["late"]:
                for role in one["missing"]:
                    yield item("approval", one["action"], role, one["requested"], one["expires"])
        newest = {row["warning"]: row for row in self.warning_rows()}
        for row in self.answer_rows():
            force = [one["revision"] for one in self.warning_rows()
                     if one["warning"] == row["warning"] and one["state"] in _IN_FORCE]  # fmt: skip
            stands = row["warning"] in newest and newest[row["warning"]]["state"] in _IN_FORCE
            wanted = max(force, default=1) if stands else 1
            if (row["acknowledged_revision"] or 0) < wanted:
                yield item("answer", row["warning"], row["person"], row["told"])
        for row in self.undelivered():
            yield item("notice", row["of"], row["person"] or row["channel"], row["time"])
        for row in self.steps():
            if row["seconds"] is None:
                yield item("step", row["text"] or row["step"], row["role"] or row["person"], row["time"])

    def events(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """For the list of what happened when."""
        for one in self._revisions().values():
            yield _event("warning", one, one.when, "warning", "level", "category", "signal", "count")
        for one in self.answers:
            yield _event("answer", one, one.when, "warning", "person", "how")
        for one in self.notices:
            yield _event("notice", one, one.when, "of", "channel", "person", "attempts", "error")
        for one in self.ticks:
            if one.fields["state"] != "open":
                yield _event("step", one, one.moment, "playbook", "step", "text", "person", "note", "time_source")
        for one in _once(self._requested):
            yield _event("approval", one, one.when, "action", "requester", "roles")
        for one in self._approved:
            yield one.when, one.seq, {"lane": "approval", "state": "approved", "who": one.fields["who"], "details":
                                      {key: one.fields[key] for key in ("action", "person", "role")}}  # fmt: skip


def _event(lane: str, seen: Seen, when: int, *names: str) -> tuple[int, int, dict[str, Any]]:
    details = {key: seen.fields[key] for key in names if seen.fields.get(key) not in (None, "")}
    return when, seen.seq, {
        "lane": lane, "state": seen.fields["state"], "who": seen.fields.get("who"), "details": details,
    }  # fmt: skip


def _once(entries: list[Seen]) -> list[Seen]:
    """Each once: two that agree in all that they say themselves are one, told twice."""
    return list({one.own(): one for one in reversed(entries)}.values())[::-1]

"""What happened when in an evacuation: its steps, the daemon and the lines meanwhile, and all of it in one list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vaultd import alerts
from vaultd.report.evacuation_disks import Disks
from vaultd.report.evacuation_people import People
from vaultd.report.evacuation_source import Case, Emergencies, Seen
from vaultd.report.evacuation_tiers import Tiers
from vaultd.report.period import or_none, seconds
from vaultd.units import SECOND

LEAD = 3600 * SECOND
"""A warning of the hour before an order belongs to the picture."""

MOST = 800
MOST_OF_A_KIND = 120
"""So many events are listed of each kind that has no end in number, when there are more than ``MOST``."""

_MANY = frozenset({"broken", "alert", "daemon", "notice", "answer", "step"})
_LINE = "target-unreachable"


@dataclass(frozen=True, slots=True)
class Span:
    """From the first thing that belongs to an evacuation to its end, or the end of the record; nanoseconds."""

    begin: int
    end: int


def span(case: Case, found: Emergencies, people: People) -> Span:
    """The time that the pictures show."""
    ordered = case.ordered
    early = [one.when for one in people.warnings if ordered - LEAD <= one.when < ordered]
    end = case.ended if case.ended is not None else max(found.last, *(one.when for one in case.entries))
    return Span(min([ordered, *early]), max(end, ordered + SECOND))


class Course:
    """The parts of an evacuation along its time."""

    def __init__(self, case: Case, found: Emergencies, tiers: Tiers, people: People, disks: Disks, over: Span) -> None:
        self.case, self.found, self.span = case, found, over
        self.tiers, self.people, self.disks = tiers, people, disks
        self.alerts = [one for one in found.alerts if over.begin <= one.when <= over.end]
        self.standing = self._standing()
        self.starts = [one for one in found.starts if over.begin <= one.when <= over.end]

    def _standing(self) -> dict[tuple[str, str, str], Seen]:
        """The alerts that stood when its time begins."""
        found = {key: one for key, one in self.case.alerts.items() if one.when < self.span.begin}
        for one in self.found.alerts:
            if one.when < self.span.begin:
                key = (one.fields["code"], one.fields.get("vault", ""), one.fields.get("target", ""))
                if one.fields["state"] == "raised":
                    found.setdefault(key, one)
                elif one.fields["state"] == "cleared":
                    found.pop(key, None)
        return found

    def steps(self) -> list[dict[str, Any]]:
        """Order, judgement, and so on to the end: who and when."""
        return [
            {"time": or_none(one.moment), "recorded": or_none(one.when), "entry": one.seq,
             **{key: one.fields.get(key) for key in ("state", "level", "category", "who", "boot", "report", "on_duty",
                                                     "director", "warning", "playbook", "targets", "media",
                                                     "request", "note")}}
            for one in self.case.of("evacuation")
        ]  # fmt: skip

    def downs(self) -> list[dict[str, Any]]:
        """When the daemon did not run."""
        found, since, silent = list[tuple[int, int | None, bool, bool]](), None, False
        first = self.starts[0] if self.starts else None
        if self.case.running is False if first is None else first.state == "started" and not first.silent:
            since = self.span.begin
        for one in self.starts:
            if one.state == "stopped":
                since = one.when
            elif one.silent or since is not None:
                silent = one.silent
                begin = max(one.alive, self.span.begin) if silent else since
                found.append((begin or one.when, one.when, silent, one.rebooted))
                since = None
        if since is not None:
            found.append((since, None, False, False))
        return [
            {"begin": or_none(begin), "end": or_none(end), "silent": quiet, "rebooted": rebooted,
             "seconds": seconds((self.span.end if end is None else end) - begin)}
            for begin, end, quiet, rebooted in found
        ]  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        """When each target was out of reach, as its alerts say."""
        open_: dict[str, int] = {target: self.span.begin for (code, _vault, target) in self.standing if code == _LINE}
        found = list[tuple[str, int, int | None]]()
        for one in self.alerts:
            if one.fields["code"] != _LINE:
                continue
            target = one.fields.get("target", "")
            if one.fields["state"] == "raised":
                open_.setdefault(target, one.when)
            elif one.fields["state"] == "cleared" and target in open_:
                found.append((target, open_.pop(target), one.when))
        found += [(target, begin, None) for target, begin in open_.items()]
        return [
            {"target": target, "begin": or_none(begin), "end": or_none(end),
             "seconds": seconds((self.span.end if end is None else end) - begin)}
            for target, begin, end in sorted(found, key=lambda one: (one[1], one[0]))
        ]  # fmt: skip

    def raised(self) -> list[dict[str, Any]]:
        """The alerts that were raised meanwhile, or stood already, by kind."""
        kinds = dict[tuple[str, str, str], dict[str, Any]]()
        for key, one in sorted(self.standing.items()):
            kinds[key] = {"times": 0, "first": one.when, "open": True, "before": True}
        for one in self.alerts:
            fields = one.fields
            key = (fields["code"], fields.get("vault", ""), fields.get("target", ""))
            if fields["state"] == "raised":
                row = kinds.setdefault(key, {"times": 0, "first": one.when, "open": True, "before": False})
                row["times"] += 1
                row["open"] = True
            elif fields["state"] == "cleared" and key in kinds:
                kinds[key]["open"] = False
        return [
            {"code": code, "severity": alerts.severity(code).value, "vault": vault or None, "target": target or None,
             "times": row["times"], "first": or_none(row["first"]), "open": row["open"], "before": row["before"]}
            for (code, vault, target), row in sorted(kinds.items())
        ]  # fmt: skip

    def timeline(self) -> dict[str, Any]:
        """All that happened, each once, in its order: ``lane`` says of what kind it is."""
        rows = sorted(self._events(), key=lambda one: (one[0], one[1]))
        left_out = dict[str, int]()
        if len(rows) > MOST:
            kept, count = list[tuple[int, int, dict[str, Any]]](), dict[str, int]()
            for row in rows:
                lane = row[2]["lane"]
                count[lane] = count.get(lane, 0) + 1
                if lane in _MANY and count[lane] > MOST_OF_A_KIND:
                    left_out[lane] = left_out.get(lane, 0) + 1
                else:
                    kept.append(row)
            rows = kept
        return {
            "count": len(rows) + sum(left_out.values()),
            "left_out": dict(sorted(left_out.items())),
            "rows": [
                {"time": or_none(when), "seconds": seconds(when - self.case.ordered), "entry": seq, **row}
                for when, seq, row in rows
            ],
        }  # fmt: skip

    def _events(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        for one in self.case.of("evacuation"):
            fields = one.fields
            yield one.moment, one.seq, _row(
                "order", fields["state"], fields["who"], level=fields["level"], category=fields["category"],
                report=fields.get("report"), on_duty=fields.get("on_duty"), director=fields.get("director"),
                note=fields.get("note"),
            )  # fmt: skip
        for row in self.tiers.in_order():
            for seen in (row.planned, row.safe, row.exact, row.short):
                if seen is not None:
                    when = seen.moment
                    if seen is row.safe:
                        when = self.case.ordered + (self.tiers.taken(row) or 0)
                    yield when, seen.seq, _row(
                        "tier", seen.fields["state"], None, tier=row.tier, target=row.target,
                        files=seen.fields["files"], size=seen.fields["size"],
                    )  # fmt: skip
        for one in self.tiers.batches:
            if one.fields["state"] != "safe":
                yield one.when, one.seq, _row(
                    "broken", "broken", None, tier=one.fields["tier"], target=one.fields["target"],
                    vault=one.fields["vault"], size=one.fields["size"], error=one.fields.get("error"),
                )  # fmt: skip
        for one in self.alerts:
            yield one.when, one.seq, _row(
                "alert", one.fields["state"], one.fields.get("who"), code=one.fields["code"],
                vault=one.fields.get("vault"), target=one.fields.get("target"),
            )  # fmt: skip
        for start in self.starts:
            state = "rebooted" if start.rebooted else "killed" if start.silent else start.state
            yield start.when, start.seq, _row("daemon", state, None)
        yield from self.disks.events()
        yield from self.people.events()


def _row(lane: str, state: str, who: str | None, **details: Any) -> dict[str, Any]:
    kept = {key: one for key, one in details.items() if one not in (None, "")}
    return {"lane": lane, "state": state, "who": who, "details": kept}


def broken(batches: list[Seen]) -> list[dict[str, Any]]:
    """Batches that were lost on the way, by vault, target and reason."""
    kinds = dict[tuple[str, str, str], list[Seen]]()
    for one in batches:
        if one.fields["state"] != "safe":
            key = (one.fields["vault"], one.fields["target"], one.fields.get("error", ""))
            kinds.setdefault(key, []).append(one)
    return [
        {"vault": vault, "target": target, "error": error or None, "count": len(found),
         "bytes": sum(one.fields["size"] for one in found), "first": or_none(found[0].when),
         "last": or_none(found[-1].when)}
        for (vault, target, error), found in sorted(kinds.items())
    ]  # fmt: skip

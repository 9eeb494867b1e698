"""One evacuation, read from a ledger: its parts, and what is told of it as a whole."""

from __future__ import annotations

from typing import Any

from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger.folder import LogFolder
from vaultd.report.evacuation_course import Course, Span, broken, span
from vaultd.report.evacuation_disks import Disks
from vaultd.report.evacuation_people import People
from vaultd.report.evacuation_source import Case, Emergencies
from vaultd.report.evacuation_tiers import Tiers
from vaultd.report.heads import Verified
from vaultd.report.period import or_none, seconds
from vaultd.report.source import Progress, Source

MOST_NAMED = 40
MOST_ROWS = 400


def gather(verified: Verified, progress: Progress) -> tuple[Emergencies, int]:
    """What a ledger has of emergencies, and how many entries could not be read. Raises LedgerError when the ledger is
    not the one that was verified any more."""
    lenient = bool(verified.problem)
    source = Source(LogFolder(verified.folder), verified.size, verified.root, (), lenient=lenient)
    found = Emergencies()
    for entries in source.bundles(progress):
        found.bundle(entries)
    if found.bad and not lenient:
        raise ValueError(f"{found.bad} entries that the verifier has passed")
    return found, source.unreadable + found.bad


def chosen(found: Emergencies, name: str) -> Case:
    """The evacuation of this id. Raises ConfigError, which names those that there are."""
    case = found.cases.get(name)
    if case is not None:
        return case
    known = list(found.cases)[-MOST_NAMED:]
    raise ConfigError(
        _("there is no report"), _("no evacuation {name} is on record").format(name=ascii(name)[1:-1][:80]),
        _("on record: {names}").format(names=", ".join(known)) if known
        else _("this ledger has no evacuation and no drill"),
    )  # fmt: skip


class After:
    """The parts of a report on one evacuation."""

    def __init__(self, case: Case, found: Emergencies) -> None:
        self.case, self.found = case, found
        self.people = People(case, found)
        self.span: Span = span(case, found, self.people)
        self.tiers = Tiers(case, found, self.span.end)
        self.disks = Disks(case, found)
        self.course = Course(case, found, self.tiers, self.people, self.disks, self.span)

    def head(self) -> dict[str, Any]:
        """What it was: its newest level and category, who had to do with it, and how far it has come."""
        steps = [one.fields for one in self.case.of("evacuation")]
        case = self.case

        def newest(name: str) -> Any:
            return next((one[name] for one in reversed(steps) if one.get(name)), None)

        end = self.span.end if case.ended is None else case.ended
        copied = case.step("copied")
        return {
            "id": case.id, "drill": case.drill, "state": self.state(), "ordered": or_none(case.ordered),
            "copied": None if copied is None else or_none(copied.moment), "ended": or_none(case.ended),
            "seconds": seconds(max(0, end - case.ordered)), "first_who": steps[0]["who"] if steps else None,
            **{name: newest(name) for name in ("level", "category", "report", "on_duty", "director", "warning",
                                               "playbook", "targets", "media")},
            "ordered_on_record": case.step("ordered") is not None,
        }  # fmt: skip

    def state(self) -> str:
        """How far it has come: "going on", "copied", "ended" or "refused"."""
        for state in ("refused", "ended", "copied"):
            if self.case.step(state) is not None:
                return state
        return "going on"

    def measured(self) -> list[dict[str, Any]]:
        """What a drill has measured besides."""
        return [
            {"what": one.fields["what"], "target": one.fields["target"],
             "seconds": one.fields["milliseconds"] / 1000, "files": one.fields["files"],
             "bytes": one.fields["size"], "differences": one.fields["differences"], "time": or_none(one.when)}
            for one in self.case.of("evacuation-measured")
        ]  # fmt: skip

    def open_items(self) -> list[dict[str, Any]]:
        """What is owed still, as the record ends."""
        return [*self.people.open_items(), *self.disks.open_items()]

    def failures(self) -> dict[str, Any]:
        """What went wrong."""
        rows = self.tiers.in_order()
        failed = [one for one in self.people.notice_rows() if one["state"] == "failed"]
        return {
            "batches": broken(self.tiers.batches), "notices": failed[:MOST_ROWS], "notices_count": len(failed),
            "alerts": self.course.raised(), "daemon": self.course.downs(), "lines": self.course.lines(),
            "short": [
                {"tier": row.tier, "target": row.target, "files": self.tiers.unsafe(row)[0],
                 "bytes": self.tiers.unsafe(row)[1]}
                for row in rows if row.short is not None and row.safe is None
            ],
            "differences": sum(one["differences"] for one in self.measured()),
        }  # fmt: skip

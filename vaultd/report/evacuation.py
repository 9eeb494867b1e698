"""The report after an evacuation or a drill, from the ledger alone: one object of plain values (docs/report.md)."""

from __future__ import annotations

from typing import Any

from vaultd import __version__
from vaultd.report import evacuation_improvements as improvements
from vaultd.report.evacuation_indicators import indicators
from vaultd.report.evacuation_parts import MOST_ROWS, After, chosen, gather
from vaultd.report.heads import Verified, ledger_head, zone_name
from vaultd.report.period import Period, or_none
from vaultd.report.source import Progress

VERSION = 1


def evacuation(verified: Verified, name: str, period: Period, *, progress: Progress) -> dict[str, Any]:
    """The figures. ``period`` gives the zone only.

    Raises LedgerError when the ledger is not the one that was verified any more, ConfigError for an id that is not on
    record.
    """
    found, unreadable = gather(verified, progress)
    case = chosen(found, name)
    after = After(case, found)
    return {
        "version": VERSION,
        "software": f"vaultd {__version__}",
        "unverified": verified.problem or None,
        "unreadable": unreadable,
        "period": {
            "since": or_none(after.span.begin), "until": or_none(after.span.end), "record_ends": or_none(found.last),
            "zone": zone_name(period),
        },
        "ledger": ledger_head(verified, found.begin, found.software),
        "evacuation": after.head(),
        "steps": after.course.steps(),
        "timeline": after.course.timeline(),
        "daemon": after.course.downs(),
        "lines": after.course.lines(),
        "tiers": after.tiers.figures(),
        "curves": after.tiers.curves(),
        "recovery": after.tiers.recovery(),
        "measured": after.measured(),
        "disks": after.disks.figures(),
        "warnings": after.people.warning_rows(),
        "answers": after.people.answer_rows(),
        "notices": after.people.notice_rows()[:MOST_ROWS],
        "notices_count": len(after.people.notices),
        "approvals": after.people.approvals(),
        "playbook": after.people.steps(),
        "open": after.open_items(),
        "failures": after.failures(),
        "improvements": improvements.figures(case, found, period),
        "documents": sum(1 for one in found.around["document"] if after.span.begin <= one.when <= after.span.end),
        "indicators": indicators(after),
    }  # fmt: skip

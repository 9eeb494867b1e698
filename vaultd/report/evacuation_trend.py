"""Drills against each other, real evacuations beside them, and the restore drills that the audit report lists too."""

from __future__ import annotations

from typing import Any

from vaultd import __version__
from vaultd.report import evacuation_improvements as improvements
from vaultd.report.evacuation_indicators import indicators, of_vaults
from vaultd.report.evacuation_parts import After, gather
from vaultd.report.evacuation_source import Emergencies
from vaultd.report.heads import Verified, ledger_head, zone_name
from vaultd.report.period import Period, day, or_none
from vaultd.report.source import Progress

VERSION = 1


def trend(verified: Verified, period: Period, *, progress: Progress) -> dict[str, Any]:
    """The figures of those that were ordered within the period. Raises LedgerError when the ledger is not the one that
    was verified any more."""
    found, unreadable = gather(verified, progress)
    afters = sorted(
        (After(case, found) for case in found.cases.values() if period.has(case.ordered)),
        key=lambda one: (one.case.ordered, one.case.id),
    )
    rows = [_row(one) for one in afters]
    restores = _restores(found, period)
    moments = [*(row["ordered"] for row in rows), *(row["time"] for row in restores)]
    today = day(found.last, period.zone)
    return {
        "version": VERSION,
        "software": f"vaultd {__version__}",
        "unverified": verified.problem or None,
        "unreadable": unreadable,
        "period": {
            "since": min(moments, default=or_none(found.last)), "until": or_none(found.last),
            "record_ends": or_none(found.last), "zone": zone_name(period),
        },
        "ledger": ledger_head(verified, found.begin, found.software),
        "drills": [row for row in rows if row["drill"]],
        "evacuations": [row for row in rows if not row["drill"]],
        "restore_drills": restores,
        "improvements": [
            {**one, "overdue": improvements.is_before(one["due"], today)}
            for one in improvements.items(found) if one["state"] == "open"
        ],
    }  # fmt: skip


def _row(after: After) -> dict[str, Any]:
    head = after.head()
    return {
        **{name: head[name] for name in ("id", "drill", "state", "level", "category", "ordered", "ended", "seconds",
                                         "director")},
        "targets": [
            {"target": one["target"], "bytes": one["bytes"],
             "tiers": [{"tier": row["tier"], "seconds": row["seconds"], "objective_seconds": row["objective_seconds"],
                        "met": row["met"]} for row in after.tiers.figures() if row["target"] == one["target"]]}
            for one in after.tiers.curves()
        ],
        "indicators": indicators(after), "vaults": of_vaults(after), "measured": after.measured(),
    }  # fmt: skip


def _restores(found: Emergencies, period: Period) -> list[dict[str, Any]]:
    """Practised restores: `vaultd drill restore` and `drill total-loss`, as the audit report has them."""
    return [
        {"time": or_none(one.when),
         **{name: one.fields.get(name) for name in ("vault", "target", "state", "seconds", "recovery_point_s", "files",
                                                    "size", "differences", "kit", "who")}}
        for one in found.around["drill"] if period.has(one.when)
    ]  # fmt: skip

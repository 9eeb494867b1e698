"""The indicators of drills and evacuations as a table for spreadsheets: a row for each as a whole, for each vault in it
at each target, and for each practised restore. UTF-8 with a byte-order mark; what an empty cell is of is not on record.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from vaultd.i18n import N_, _
from vaultd.media.table import guarded

COLUMNS: dict[str, str] = {
    "kind": N_("kind"), "id": N_("evacuation or drill"), "ordered": N_("ordered"), "ended": N_("ended"),
    "state": N_("state"), "level": N_("level"), "category": N_("category"), "vault": N_("vault"),
    "target": N_("target"),
    # of a whole
    "first_tier_seconds": N_("first tier safe at a target, s"),
    "first_tier_everywhere_seconds": N_("first tier safe at all targets, s"),
    "all_seconds": N_("everything safe at a target, s"),
    "all_everywhere_seconds": N_("everything safe at all targets, s"), "objectives": N_("objectives"),
    "objectives_met": N_("objectives met"), "objectives_missed": N_("objectives missed"), "files": N_("files"),
    "bytes": N_("bytes"), "short_bytes": N_("bytes not safe at the end"), "batches": N_("batches"),
    "broken_batches": N_("batches broken off"), "answer_recipients": N_("persons warned"),
    "answer_answered": N_("persons who acknowledged"), "answer_first_seconds": N_("first acknowledgement, s"),
    "answer_median_seconds": N_("median acknowledgement, s"), "answer_last_seconds": N_("last acknowledgement, s"),
    "undelivered_notices": N_("notices not delivered"), "restored_files": N_("files restored"),
    "restore_differences": N_("restored files that differ"), "restore_seconds": N_("restore, s"),
    "disks": N_("disks"), "disks_complete": N_("disks with every signature"), "steps": N_("steps of the playbook"),
    "steps_late": N_("steps that were late"), "daemon_down_seconds": N_("daemon not running, s"),
    "line_down_seconds": N_("lines down, s"), "open_items": N_("open items"),
    # of a vault, and of a practised restore
    "safe_seconds": N_("safe after, s"), "waited_seconds": N_("oldest change had waited, s"),
    "recovery_point_objective_seconds": N_("recovery-point objective, s"),
    "recovery_point_met": N_("recovery-point objective met"), "recovery_point_seconds": N_("recovery point, s"),
}  # fmt: skip
"""The columns and their heads."""

_KINDS = {
    "drill": N_("drill"), "drill-vault": N_("drill, one vault"), "evacuation": N_("evacuation"),
    "evacuation-vault": N_("evacuation, one vault"), "restore-drill": N_("restore drill"),
}  # fmt: skip


def table(figures: Mapping[str, Any]) -> bytes:
    """The table of the figures of a trend, its heads in the language of the output."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_(head) for head in COLUMNS.values()])
    for row in _rows(figures):
        row["kind"] = _(_KINDS.get(row["kind"], ""))
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return out.getvalue().encode("utf-8-sig", "backslashreplace")


def _rows(figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind, rows in (("drill", figures["drills"]), ("evacuation", figures["evacuations"])):
        for one in rows:
            head = {name: one[name] for name in ("id", "ordered", "ended", "state", "level", "category")}
            yield {"kind": kind, **head, **one["indicators"]}
            for vault in one["vaults"]:
                yield {
                    "kind": f"{kind}-vault", **head, "vault": vault["vault"], "target": vault["target"],
                    "bytes": vault["bytes"], "batches": vault["batches"], "broken_batches": vault["broken_batches"],
                    "safe_seconds": vault["safe"], "waited_seconds": vault["waited_seconds"],
                    "recovery_point_objective_seconds": vault["objective_seconds"],
                    "recovery_point_met": vault["met"],
                }  # fmt: skip
    for one in figures["restore_drills"]:
        yield {
            "kind": "restore-drill", "ordered": one["time"], "state": one["state"], "vault": one["vault"],
            "target": one["target"], "restored_files": one["files"], "bytes": one["size"],
            "restore_differences": one["differences"], "restore_seconds": one["seconds"],
            "recovery_point_seconds": one["recovery_point_s"],
        }  # fmt: skip


def _cell(found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, bool):
        return _("yes") if found else _("no")
    return guarded(found) if isinstance(found, str) else str(found)

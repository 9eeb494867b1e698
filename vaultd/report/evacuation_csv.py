"""The indicators of drills and evacuations as a table for spreadsheets: a row for each as a whole, for each vault in it
at each target, and for each practised restore. UTF-8 with a byte-order mark; what an empty cell is of is not on record.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from vaultd.media.table import guarded

WHOLE = (
    "first_tier_seconds", "first_tier_everywhere_seconds", "all_seconds", "all_everywhere_seconds", "objectives",
    "objectives_met", "objectives_missed", "files", "bytes", "short_bytes", "batches", "broken_batches",
    "answer_recipients", "answer_answered", "answer_first_seconds", "answer_median_seconds", "answer_last_seconds",
    "undelivered_notices", "restored_files", "restore_differences", "restore_seconds", "disks", "disks_complete",
    "steps", "steps_late", "daemon_down_seconds", "line_down_seconds", "open_items",
)  # fmt: skip
OWN = (
    "safe_seconds", "waited_seconds", "recovery_point_objective_seconds", "recovery_point_met",
    "recovery_point_seconds",
)  # fmt: skip
"""Only of a vault; the last of a practised restore: the age of the youngest content that it brought back."""

COLUMNS = ("kind", "id", "ordered", "ended", "state", "level", "category", "vault", "target", *WHOLE, *OWN)


def table(figures: Mapping[str, Any]) -> bytes:
    """The table of the figures of a trend; heads are names, the same in every language: programs read them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in _rows(figures):
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
        return "1" if found else "0"
    return guarded(found) if isinstance(found, str) else str(found)

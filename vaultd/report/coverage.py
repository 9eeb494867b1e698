"""What was read back from each target and compared with the ledger, as ``verification`` entries say.

Coverage at a moment: the share of a vault's bytes (as its newest full snapshot there has them) that was read in the
thirty days before. What was read twice counts twice, and more than all counts as all: an upper bound, but exact for
full verifications and for the daily share, which reads nothing twice before all was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vaultd.report.exceptions import Names
from vaultd.report.period import Period, or_none
from vaultd.report.recovery import Line, Recovery
from vaultd.report.series import STEPS
from vaultd.units import SECOND

WINDOW_DAYS = 30
_DAY = 86400 * SECOND


@dataclass(slots=True)
class Read:
    """What was read of one vault at one target. ``days``: shares of it by day."""

    runs: int = 0
    files: int = 0
    size: int = 0
    differences: int = 0
    unfinished: int = 0
    last: int | None = None
    last_full: int | None = None
    kinds: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    days: dict[int, float] = field(default_factory=dict)


class Coverage:
    """Follows ``verification`` entries in their order."""

    def __init__(self, period: Period, recovery: Recovery, names: Names) -> None:
        self.period, self.recovery = period, recovery
        self.reads = dict[tuple[str, str], Read]()
        self.names = names

    def verification(self, entry: Mapping[str, Any], when: int) -> None:
        """Something was read back."""
        key = (entry["vault"], entry["target"])
        line, read = self.recovery.line(*key), self.reads.setdefault(key, Read())
        done, size = entry["state"] == "done", entry["size"]
        whole = done and entry["kind"] == "full"
        share = 1.0 if whole else min(1.0, size / line.size) if line.size else 0.0
        day = when // _DAY
        read.days[day] = read.days.get(day, 0.0) + share
        read.last = when
        if whole:
            read.last_full = when
        if not self.period.has(when):
            return
        read.runs += 1
        read.files += entry["files"]
        read.size += size
        read.differences += entry["differences"]
        read.unfinished += not done
        read.kinds[entry["kind"]] = read.kinds.get(entry["kind"], 0) + 1
        for name, count in entry["counts"].items():
            read.counts[name] = read.counts.get(name, 0) + count
        for path in entry.get("paths", ()):
            self.names.add(*key, "differs", path)

    def figures(self, end: int) -> dict[str, Any]:
        """What is told of it, for each target over time, and for each vault there."""
        lines = {key: line for key, line in sorted(self.recovery.lines.items()) if self.recovery.is_current(*key)}
        keys = sorted({*lines, *self.reads})
        targets = sorted({target for _vault, target in keys})
        return {
            "window_days": WINDOW_DAYS,
            "on_record": bool(self.reads),
            "targets": [
                {"target": target, "share": self._share(lines, target, end), "series": self._series(lines, target, end)}
                for target in targets
            ],
            "lines": [self._line(key, end) for key in keys],
        }  # fmt: skip

    def _line(self, key: tuple[str, str], end: int) -> dict[str, Any]:
        read = self.reads.get(key, Read())
        return {
            "vault": key[0], "target": key[1], "share": round(_within(read, end), 4), "runs": read.runs,
            "kinds": dict(sorted(read.kinds.items())), "files": read.files, "bytes": read.size,
            "differences": read.differences, "unfinished": read.unfinished, "counts": dict(sorted(read.counts.items())),
            "last": or_none(read.last), "last_full": or_none(read.last_full),
        }  # fmt: skip

    def _series(self, lines: Mapping[tuple[str, str], Line], target: str, end: int) -> list[float | None]:
        width = max(1, -(-(self.period.until - self.period.since) // STEPS))
        moments = [self.period.since + (at + 1) * width for at in range(STEPS)]
        return [self._share(lines, target, one) if one - width <= end else None for one in moments]

    def _share(self, lines: Mapping[tuple[str, str], Line], target: str, moment: int) -> float | None:
        """Of all vaults there, by their size now."""
        total = sum(line.size for (_vault, where), line in lines.items() if where == target)
        if not total:
            return None
        read = sum(
            line.size * _within(self.reads[key], moment)
            for key, line in lines.items()
            if key[1] == target and key in self.reads
        )
        return round(read / total, 4)


def _within(read: Read, moment: int) -> float:
    last = moment // _DAY
    return min(1.0, sum(share for day, share in read.days.items() if last - WINDOW_DAYS < day <= last))

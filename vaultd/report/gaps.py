"""Times without a snapshot that are longer than the objective while the daemon ran.

A vault in which nothing changes gets none; so each gap says how long a change had waited at its end, where one had.
"""

from __future__ import annotations

import heapq
from typing import Any

from vaultd.report.period import Period, or_none, seconds
from vaultd.report.uptime import Uptime

MOST = 20

_Kept = tuple[int, int, int, int, bool]
"""Waited, daemon up, minus the beginning, the end, whether it is still open: in the order of what is worth keeping."""


class Gaps:
    """The gaps of one vault at one target: how many, and the worst."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.count = 0
        self.late = 0
        self.longest = 0
        self._kept = list[_Kept]()

    def between(
        self, begin: int, end: int, waited: int | None, objective: int | None, uptime: Uptime, *, open_end: bool = False
    ) -> None:  # fmt: skip
        """Two snapshots came one after the other; a change had ``waited`` when the second was off-site."""
        if objective is None or end - begin <= objective or not self.period.has(end):
            return
        first = max(begin, self.period.since)
        ran = uptime.ran(first, end)
        if ran <= objective:
            return
        self.count += 1
        self.longest = max(self.longest, end - begin)
        if waited is None or waited <= objective:
            return
        self.late += 1
        heapq.heappush(self._kept, (waited, ran, -begin, end, open_end))
        if len(self._kept) > MOST:
            heapq.heappop(self._kept)

    def figures(self) -> dict[str, Any]:
        """What is told of them; the worst of those in which a change waited for longer than the objective."""
        return {
            "count": self.count,
            "longest_seconds": seconds(self.longest),
            "late": self.late,
            "worst": [
                {"begin": or_none(-begin), "end": or_none(end), "seconds": seconds(end + begin),
                 "daemon_seconds": seconds(ran), "waited_seconds": seconds(waited), "open": is_open}
                for waited, ran, begin, end, is_open in sorted(self._kept, key=lambda one: (-one[2], one[3]))
            ],
        }  # fmt: skip

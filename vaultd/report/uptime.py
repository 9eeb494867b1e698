"""When the daemon ran, from its ``daemon`` entries.

One that was killed or lost its power says nothing: it counts as down from the last snapshot or verification before the
next start. It may have run for longer, with nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaultd.report.period import Period, or_none, seconds

MOST = 200


@dataclass(slots=True)
class Down:
    """A time in which it did not run. ``silent``: it ended without a word, and it is not known when exactly."""

    begin: int
    end: int
    silent: bool


class Uptime:
    """Follows the entries in their order."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.downs = list[Down]()
        self.starts = 0
        self.software = ""
        self._running = False
        self._since: int | None = None
        """When it stopped, in order; None before the first start."""

    @property
    def known(self) -> bool:
        """Whether it has ever run."""
        return self._running or self._since is not None

    def daemon(self, state: str, software: str, when: int, before: int) -> None:
        """It started or stopped. ``before``: when it last gave a sign of life."""
        self.software = software
        if state == "stopped":
            self._running, self._since = False, when
            return
        if self._running:
            self._down(before, when, silent=True)
        elif self._since is not None:
            self._down(self._since, when, silent=False)
        self._running = True
        self.starts += self.period.has(when)

    def finish(self, end: int) -> None:
        """The period is over, or what is on record."""
        if not self._running and self._since is not None:
            self._down(self._since, end, silent=False)

    def ran(self, begin: int, end: int) -> int:
        """For how long it ran between two moments, the second of which is not before its last start."""
        if not self.known:
            return 0
        found = end - begin
        for down in reversed(self.downs):
            if down.end <= begin:
                break
            found -= max(0, min(down.end, end) - max(down.begin, begin))
        if not self._running and self._since is not None:
            found -= max(0, end - max(self._since, begin))
        return max(found, 0)

    def _down(self, begin: int, end: int, *, silent: bool) -> None:
        begin = max(begin, self.period.since)
        if end > begin:
            self.downs.append(Down(begin, end, silent))

    def figures(self) -> dict[str, Any]:
        """What is told of it."""
        return {
            "starts": self.starts,
            "down_count": len(self.downs),
            "down_seconds": seconds(sum(one.end - one.begin for one in self.downs)),
            "downs": [
                {"begin": or_none(one.begin), "end": or_none(one.end), "seconds": seconds(one.end - one.begin),
                 "silent": one.silent}
                for one in sorted(sorted(self.downs, key=lambda one: one.begin - one.end)[:MOST], key=_begin)
            ],
        }  # fmt: skip


def _begin(one: Down) -> int:
    return one.begin

"""Figures over time in a fixed number of steps, and distributions, in memory that does not grow with the ledger."""

from __future__ import annotations

import math
from typing import Any

from vaultd.report.period import Period, or_none, seconds

STEPS = 180
"""Points of a plot."""

_PER_DECADE = 40


class Series:
    """For each step of the period how long the oldest change had waited at most, nanoseconds; None: nothing waited.
    And the objective, with the moments at which it changed."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.width = max(1, -(-(period.until - period.since) // STEPS))
        self.values: list[int | None] = [None] * STEPS
        self.objectives = list[tuple[int, int | None]]()

    def waited(self, begin: int, end: int) -> None:
        """Something waited from a moment to another: at each moment between them for so long as since the first."""
        since = self.period.since
        first, last = max(0, (begin - since) // self.width), min(STEPS - 1, (end - since) // self.width)
        for at in range(first, last + 1):
            lag = min(since + (at + 1) * self.width, end) - begin
            known = self.values[at]
            if known is None or lag > known:
                self.values[at] = lag

    def objective(self, when: int, value: int | None) -> None:
        """The objective from a moment on."""
        if when <= self.period.since:
            self.objectives = [(when, value)]
        elif not self.objectives or self.objectives[-1][1] != value:
            self.objectives.append((when, value))

    def figures(self) -> dict[str, Any]:
        """What is told of it: seconds."""
        return {
            "begin": or_none(self.period.since),
            "step_seconds": seconds(self.width),
            "waited_seconds": [None if one is None else seconds(one) for one in self.values],
            "objectives": [
                {"from": or_none(max(when, self.period.since)), "seconds": None if one is None else seconds(one)}
                for when, one in self.objectives
            ],
        }


class Histogram:
    """Durations, counted in classes that are six per cent wide; the worst exactly, with its moment."""

    def __init__(self) -> None:
        self.count = 0
        self.worst = 0
        self.worst_at: int | None = None
        self._classes = dict[int, int]()

    def add(self, nanoseconds: int, when: int) -> None:
        """One more."""
        self.count += 1
        if self.worst_at is None or nanoseconds > self.worst:
            self.worst, self.worst_at = nanoseconds, when
        number = math.ceil(math.log10(max(nanoseconds, 1_000_000) / 1_000_000) * _PER_DECADE)
        self._classes[number] = self._classes.get(number, 0) + 1

    def quantile(self, share: float) -> float | None:
        """The upper end of the class that holds this share, seconds; None when there is nothing."""
        left = share * self.count
        for number in sorted(self._classes):
            left -= self._classes[number]
            if left <= 0:
                return min(round(10 ** (number / _PER_DECADE) / 1000, 3), seconds(self.worst))
        return None

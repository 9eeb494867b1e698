"""Full or express: chosen by what full snapshots of this vault on this target have cost so far.

Time spent in restic is kept over a window, so that a busy day does not turn into a day of nothing but snapshots.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 600.0
EXPRESS_FILES = 5000
"""restic keeps the list of an express snapshot in the snapshot: more paths than this go into a full one or a batch."""

REST = 4.0
"""On a busy day the next automatic run waits this many times as long as the last one took: a fifth of the time."""

LONGEST_REST = 30.0
UNHURRIED_SHARE = 0.15

# Until measured: the design's figures for a tree with nothing changed (2.5 s at 100,000 files, 21 s at 1,000,000).
GUESS_BASE_SECONDS = 1.0
GUESS_FILES_A_SECOND = 45_000.0
GUESS_BYTES_A_SECOND = 10e6


@dataclass(slots=True)
class Cost:
    """Measured durations of one vault on one target. Seconds, bytes."""

    full_base: float | None = None
    express: float | None = None
    rate: float = GUESS_BYTES_A_SECOND
    rate_measured: bool = False

    def learn(self, *, full: bool, seconds: float, sent: int) -> None:
        """Take in a finished run; newer runs weigh more."""
        if sent >= 4 << 20 and seconds > 0:
            measured = sent / seconds
            self.rate = measured if not self.rate_measured else 0.5 * self.rate + 0.5 * measured
            self.rate_measured = True
        base = max(0.05, seconds - sent / self.rate)
        if full:
            self.full_base = base if self.full_base is None else 0.5 * self.full_base + 0.5 * base
        else:
            self.express = base if self.express is None else 0.5 * self.express + 0.5 * base

    def expected_full(self, files: int, unsafe_bytes: int) -> float:
        """Seconds that a full snapshot of so many files, with so many bytes to send, is expected to take."""
        base = self.full_base
        if base is None:
            base = GUESS_BASE_SECONDS + files / GUESS_FILES_A_SECOND
        return base + unsafe_bytes / self.rate

    def expected_express(self, unsafe_bytes: int) -> float:
        """Seconds that an express snapshot is expected to take."""
        return (1.0 if self.express is None else self.express) + unsafe_bytes / self.rate


@dataclass(slots=True)
class Spent:
    """Seconds spent in restic over the last ten minutes. ``last_full``: when the last full snapshot ended."""

    last_full: float | None = None
    _runs: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, seconds: float, now: float | None = None, *, full: bool = False) -> None:
        """A run of so many seconds has ended."""
        now = time.monotonic() if now is None else now
        self._runs.append((now, seconds))
        if full:
            self.last_full = now

    def share_with(self, expected: float, now: float | None = None) -> float:
        """The share of the window that would be spent if a run of ``expected`` seconds were made now."""
        now = time.monotonic() if now is None else now
        while self._runs and self._runs[0][0] < now - WINDOW_SECONDS:
            self._runs.popleft()
        return (sum(seconds for _ended, seconds in self._runs) + expected) / WINDOW_SECONDS


def full_is_affordable(
    expected: float, spent: Spent, *, full_seconds: float, full_share: float, now: float | None = None
) -> bool:
    """Whether a full snapshot may be made now: short, or within the share of time that restic may take.

    Long ones are spread over the time: after one, so long a pause that the share holds for the two of them. Else the
    window's whole share would be spent at once, and what changes just after one has begun would wait for two.
    """
    if expected < full_seconds:
        return True
    now = time.monotonic() if now is None else now
    if spent.last_full is not None and now - spent.last_full < expected / full_share:
        return False
    return spent.share_with(expected, now) <= full_share


def rest_after(seconds: float, share: float, objective: float) -> float:
    """How long the next automatic run of this vault waits after one that took ``seconds``.

    Not at all while restic has little of the time (``share`` of the window): a single change is sent at once.
    """
    return 0.0 if share < UNHURRIED_SHARE else min(REST * seconds, LONGEST_REST, objective / 4)

"""When a burst of changes is over: quiet for ``settle`` seconds, or ``max_delay`` seconds after its first change."""

from __future__ import annotations


class Settle:
    """Pure: the caller brings the time (seconds of one monotonic clock) and does the waiting. Written by one thread,
    read by others."""

    def __init__(self, settle: float, max_delay: float) -> None:
        self.settle = settle
        self.max_delay = max_delay
        self._first: float | None = None
        self._last = 0.0
        self._taken = float("-inf")

    def touch(self, moment: float) -> None:
        """Something changed then. What was heard before the last taking, and written down after it, counts from it."""
        moment = max(moment, self._taken)
        if self._first is None:
            self._first = self._last = moment
        self._last = max(self._last, moment)

    def quiet(self) -> None:
        """Everything was looked at just now: there is nothing to wait for."""
        self._last = float("-inf")

    def due_at(self) -> float | None:
        """When what has changed should be taken; None while nothing has."""
        first = self._first
        return None if first is None else min(self._last + self.settle, first + self.max_delay)

    def due_after(self, moment: float) -> float:
        """The same while more is on its way: not before a moment, unless ``max_delay`` is over. Something changed."""
        first = self._first
        return moment if first is None else min(max(self._last + self.settle, moment), first + self.max_delay)

    def taken(self, now: float) -> None:
        """The changes were taken: the next one begins a new burst."""
        self._first, self._taken = None, now

"""When a burst of changes is over: quiet for ``settle`` seconds, or ``max_delay`` seconds after its first change."""

from __future__ import annotations


class Settle:
    """Pure: the caller brings the time (seconds of one monotonic clock) and does the waiting."""

    def __init__(self, settle: float, max_delay: float) -> None:
        self.settle = settle
        self.max_delay = max_delay
        self._first: float | None = None
        self._last = 0.0

    def touch(self, now: float) -> None:
        """Something changed."""
        if self._first is None:
            self._first = self._last = now
        self._last = max(self._last, now)

    def due_at(self) -> float | None:
        """When what has changed should be taken; None while nothing has."""
        if self._first is None:
            return None
        return min(self._last + self.settle, self._first + self.max_delay)

    def due_after(self, moment: float) -> float:
        """The same while more is on its way: not before a moment, unless ``max_delay`` is over. Something changed."""
        if self._first is None:
            return moment
        return min(max(self._last + self.settle, moment), self._first + self.max_delay)

    def taken(self) -> None:
        """The changes were taken: the next one begins a new burst."""
        self._first = None

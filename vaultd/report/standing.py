"""Alerts: how often each was raised, and how long it stood."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vaultd import alerts
from vaultd.report.period import Period, or_none, seconds

MOST = 60

Key = tuple[str, str, str]


@dataclass(slots=True)
class Kind:
    """All alerts of one code about one vault and target."""

    times: int = 0
    total: int = 0
    longest: int = 0
    is_open: bool = False


class Standing:
    """Follows ``alert`` entries in their order."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.count = 0
        self._open = dict[Key, tuple[int, str, int | None]]()
        self._kinds = dict[Key, Kind]()
        self._kept = list[tuple[int, int, Key, int | None, str, int | None]]()

    def alert(self, entry: Mapping[str, Any], when: int) -> None:
        """One was raised, cleared or acknowledged."""
        key = (entry["code"], entry.get("vault", ""), entry.get("target", ""))
        state = entry["state"]
        if state == "raised":
            self._open.setdefault(key, (when, "", None))
        elif state == "acknowledged":
            if key in self._open:
                self._open[key] = (self._open[key][0], entry.get("who", ""), when)
        elif key in self._open:
            self._over(key, *self._open.pop(key), end=when)

    def _over(self, key: Key, begin: int, who: str, seen: int | None, *, end: int, is_open: bool = False) -> None:
        if end < self.period.since:
            return
        self.count += 1
        kind = self._kinds.setdefault(key, Kind())
        kind.times += 1
        kind.total += end - begin
        kind.longest = max(kind.longest, end - begin)
        kind.is_open |= is_open
        heapq.heappush(self._kept, (end - begin, -begin, key, None if is_open else end, who, seen))
        if len(self._kept) > MOST:
            heapq.heappop(self._kept)

    def finish(self, end: int) -> None:
        """The period is over, or what is on record: what stands then."""
        for key, (begin, who, seen) in self._open.items():
            self._over(key, begin, who, seen, end=max(begin, end), is_open=True)

    def figures(self) -> dict[str, Any]:
        """What is told of them: those that stood in the period, by kind; and one by one those that stood longest."""
        return {
            "count": self.count,
            "open": sum(one.is_open for one in self._kinds.values()),
            "kinds": [
                {**_key(key), "times": one.times, "total_seconds": seconds(one.total),
                 "longest_seconds": seconds(one.longest), "open": one.is_open}
                for key, one in sorted(self._kinds.items())
            ],
            "longest": [
                {**_key(key), "raised": or_none(-begin), "cleared": or_none(end), "seconds": seconds(lasted),
                 "acknowledged_by": who or None, "acknowledged": or_none(seen)}
                for lasted, begin, key, end, who, seen in sorted(self._kept, key=lambda one: (-one[1], one[2]))
            ],
        }  # fmt: skip


def _key(key: Key) -> dict[str, Any]:
    code, vault, target = key
    return {
        "code": code, "severity": alerts.severity(code).value, "vault": vault or None, "target": target or None,
    }  # fmt: skip

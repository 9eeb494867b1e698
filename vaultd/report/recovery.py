"""Achieved recovery points of each vault at each target, as far as the ledger alone says (docs/report.md).

A change is off-site at a target with the ``snapshot`` entry that settles it. The oldest change of a snapshot was seen
at its ``since_ns``; the versions of its change set were changed at their ``mtime_ns``, which is earlier where nobody
looked (the daemon was down). Entries of an older vaultd have no ``since_ns``: there a version that another target has
recorded counts as off-site with the next full snapshot that began after the change (or after it was on record). A file
that came with an old time, from elsewhere, was not there when the newest complete full snapshot began, so no wait is
counted from before that. What comes before the first complete one is the first protection and no recovery point. The
figure is that of the oldest change of a change set: an upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vaultd.report.gaps import Gaps
from vaultd.report.period import Period, or_none, seconds
from vaultd.report.series import Histogram, Series
from vaultd.report.uptime import Uptime

MOST_WAITING = 64
MOST_OPEN = 50_000


@dataclass(slots=True)
class Group:
    """The versions of one change set: the oldest and the newest change among them, the time of their entries."""

    vault: str
    oldest: int
    newest: int
    recorded: int
    count: int = 1


@dataclass(slots=True)
class Line:
    """One vault at one target. Moments are nanoseconds since 1970."""

    series: Series
    gaps: Gaps
    lags: Histogram = field(default_factory=Histogram)
    complete: int | None = None
    """When the newest full snapshot that lacks nothing began."""
    first_complete: int | None = None
    last: int | None = None
    """When the newest snapshot was off-site."""
    size: int = 0
    files: int = 0
    snapshots: dict[str, int] = field(default_factory=dict)
    exceptions: dict[str, int] = field(default_factory=dict)
    """Snapshots of the period that had a path of this kind."""
    worst_exceptions: dict[str, int] = field(default_factory=dict)
    now_exceptions: dict[str, int] = field(default_factory=dict)
    late: int = 0
    waiting: list[Group] = field(default_factory=list)
    exact: bool = False
    """Its snapshots say since when the oldest of what they settle had waited."""

    def wait(self, group: Group) -> None:
        """Another target has recorded versions that are not known to be here."""
        self.waiting.append(group)
        if len(self.waiting) > MOST_WAITING:
            one, other = self.waiting[:2]
            merged = Group(
                one.vault, min(one.oldest, other.oldest), max(one.newest, other.newest),
                max(one.recorded, other.recorded),
            )  # fmt: skip
            self.waiting[:2] = [merged]

    def settle(self, began: int) -> int | None:
        """A snapshot that began then is here, and has what others have recorded: the oldest change among it."""
        done = [one for one in self.waiting if one.newest <= began or one.recorded <= began]
        self.waiting = [one for one in self.waiting if one.newest > began and one.recorded > began]
        return min((one.oldest for one in done), default=None)


class Recovery:
    """Follows ``version``, ``snapshot`` and ``vault`` entries in their order."""

    def __init__(self, period: Period, uptime: Uptime) -> None:
        self.period, self.uptime = period, uptime
        self.lines = dict[tuple[str, str], Line]()
        self._of_vault = dict[str, list[tuple[Line, str]]]()
        self.vaults = dict[str, dict[str, Any]]()
        self.versions = {"bound": 0, "in-motion": 0, "deleted": 0}
        self.version_bytes = 0
        self._open = dict[str, Group]()

    def line(self, vault: str, target: str) -> Line:
        """The line of a vault at a target."""
        found = self.lines.get((vault, target))
        if found is None:
            found = self.lines[vault, target] = Line(Series(self.period), Gaps(self.period))
            self._of_vault.setdefault(vault, []).append((found, target))
        return found

    def objective(self, vault: str) -> int | None:
        """Of a vault now, nanoseconds; None when it is not on record."""
        found = self.vaults.get(vault, {}).get("objective_ms")
        return None if found is None else int(found) * 1_000_000

    def vault(self, entry: Mapping[str, Any], when: int) -> None:
        """How a vault is protected from now on."""
        name = entry["vault"]
        self.vaults[name] = {key: entry[key] for key in _DESCRIBED if key in entry}
        for target in entry.get("targets", ()):
            self.line(name, target)
        for line, target in self._of_vault.get(name, ()):
            if self.is_current(name, target):
                line.series.objective(when, self.objective(name))
            else:
                line.series.objective(when, None)
                line.last, line.waiting = None, []

    def version(self, vault: str, change_set: str, state: str, mtime: int | None, size: int, when: int) -> None:
        """A version is on record."""
        if self.period.has(when):
            self.versions[state] = self.versions.get(state, 0) + 1
            self.version_bytes += size
        if mtime is None:
            return
        group = self._open.get(change_set)
        if group is None:
            if len(self._open) >= MOST_OPEN:
                del self._open[next(iter(self._open))]
            self._open[change_set] = Group(vault, mtime, mtime, when)
            return
        group.count += 1
        group.recorded = when
        if mtime < group.oldest:
            group.oldest = mtime
        elif mtime > group.newest:
            group.newest = mtime

    def snapshot(self, entry: Mapping[str, Any], when: int) -> None:
        """A snapshot is off-site since ``when``."""
        vault, kind, began = entry["vault"], entry["kind"], int(entry["time_ns"])
        line = self.line(vault, entry["target"])
        inside = self.period.has(when)
        if inside:
            line.snapshots[kind] = line.snapshots.get(kind, 0) + 1
        own = self._open.pop(entry["change_set"], None)
        if kind == "dump":
            return
        self._exceptions(line, entry["exceptions"], inside)
        found = [] if own is None else [own.oldest]
        if own is not None:
            for other, target in self._of_vault[vault]:
                if other is not line and self.is_current(vault, target):
                    other.wait(own)
        if "since_ns" in entry:
            line.exact = True
            found.append(int(entry["since_ns"]))
        if (kind == "full" or line.exact) and (waited := line.settle(began)) is not None and not line.exact:
            found.append(waited)
        lag = None
        if line.complete is not None and found:
            lag = max(0, when - max(min(found), line.complete))
            self._achieved(line, lag, when, self.objective(vault))
        if line.last is not None and line.complete is not None:
            line.gaps.between(line.last, when, lag, self.objective(vault), self.uptime)
        line.last = when
        if kind == "full":
            line.files, line.size = entry["files"], entry["size"]
            if not (entry["exceptions"].get("unread") or entry["exceptions"].get("retry")):
                line.complete = began
                line.first_complete = line.first_complete or when

    def _achieved(self, line: Line, lag: int, when: int, objective: int | None) -> None:
        line.series.waited(when - lag, when)
        if self.period.has(when):
            line.lags.add(lag, when)
            line.late += objective is not None and lag > objective

    @staticmethod
    def _exceptions(line: Line, found: Mapping[str, int], inside: bool) -> None:
        line.now_exceptions = {key: count for key, count in found.items() if count}
        if inside:
            for key, count in line.now_exceptions.items():
                line.exceptions[key] = line.exceptions.get(key, 0) + 1
                line.worst_exceptions[key] = max(line.worst_exceptions.get(key, 0), count)

    def finish(self, end: int) -> None:
        """The period is over, or what is on record: what still waits then."""
        for (vault, target), line in self.lines.items():
            if not self.is_current(vault, target) or line.complete is None:
                continue
            waiting = min((one.oldest for one in line.waiting), default=None)
            lag = None if waiting is None else max(0, end - max(waiting, line.complete))
            if lag is not None:
                line.series.waited(end - lag, end)
            if line.last is not None:
                line.gaps.between(line.last, end, lag, self.objective(vault), self.uptime, open_end=True)

    def is_current(self, vault: str, target: str) -> bool:
        """Whether a vault is protected there now, as far as the ledger says so."""
        known = self.vaults.get(vault)
        return known is None or target in known.get("targets", ())

    def figures(self) -> list[dict[str, Any]]:
        """What is told of each vault at each target, in order of their names."""
        return [self._figures(vault, target, self.lines[vault, target]) for vault, target in sorted(self.lines)]

    def _figures(self, vault: str, target: str, line: Line) -> dict[str, Any]:
        objective = self.objective(vault)
        lags = line.lags
        return {
            "vault": vault,
            "target": target,
            "current": self.is_current(vault, target),
            "objective_seconds": None if objective is None else seconds(objective),
            "snapshots": dict(sorted(line.snapshots.items())),
            "first_protected": or_none(line.first_complete),
            "last_snapshot": or_none(line.last),
            "files": line.files,
            "bytes": line.size,
            "change_sets": lags.count,
            "late": None if objective is None else line.late,
            "median_seconds": lags.quantile(0.5),
            "p95_seconds": lags.quantile(0.95),
            "worst_seconds": None if not lags.count else seconds(lags.worst),
            "worst_at": or_none(lags.worst_at),
            "exceptions": {
                "snapshots": dict(sorted(line.exceptions.items())), "most": dict(sorted(line.worst_exceptions.items())),
                "now": dict(sorted(line.now_exceptions.items())),
            },
            "gaps": line.gaps.figures(),
            "series": line.series.figures(),
        }  # fmt: skip


_DESCRIBED = ("state", "folder", "classification", "priority", "custodian", "objective_ms", "targets")

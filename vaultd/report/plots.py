"""The plots of a report, from its figures: waiting times against the objective, coverage, drills."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from markupsafe import Markup

from vaultd import units
from vaultd.i18n import _
from vaultd.report.svg import Picture, Point

WIDTH, HEIGHT = 640.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 14.0, 8.0, 20.0

_TICKS = (1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400, 365 * 86400)
_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 2 * 3600, 6 * 3600, 86400, 7 * 86400)
"""Seconds."""


class Frame:
    """The axes of a plot over the period: days below, whatever ``y`` says at the left."""

    def __init__(self, title: str, period: Mapping[str, Any], zone: timezone, y: Callable[[float], float]) -> None:
        self.picture = Picture(WIDTH, HEIGHT, title)
        self.begin = datetime.fromisoformat(period["since"]).astimezone(zone)
        self.end = datetime.fromisoformat(period["until"]).astimezone(zone)
        self.seconds = max(1.0, (self.end - self.begin).total_seconds())
        self._y = y
        self._days()

    def x(self, moment: datetime) -> float:
        """Where a moment is."""
        share = (moment - self.begin).total_seconds() / self.seconds
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0)

    def y(self, value: float) -> float:
        """Where a value is."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(max(self._y(value), 0.0), 1.0)

    def level(self, value: float, words: str, css: str = "grid") -> None:
        """A line across, with its value."""
        self.picture.line((LEFT, self.y(value)), (WIDTH - RIGHT, self.y(value)), css)
        self.picture.text((LEFT - 4, self.y(value) + 3), words, "tick", anchor="end")

    def _days(self) -> None:
        """A tick for every day, week or month, so that there are at most ten or so."""
        days = self.seconds / 86400
        if days <= 1.2:
            hours = range(0, 25, 3)
            moments = [self.begin.replace(hour=0, minute=0, second=0, microsecond=0)]
            moments = [moments[0] + timedelta(hours=hour) for hour in hours]
            form = "%H:%M"
        else:
            step = next((one for one in (1, 2, 7, 14, 30, 61, 91, 182, 365) if days / one <= 11), 730)
            first = self.begin.replace(hour=0, minute=0, second=0, microsecond=0)
            moments = [first + timedelta(days=step * at) for at in range(13)]
            form = "%m-%d" if days < 300 else "%Y-%m"
        bottom = HEIGHT - BOTTOM
        for moment in moments:
            if self.begin <= moment <= self.end:
                self.picture.line((self.x(moment), bottom), (self.x(moment), bottom + 3), "axis")
                self.picture.text((self.x(moment), bottom + 13), f"{moment:{form}}", "tick", anchor="middle")
        self.picture.line((LEFT, bottom), (WIDTH - RIGHT, bottom), "axis")
        self.picture.line((LEFT, TOP), (LEFT, bottom), "axis")

    def steps(self, series: Sequence[float | None]) -> list[list[Point]]:
        """The points of a series over the period, apart where it has none."""
        width, found = (WIDTH - LEFT - RIGHT) / len(series), list[list[Point]]()
        for at, value in enumerate(series):
            if value is None:
                found.append([])
                continue
            if not found:
                found.append([])
            found[-1] += [(LEFT + at * width, self.y(value)), (LEFT + (at + 1) * width, self.y(value))]
        return [one for one in found if one]

    def shade(self, downs: Sequence[Mapping[str, Any]]) -> None:
        """The times in which the daemon did not run."""
        for one in downs:
            left = self.x(datetime.fromisoformat(one["begin"]))
            right = self.x(datetime.fromisoformat(one["end"]))
            self.picture.box(left, TOP, max(right - left, 0.8), HEIGHT - TOP - BOTTOM, "down")


def waiting(line: Mapping[str, Any], audit: Mapping[str, Any], zone: timezone) -> Markup:
    """How long the oldest change waited at each moment, on a logarithmic scale, and the objective."""
    series, objectives = line["series"]["waited_seconds"], line["series"]["objectives"]
    known = [one for one in series if one is not None] + [one["seconds"] for one in objectives if one["seconds"]]
    top = next((one for one in _TICKS if one >= max(known, default=60) * 1.05), _TICKS[-1])
    top = max(top, 600)
    title = _("Waiting time of the oldest change, {vault} at {target}")
    frame = Frame(
        title.format(vault=line["vault"], target=line["target"]), audit["period"], zone,
        lambda value: math.log(max(value, 1.0)) / math.log(top),
    )  # fmt: skip
    for tick in _TICKS:
        if tick <= top:
            frame.level(tick, units.duration(tick) if tick > 1 else _("{value} s").format(value="≤1"))
    frame.shade(audit["daemon"]["downs"])
    for points in frame.steps(series):
        bottom = HEIGHT - BOTTOM
        frame.picture.path([(points[0][0], bottom), *points, (points[-1][0], bottom)], "area", closed=True)
        frame.picture.path(points, "curve")
    for at, one in enumerate(objectives):
        if one["seconds"] is None:
            continue
        begin = frame.x(datetime.fromisoformat(one["from"]))
        later = objectives[at + 1]["from"] if at + 1 < len(objectives) else audit["period"]["until"]
        level = frame.y(one["seconds"])
        frame.picture.line((begin, level), (frame.x(datetime.fromisoformat(later)), level), "goal")
    return frame.picture.drawn()


def coverage(target: Mapping[str, Any], audit: Mapping[str, Any], zone: timezone) -> Markup:
    """Which share of a target was read back in the thirty days before each moment."""
    title = _("Share of {target} that was read back").format(target=target["target"])
    frame = Frame(title, audit["period"], zone, float)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        frame.level(tick, f"{tick:.0%}")
    for points in frame.steps(target["series"]):
        bottom = HEIGHT - BOTTOM
        frame.picture.path([(points[0][0], bottom), *points, (points[-1][0], bottom)], "area good", closed=True)
        frame.picture.path(points, "curve good")
    return frame.picture.drawn()


def drills(rows: Sequence[Mapping[str, Any]], audit: Mapping[str, Any], zone: timezone) -> Markup:
    """The recovery time of each drill."""
    most = max((row["seconds"] for row in rows), default=1)
    step = next((one for one in _STEPS if most * 1.1 <= 5 * one), _STEPS[-1])
    top = step * max(1, -(-most * 11 // (10 * step)))
    frame = Frame(_("Recovery time of each drill"), audit["period"], zone, lambda value: value / top)
    for tick in range(0, top + 1, max(step, top // 5 // step * step)):
        frame.level(tick, units.duration(tick) if tick else "0")
    vaults = sorted({row["vault"] for row in rows})
    for number, vault in enumerate(vaults):
        points = [
            (frame.x(datetime.fromisoformat(row["time"])), frame.y(row["seconds"]))
            for row in rows
            if row["vault"] == vault
        ]
        frame.picture.path(points, f"curve line{number % 6}")
        for point in points:
            frame.picture.dot(point, f"dot line{number % 6}")
        if len(vaults) <= 6:
            frame.picture.text((points[-1][0] - 4, points[-1][1] - 5), vault[:24], "tick", anchor="end")
    return frame.picture.drawn()

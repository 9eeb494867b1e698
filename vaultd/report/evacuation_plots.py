"""The pictures of the report after an evacuation: what happened when, and how much was safe when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from markupsafe import Markup

from vaultd import units
from vaultd.i18n import _
from vaultd.report import evacuation_words as names
from vaultd.report.svg import Picture, fitted, text_width

WIDTH = 640.0
LEFT, RIGHT = 84.0, 14.0
LANE, GAP = 20.0, 4.0
FLAG = 10.0
FOOT = 26.0
MOST_TARGETS = 10
MOST_FLAG_ROWS = 5

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 2 * 86400,
          7 * 86400, 14 * 86400, 30 * 86400, 91 * 86400, 365 * 86400, 3650 * 86400)  # fmt: skip
"""Seconds between two ticks."""

_DOTS = (
    ("disk", {"signed-off": "", "received": "good"}), ("notice", {"sent": "good", "failed": "bad"}),
    ("answer", {"acknowledged": "good", "repeated": "calm", "escalated": "bad"}),
    ("step", {"done": "good", "skipped": "calm", "undone": "bad"}), ("alert", {"raised": "bad", "cleared": "good"}),
)  # fmt: skip
"""Lanes of points, and their colours by state; one that is not named has none."""


class Clock:
    """A time axis: from the beginning to the end, with its zero at the order."""

    def __init__(self, figures: Mapping[str, Any], zone: timezone) -> None:
        self.begin = datetime.fromisoformat(figures["period"]["since"]).astimezone(zone)
        self.end = datetime.fromisoformat(figures["period"]["until"]).astimezone(zone)
        self.zero = datetime.fromisoformat(figures["evacuation"]["ordered"]).astimezone(zone)
        self.seconds = max(1.0, (self.end - self.begin).total_seconds())

    def has(self, moment: str) -> bool:
        """Whether a moment is in the picture."""
        return self.begin <= datetime.fromisoformat(moment) <= self.end

    def x(self, moment: str | None) -> float:
        """Where a moment is, at the edge for one outside; None is the end."""
        if moment is None:
            return WIDTH - RIGHT
        return self._at(datetime.fromisoformat(moment))

    def after(self, elapsed: float) -> float:
        """Where so many seconds after the order are."""
        return self._place((self.zero - self.begin).total_seconds() + elapsed)

    def _at(self, moment: datetime) -> float:
        return self._place((moment - self.begin).total_seconds())

    def _place(self, seconds: float) -> float:
        share = seconds / self.seconds
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0)

    def draw(self, picture: Picture, top: float, bottom: float) -> None:
        """The axis: ticks at round times after the order, with these, and the clock below."""
        step = next((one for one in _STEPS if self.seconds / one <= 8), _STEPS[-1])
        first = -int((self.zero - self.begin).total_seconds() // step)
        form = "%H:%M:%S" if self.seconds < 86400 else "%m-%d %H:%M" if self.seconds < 200 * 86400 else "%Y-%m-%d"
        free = 0.0
        left = (self.end - self.zero).total_seconds()
        for number in range(first, first + 10):
            if number * step > left:
                break
            moment = self.zero + timedelta(seconds=number * step)
            x = self._at(moment)
            picture.line((x, top), (x, bottom), "grid")
            word = _elapsed(number * step)
            clock = f"{moment:{form}}"
            half = max(text_width(word), text_width(clock)) / 2
            if x - half < free or x + half > WIDTH:
                continue
            picture.text((x, bottom + 10), word, "tick", anchor="middle")
            picture.text((x, bottom + 20), clock, "tick small", anchor="middle")
            free = x + half + 4
        picture.line((LEFT, bottom), (WIDTH - RIGHT, bottom), "axis")


def _elapsed(count: int) -> str:
    if count == 0:
        return "0"
    words = units.duration(abs(count)) if abs(count) > 9 else _("{value} s").format(value=abs(count))
    return f"{'-' if count < 0 else '+'}{words}"


def timeline(figures: Mapping[str, Any], zone: timezone) -> Markup:
    """What happened when: the steps as flags; below them a lane for each target, the daemon, and what people did."""
    clock = Clock(figures, zone)
    curves = figures["curves"][:MOST_TARGETS]
    rows = [(number, row) for number, row in enumerate(figures["timeline"]["rows"], 1)]
    dots = [(lane, css, [(number, row) for number, row in rows
                         if row["lane"] == lane and row["state"] in css and clock.has(row["time"])])
            for lane, css in _DOTS]  # fmt: skip
    dots = [one for one in dots if one[2]]
    flags = _placed(clock, figures["steps"])
    head = 4 + FLAG * (1 + max((row for _x, _word, row in flags), default=0)) + 4
    lanes = len(curves) + 1 + len(dots)
    bottom = head + lanes * (LANE + GAP)
    picture = Picture(WIDTH, bottom + FOOT, _("What happened when"))
    for at in range(lanes):
        picture.box(LEFT, head + at * (LANE + GAP), WIDTH - LEFT - RIGHT, LANE, "lane")
    clock.draw(picture, head, bottom)
    top = head
    for curve in curves:
        _target(picture, clock, figures, curve["target"], top)
        top += LANE + GAP
    _daemon(picture, clock, figures["daemon"], top)
    top += LANE + GAP
    for lane, css, found in dots:
        _label(picture, names.lane(lane), top)
        _points(picture, clock, css, found, top)
        top += LANE + GAP
    for x, word, row in flags:
        y = 4 + FLAG * (row + 1) - 3
        picture.line((x, y + 1.5), (x, bottom), "flag")
        picture.text((x + 2, y), word, "name")
    return picture.drawn()


def _label(picture: Picture, words: str, top: float) -> None:
    picture.text((LEFT - 5, top + LANE / 2 + 2.6), fitted(words, LEFT - 8), "name", anchor="end")


def _placed(clock: Clock, steps: Sequence[Mapping[str, Any]]) -> list[tuple[float, str, int]]:
    """The flags of the steps, each in the first row in which it covers no other; what has no place is in the list
    alone. A flag's line goes down from its word, so words in lower rows must keep clear of those above."""
    found, ends = list[tuple[float, str, int]](), list[float]()
    lines = list[tuple[float, int]]()
    for step in steps:
        x, word = clock.x(step["time"]), fitted(names.state(step["state"]), 120)
        width = text_width(word) + 4
        x = min(x, WIDTH - width)
        for row in range(MOST_FLAG_ROWS):
            if row == len(ends):
                ends.append(-1.0)
            crossed = any(at < row and x <= line <= x + width for line, at in lines)
            if ends[row] <= x and not crossed:
                ends[row] = x + width
                lines.append((x, row))
                found.append((x, word, row))
                break
    return found


def _target(picture: Picture, clock: Clock, figures: Mapping[str, Any], target: str, top: float) -> None:
    """Above the tiers of a target as bars, from the one before until it was safe; below its batches; behind them red
    where the line was down."""
    _label(picture, target, top)
    for line in figures["lines"]:
        if line["target"] == target:
            left = clock.x(line["begin"])
            picture.box(left, top, max(clock.x(line["end"]) - left, 0.8), LANE, "cut")
    _bars(picture, clock, figures, [row for row in figures["tiers"] if row["target"] == target], top)
    for curve in figures["curves"]:
        for point in curve["points"] if curve["target"] == target else ():
            picture.line((clock.x(point["time"]), top + 13), (clock.x(point["time"]), top + 18), "tick good")
    for row in figures["timeline"]["rows"]:
        if row["lane"] == "broken" and row["details"].get("target") == target:
            picture.line((clock.x(row["time"]), top + 12), (clock.x(row["time"]), top + 19), "tick bad")


def _bars(
    picture: Picture, clock: Clock, figures: Mapping[str, Any], tiers: Sequence[Mapping[str, Any]], top: float
) -> None:  # fmt: skip
    left = clock.x(figures["evacuation"]["ordered"])
    for row in tiers:
        right = clock.x(row["safe"])
        if right < left + 0.8 and row["safe"] is not None:
            continue
        css = "bar good" if row["met"] else "bar bad" if row["met"] is False else "bar"
        picture.box(left, top + 2, right - left, 9, css if row["safe"] is not None else "bar pale")
        word = str(row["tier"])
        if right - left > text_width(word) + 4:
            picture.text(((left + right) / 2, top + 9), word, "in" if row["safe"] else "name", anchor="middle")
        left = right
        if row["safe"] is None:
            break


def _daemon(picture: Picture, clock: Clock, downs: Sequence[Mapping[str, Any]], top: float) -> None:
    _label(picture, names.lane("daemon"), top)
    left = LEFT
    for down in downs:
        begin, end = clock.x(down["begin"]), clock.x(down["end"])
        picture.box(left, top + 6, max(begin - left, 0.0), 8, "bar good pale")
        picture.box(begin, top + 6, max(end - begin, 1.2), 8, "bar bad" if down["silent"] else "down")
        left = max(left, end)
    picture.box(left, top + 6, max(WIDTH - RIGHT - left, 0.0), 8, "bar good pale")


def _points(
    picture: Picture, clock: Clock, css: Mapping[str, str], rows: Sequence[tuple[int, Mapping[str, Any]]], top: float
) -> None:  # fmt: skip
    """A point for each, with its number in the list where there is room for it."""
    free = LEFT
    for number, row in rows:
        x = clock.x(row["time"])
        picture.dot((x, top + 13.5), f"dot {css[row['state']]}".strip(), 2.0)
        half = text_width(str(number), 6) / 2
        if x - half >= free and x + half <= WIDTH:
            picture.text((x, top + 8), str(number), "small", anchor="middle")
            free = x + half + 1.5


def safe(curve: Mapping[str, Any], figures: Mapping[str, Any], zone: timezone) -> Markup:
    """How much was safe at a target at each moment after the order: a share of all that was to go there; across it
    where its tiers end, and upright their objectives."""
    height, top, bottom = 170.0, 22.0, 170.0 - FOOT
    clock = Clock(figures, zone)
    picture = Picture(WIDTH, height, _("Safe at {target} over time").format(target=curve["target"]))

    def y(share: float) -> float:
        return bottom - (bottom - top) * min(max(share, 0.0), 1.0)

    clock.draw(picture, top, bottom)
    total = max(curve["bytes"], 1)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        picture.line((LEFT, y(share)), (WIDTH - RIGHT, y(share)), "grid")
        picture.text((LEFT - 4, y(share) + 2.6), f"{share:.0%}", "tick", anchor="end")
    for line in figures["lines"]:
        if line["target"] == curve["target"]:
            left = clock.x(line["begin"])
            picture.box(left, top, max(clock.x(line["end"]) - left, 0.8), bottom - top, "cut")
    points, before = list[tuple[float, float]](), y(0.0)
    points.append((clock.x(figures["evacuation"]["ordered"]), before))
    for point in curve["points"]:
        x = clock.x(point["time"])
        points += [(x, before), (x, y(point["bytes"] / total))]
        before = points[-1][1]
    points.append((WIDTH - RIGHT, before))
    picture.path([(points[0][0], bottom), *points, (points[-1][0], bottom)], "area good", closed=True)
    picture.path(points, "curve good")
    _bounds(picture, clock, curve, y, top, bottom)
    return picture.drawn()


def _bounds(
    picture: Picture, clock: Clock, curve: Mapping[str, Any], y: Any, top: float, bottom: float
) -> None:  # fmt: skip
    """Where the tiers end, named at the left end inside; and their objectives, named above."""
    total, lowest, free = max(curve["bytes"], 1), bottom + 4, 0.0
    for tier in curve["tiers"]:
        level = y(tier["bytes"] / total)
        picture.line((LEFT, level), (WIDTH - RIGHT, level), "axis")
        word = _("tier {number}").format(number=tier["tier"])
        if lowest - level >= 9 and level - 2 > top - 8:
            picture.text((LEFT + 3, level + 8 if level + 8 < lowest else level - 2), word, "name")
            lowest = level
        if tier["objective_seconds"] is None:
            continue
        x = clock.after(tier["objective_seconds"])
        if x >= WIDTH - RIGHT:
            continue
        picture.line((x, top - 4), (x, bottom), "goal")
        goal = f"{word}: {units.duration(tier['objective_seconds'])}"
        x = min(x, WIDTH - text_width(goal))
        if x >= free:
            picture.text((x + 2, top - 8), goal, "bad")
            free = x + text_width(goal) + 6

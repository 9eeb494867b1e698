"""The pictures of a trend: the same figure of each drill, side by side in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vaultd import units
from vaultd.i18n import _
from vaultd.report.svg import Picture, fitted, text_width

WIDTH, HEIGHT = 640.0, 165.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 20.0, 22.0
MOST = 60
"""The newest so many drills are drawn."""

_ROUND = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 2 * 86400,
          7 * 86400, 30 * 86400)  # fmt: skip

Line = tuple[str, list[float | None]]


def seconds(rows: Sequence[Mapping[str, Any]], title: str, lines: Sequence[Line]) -> Markup:
    """Durations of each drill. A line ends where a drill has none."""
    return _draw(rows, title, lines, lambda value: units.duration(value) if value else "0", _ROUND)


def counts(rows: Sequence[Mapping[str, Any]], title: str, lines: Sequence[Line]) -> Markup:
    """Numbers of each drill."""
    return _draw(rows, title, lines, lambda value: units.number(round(value)), tuple(10**at for at in range(12)))


def safe(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Time to safe: of the first tier and of everything, at the quickest target and at all."""
    return seconds(rows, _("Time to safe"), [
        (_("first tier, quickest target"), _series(rows, "first_tier_seconds")),
        (_("first tier, all targets"), _series(rows, "first_tier_everywhere_seconds")),
        (_("everything, quickest target"), _series(rows, "all_seconds")),
        (_("everything, all targets"), _series(rows, "all_everywhere_seconds")),
    ])  # fmt: skip


def answers(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """How soon people have acknowledged."""
    return seconds(rows, _("Time to acknowledgement"), [
        (_("first"), _series(rows, "answer_first_seconds")), (_("median"), _series(rows, "answer_median_seconds")),
        (_("last"), _series(rows, "answer_last_seconds")),
    ])  # fmt: skip


def faults(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """What was not as it should be."""
    return counts(rows, _("Faults"), [
        (_("restored files that differ"), _series(rows, "restore_differences")),
        (_("batches broken off"), _series(rows, "broken_batches")),
        (_("objectives missed"), _series(rows, "objectives_missed")), (_("open items"), _series(rows, "open_items")),
    ])  # fmt: skip


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> list[float | None]:
    return [row["indicators"][name] for row in rows[-MOST:]]


def _draw(
    rows: Sequence[Mapping[str, Any]], title: str, lines: Sequence[Line], word: Callable[[float], str],
    steps: Sequence[int],
) -> Markup:  # fmt: skip
    rows = rows[-MOST:]
    picture = Picture(WIDTH, HEIGHT, title)
    most = max((value for _name, values in lines for value in values if value is not None), default=1) or 1
    step = next((one for one in steps if most * 1.05 <= 5 * one), steps[-1])
    top = step * max(1, int(-(-most * 1.05 // step)))
    bottom, width = HEIGHT - BOTTOM, (WIDTH - LEFT - RIGHT) / max(len(rows), 1)

    def at(number: int, value: float) -> tuple[float, float]:
        return LEFT + (number + 0.5) * width, bottom - (bottom - TOP) * min(value / top, 1.0)

    for tick in range(0, top + 1, max(step, -(-top // 6) // step * step)):
        y = at(0, tick)[1]
        picture.line((LEFT, y), (WIDTH - RIGHT, y), "grid")
        picture.text((LEFT - 4, y + 2.6), word(tick), "tick", anchor="end")
    picture.line((LEFT, bottom), (WIDTH - RIGHT, bottom), "axis")
    free = 0.0
    for number, row in enumerate(rows):
        name = fitted(row["id"], 90)
        x, half = at(number, 0)[0], text_width(name) / 2
        if x - half >= free and x + half <= WIDTH:
            picture.text((x, bottom + 11), name, "tick", anchor="middle")
            free = x + half + 5
    x = LEFT
    for number, (name, values) in enumerate(lines):
        picture.box(x, 4, 7, 7, f"dot line{number}")
        picture.text((x + 10, 10.5), name, "name")
        x += text_width(name) + 26
        part = list[tuple[float, float]]()
        for place, value in enumerate(values):
            if value is None:
                picture.path(part, f"curve line{number}")
                part = []
                continue
            part.append(at(place, value))
            picture.dot(part[-1], f"dot line{number}", 1.8)
        picture.path(part, f"curve line{number}")
    return picture.drawn()

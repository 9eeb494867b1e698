"""What a row of the table is, and how the table is printed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.bench import Bench


@dataclass(frozen=True, slots=True)
class Part:
    """One figure that has a bound. ``at_least``: the bound is a lower one."""

    value: float
    bound: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def shown(self) -> str:
        return f"{number(self.value)}{self.unit}"

    def bound_shown(self) -> str:
        return f"{'>=' if self.at_least else '<='} {number(self.bound)}{self.unit}"


@dataclass(slots=True)
class Figures:
    """What a row has measured. ``ours`` and ``plain`` are seconds of each run; ``notes`` say where the time went."""

    parts: list[Part]
    ours: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: ``run`` measures it."""

    name: str
    what: str
    run: Callable[[Bench], Figures]


def ratio(ours: Sequence[float], plain: Sequence[float]) -> float:
    """Ratio of the medians."""
    return statistics.median(ours) / statistics.median(plain)


def number(value: float) -> str:
    """A number short enough for a table."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


LEAST_RUNS = 3


def verdict(figures: Figures, scale: float) -> str:
    """ "met" or "NOT MET"; a scaled row, or one of too few runs, is never either."""
    if figures.skipped:
        return "skipped"
    if scale != 1:
        return f"scaled {scale:g}"
    if figures.ours and len(figures.ours) < LEAST_RUNS:
        return f"only {len(figures.ours)} runs"
    return "met" if all(part.met for part in figures.parts) else "NOT MET"


HEAD = ("row", "ours", "plain restic", "figure", "bound", "")


def cells(row: Row, figures: Figures, scale: float) -> tuple[str, ...]:
    """The row's cells, as in ``HEAD``."""

    def middle(times: Sequence[float]) -> str:
        return f"{number(statistics.median(times))} s" if times else "-"

    figure = ", ".join(part.shown() for part in figures.parts) or figures.skipped
    bound = ", ".join(part.bound_shown() for part in figures.parts)
    return row.name, middle(figures.ours), middle(figures.plain), figure, bound, verdict(figures, scale)


def table(measured: Sequence[tuple[Row, Figures]], scale: float) -> str:
    """The whole table as text."""
    lines = [HEAD, *(cells(row, figures, scale) for row, figures in measured)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_json(row: Row, figures: Figures, scale: float) -> dict[str, object]:
    """The row for ``--json``."""
    return {
        "name": row.name, "what": row.what, "ours": figures.ours, "plain": figures.plain,
        "parts": [
            {"value": p.value, "bound": p.bound, "unit": p.unit, "at_least": p.at_least, "met": p.met}
            for p in figures.parts
        ],
        "scale": scale, "verdict": verdict(figures, scale), "notes": figures.notes, "skipped": figures.skipped,
    }  # fmt: skip

"""How values look on the terminal: sizes and durations (``vaultd.units``), plain tables for wide characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from vaultd.units import ago, duration, files, local, number, parse_rfc3339, rate, rfc3339, size

__all__ = [
    "ago", "columns", "duration", "files", "local", "number", "parse_rfc3339", "rate", "rfc3339", "size", "table",
    "width",
]  # fmt: skip


def width(text: str) -> int:
    """How many columns a text takes on a terminal: Chinese characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def columns(text: str, room: int, *, right: bool = False) -> str:
    """The text filled with spaces to ``room`` columns."""
    fill = " " * max(0, room - width(text))
    return fill + text if right else text + fill


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows under a head, two spaces between columns; the columns numbered in ``right`` are set to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    room = [max(width(line[number]) for line in lines) for number in range(len(head))]
    return "\n".join(
        "  ".join(columns(cell, room[number], right=number in right) for number, cell in enumerate(line)).rstrip()
        for line in lines
    )

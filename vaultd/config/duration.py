"""Durations in the configuration: "2s", "15m", "1h", "1d", or a number of seconds. Inside vaultd: seconds as float."""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SHAPE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)", re.ASCII)

LONGEST = 10 * 366 * _UNITS["d"]
"""Ten years: what is longer is a slip of the pen, and near the edge of what clocks and databases hold."""


def seconds(value: object) -> float:
    """Seconds of a duration as written. Raises ValueError when it is none, is negative or longer than ten years."""
    if isinstance(value, str):
        match = _SHAPE.fullmatch(value.strip())
        if match is None:
            raise ValueError(value)
        found = float(match[1]) * _UNITS[match[2]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = float(value)
    else:
        raise ValueError(value)
    if not math.isfinite(found) or not 0 <= found <= LONGEST:
        raise ValueError(value)
    return found


def text(value: float) -> str:
    """The shortest exact way to write seconds as a duration: 900.0 is "15m"."""
    for unit in ("w", "d", "h", "m", "s"):
        if value and value % _UNITS[unit] == 0:
            return f"{value / _UNITS[unit]:.0f}{unit}"
    return f"{value:g}s"

"""Sizes, durations, rates and moments: as people read them, and as JSON has them.

Inside vaultd times are nanoseconds since 1970; in JSON they are RFC 3339 in UTC; people see the host's local time.
"""

from __future__ import annotations

from datetime import UTC, datetime

from vaultd.i18n import _, ngettext

SECOND = 1_000_000_000
"""Nanoseconds."""


def size(count: float) -> str:
    """Bytes in binary units with three digits: "0 B", "999 B", "1.50 KiB", "12.3 GiB"."""
    if abs(count) < 1000:
        return f"{count:.0f} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        value /= 1024
        if abs(value) < 9.995:
            return f"{value:.2f} {unit}"
        if abs(value) < 99.95:
            return f"{value:.1f} {unit}"
        if abs(value) < 999.5:
            return f"{value:.0f} {unit}"
    return f"{value / 1024:.1f} EiB"


def rate(bytes_a_second: float) -> str:
    """Bytes a second."""
    return _("{size}/s").format(size=size(bytes_a_second))


def number(count: int) -> str:
    """A count with its thousands set apart: 1,234,567."""
    return f"{count:,}"


def files(count: int) -> str:
    """A number of files."""
    return ngettext("{count} file", "{count} files", count).format(count=number(count))


def duration(seconds: float) -> str:
    """How long, in the two largest units that matter: "0.8 s", "12 s", "3 min 5 s", "2 h 40 min", "3 d 4 h"."""
    if seconds < 9.95:
        return _("{value} s").format(value=f"{max(seconds, 0):.1f}")
    total = round(seconds)
    if total < 60:
        return _("{value} s").format(value=total)
    if total < 3600:
        return _two(_("{value} min"), _("{value} s"), divmod(total, 60))
    minutes = round(total / 60)
    if minutes < 24 * 60:
        return _two(_("{value} h"), _("{value} min"), divmod(minutes, 60))
    return _two(_("{value} d"), _("{value} h"), divmod(round(minutes / 60), 24))


def _two(large: str, small: str, values: tuple[int, int]) -> str:
    shown = large.format(value=values[0])
    return f"{shown} {small.format(value=values[1])}" if values[1] else shown


def rfc3339(moment: int) -> str:
    """Nanoseconds since 1970 as JSON has them: UTC, to the millisecond, "2026-11-22T20:01:02.123Z"."""
    whole, rest = divmod(moment, SECOND)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since 1970, to the microsecond. Raises ValueError; a moment without a zone is one."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * SECOND + since.microseconds * 1000


def local(moment: int) -> str:
    """A moment for people: date and time where the host is, to the second."""
    return f"{datetime.fromtimestamp(moment // SECOND, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def ago(moment: int, now: int) -> str:
    """A moment for people: how long ago; in the future (a clock was set back) as a date."""
    return (
        local(moment)
        if moment > now + SECOND
        else _("{duration} ago").format(duration=duration((now - moment) / SECOND))
    )

"""The moment that a person names with ``--at``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.units import SECOND

_SHAPE = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?)?"
    r"\s*(?P<zone>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def parse(text: str, option: str = "--at", zone: str = "") -> int:
    """Nanoseconds since 1970 of "2026-11-22", "2026-11-22 20:03", "2026-11-22T20:03:11.25+08:00".

    Where it names no zone it is in ``zone`` ("+08:00", "Z"), or local time. A moment that leaves out its finer parts
    means their end (a date alone: the end of that day), so that a moment copied from ``vaultd snapshots`` includes the
    snapshot it was copied from. Raises ConfigError, which names the ``option``.
    """
    return _span(text, option, zone)[1]


def begin(text: str, option: str, zone: str = "") -> int:
    """The same for the beginning of something: finer parts that are left out mean their beginning."""
    return _span(text, option, zone)[0]


def _span(text: str, option: str, zone: str) -> tuple[int, int]:
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise _wrong(text, option)
    second, fraction = match["second"] or "00", match["fraction"] or ""
    try:
        whole = datetime.fromisoformat(
            f"{match['date']}T{match['hour'] or '00'}:{match['minute'] or '00'}:{second}{match['zone'] or zone}"
        )
        if match["hour"] is None:
            end = whole + timedelta(days=1)
            return round(whole.timestamp()) * SECOND, round(end.timestamp()) * SECOND - 1
        start = round(whole.timestamp()) * SECOND
    except (ValueError, OverflowError):
        raise _wrong(text, option) from None
    if match["second"] is None:
        return start, start + 60 * SECOND - 1
    # The end of the smallest part given: three digits mean a millisecond, and its end.
    start += int(fraction.ljust(9, "0"))
    return start, start + int(10 ** (9 - len(fraction))) - 1


def _wrong(text: str, option: str) -> ConfigError:
    return ConfigError(
        f"{option} {text}",
        _("this is not a moment"),
        _('write it as "2026-11-22 20:03:11", with a zone if it is not local time: "2026-11-22 12:03:11Z"'),
    )

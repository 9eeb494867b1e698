"""The time that a report is about, in one zone that is named: nothing of the machine's own clock or zone goes in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger.entry import time_text
from vaultd.units import SECOND, rfc3339

_ZONE = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """From ``since`` to ``until`` (nanoseconds since 1970, both within); ``zone`` is what moments are shown in."""

    since: int
    until: int
    zone: timezone = UTC

    @property
    def first(self) -> str:
        """``since`` as entries have times."""
        return time_text(self.since)

    @property
    def last(self) -> str:
        """``until`` as entries have times."""
        return time_text(self.until)

    def has(self, moment: int) -> bool:
        """Whether a moment is within."""
        return self.since <= moment <= self.until


def zone(text: str) -> timezone:
    """The zone of "Z" or "+08:00". Raises ConfigError."""
    if text in ("Z", "UTC"):
        return UTC
    match = _ZONE.fullmatch(text)
    if match is None or (hours := int(match["hours"])) > 14 or (minutes := int(match["minutes"])) > 59:
        raise ConfigError(f"--zone {text}", _("this is not a zone"), _('write it as "+08:00", or "Z"'))
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(offset if match["sign"] == "+" else -offset)


def shown(moment: str, where: timezone) -> str:
    """A moment as JSON has it, for people: to the second, in a zone."""
    return f"{datetime.fromisoformat(moment).astimezone(where):%Y-%m-%d %H:%M:%S}"


def day(moment: int, where: timezone) -> str:
    """The date of a moment (nanoseconds since 1970)."""
    return f"{datetime.fromtimestamp(moment // SECOND, where):%Y-%m-%d}"


def seconds(nanoseconds: int) -> float:
    """A duration as JSON has it: seconds, to the millisecond."""
    return round(nanoseconds / SECOND, 3)


def or_none(moment: int | None) -> str | None:
    """A moment as JSON has it, or None."""
    return None if moment is None else rfc3339(moment)

"""[verify]: how often everything at the targets is read back, when, and how fast."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vaultd.config.values import PositiveDuration, Table, refuse
from vaultd.i18n import _

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)

ALWAYS = "always"

Minutes = tuple[int, int]
"""Begin and end of a time of day, in minutes since midnight, by the host's clock. The end may be on the next day."""


def time_of_day(value: Any) -> Minutes | None:
    """A time of day as the configuration writes it; None: any. Refuses what is none."""
    if value is None or value == ALWAYS:
        return None
    if isinstance(value, tuple):  # read already: TOML has none
        begin, end = value
        return int(begin), int(end)
    found = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[1] + found[2] == found[3] + found[4]:
        refuse(_("two times of day, such as {example}, or {always}").format(
            example='"20:00-06:00"', always=f'"{ALWAYS}"'))  # fmt: skip
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    return begin, end


class VerifyConfig(Table):
    """[verify]. ``period``: within so many seconds the daemon has read back every file and every pack at every target.
    ``window``: the time of day in which it does so, None: any. ``limit``: KiB/s, None: as fast as the line is.

    ``scheduled`` false: the daemon reads nothing back by itself.
    """

    scheduled: bool = True
    period: PositiveDuration = 30 * 86400
    window: Annotated[Minutes | None, BeforeValidator(time_of_day)] = (20 * 60, 6 * 60)
    limit: Annotated[int, Field(ge=1)] | None = None

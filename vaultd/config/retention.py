"""[vault.retention]: how long a vault's snapshots are kept. [maintenance]: when their data is cleared away."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vaultd.config.values import Duration, Table, refuse
from vaultd.i18n import _

Count = Annotated[int, Field(ge=0, le=100_000)]

DAY = 24 * 60
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


def _window(value: Any) -> str:
    match = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[1] + match[2] == match[3] + match[4]:
        refuse(_('two times of the day by the host\'s clock, such as "01:00-05:00" or "22:30-04:00"'))
    return str(value)


class RetentionConfig(Table):
    """[vault.retention]. Durations are seconds before the newest full snapshot, never before now: a vault that stands
    still loses nothing. Counts are of days, weeks, months and years that have a full snapshot at all; of each, the last
    one is kept. ``auto``: the daemon applies it by itself.
    """

    keep_within: Duration = 2 * 86400
    daily: Count = 30
    weekly: Count = 26
    monthly: Count = 24
    yearly: Count = 10
    express: Duration = 86400
    auto: bool = False


class MaintenanceConfig(Table):
    """[maintenance]. ``prune_window``: when the daemon may forget and prune, by the host's local time."""

    prune_window: Annotated[str, BeforeValidator(_window)] = "01:00-05:00"

    def is_open(self, minute: int) -> bool:
        """Whether a minute of the day (0 to 1439) lies in the window; one such as 22:00-04:00 goes over midnight."""
        begin, end = (int(one[:2]) * 60 + int(one[3:]) for one in self.prune_window.split("-"))
        return begin <= minute < end if begin < end else minute >= begin or minute < end

"""Sign-offs that were written on the printed list: a table, taken whole or not at all.

The same file that the register's import takes: UTF-8 with a byte-order mark or without, GB18030, heads in Chinese or
English in any order. Times are as written on paper, and recorded as such.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vaultd.disks.model import Inventory
from vaultd.errors import VaultdError
from vaultd.evacuate import signoff, subject
from vaultd.evacuate.signoff import Signed, Wish
from vaultd.i18n import _
from vaultd.media import record, table
from vaultd.media.faults import MediaError
from vaultd.media.record import Moment
from vaultd.media.register import Register
from vaultd.media.safety import Unsafe
from vaultd.paper.both import Both
from vaultd.pull.model import PullList

HEADS: dict[str, Both] = {
    "disk": Both("disk", "硬盘"), "by": Both("by", "移交人"), "to": Both("to", "接收人"),
    "seal": Both("seal", "封条号"), "time": Both("time", "时间"), "place": Both("place", "去向"),
    "reason": Both("reason", "原因"), "sheet": Both("sheet", "表单号"),
}  # fmt: skip
NEEDED = ("disk", "by", "to", "time")
_CLOCK = re.compile(r"(\d{1,2})[:：](\d{2})", re.ASCII)  # as an input method writes it
_MOST = 10_000

Look = Callable[[Sequence[str]], list[Unsafe]]
"""What of these vaults is not safe off-site."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: which disk, and the wish."""

    line: int
    disk: str
    wish: Wish


def take(
    register: Register, raw: bytes, wish: Wish, made: PullList | None, inventory: Inventory | None, look: Look
) -> list[Signed]:
    """All of it, or nothing. ``wish``: what holds for every row that says nothing else. Raises table.BadRows, which
    names each bad row; MediaError."""
    rows, bad = read(raw, wish, datetime.now().astimezone())
    done = list[Signed]()
    with register.store.database.write():
        for row in rows:
            try:
                found = subject.find(register, made, inventory, row.disk)
                unsafe = look(found.vaults)
                reason = row.wish.reason or (_("signed for on paper, recorded afterwards") if unsafe else "")
                done.append(signoff.sign_off(register, found, replace(row.wish, reason=reason), made, unsafe))
            except VaultdError as error:
                bad.append((row.line, str(error)))
        if bad:
            raise table.BadRows(sorted(bad))  # and all that was taken is as it was
    return done


def read(raw: bytes, wish: Wish, now: datetime) -> tuple[list[Row], list[tuple[int, str]]]:
    """The rows, and what is wrong with those that are none. Raises MediaError for a file that is no such table."""
    rows = csv.reader(io.StringIO(table.decoded(raw), newline=""), strict=True)
    found, bad = list[Row](), list[tuple[int, str]]()
    try:
        names = table.names_of(next(rows, []), HEADS, NEEDED)
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(found) + len(bad) >= _MOST:
                raise MediaError(_("the table"), _("it has more than {count} rows").format(count=_MOST))
            try:
                found.append(_row(rows.line_num, names, cells, wish, now))
            except VaultdError as error:
                bad.append((rows.line_num, str(error)))
    except csv.Error as error:
        bad.append((rows.line_num, str(error)))
    return found, bad


def _row(line: int, names: Sequence[str], cells: Sequence[str], wish: Wish, now: datetime) -> Row:
    if len(cells) != len(names):
        raise MediaError(
            _("the row"), _("it has {count} cells, the head has {wanted}").format(count=len(cells), wanted=len(names))
        )
    said = {name: table.unguarded(cell.strip()) for name, cell in zip(names, cells, strict=True)}
    for name in NEEDED:
        if not said[name]:
            raise MediaError(_("the row"), _("{field} is empty").format(field=HEADS[name].zh))
    given = {name: said[name] for name in ("by", "to", "seal", "place", "reason") if said.get(name)}
    means = replace(wish.means, sheet=said["sheet"]) if said.get("sheet") else wish.means
    return Row(line, said["disk"], replace(wish, **given, means=means, moment=moment_of(said["time"], now)))


def moment_of(text: str, now: datetime) -> Moment:
    """A time as it is written on paper; the hour alone is the last time that it was so late. Raises ConfigError."""
    clock = _CLOCK.fullmatch(text)
    if clock is None or int(clock[1]) > 23 or int(clock[2]) > 59:
        return record.stated(text)
    then = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
    if then > now:
        then -= timedelta(days=1)
    return Moment(round(then.timestamp()) * 10**9, "stated")

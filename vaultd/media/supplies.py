"""Emergency supplies: seals, cases, labels, spare disks. How many there are, and when somebody looks at them again."""

from __future__ import annotations

from datetime import date, timedelta

from vaultd.custody import owe
from vaultd.i18n import _
from vaultd.ledger.events import MediaStocked
from vaultd.media.faults import MediaError, NoMediumError
from vaultd.media.register import Register, clean
from vaultd.paper.both import Both
from vaultd.store.mediarows import StockRow

KINDS = {
    "seal": Both("seals", "封条"), "case": Both("cases", "保密箱"), "label": Both("labels", "标签"),
    "disk": Both("spare disks", "备用硬盘"), "bag": Both("bags", "防静电袋"), "tool": Both("tools", "工具"),
    "other": Both("other", "其他"),
}  # fmt: skip


def next_check(row: StockRow) -> date | None:
    """The last day on which it has to be looked at again; None: it needs no check."""
    if not row.every_days:
        return None
    if not row.checked:
        return date.min
    return date.fromisoformat(row.checked) + timedelta(days=row.every_days)


def problems(row: StockRow, today: date) -> list[str]:
    """ "short" and "unchecked", where they are true."""
    found = ["short"] if row.quantity < row.least else []
    due = next_check(row)
    return [*found, "unchecked"] if due is not None and due < today else found


def put(register: Register, row: StockRow) -> StockRow:
    """Keep an item as it is now, and put it on record. Raises MediaError."""
    row = row._replace(name=clean(row.name, "name"), place=clean(row.place, "place"), note=clean(row.note, "note"))
    what = _("stock of {name}").format(name=row.name)
    if not row.name:
        raise MediaError(what, _("it has no name"))
    if row.kind not in KINDS:
        raise MediaError(
            what, _("there is no kind {kind}").format(kind=row.kind),
            _("one of: {names}").format(names=", ".join(KINDS)),
        )  # fmt: skip
    if min(row.quantity, row.least, row.every_days) < 0:
        raise MediaError(what, _("there cannot be fewer than none"))
    with register.store.database.write():
        register.store.put_stock(row)
        body = MediaStocked(
            row.name, row.kind, row.quantity, row.least, row.place, register.who, row.checked or None,
            row.checked_by or None,
        )  # fmt: skip
        owe(register.store, register.config.host.state, body)
    return row


def find(register: Register, name: str) -> StockRow:
    """The item of a name. Raises NoMediumError."""
    wanted = clean(name, "name")
    for row in register.store.stock():
        if row.name == wanted:
            return row
    names = ", ".join(row.name for row in register.store.stock()) or "-"
    raise NoMediumError(
        _("stock of {name}").format(name=wanted), _("there is none"), _("known: {names}").format(names=names)
    )


def take(register: Register, name: str, count: int) -> StockRow:
    """Use some up, or (negative) put some back. Raises MediaError for more than there are."""
    with register.store.database.write():
        row = find(register, name)
        if count > row.quantity:
            raise MediaError(
                _("stock of {name}").format(name=row.name), _("there are {count} only").format(count=row.quantity)
            )
        return put(register, row._replace(quantity=row.quantity - count))

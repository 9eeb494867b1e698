"""The register as CSV, with the column heads that staff use; and what an import of one would change.

Export: UTF-8 with a byte-order mark, or GB18030: spreadsheets open both as Chinese. Import takes both, heads in Chinese
or English, in any order. One bad row, and nothing is imported: every bad one is named.

A cell that a spreadsheet would take for a formula gets an apostrophe before it (OWASP); an import takes it off again.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vaultd.i18n import _
from vaultd.media import numbering, words
from vaultd.media.faults import MediaError
from vaultd.media.register import EDITABLE, Register
from vaultd.paper.both import Both
from vaultd.store.mediarows import Medium
from vaultd.units import local

HEADS: dict[str, Both] = {
    "label": Both("label", "编号"), "copy": Both("copy", "份号"), "classification": Both("classification", "密级"),
    "period": Both("period", "保密期限"), "condition": Both("declassification", "解密条件"),
    "type": Both("type", "类型"), "make": Both("make", "品牌"), "model": Both("model", "型号"),
    "serial": Both("serial", "序列号"), "wwn": Both("wwn", "WWN"), "capacity": Both("capacity", "容量"),
    "encryption": Both("encryption", "加密方式"), "custodian": Both("custodian", "责任人"),
    "deputy": Both("deputy", "代理人"), "location": Both("location", "存放地点"), "host": Both("host", "所在主机"),
    "slot": Both("slot", "槽位"), "vaults": Both("vaults", "保管库"), "status": Both("status", "状态"),
    "holder": Both("holder", "当前持有人"), "borrower": Both("borrower", "借阅人"), "due": Both("due", "应还日期"),
    "seal": Both("seal", "封条号"), "seen": Both("seen", "最近核见"), "note": Both("note", "备注"),
}  # fmt: skip
_NOTED = ("holder", "borrower", "due", "seal", "seen")
"""Told by events: an export has them, an import does not look at them."""

ENCODINGS = {"utf-8": "utf-8-sig", "gb18030": "gb18030"}
LARGEST = 256 << 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would do: ``added`` media, ``changed`` ones (label and new values by field), so many ``same``."""

    added: list[Medium]
    changed: list[tuple[str, dict[str, str | int]]]
    same: int


class BadRows(MediaError):
    """Rows that cannot be imported: nothing was. ``rows``: number of the line, and why."""

    def __init__(self, rows: Sequence[tuple[int, str]]) -> None:
        self.rows = list(rows)
        line = _("line {number}")
        shown = "".join(f"\n  {line.format(number=at)}: {why}" for at, why in rows[:_MOST_NAMED])
        if len(rows) > _MOST_NAMED:
            shown += "\n  " + _("and {count} more").format(count=len(rows) - _MOST_NAMED)
        super().__init__(_("nothing was imported"), shown, _("mend these rows, and import the file again"))


def export(media: Iterable[Medium], encoding: str, *, english: bool = False) -> bytes:
    """The table. Raises KeyError for an encoding that is not in ``ENCODINGS``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([both.en if english else both.zh for both in HEADS.values()])
    writer.writerows([guarded(cell) for cell in _cells(medium, english=english)] for medium in media)
    return out.getvalue().encode(ENCODINGS[encoding])


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula. One that begins with an apostrophe gets another one, so that an
    import gives back what was there."""
    return "'" + cell if cell.startswith((*_FORMULA, "'")) else cell


def unguarded(cell: str) -> str:
    """What stood in the register."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'")) else cell


def _cells(medium: Medium, *, english: bool) -> Iterator[str]:
    for name in HEADS:
        value: Any = getattr(medium, name)
        if name == "classification":
            both = words.CLASSIFICATIONS[medium.classification]
            yield both.en.lower() if english else both.zh
        elif name == "status":
            both = words.STATUSES[medium.status]
            yield both.en if english else both.zh
        elif name == "capacity":
            yield words.capacity_text(medium.capacity)
        elif name == "due":
            yield local(value)[:10] if value else ""
        elif name == "seen":
            yield local(value) if value else ""
        else:
            yield str(value)


def decoded(raw: bytes) -> str:
    """The text of a file: UTF-8 with a byte-order mark or without, else GB18030. Raises MediaError."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            if raw.startswith(codecs.BOM_UTF8):
                break
    raise MediaError(
        _("the table"), _("it is neither UTF-8 nor GB18030"), _("save it in the spreadsheet as CSV in one of them")
    )


def plan(register: Register, raw: bytes, *, same_serial: bool = False) -> Plan:
    """What an import would do. Raises BadRows, MediaError."""
    rows = csv.reader(io.StringIO(decoded(raw), newline=""), strict=True)
    bad: list[tuple[int, str]] = []
    made = Plan([], [], 0)
    same, seen, serials = 0, dict[str, int](), dict[str, int]()
    try:
        names = names_of(next(rows, []), HEADS, ("label", "classification", "custodian"))
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            try:
                same += _row(register, names, row, made, seen, serials, rows.line_num, same_serial=same_serial)
            except MediaError as error:
                bad.append((rows.line_num, str(error)))
    except csv.Error as error:
        bad.append((rows.line_num, str(error)))
    if bad:
        raise BadRows(bad)
    return replace(made, same=same)


def names_of(head: Sequence[str], heads: Mapping[str, Both], needed: Sequence[str]) -> list[str]:
    """The fields of the columns. Raises MediaError for a head that is not known, or one too many."""
    known = {text.casefold(): name for name, both in heads.items() for text in (name, both.en, both.zh)}
    found = []
    for text in head:
        name = known.get(unguarded(text.strip()).casefold())
        if name is None:
            raise MediaError(
                _("the column {name}").format(name=ascii(text) if not text.isprintable() else text),
                _("it is not known"),
                _("columns: {names}").format(names=", ".join(both.zh for both in heads.values())),
            )
        found.append(name)
    for name in needed:
        if found.count(name) != 1:
            raise MediaError(_("the column {name}").format(name=heads[name].zh), _("it must be there once"))
    if len(set(found)) != len(found):
        raise MediaError(_("the columns"), _("one of them is there twice"))
    return found


def _row(
    register: Register, names: Sequence[str], row: Sequence[str], made: Plan, seen: dict[str, int],
    serials: dict[str, int], line: int, *, same_serial: bool,
) -> int:  # fmt: skip
    """Look at a row; 1 when it changes nothing."""
    if len(row) != len(names):
        raise MediaError(
            _("the row"), _("it has {count} cells, the head has {wanted}").format(count=len(row), wanted=len(names))
        )
    cells = {name: unguarded(cell.strip()) for name, cell in zip(names, row, strict=True)}
    values = _values(cells)
    label = numbering.normal(cells["label"]) if cells["label"] else register.next_label(_counted(register, seen))
    if label in seen:
        raise MediaError(
            _("label {label}").format(label=label), _("line {number} has it too").format(number=seen[label])
        )
    seen[label] = line
    serial = str(values.get("serial", ""))
    if serial and not same_serial and serials.setdefault(serial, line) != line:
        raise MediaError(
            _("serial number {serial}").format(serial=serial),
            _("line {number} has it too").format(number=serials[serial]),
            _("if they are two devices: --same-serial"),
        )
    known = register.store.medium(label)
    if known is None:
        start = {name: cells[name] for name in ("location",) if name in cells}
        status = words.meant(words.STATUSES, cells["status"], HEADS["status"].zh) if cells.get("status") else ""
        medium = Medium(label=label, **{**values, **start, **({"status": status} if status else {})})  # type: ignore[arg-type]
        made.added.append(register.checked(medium, same_serial=same_serial))
        return 0
    _refuse_moved(known, cells)
    changes = register.changes(known, values, same_serial=same_serial)
    if changes:
        made.changed.append((label, changes))
    return 0 if changes else 1


def _counted(register: Register, seen: dict[str, int]) -> int:
    """How many labels of this year's scheme the file has had already."""
    scheme, year = register.config.media.label, datetime.now().astimezone().year
    return sum(numbering.prefix(scheme, year) == one[: len(numbering.prefix(scheme, year))] for one in seen)


def _values(cells: dict[str, str]) -> dict[str, str | int]:
    """What a row says that can be changed."""
    values: dict[str, str | int] = {name: cells[name] for name in EDITABLE if name in cells}
    values["classification"] = words.meant(words.CLASSIFICATIONS, cells["classification"], HEADS["classification"].zh)
    if "capacity" in cells:
        values["capacity"] = words.capacity(cells["capacity"])
    if "vaults" in cells:
        values["vaults"] = vaults_of(cells["vaults"])
    return values


def vaults_of(text: str) -> str:
    """Names of vaults as the register keeps them."""
    return ",".join(part for part in text.replace("，", ",").replace("、", ",").replace(" ", ",").split(",") if part)


def _refuse_moved(known: Medium, cells: dict[str, str]) -> None:
    """Where a medium is changes by what happens to it, not by a table."""
    what = _("medium {label}").format(label=known.label)
    if "location" in cells and cells["location"] != known.location:
        raise MediaError(
            what, _("the register has it at {where}, the row at {place}").format(
                where=known.location or "-", place=cells["location"] or "-"),
            _("move it: vaultd media transfer {label}").format(label=known.label),
        )  # fmt: skip
    if cells.get("status") and words.meant(words.STATUSES, cells["status"], HEADS["status"].zh) != known.status:
        raise MediaError(
            what, _("the register says {status}, the row {other}").format(
                status=words.STATUSES[known.status].zh, other=cells["status"]),
        )  # fmt: skip


def carry_out(register: Register, raw: bytes, source: str, *, same_serial: bool = False) -> Plan:
    """Import all of it, or nothing. Raises BadRows, MediaError."""
    with register.store.database.write():
        made = plan(register, raw, same_serial=same_serial)
        for medium in made.added:
            register.add(medium, same_serial=True, source=source)
        for label, values in made.changed:
            register.change(label, values, same_serial=True, source=source)
    return made

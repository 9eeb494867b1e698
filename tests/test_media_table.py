"""The register as CSV: there and back, both encodings, bad rows, formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registering import Office, office_in
from vaultd.media import table, words
from vaultd.media.faults import MediaError
from vaultd.media.machine import Status

YEAR = datetime.now().astimezone().year
HEAD = "编号,份号,密级,保密期限,类型,品牌,型号,序列号,容量,责任人,存放地点,状态\r\n"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


def rows_of(raw: bytes, encoding: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(raw.decode(encoding), newline="")))


def test_a_table_as_staff_write_it_is_taken(office: Office) -> None:
    text = HEAD + "SY-2026-00001,1,机密,20年,硬盘,希捷,ST4000,ZC1,4 TB,张伟,机房A,在用\r\n"
    text += ",2,秘密,,U盘,,,,64GB,李娜,库房2,已存放\r\n"
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        made = table.plan(office.register, text.encode(encoding))
        assert [one.custodian for one in made.added] == ["张伟", "李娜"]
    made = table.carry_out(office.register, text.encode("gb18030"), "台账.csv")
    assert (len(made.added), made.changed, made.same) == (2, [], 0)
    one = office.register.find("SY-2026-00001")
    assert (one.classification, one.capacity, one.location, one.status) == ("secret", 4 * 10**12, "机房A", "in-service")
    other = office.register.find(made.added[1].label)
    assert (other.classification, other.capacity, other.status) == ("confidential", 64 * 10**9, "deposited")
    found = office.entries("medium")
    assert [(entry["state"], entry["source"]) for entry in found] == [("added", "台账.csv")] * 2


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("english", [True, False])
def test_what_is_written_is_read_back_and_changes_nothing(office: Office, encoding: str, english: bool) -> None:
    office.add(location="机房", note="=cmd|' /C calc'!A0", make="-x", model="+1", capacity=480103981056, period="20年")
    office.add(location="库房", note="@SUM(A1)", status="deposited", copy="'12", condition="＝1+1")
    office.bring(office.add(location="机房").label, Status.IN_TRANSIT)
    raw = table.export(office.store.media(), encoding, english=english)
    assert raw.startswith(b"\xef\xbb\xbf") is (encoding == "utf-8")
    made = table.plan(office.register, raw)
    assert (made.added, made.changed, made.same) == ([], [], 3)


def test_no_cell_of_an_export_is_a_formula(office: Office) -> None:
    for number, start in enumerate(("=", "+", "-", "@", "＝", "＋", "－", "＠")):
        office.add(note=f"{start}HYPERLINK(A1)", make=f"{start}1", serial=f"{start}{number}", custodian=f"{start}x")
    for row in rows_of(table.export(office.store.media(), "utf-8"), "utf-8-sig"):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r"))]


@given(st.text())
def test_guarding_is_undone_whatever_stands_in_a_cell(cell: str) -> None:
    assert table.unguarded(table.guarded(cell)) == cell
    assert not table.guarded(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@given(st.integers(0, 2**53))
def test_a_capacity_is_read_back_exactly(count: int) -> None:
    assert words.capacity(words.capacity_text(count)) == count


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("SY-2026-00009,1,绝妙,,,,,,,张伟,机房,在用", "密级 绝妙"), ("A B,1,机密,,,,,,,张伟,机房,在用", "not a label"),
        ("SY-2026-00009,1,机密,,,,,,,,机房,在用", "no custodian"),
        ("SY-2026-00009,1,机密,,,,,,四TB,张伟,机房,在用", "no size"),
        ("SY-2026-00009,1,机密,,,,,,,张伟,机房,已销毁", "a new medium is not"), ("SY-2026-00009,1,机密", "3 cells"),
        ("SY-2026-00001,1,机密,,,,,,,张伟,机房,在用", "line 2 has it too"),
        ("SY-2026-00009,1,机密,,,,,ZC1,,张伟,机房,在用", "ZC1"),
        ('SY-2026-00009,1,机密,"a\nb",,,,,,张伟,机房,在用', "no text on one line"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_nothing_is_imported(office: Office, row: str, why: str) -> None:
    good = "SY-2026-00001,1,机密,20年,硬盘,希捷,ST4000,ZC1,4 TB,张伟,机房A,在用\r\n"
    last = "SY-2026-00003,1,机密,20年,硬盘,希捷,ST4000,ZC3,4 TB,张伟,机房A,在用\r\n"
    raw = (HEAD + good + row + "\r\n" + last).encode()
    with pytest.raises(table.BadRows) as caught:
        table.carry_out(office.register, raw, "x.csv")
    (bad,) = caught.value.rows
    assert bad[0] == (4 if "\n" in row else 3)
    assert why in bad[1]
    assert f"line {bad[0]}" in str(caught.value)
    assert office.store.count_media() == 0
    assert not office.store.owes_ledger()


def test_every_bad_row_is_named(office: Office) -> None:
    rows = "".join(f"SY-2026-{number:05},1,无,,,,,,,张伟,机房,在用\r\n" for number in range(1, 4))
    with pytest.raises(table.BadRows) as caught:
        table.plan(office.register, (HEAD + rows).encode())
    assert [number for number, _why in caught.value.rows] == [2, 3, 4]


@pytest.mark.parametrize(
    ("raw", "why"),
    [("编号,密级\r\n".encode(), "责任人"), ("编号,密级,责任人,颜色\r\n".encode(), "颜色"),
     ("编号,密级,责任人,责任人\r\n".encode(), "must be there once"), (b"", "must be there once"),
     (b"\xef\xbb\xbf\xff\xfe,a", "neither UTF-8"), (b"\x81\x20\xff", "neither UTF-8"),
     ('编号,密级,责任人\r\nA-1,机密,"张伟\r\n'.encode(), "line 2")],
)  # fmt: skip
def test_a_table_that_is_none_is_refused(office: Office, raw: bytes, why: str) -> None:
    with pytest.raises(MediaError, match=why):
        table.plan(office.register, raw)


def test_a_known_medium_is_changed_by_what_differs(office: Office) -> None:
    label = office.add(location="机房", slot="3", make="希捷").label
    raw = f"编号,密级,责任人,槽位,品牌\r\n{label},绝密,李娜,4,希捷\r\n".encode()
    assert table.plan(office.register, raw).changed == [
        (label, {"classification": "top-secret", "custodian": "李娜", "slot": "4"})
    ]
    assert office.register.find(label).slot == "3"  # that was only a plan
    table.carry_out(office.register, raw, "x.csv")
    assert office.register.find(label).custodian == "李娜"
    assert office.entries("medium")[-1]["changes"] == ["classification", "custodian", "slot"]


@pytest.mark.parametrize(("column", "cell"), [("存放地点", "别处"), ("状态", "已存放")])
def test_no_table_moves_a_medium(office: Office, column: str, cell: str) -> None:
    label = office.add(location="机房").label
    with pytest.raises(table.BadRows, match="the register"):
        table.carry_out(office.register, f"编号,密级,责任人,{column}\r\n{label},机密,张伟,{cell}\r\n".encode(), "x.csv")
    assert office.register.find(label).location == "机房"


def test_rows_without_a_label_get_the_next_numbers(office: Office) -> None:
    office.add()
    raw = "编号,密级,责任人\r\n,机密,张伟\r\n,机密,李娜\r\n".encode()
    made = table.carry_out(office.register, raw, "x.csv")
    assert [one.label for one in made.added] == [f"SY-{YEAR}-00002", f"SY-{YEAR}-00003"]

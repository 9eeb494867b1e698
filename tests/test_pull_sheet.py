"""The printed page: what is on it, in both languages; its code read back; the picture of the chassis."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pulling import TIME, disk, inventory, leaf, mapped, need
from tests.test_pull_kept import made
from vaultd.disks.model import Bay
from vaultd.errors import ConfigError
from vaultd.paper import codes
from vaultd.pull import chassis, sheet
from vaultd.pull.model import Gone, Label, Need, PullList
from vaultd.pull.order import compute

EXAMPLE = Path(__file__).parent.parent / "config/chassis/example-2u12.toml"


def text_of(pdf: bytes, folder: Path) -> str:
    (folder / "sheet.pdf").write_bytes(pdf)
    done = subprocess.run(
        ["pdftotext", "-layout", str(folder / "sheet.pdf"), "-"], capture_output=True, text=True, check=True
    )
    return done.stdout


def flat(text: str) -> str:
    return "".join(text.split())


def many(count: int) -> PullList:
    keys = [f"k{number}" for number in range(count)]
    disks = [disk(key, str(number), serial=f"SER-{number:04}") for number, key in enumerate(keys)]
    maps = [mapped(f"vault-{key}", leaf(key)) for key in keys]
    return compute(inventory(disks, maps), [], {}, "archive-1")


def test_everything_that_matters_is_on_it(tmp_path: Path) -> None:
    pdf, lacking = sheet.draw(made(), TIME + 3600 * 10**9)
    text = flat(text_of(pdf, tmp_path))
    assert lacking == ""
    for wanted in (
        made().number, "archive-1", "拔盘清单", "X-0007", "李娜", "张伟", "M8000",
        "COPYCOMPLETEafterdisk1:records",
        "第1块后副本完整：records",
        "LEAKifleft:records", "遗留即泄密：records", "NOTYETOFF-SITE:3files", "尚未异地：3个文件",
        "inusebypostgresql.service", "echo1>/sys/block/sda/device/delete", "机密", "病案",
        "whatisbehinditcannotbeseen", "umount--$'/srv/\\xff'",
    ):  # fmt: skip
        assert flat(wanted) in text, wanted


def codes_on(pdf: bytes, folder: Path) -> set[str]:
    """What a phone reads of the page, held as near as that one code fills its picture: at 200 dots an inch, in pieces,
    since zbarimg loses codes of which many stand on one page."""
    (folder / "sheet.pdf").write_bytes(pdf)
    subprocess.run(["pdftoppm", "-r", "200", "-png", str(folder / "sheet.pdf"), str(folder / "page")], check=True)
    return {text for page in sorted(folder.glob("page*.png")) for text in codes.read(page)}


def test_the_codes_are_the_number_and_each_disk(tmp_path: Path) -> None:
    pdf, _lacking = sheet.draw(made(), TIME)
    assert codes_on(pdf, tmp_path) == {made().number, "X-0007", "VAULTD-DISK:b", "VAULTD-DISK:c"}


def test_each_disk_has_lines_to_sign_and_says_what_is_safe(tmp_path: Path) -> None:
    found = made()
    safe = replace(found, vaults=tuple(
        replace(line, need=replace(line.need, pending_files=0, pending_bytes=0)) for line in found.vaults
    ), pulls=tuple(replace(pull, pending_files=0, pending_bytes=0) for pull in found.pulls))  # fmt: skip
    left = Gone("张伟", "陈司机", "88412", TIME, "X-0007", "stated")
    safe = replace(safe, pulls=(replace(safe.pulls[0], gone=left), *safe.pulls[1:]))
    text = text_of(sheet.draw(safe, TIME)[0], tmp_path)
    for wanted in ("接收人", "封条号", "移交人", "陈司机", "88412", "HAS LEFT", "已移交"):
        assert flat(wanted) in flat(text), wanted
    assert flat(text).count(flat("all of it is safe off-site")) == 2  # of the third nobody knows
    assert "NOT YET OFF-SITE" not in text
    assert "umount" not in text  # nothing is to be done any more for one that has left


def test_many_disks_take_more_pages_and_none_is_lost(tmp_path: Path) -> None:
    found = many(90)
    text = text_of(sheet.draw(found, TIME)[0], tmp_path)
    assert [f"SER-{number:04}" in text for number in range(90)] == [True] * 90
    assert text.count("COPY COMPLETE after disk") == 90
    assert "page 2" in text


def test_what_the_font_cannot_show_is_named() -> None:
    first = made().pulls[0]
    odd = replace(made(), pulls=(replace(first, label=Label("X-1", "\U0002a6d6")), *made().pulls[1:]))
    assert sheet.draw(odd, TIME)[1] == "\U0002a6d6"


def test_texts_from_hardware_break_nothing(tmp_path: Path) -> None:
    hostile = disk("a", "{page} %s " + "x" * 300, model="m" * 500, serial="<b>{0}\\", vendor="")
    found = compute(inventory([hostile], [mapped("records", leaf("a"))]), [], {}, "{host}")
    text = flat(text_of(sheet.draw(found, TIME)[0], tmp_path))
    assert text.count("x") >= 300 and text.count("m") >= 500 and "<b>{0}\\" in text


def test_an_empty_list_says_so(tmp_path: Path) -> None:
    text = text_of(sheet.draw(compute(inventory([], []), [Need("records", 1)]), TIME)[0], tmp_path)
    assert "No disk holds anything of a vault." in text


# the chassis


def test_the_example_is_drawn_with_the_bays_to_pull(tmp_path: Path) -> None:
    layout = chassis.read(EXAMPLE)
    disks = [disk("a", "enclosure 1 slot 4"), disk("b", "11"), disk("c", "slot 0"), disk("d", "shelf 2 bay 9")]
    maps = [mapped("records", need(1, leaf("a"), leaf("b"))), mapped("other", leaf("c")), mapped("far", leaf("d"))]
    found = compute(inventory(disks, maps), [Need("records", 1)])
    slots = {one.slot.name: (one.number, one.needed) for one in chassis.marked(layout[0], found)}
    assert len(slots) == 13
    assert {name: mark for name, mark in slots.items() if mark[0]} == {
        "11": (1, True), "0": (2, True) if found.pulls[1].disk.key == "c" else (3, True), "4": (4, False),
    }  # fmt: skip
    drawn = chassis.svg(layout, found)
    tree = xml.etree.ElementTree.fromstring(drawn)
    dark = [one for one in tree.iter() if one.tag.endswith("rect") and one.get("fill") == "#000000"]
    grey = [one for one in tree.iter() if one.tag.endswith("rect") and one.get("fill") == "#c0c0c0"]
    assert (len(dark), len(grey)) == (2, 1)
    assert "2U server, twelve bays" in text_of(sheet.draw(found, TIME, layout)[0], tmp_path)


def test_a_bay_that_two_disks_claim_shows_neither() -> None:
    disks = [disk("a", "4"), disk("b", "slot 4")]
    found = compute(inventory(disks, [mapped("records", need(2, leaf("a"), leaf("b")))]), [])
    assert not any(one.number for one in chassis.marked(chassis.read(EXAMPLE)[0], found))


GOOD = '[[chassis]]\ntitle = "t"\nwidth = 10\nheight = 10\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must hold"),
        ("bays = 3\n", "must hold"),
        ("[[chassis]]\n", "key height is missing"),
        (GOOD, "must have bays"),
        (GOOD + "colour = 1\n", "no key colour"),
        (GOOD + "[[chassis.bay]]\nname = 'a'\nx = 1\ny = 1\nwidth = 10\nheight = 2\n", "bay a is not inside"),
        (GOOD + "[[chassis.bay]]\nname = ''\nx = 1\ny = 1\nwidth = 1\nheight = 2\n", "name must be a text"),
        (GOOD + "[[chassis.bay]]\nname = 'a'\nx = nan\ny = 1\nwidth = 1\nheight = 2\n", "x must be a number"),
        (GOOD + "[[chassis.bay]]\nname = 'a'\nx = 1\ny = 1\nwidth = 0\nheight = 2\n", "width must be more than 0"),
        (GOOD + "[[chassis.grid]]\nnames = ['a', 'a']\ncolumns = 2\nx = 0\ny = 0\nwidth = 1\nheight = 1\n", "two bays"),
        (GOOD + "[[chassis.grid]]\nnames = ['a']\ncolumns = 0\nx = 0\ny = 0\nwidth = 1\nheight = 1\n", "columns"),
        (GOOD + "[[chassis.grid]]\nnames = 'ab'\ncolumns = 1\nx = 0\ny = 0\nwidth = 1\nheight = 1\n", "names"),
        (GOOD + "prefix = 'a'\n[[chassis.bay]]\nname = 'a'\nx = 1\ny = 1\nwidth = 1\nheight = 2\n", "prefix"),
        (GOOD + "bay = 3\n", "must be tables"),
        ("[[chassis]", "Expected|expected|Invalid"),
    ],
)
def test_a_wrong_layout_says_what_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "chassis.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=why):
        chassis.read(file)


def test_names_in_a_picture_are_no_markup(tmp_path: Path) -> None:
    bay = "[[chassis.bay]]\nname = '<a&b>'\nx = 1\ny = 1\nwidth = 5\nheight = 5\n"
    (tmp_path / "c.toml").write_text(GOOD.replace('"t"', "'<script>'") + bay)
    layout = chassis.read(tmp_path / "c.toml")
    found = compute(inventory([disk("a", bay="<a&b>")], [mapped("records", leaf("a"))]), [])
    assert found.pulls[0].disk.bay == Bay("<a&b>", "enclosure")
    texts = [one.text for one in xml.etree.ElementTree.fromstring(chassis.svg(layout, found)).iter() if one.text]
    assert "<script>" in texts and "<a&b>" in texts and "1" in texts

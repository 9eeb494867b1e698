"""Label sheets: rendered as a printer would, and every code read back by another program (zbarimg)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vaultd.media import labels
from vaultd.media.faults import MediaError
from vaultd.paper import codes
from vaultd.paper.page import lacking
from vaultd.store.mediarows import Medium


def media(count: int) -> list[Medium]:
    secrets = ("top-secret", "secret", "confidential", "internal")
    return [
        Medium(label=f"SY-2026-{number:05}", classification=secrets[number % 4], custodian=f"欧阳{number}",
               period="20年", copy=str(number), serial=f"WD-WX11A{number:04}")
        for number in range(1, count + 1)
    ]  # fmt: skip


def printed(folder: Path, sheets: labels.Sheets, dpi: int = 150) -> list[Path]:
    """The pages as pictures."""
    (folder / "labels.pdf").write_bytes(sheets.pdf)
    subprocess.run(["pdftoppm", "-r", str(dpi), "-png", folder / "labels.pdf", folder / "page"], check=True)
    return sorted(folder.glob("page-*.png"))


def place(folder: Path, page: int, at: int) -> Path:
    """The picture of one place of a page, cut out as the label is."""
    dots, wide, high = 150 / 25.4, 70 * 150 / 25.4, 297 / 8 * 150 / 25.4
    x, y = round((at % 3) * wide), round((at // 3) * high)
    file = folder / f"place-{page}-{at}"
    command = ["pdftoppm", "-r", "150", "-png", "-f", str(page), "-l", str(page), "-singlefile", "-x", str(x),
               "-y", str(y), "-W", str(round(wide)), "-H", str(round(high - dots))]  # fmt: skip
    subprocess.run([*command, folder / "labels.pdf", file], check=True)
    return file.with_suffix(".png")


def words(folder: Path) -> str:
    command = ["pdftotext", "-layout", folder / "labels.pdf", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_code_of_a_full_sheet_is_read_back_where_its_label_is(tmp_path: Path) -> None:
    wanted = media(24)
    sheets = labels.draw(wanted, "市第一医院")
    assert (sheets.pages, sheets.lacking, sheets.cut) == (1, "", [])
    printed(tmp_path, sheets)
    assert [codes.read(place(tmp_path, 1, at)) for at in range(24)] == [[one.label] for one in wanted]
    text = words(tmp_path)
    for one in wanted:
        for shown in (one.label, one.custodian, one.serial):
            assert shown in text
    for shown in (
        "绝密 TOP SECRET",
        "机密 SECRET",
        "秘密 CONFIDENTIAL",
        "内部 INTERNAL",
        "期限 Period 20年",
        "市第一医院",
    ):
        assert shown in text


def test_one_picture_of_a_whole_sheet_gives_all_its_codes(tmp_path: Path) -> None:
    """What a camera sees of a shelf: zbarimg alone loses some of them."""
    (page,) = printed(tmp_path, labels.draw(media(24), ""))
    assert sorted(codes.read_all(page)) == [one.label for one in media(24)]


@pytest.mark.parametrize(("start", "pages"), [(1, 1), (2, 2), (7, 2), (24, 2)])
def test_a_sheet_is_begun_at_any_place(tmp_path: Path, start: int, pages: int) -> None:
    wanted = media(24)
    sheets = labels.draw(wanted, "", start)
    assert sheets.pages == pages
    printed(tmp_path, sheets)
    first, last = divmod(start - 1 + 23, 24)
    assert codes.read(place(tmp_path, 1, start - 1)) == [wanted[0].label]
    assert codes.read(place(tmp_path, first + 1, last)) == [wanted[-1].label]
    if start > 1:
        with pytest.raises(codes.PaperError):
            codes.read(place(tmp_path, 1, start - 2))


@pytest.mark.parametrize("start", [0, 25, -1])
def test_a_place_that_no_sheet_has_is_refused(start: int) -> None:
    with pytest.raises(MediaError, match="1 to 24"):
        labels.draw(media(1), "", start)


def test_the_code_has_the_number_and_nothing_else(tmp_path: Path) -> None:
    one = Medium(
        label="SY-2026-00001", classification="top-secret", custodian="张伟", serial="GEHEIM", vaults="patients"
    )
    printed(tmp_path, labels.draw([one], "市第一医院"))
    assert codes.read(place(tmp_path, 1, 0)) == ["SY-2026-00001"]
    text = words(tmp_path)
    assert "patients" not in text


@pytest.mark.parametrize("label", ["市一-2026-00017", "密2019/003", "A" * 40])
def test_labels_of_other_schemes_are_read_back_too(tmp_path: Path, label: str) -> None:
    printed(tmp_path, labels.draw([Medium(label=label, classification="secret", custodian="张伟")], ""))
    assert codes.read(place(tmp_path, 1, 0)) == [label]


def test_characters_that_the_font_lacks_are_named_and_their_place_is_kept(tmp_path: Path) -> None:
    one = Medium(label="A-1", classification="secret", custodian="𠮷野㐂", serial="S")
    sheets = labels.draw([one, *media(2)], "")
    assert sheets.lacking == "㐂𠮷"
    assert lacking(["张伟 Custodian", "欧阳\n"]) == ""
    assert lacking([labels.STAND_IN]) == ""
    printed(tmp_path, sheets)
    assert "〓野〓" in words(tmp_path)


def test_what_does_not_fit_is_cut_and_named(tmp_path: Path) -> None:
    long = Medium(label="A-1", classification="secret", custodian="张伟", serial="S" * 120)
    short = Medium(label="A-2", classification="secret", custodian="张伟", serial="S" * 24)
    sheets = labels.draw([long, short], "")
    assert sheets.cut == ["A-1"]
    printed(tmp_path, sheets)
    text = words(tmp_path)
    assert "S…" in text and "S" * 24 in text

"""The kit's file, its codes and its sheets: the format stands, what was changed does not open, every code is read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.kit_golden.make import CONTENT, KEY
from vaultd.kit import codes, content, seal, shares, sheet, spelling, words
from vaultd.kit.content import Content
from vaultd.kit.faults import KitError, ShareError
from vaultd.paper import page
from vaultd.paper.faults import PaperError

GOLDEN = Path(__file__).parent / "kit_golden" / "1f2e3d4c.kit"


def test_a_kit_that_was_written_once_is_read_by_todays_code() -> None:
    sealed = seal.read(GOLDEN.read_bytes())
    assert (sealed.kit, sealed.host, sealed.threshold, sealed.shares) == ("1f2e3d4c", "ward", 3, 5)
    assert sealed.expires == date(2028, 12, 31)
    assert seal.unseal(sealed, KEY) == CONTENT


def test_todays_code_writes_what_was_written_then() -> None:
    made = seal.seal(CONTENT, KEY, 3, 5, nonce=bytes)
    assert made.encoded.split(b"\n")[0] == GOLDEN.read_bytes().split(b"\n")[0]
    assert seal.unseal(made, KEY).encoded() == seal.unseal(seal.read(GOLDEN.read_bytes()), KEY).encoded()


def test_the_lines_on_the_sheet_open_it_without_vaultd(tmp_path: Path) -> None:
    """The Python that a sheet prints is run just as it stands there."""
    lines = [line.format(kit="1f2e3d4c") for line in words.BARE_COMMANDS[2]]
    script = "\n".join(lines[1:-1])
    done = subprocess.run([sys.executable, "-", GOLDEN, KEY.hex()], input=script, capture_output=True, text=True)
    assert json.loads(done.stdout) == json.loads(CONTENT.encoded()), done.stderr


def test_a_kit_with_a_changed_bit_does_not_open() -> None:
    whole = GOLDEN.read_bytes()
    head, box, _end = whole.split(b"\n")
    changed = [
        head.replace(b'"ward"', b'"ware"') + b"\n" + box, head.replace(b"2028", b"2099") + b"\n" + box,
        head.replace(b'"threshold":3', b'"threshold":2') + b"\n" + box,
        *(head + b"\n" + box[:at] + (b"A" if box[at] != 65 else b"B") + box[at + 1 :] for at in (0, 40, 300)),
    ]  # fmt: skip
    for one in changed:
        with pytest.raises(KitError, match="does not open"):
            seal.unseal(seal.read(one), KEY)
    with pytest.raises(KitError, match="does not open"):
        seal.unseal(seal.read(whole), bytes(32))


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\n\n", b"{}\n{}", b"[]\nAA==", b'{"vaultd":"kit","version":"1"}\nAA==', b"\xff\xfe\n\0", b"x" * 300_000],
)
def test_what_is_no_kit_is_said_to_be_none(wrong: bytes) -> None:
    with pytest.raises(KitError, match="no file of a kit"):
        seal.read(wrong)


def test_a_kit_of_a_newer_vaultd_and_a_torn_one_are_told_apart() -> None:
    head, box, _end = GOLDEN.read_bytes().split(b"\n")
    with pytest.raises(KitError, match="format that this vaultd does not know"):
        seal.read(head.replace(b'"version":1', b'"version":2') + b"\n" + box)
    with pytest.raises(KitError, match="damaged"):
        seal.read(head + b"\n" + box[:-3])


def test_content_is_read_with_suspicion() -> None:
    good = json.loads(CONTENT.encoded())
    wrong = [
        {**good, "host": "-oProxyCommand=x"}, {**good, "more": 1}, {**good, "targets": []},
        {**good, "targets": [{**good["targets"][0], "host": "-oProxyCommand=x"}]},
        {**good, "targets": [{**good["targets"][0], "name": "../../etc"}]},
        {**good, "targets": [{**good["targets"][0], "host_keys": ["ssh-rsa AAAA\n* ssh-rsa AAAAAAAAAAAAAAAAAAAA"]}]},
        {**good, "vaults": [{**good["vaults"][0], "path": "relative"}]}, {**good, "kit": "../x"},
    ]  # fmt: skip
    for one in wrong:
        with pytest.raises(KitError) as caught:
            content.parse(json.dumps(one).encode())
        assert CONTENT.targets[0].password not in str(caught.value)
    with pytest.raises(KitError):
        content.parse(b"\xff")
    assert CONTENT.targets[0].password not in repr(CONTENT)


# codes


def test_the_codes_give_the_file_back_in_any_order() -> None:
    sealed = seal.read(GOLDEN.read_bytes())
    texts = codes.parts(sealed)
    assert len(texts) > 1
    assert codes.kit_in(texts[::-1]) == sealed
    assert codes.kit_in(["something else"]) is None
    with pytest.raises(KitError, match=r"of 2 codes these are missing: 2"):
        codes.kit_in(texts[:1])
    other = [text.replace("1f2e3d4c", "00000001", 1) for text in texts]
    with pytest.raises(KitError, match="kits 00000001, 1f2e3d4c"):
        codes.kit_in([texts[0], other[1]])


def test_a_picture_without_a_code_and_a_file_that_is_no_picture_are_told(tmp_path: Path) -> None:
    for content_ in (b"", b"not a picture", GOLDEN.read_bytes()):
        file = tmp_path / "--help.png"
        file.write_bytes(content_)
        with pytest.raises(KitError, match="no QR code"):
            codes.read(file)


def test_without_the_program_that_reads_codes_the_way_round_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KitError) as caught:
        codes.read(GOLDEN)
    assert "zbar-tools" in caught.value.hint


# sheets


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit with six targets, a worst case, on paper; its pages as pictures."""
    folder = tmp_path_factory.mktemp("sheet")
    many = [CONTENT.targets[0].model_copy(update={"name": f"target-{at}"}) for at in range(6)]
    whole = CONTENT.model_copy(update={"targets": many})
    sealed = seal.seal(whole, KEY, 3, 5)
    (folder / "kit").write_bytes(sealed.encoded)
    share = shares.split(KEY, whole.kit, 3, 5)[1]
    (folder / "share").write_text(spelling.text(share))
    (folder / "sheet.pdf").write_bytes(sheet.draw(whole, sealed, share))
    subprocess.run(["pdftoppm", "-r", "150", "-png", folder / "sheet.pdf", folder / "page"], check=True)
    return folder


def test_every_code_on_every_page_is_read_back_from_print(drawn: Path) -> None:
    texts = []
    for image in sorted(drawn.glob("page-*.png")):
        try:
            texts += codes.read(image)
        except KitError:
            continue
    (share,) = codes.shares_in(texts)
    assert spelling.text(share) == (drawn / "share").read_text()
    found = codes.kit_in(texts)
    assert found is not None
    assert found.encoded == (drawn / "kit").read_bytes()


def test_a_sheet_says_in_both_languages_what_it_is_and_what_to_do(drawn: Path) -> None:
    command = ["pdftotext", "-layout", drawn / "sheet.pdf", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    plain = "".join(text.split())
    for wanted in (
        "share 2 of 5", "第 2 份，共 5 份", "市第一医院病案室", "ward", "1f2e3d4c", "2028-12-31", "backup.example.org",
        CONTENT.targets[0].repository, ".vaultd/kit/1f2e3d4c.kit", "ward/vaultd/0a0b0c0d/root+c965b2f8",
        "vaultd kit open --kit 1f2e3d4c.kit", "ssss-combine -t 3", "r restore ID --target", "秘密。请密封保管",
        "SHA256:", "port 2222",
    ):  # fmt: skip
        assert "".join(wanted.split()) in plain, wanted
    for row in spelling.rows(codes.shares_in([(drawn / "share").read_text()])[0]):
        assert row in text
    for secret in (CONTENT.targets[0].password, "PRIVATE KEY", KEY.hex()):
        assert secret not in text


def test_a_missing_font_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PaperError) as caught:
        page.Paper((), tmp_path / "none.ttc")
    assert "fonts-wqy-microhei" in caught.value.hint


def test_a_share_in_another_format_is_for_a_newer_vaultd() -> None:
    share = shares.split(KEY, "1f2e3d4c", 3, 5)[0]
    rows = spelling.rows(replace(share, threshold=1))
    with pytest.raises(ShareError, match="does not know"):
        spelling.share_of(rows)


def test_content_without_a_ledger_is_a_kit_too() -> None:
    plain: Content = CONTENT.model_copy(update={"ledger": None, "expires": None, "organisation": ""})
    sealed = seal.seal(plain, KEY, 2, 2)
    assert seal.unseal(sealed, KEY) == plain
    assert not sealed.expired(date(9999, 1, 1))
    assert sheet.draw(plain, sealed, shares.split(KEY, plain.kit, 2, 2)[0]).startswith(b"%PDF")

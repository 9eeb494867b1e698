"""Playbooks: those that come with vaultd, files that are wrong, and steps that are ticked off, late ones too."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warning_desks import NIGHT, Office, office_in
from vaultd import i18n
from vaultd.config.reading import parse
from vaultd.media import record
from vaultd.warning import playbook
from vaultd.warning.faults import NoWarningError, PlaybookError, WarningError
from vaultd.warning.fields import Fields
from vaultd.warning.response import playbook_of

NAMES = ["fire", "flood", "leak-or-loss", "power-cut", "theft"]
FOLDER = Path(__file__).parent.parent / "config/playbooks"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        made.desk.issue(Fields("I", "theft"))
        yield made


def test_those_of_config_playbooks_are_in_the_package_and_whole() -> None:
    assert playbook.names(None) == NAMES == sorted(one.stem for one in FOLDER.glob("*.toml"))
    for name in NAMES:
        book = playbook.load(name, None)
        assert book.call and book.steps and book.title.en != book.title.zh
        assert any(ord(letter) > 0x3000 for letter in book.title.zh) and book.title.en.isascii()
        for step in book.steps:
            assert any(ord(letter) > 0x3000 for letter in step.text.zh) and step.text.en.isascii()
    numbers = {name: [number for number, _who in playbook.load(name, None).call] for name in NAMES}
    assert numbers["fire"][:2] == ["119", "110"] and "110" in numbers["theft"]
    assert [one.id for one in playbook.load("theft", None).steps if one.items] == ["items"]


def test_texts_follow_the_language() -> None:
    book = playbook.load("fire", None)
    try:
        i18n.choose("zh_CN")
        assert str(book.title) == "火灾"
        i18n.choose("en")
        assert str(book.title) == "Fire"
    finally:
        i18n.choose()


def test_one_of_the_house_takes_the_place_of_vaultds(tmp_path: Path) -> None:
    text = (FOLDER / "fire.toml").read_text().replace('number = "119"', 'number = "6119"')
    (tmp_path / "fire.toml").write_text(text)
    (tmp_path / "blackout.toml").write_text(text)
    (tmp_path / "Notes.toml").write_text("")  # no name of a playbook
    assert playbook.names(tmp_path) == ["blackout", *NAMES]
    assert playbook.load("fire", tmp_path).call[0][0] == "6119" and playbook.load("fire", None).call[0][0] == "119"
    assert playbook.names(tmp_path / "none") == NAMES


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('title = { en = "Fire", zh = "火灾" }', 'title = "Fire"', "in both languages"),
        ('title = { en = "Fire", zh = "火灾" }', 'title = { en = "Fire" }', "in both languages"),
        ('title = { en = "Fire", zh = "火灾" }', "", "title must be"),
        ('number = "119"', "number = 119", "number must be a text"),
        ("minutes = 1\n", "minutes = 0\n", "minutes must be"),
        ("minutes = 1\n", "minutes = true\n", "minutes must be"),
        ("minutes = 1\n", 'minutes = 1\nitems = "yes"\n', "items must be"),
        ("minutes = 1\n", "hours = 1\n", "has a key 'hours'; allowed: id, items, minutes, role, text"),
        ('id = "call-119"', 'id = "people-first"', "the same id"),
        ('id = "call-119"', 'id = "Call 119"', "not a short name"),
        ("[[step]]", "[[steps]]", "has a key 'steps'"),
        ("[[call]]", "[call]", "Cannot|must be tables|overwrite"),
        ('zh = "火灾"', 'zh = "火\\u0007灾"', "on one line"),
    ],
)
def test_a_file_that_is_wrong_says_what_is(tmp_path: Path, old: str, new: str, why: str) -> None:
    text = (FOLDER / "fire.toml").read_text()
    assert old in text
    (tmp_path / "fire.toml").write_text(text.replace(old, new))
    with pytest.raises(PlaybookError, match=why):
        playbook.load("fire", tmp_path)


def test_files_that_are_no_toml_or_no_text_or_none(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"a = [", b"[" * 5000, b"#" * (playbook.LARGEST + 1), b""):
        (tmp_path / "fire.toml").write_bytes(content)
        with pytest.raises(PlaybookError):
            playbook.load("fire", tmp_path)
    for name in ("none", "../fire", ""):
        with pytest.raises(PlaybookError, match="no such playbook"):
            playbook.load(name, tmp_path)


def test_steps_are_ticked_off_and_on_record(office: Office) -> None:
    tick = playbook.tick
    tick(office.desk, "W-2026-001", "theft", "call-110", "张伟")
    tick(office.desk, "w-2026-001", "theft", "report", "李娜", state="skipped", note="已在场")
    paper = record.Moment(NIGHT, "stated")
    tick(office.desk, "W-2026-001", "theft", "items", "王芳", moment=paper, items=["硬盘 M-1=约800元", "笔记本=5000"])
    tick(office.desk, "DRILL-2026-003", "theft", "call-110", "张伟")
    tick(office.desk, "E-2026-001", "fire", "power", "赵敏")
    found = office.entries("playbook-step")
    names = ("of", "playbook", "step", "state", "person", "time_source", "who")
    host = record.now().source
    assert [[one[name] for name in names] for one in found] == [
        ["W-2026-001", "theft", "call-110", "done", "张伟", host, "uid 0 (says test)"],
        ["W-2026-001", "theft", "report", "skipped", "李娜", host, "uid 0 (says test)"],
        ["W-2026-001", "theft", "items", "done", "王芳", "stated", "uid 0 (says test)"],
        ["DRILL-2026-003", "theft", "call-110", "done", "张伟", host, "uid 0 (says test)"],
        ["E-2026-001", "fire", "power", "done", "赵敏", host, "uid 0 (says test)"],
    ]
    assert found[2]["items"] == ["硬盘 M-1=约800元", "笔记本=5000"] and found[2]["time"] == "2026-11-28T03:00:00.000Z"
    assert [one.get("drill") for one in found] == [None, None, None, 1, None] and found[1]["note"] == "已在场"


def test_theft_asks_what_is_gone_and_others_do_not(office: Office) -> None:
    for items in ((), ("硬盘",), ("硬盘=",), ("=5",)):
        with pytest.raises(PlaybookError):
            playbook.tick(office.desk, "W-2026-001", "theft", "items", "张伟", items=items)
    with pytest.raises(PlaybookError, match="does not ask"):
        playbook.tick(office.desk, "W-2026-001", "theft", "report", "张伟", items=["硬盘=5"])
    playbook.tick(office.desk, "W-2026-001", "theft", "items", "张伟", state="skipped", note="警方登记")
    assert len(office.store.steps("W-2026-001")) == 1 == len(office.owed("playbook-step"))


def test_ticks_that_cannot_be_are_refused_and_one_can_be_taken_back(office: Office) -> None:
    tick = playbook.tick
    for of, book, step, person, error in (
        ("W-2026-009", "theft", "report", "张伟", NoWarningError), ("X-1", "theft", "report", "张伟", NoWarningError),
        ("W-2026-001", "none", "report", "张伟", PlaybookError),
        ("W-2026-001", "theft", "power", "张伟", PlaybookError),
        ("W-2026-001", "theft", "report", "张三", WarningError),
    ):  # fmt: skip
        with pytest.raises(error):
            tick(office.desk, of, book, step, person)
    with pytest.raises(PlaybookError, match="not done already"):
        tick(office.desk, "W-2026-001", "theft", "report", "张伟", state="undone")
    tick(office.desk, "W-2026-001", "theft", "report", "张伟")
    with pytest.raises(PlaybookError, match="is done already"):
        tick(office.desk, "W-2026-001", "theft", "report", "李娜")
    tick(office.desk, "W-2026-001", "theft", "report", "李娜", state="undone")
    tick(office.desk, "W-2026-001", "theft", "report", "李娜")
    assert [one["state"] for one in office.owed("playbook-step")] == ["done", "undone", "done"]
    assert playbook.ticked(office.store.steps("W-2026-001"), "theft")["report"].person == "李娜"


def test_which_playbook_a_warning_has(tmp_path: Path) -> None:
    with office_in(tmp_path, '[response.II]\nplaybook = "flood"\n') as office:
        for given, expected in (
            (Fields("II", "fire"), "fire"), (Fields("II", "水管爆裂"), "flood"), (Fields("I", "水管爆裂"), ""),
        ):  # fmt: skip
            assert playbook_of(office.config, office.desk.issue(given)) == expected


def test_a_playbook_of_the_house_may_be_named_by_the_policy(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "blackout.toml").write_bytes((FOLDER / "power-cut.toml").read_bytes())
    policy = f'[response]\nplaybooks = "{own}"\n[response.I]\nplaybook = "blackout"\n'
    with office_in(tmp_path, policy) as office:
        assert playbook_of(office.config, office.desk.issue(Fields("I"))) == "blackout"


def test_the_example_configuration_with_everything_uncommented_is_right(tmp_path: Path) -> None:
    """What its comments say can be done can be done, and the defaults that they show are the defaults."""
    text = (FOLDER.parent / "vaultd.toml").read_text()
    begin = text.index("# Warnings, and what they set in motion")
    rows = [row[1:] if row.startswith("#") and row[1:2].strip() else row for row in text[begin:].split("\n")]
    policy = "\n".join(row for row in rows if not row.startswith("playbooks = "))
    file = tmp_path / "vaultd.toml"
    with office_in(tmp_path) as office:
        found = parse(office.file.read_text() + policy, file)
        default, shown = office.config.response.model_dump(), found.response.model_dump()
        given = tomllib.loads(policy)["response"]
        for name in ("repeat", "repeats", "quiet", "upsc", "ups_timeout", "power_supply"):
            assert name in given and shown[name] == default[name]
        assert shown["I"]["urgent"] is default["I"]["urgent"] is True and json.dumps(given["III"])

"""Disks leave and arrive: custody events, the evacuation's entries, and the pull list that shows who has what."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.evacuating import ordered
from tests.pulling import disk, inventory, leaf, mapped
from tests.registering import Office, office_in
from vaultd.cli.main import main
from vaultd.disks import kept as kept_disks
from vaultd.media.machine import Status
from vaultd.pull import kept
from vaultd.pull.model import Need, PullList
from vaultd.pull.order import compute
from vaultd.store.mediarows import Medium

EVACUATION = "E-2026-001"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        ordered(made.store, EVACUATION)
        disks = [disk("a", "1"), disk("b", "2"), disk("c", "3", serial="WD-C 7")]
        found = inventory(disks, [mapped("records", leaf("a")), mapped("records", leaf("b")), mapped("x", leaf("c"))])
        kept_disks.keep(tmp_path / "state", found)
        needs = [Need("records", 1, "top-secret", "李娜", 7, 4096), Need("x", 2)]
        kept.write(tmp_path / "state", compute(found, needs, {}, "ward"))
        yield made


@pytest.fixture
def run(office: Office, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``vaultd evacuate`` with ``--json``; its object. ``code``: the exit code that is expected."""
    file = office.config_file()
    (office.folder / "records").mkdir()
    tables = f'[[vault]]\nname = "records"\npath = "{office.folder}/records"\nclassification = "top-secret"\n'
    file.write_text(file.read_text() + tables + 'targets = ["east"]\ncustodian = "李娜"\n')

    def command(*args: object, code: int = 0, group: str = "evacuate") -> dict[str, Any]:
        capsys.readouterr()
        ended = main(["--config", str(file), "--json", group, *map(str, args)])
        shown = capsys.readouterr()
        assert ended == code, shown
        found: dict[str, Any] = json.loads(shown.out)
        assert found["version"] == 1
        return found

    return command


def the_list(office: Office) -> PullList:
    made = kept.read(office.folder / "state")
    assert made is not None
    return made


def test_a_disk_in_no_register_leaves_and_arrives(office: Office, run: Run) -> None:
    (signed,) = run("sign-off", "1", "--by", "张伟", "--to", "陈司机", "--seal", "88412", "--reason", "fire")["signed"]
    label = signed["label"]
    assert signed["registered"] and signed["evacuation"] == EVACUATION
    assert [one["vault"] for one in signed["unsafe"]] == ["records"]
    medium = office.register.find(label)
    assert (medium.serial, medium.classification, medium.custodian) == ("A", "top-secret", "李娜")
    assert (medium.status, medium.holder, medium.seal, medium.slot) == ("in-transit", "陈司机", "88412", "")

    got = run("receive", label, "--by", "李娜", "--seal", "88412", "--seal-condition", "intact", "--place", "档案馆")
    assert got["received"]["difference"] is None
    medium = office.register.find(label)
    assert (medium.status, medium.holder, medium.location) == ("deposited", "李娜", "档案馆")

    entries = office.entries()
    moved = {one["event"]: one for one in entries if one["type"] == "media-custody"}
    assert [one["action"] for one in moved.values()] == ["remove", "send", "deposit"]
    assert next(iter(moved.values()))["override"] == "fire"
    left, arrived = [one for one in entries if one["type"] == "evacuation-disk"]
    assert (left["state"], left["by"], left["to"], left["seal"]) == ("signed-off", "张伟", "陈司机", "88412")
    assert (arrived["state"], arrived["by"], arrived["label"]) == ("received", "李娜", label)
    assert moved[left["event"]]["action"] == "send" and moved[arrived["event"]]["action"] == "deposit"
    kinds = {(one["kind"], one["subject"]) for one in run("items", group="media")["items"]}
    assert ("unchecked", label) in kinds and sum(kind == "approval" for kind, _subject in kinds) == 2
    run("change", label, "--period", "20", group="media")
    assert ("unchecked", label) not in {
        (one["kind"], one["subject"]) for one in run("items", group="media")["items"]
    }  # fmt: skip


def test_who_has_signed_is_on_the_list(office: Office, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        "sign-off",
        "2",
        "--by",
        "张伟",
        "--to",
        "陈司机",
        "--seal",
        "9",
        "--reason",
        "fire",
        "--time",
        "2026-01-02 03:04",
    )
    gone = {pull.disk.key: pull.gone for pull in the_list(office).pulls}
    assert gone["a"] is None and gone["b"] is not None
    assert (gone["b"].by, gone["b"].to, gone["b"].seal, gone["b"].source) == ("张伟", "陈司机", "9", "stated")
    capsys.readouterr()
    assert main(["--config", str(office.folder / "vaultd.toml"), "disks", "pull-list"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"\[x\] bay 2 .*\n(.*\n)*?.*HAS LEFT as .*张伟.*陈司机.*written on paper.*seal 9", shown), shown
    assert re.search(r"\[ \] bay 1 ", shown)


def test_it_asks_why_and_one_word_is_enough(
    office: Office, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = run("sign-off", "a", "--by", "张伟", "--to", "李娜", code=1)
    assert "--reason" in refused["error"]["hint"] and office.store.count_media() == 0
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", lambda *_args, **_more: "smoke")
    file = str(office.folder / "vaultd.toml")
    assert main(["--config", file, "evacuate", "sign-off", "a", "--by", "张伟", "--to", "李娜"]) == 0
    moved = [one for one in office.entries("media-custody") if one["action"] == "remove"]
    assert [one["override"] for one in moved] == ["smoke"]
    capsys.readouterr()


@pytest.mark.parametrize("name", ["a", "A", "0x5000a", "1", "#1", "sda", "/dev/sda", "VAULTD-DISK:a"])
def test_a_disk_by_anything_that_is_printed(office: Office, run: Run, name: str) -> None:
    assert the_list(office).pulls[0].disk.key == "a"
    (signed,) = run("sign-off", name, "--by", "张伟", "--to", "李娜", "--reason", "fire")["signed"]
    assert office.register.find(signed["label"]).serial == "A"


def test_a_disk_by_its_label_and_one_that_nobody_knows(office: Office, run: Run) -> None:
    label = office.register.add(Medium("", "secret", "张伟", serial="WD-C 7")).label
    (signed,) = run("sign-off", label.lower(), "--by", "张伟", "--to", "李娜", "--reason", "fire")["signed"]
    assert (signed["label"], signed["registered"]) == (label, False)
    again = run("sign-off", "WD-C 7", "--by", "张伟", "--to", "李娜", "--reason", "fire", code=1)
    assert label in again["error"]["what"] and "in transit" in again["error"]["why"]
    unknown = run("sign-off", "Z1Z1", "--by", "张伟", "--to", "李娜", code=2)
    assert "--new" in unknown["error"]["hint"]
    (made,) = run("sign-off", "Z1Z1", "--new", "--by", "张伟", "--to", "李娜")["signed"]
    assert made["registered"] and office.register.find(made["label"]).serial == "Z1Z1"
    assert the_list(office).pulls[-1].disk.serial == "Z1Z1"


def test_a_broken_seal_is_a_difference(office: Office, run: Run) -> None:
    (signed,) = run("sign-off", "a", "--by", "张伟", "--to", "陈司机", "--seal", "7", "--reason", "fire")["signed"]
    got = run("receive", signed["label"], "--by", "李娜", "--seal", "8", "--seal-condition", "intact", code=4)
    assert "7" in got["received"]["difference"] and "8" in got["received"]["difference"]
    assert office.register.find(signed["label"]).status == "deposited"
    assert "7" in office.entries("media-custody")[-1]["purpose"]


def test_who_takes_it_out_may_keep_it(office: Office, run: Run) -> None:
    (signed,) = run("sign-off", "a", "--by", "张伟", "--to", "张伟", "--seal", "7", "--reason", "fire")["signed"]
    medium = office.register.find(signed["label"])
    assert (medium.status, medium.holder, medium.seal) == ("removed", "张伟", "7")


def test_a_drill_changes_no_register(office: Office, run: Run) -> None:
    office.store.change_evacuation(EVACUATION, ended=1)
    ordered(office.store, "DRILL-2026-001")
    (signed,) = run("sign-off", "a", "--by", "张伟", "--to", "李娜", "--reason", "drill")["signed"]
    assert (signed["event"], office.store.count_media()) == (None, 0)
    entries = office.entries()
    assert not [one for one in entries if one["type"].startswith("media")]
    (entry,) = [one for one in entries if one["type"] == "evacuation-disk"]
    assert (entry["drill"], entry["evacuation"], entry["label"]) == (1, "DRILL-2026-001", "A")
    assert all(pull.gone is None for pull in the_list(office).pulls)


def test_where_nobody_is_configured_the_approval_is_owed_by_the_director(office: Office, run: Run) -> None:
    file = office.folder / "vaultd.toml"
    text = file.read_text()
    file.write_text(re.sub(r"\[\[person\]\]\n(?:name|role|ssh_key) = .*\n(?:(?:role|ssh_key) = .*\n)*", "", text))
    (signed,) = run("sign-off", "a", "--by", "张伟", "--to", "李娜", "--reason", "fire")["signed"]
    owed = {(one["role"], one["person"]) for one in signed["signatures"] if one["state"] == "owed"}
    assert owed == {("approver", "director")}


# from paper


def table(*rows: str, encoding: str = "utf-8-sig", head: str = "硬盘,移交人,接收人,封条号,时间") -> bytes:
    return "\r\n".join([head, *rows, ""]).encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_table_of_what_was_written_on_the_list(office: Office, run: Run, encoding: str) -> None:
    rows = ("#1,张伟,陈司机,88412,2026-01-02 03:12", "VAULTD-DISK:b,张伟,陈司机,88413,2026-01-02 03:14")
    (office.folder / "paper.csv").write_bytes(table(*rows, encoding=encoding))
    signed = run("sign-off", "--batch", office.folder / "paper.csv")["signed"]
    assert [one["time_source"] for one in signed] == ["stated", "stated"]
    entries = office.entries("evacuation-disk")
    assert [(one["seal"], one["time_source"], one["by"]) for one in entries] == [
        ("88412", "stated", "张伟"), ("88413", "stated", "张伟")]  # fmt: skip
    assert office.store.count_media() == 2
    assert {pull.gone.seal for pull in the_list(office).pulls if pull.gone is not None} == {"88412", "88413"}


def test_one_bad_row_and_nothing_is_taken(office: Office, run: Run) -> None:
    rows = ("#1,张伟,陈司机,1,03:12", "#1,张伟,陈司机,1,03:12", "nobody,张伟,李娜,2,03:13", "b,张伟,,3,03:14",
            "b,张伟,李娜,3,someday")  # fmt: skip
    (office.folder / "paper.csv").write_bytes(table(*rows))
    refused = run("sign-off", "--batch", office.folder / "paper.csv", code=1)
    named = re.findall(r"line (\d+)", refused["error"]["why"])
    assert named == ["3", "4", "5", "6"], refused
    assert office.store.count_media() == 0 and not office.entries("evacuation-disk")
    assert all(pull.gone is None for pull in the_list(office).pulls)


@pytest.mark.parametrize("head", ["硬盘,移交人,接收人", "硬盘,移交人,接收人,时间,天气", "硬盘,硬盘,移交人,接收人,时间"])
def test_a_table_that_is_none(office: Office, run: Run, head: str) -> None:
    (office.folder / "paper.csv").write_bytes(table("a,b,c", head=head))
    run("sign-off", "--batch", office.folder / "paper.csv", code=1)
    assert office.store.count_media() == 0


@pytest.mark.parametrize("status", ["returned", "lent"])
def test_a_register_that_is_behind_the_times_stops_nobody(office: Office, run: Run, status: str) -> None:
    label = office.register.add(Medium("", "secret", "张伟", serial="A")).label
    office.bring(label, Status.RETURNED if status == "returned" else Status.DEPOSITED)
    if status == "lent":
        day = datetime.now().astimezone().date() + timedelta(days=9)
        office.hand("check-out", label, released_by="李娜", received_by="孙主任", due=day)
    (signed,) = run("sign-off", "1", "--by", "张伟", "--to", "陈司机", "--seal", "4", "--reason", "fire")["signed"]
    medium = office.register.find(label)
    assert (signed["label"], medium.status, medium.holder, medium.due) == (label, "in-transit", "陈司机", None)
    assert office.entries("evacuation-disk")[-1]["event"] == office.entries("media-custody")[-1]["event"]


def test_a_number_that_is_no_evacuations_is_refused(office: Office, run: Run) -> None:
    words = ("a", "--by", "张伟", "--to", "李娜", "--reason", "fire", "--evacuation")
    run("sign-off", *words, "E-26-1", code=2)
    assert office.store.count_media() == 0
    (signed,) = run("sign-off", *words, "E-2026-002")["signed"]
    assert signed["evacuation"] == "E-2026-002"

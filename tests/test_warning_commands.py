"""``vaultd warning``, ``duty`` and ``playbook`` as people type them: text, one JSON object each, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kitting import vaultd
from tests.warning_desks import Office, office_in
from vaultd.cli.main import main
from vaultd.warning import desk as desks

POLICY = """\
[response]
unit = "应急办"
[response.I]
ring = ["李娜"]
at_once = ["protect"]
"""
Run = Callable[..., Any]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path, POLICY) as made:
        yield made


@pytest.fixture
def run(office: Office, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run vaultd with ``--json``; its object. ``code``: the exit code that is expected."""

    def command(*args: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        ended = main(["--config", str(office.file), "--json", *args])
        shown = capsys.readouterr()
        assert ended == code, shown
        found: dict[str, Any] = json.loads(shown.out)
        assert found["version"] == 1
        return found

    return command


@pytest.fixture
def read(office: Office, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same for what people read: standard output and error."""

    def command(*args: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["--config", str(office.file), *args]) == code
        shown = capsys.readouterr()
        return shown.out + shown.err

    return command


def test_a_warning_from_its_issue_to_its_end(run: Run, office: Office) -> None:
    found = run("warning", "issue", "i", "--category", "fire", "--scope", "三楼", "--cautions", "有烟", "--measures",
                "转移档案", "--start", "2026-11-28 03:10Z", "--to", "指挥部")  # fmt: skip
    told = found["warning"]
    assert (told["id"], told["level"], told["state"], told["start"]) == (
        "W-2026-001", "I", "issued", "2026-11-28T03:10:00.000Z"
    )  # fmt: skip
    assert (told["category"], told["scope"], told["cautions"], told["measures"], told["unit"], told["on_duty"]) == (
        "fire", "三楼", "有烟", "转移档案", "应急办", "张伟"
    )  # fmt: skip
    assert told["unanswered"] == ["李娜", "王芳"] and found["playbook"] == "fire"
    assert found["ring"] == [{"person": "李娜", "telephone": "101"}]
    assert [(one["action"], one["state"]) for one in found["actions"]] == [("protect", "wanted")]
    acked = run("warning", "ack", "W-2026-001", "--by", "王芳", "--how", "in-person")
    assert (acked["new"], acked["answer"]["how"], acked["unanswered"]) == (True, "in person", ["李娜"])
    assert run("warning", "ack", "W-2026-001", "--by", "王芳")["new"] is False
    assert run("warning", "ring", "W-2026-001")["rung"] == []
    run("warning", "ring", "W-2026-001", "李娜", "--no-answer")
    rung = run("warning", "ring", "W-2026-001", "李娜")["rung"]
    assert [one["reached"] for one in rung] == [False, True]
    assert run("warning", "list")["warnings"][0]["unanswered"] == []  # who answered the telephone knows of it
    adjusted = run("warning", "adjust", "W-2026-001", "--level", "2")["warning"]
    assert (adjusted["level"], adjusted["revision"], adjusted["unanswered"]) == ("II", 2, ["李娜", "王芳"])
    assert run("warning", "lift", "W-2026-001")["warning"]["state"] == "lifted"
    assert run("warning", "list")["warnings"] == []
    shown = run("warning", "show", "W-2026-001")
    assert [(one["revision"], one["state"]) for one in shown["history"]] == [
        (1, "issued"),
        (2, "adjusted"),
        (3, "lifted"),
    ]
    assert len(run("warning", "list", "--all")["warnings"]) == 1
    assert [one["how"] for one in office.entries("warning-answer")] == ["in person", "telephone"]


def test_a_proposal_is_issued_or_declined(run: Run, office: Office) -> None:
    for subject in ("ups1", "ups2"):
        office.desk.propose("power-lost", subject, subject, times=3, standing=True)
    issued = run("warning", "issue", "--from", "W-2026-001", "--scope", "机房")["warning"]
    assert (issued["level"], issued["state"], issued["scope"], issued["count"]) == ("III", "issued", "机房", 3)
    assert run("warning", "decline", "W-2026-002")["warning"]["state"] == "declined"


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (("issue",), 2, "config"),
        (("issue", "IV"), 2, "config"),
        (("issue", "I", "--start", "yesterday"), 2, "config"),
        (("issue", "I", "--to", "张三"), 1, "warning"),
        (("issue", "--from", "W-2026-001", "--drill"), 2, "config"),
        (("lift", "W-2026-001"), 1, "warning-unknown"),
        (("ack", "W-2026-001", "--by", "张伟"), 1, "warning-unknown"),
        (("show", "nothing"), 1, "warning-unknown"),
    ],
)
def test_refusals_change_nothing(run: Run, office: Office, args: tuple[str, ...], code: int, error: str) -> None:
    assert run("warning", *args, code=code)["error"]["code"] == error
    assert office.store.warnings(open_only=False) == [] and office.owed() == []


def test_level_one_is_lifted_by_root_alone(run: Run, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    run("warning", "issue", "I")
    refuses = desks.NotAuthorisedError("not allowed")

    def nobody(*_args: object) -> None:
        raise refuses

    monkeypatch.setattr(desks, "root_only", nobody)
    assert run("warning", "lift", "W-2026-001", code=6)["error"]["code"] == "not-authorised"
    assert office.desk.find("W-2026-001").state == "issued"


def test_what_is_read_at_three_in_the_morning(read: Run) -> None:
    text = read("warning", "issue", "I", "--category", "fire")
    for part in ("W-2026-001  I (very serious)  fire", "[ ] 张伟, told once", "101", "vaultd playbook show fire",
                 "The daemon is not running. When it does", "bring everything pending off-site"):  # fmt: skip
        assert part in text
    assert "[x] 张伟, by command" in read("warning", "ack", "W-2026-001", "--by", "张伟") + read("warning", "show",
                                                                                              "W-2026-001")  # fmt: skip
    assert "W-2026-001  I      issued" in read("warning", "list")
    status = read("status", code=7)
    assert status.index("WARNING W-2026-001, level I (very serious): fire") < status.index("Ledger")
    drill = read("warning", "issue", "II", "--category", "火灾", "--drill")
    assert drill.startswith("DRILL: W-2026-002") and "DRILL" in read("warning", "list")
    assert "DRILL: WARNING W-2026-002" in read("status", code=7)


def test_a_proposal_shows_its_count_in_words(read: Run, office: Office) -> None:
    office.desk.propose("power-lost", "ups", "ups", times=10_000, standing=True)
    assert "came 10,000 times" in read("warning", "show", "W-2026-001")
    assert "1 proposal waits: vaultd warning list" in read("status", code=7)


def test_who_has_duty(run: Run, read: Run) -> None:
    found = run("duty", "--at", "2026-12-01 12:00")
    assert (found["on_duty"], found["telephone"], found["then"], found["gaps"]) == ("张伟", "100", ["王芳", "赵敏"], [])
    assert "张伟 100" in read("duty")


def test_no_roster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with office_in(tmp_path, people="") as office:
        assert main(["--config", str(office.file), "--json", "duty"]) == 0
        assert json.loads(capsys.readouterr().out)["on_duty"] is None


def test_playbooks_are_listed_shown_and_ticked(run: Run, read: Run, office: Office) -> None:
    assert [one["name"] for one in run("playbook", "list")["playbooks"]] == [
        "fire", "flood", "leak-or-loss", "power-cut", "theft",
    ]  # fmt: skip
    run("warning", "issue", "I", "--category", "theft")
    tick = run("playbook", "tick", "items", "--of", "W-2026-001", "--by", "李娜", "--item", "硬盘=约800元", "--time",
               "2026-11-28 03:40Z")["tick"]  # fmt: skip
    assert (tick["time"], tick["time_source"], tick["items"]) == (
        "2026-11-28T03:40:00.000Z",
        "stated",
        ["硬盘=约800元"],
    )
    steps = run("playbook", "show", "theft", "--of", "w-2026-001")["steps"]
    assert {one["step"]: one["tick"] is not None for one in steps}["items"] is True
    text = read("playbook", "show", "theft", "--of", "W-2026-001")
    assert text.index("RING 110") < text.index("[ ] call-110") < text.index("[x] items")
    assert "盗窃" in vaultd("--lang", "zh_CN", "playbook", "show", "theft", config=office.file)
    run("playbook", "tick", "items", "--of", "W-2026-001", "--by", "李娜", "--undo")
    assert "[ ] items" in read("playbook", "show", "theft", "--of", "W-2026-001")
    by = ("--by", "李娜")
    run("playbook", "tick", "items", "--of", "E-2026-001", *by, code=2)
    run("playbook", "tick", "x", "--of", "W-2026-001", *by, code=1)
    run("playbook", "tick", "items", "--of", "W-2026-001", *by, "--skip", "--undo", code=2)


def test_lists_are_empty_and_not_wrong_before_the_first_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with office_in(tmp_path) as office:
        office.store.close()
        (office.config.host.state / "state.db").unlink()
        assert main(["--config", str(office.file), "warning", "list"]) == 0
        assert capsys.readouterr().out == "No warning.\n"
        assert main(["--config", str(office.file), "warning", "show", "W-2026-001"]) == 1
        assert not (office.config.host.state / "state.db").exists()
        capsys.readouterr()
        assert main(["--config", str(office.file), "warning", "issue", "I"]) == 0  # before the daemon ever ran
        assert "W-" in capsys.readouterr().out

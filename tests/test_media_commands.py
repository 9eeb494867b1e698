"""``vaultd media`` as people type it: text, one JSON object each, exit codes, and refusals that say what to do."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.registering import Office, office_in
from vaultd.cli.main import main
from vaultd.paper import codes

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


@pytest.fixture
def run(office: Office, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``vaultd media`` with ``--json``; its object. ``code``: the exit code that is expected."""
    file = office.config_file()

    def command(*args: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        ended = main(["--config", str(file), "--json", "media", *map(str, args)])
        shown = capsys.readouterr()
        assert ended == code, shown
        found: dict[str, Any] = json.loads(shown.out)
        assert found["version"] == 1
        return found

    return command


def test_a_medium_from_its_registration_to_its_certificate(office: Office, run: Run, tmp_path: Path) -> None:
    day = (datetime.now().astimezone().date() + timedelta(days=5)).isoformat()
    keys = {name: f"{name}={file}" for name, file in office.keys.items()}
    label = run("add", "--custodian", "张伟", "--classification", "secret", "--serial", "ZC1", "--capacity", "4 TB",
                "--location", "机房", "--host", "ward", "--slot", "3")["medium"]["label"]  # fmt: skip
    run("add", "--custodian", "张伟", "--classification", "secret", "--serial", "ZC1", code=1)
    assert run("change", label, "--slot", "4")["changed"] == ["slot"]
    by = ("--approved-by", "王芳", "--sign", keys["王芳"], "--sign", keys["张伟"])
    run("transfer", label, "--action", "remove", "--by", "张伟", "--to", "张伟", *by)
    refused = run("transfer", label, "--action", "deposit", "--by", "张伟", "--to", "李娜", code=1)
    assert refused["error"]["code"] == "media"
    sent = run("transfer", label, "--action", "send", "--by", "张伟", "--to", "陈司机", "--place-to", "档案馆",
               "--seal", "88412", "--sheet", "41", "--emergency", "漏水", "--approved-by", "王芳",
               "--sign", keys["张伟"])  # fmt: skip
    assert [(one["role"], one["state"]) for one in sent["signatures"]] == [
        ("released-by", "signed"), ("received-by", "paper"), ("approver", "owed")]  # fmt: skip
    assert [one["subject"] for one in run("items")["items"]] == [sent["event"]]
    text = run("sign", sent["event"], "--print")["text"]
    (tmp_path / "event").write_text(text)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "vaultd-media", "-f", office.keys["王芳"],
                    tmp_path / "event"], check=True)  # fmt: skip
    run("sign", sent["event"], "--by", "王芳", "--signature", tmp_path / "event.sig")
    assert run("items")["items"] == []
    run(
        "transfer",
        label,
        "--action",
        "deposit",
        "--by",
        "陈司机",
        "--to",
        "李娜",
        "--sheet",
        "42",
        "--sign",
        keys["李娜"],
    )
    run("check-out", label, "--by", "李娜", "--to", "周护士", "--due", day, "--approved-by", "王芳", "--sheet", "43")
    assert [one["due"] for one in run("list", "--out")["media"]] == [day]
    assert run("list", "--overdue")["count"] == 0
    run(
        "destroy", "request", label, "--by", "张伟", "--reason", "x", "--sanitization", "purge", "--method", "y", code=1
    )
    run("check-in", label, "--by", "周护士", "--to", "李娜", "--sheet", "44", "--sign", keys["李娜"])
    asked = run("destroy", "request", label, "--by", "张伟", "--reason", "期满", "--sanitization", "destroy",
                "--method", "粉碎", "--sign", keys["张伟"])["destruction"]  # fmt: skip
    for level, name in enumerate(("孙主任", "王芳", "赵院长"), 1):
        run("destroy", "approve", asked["list"], "--level", level, "--by", name, "--key", office.keys[name])
    done = run("destroy", "execute", asked["list"], "--by", "李娜", "--witness", "陈司机", "--witness", "周护士",
               "--place", "销毁中心", "--tool", "HSM", "--verification", "逐件", "--verified-by", "周护士",
               "--destination", "回收厂", "--sheet", "45", "--sign", keys["李娜"])["destruction"]  # fmt: skip
    assert done["state"] == "executed"
    made = run("destroy", "certificate", asked["list"], "--out", tmp_path / "c.pdf")
    assert stat.S_IMODE((tmp_path / "c.pdf").stat().st_mode) == 0o600
    assert made["sha256"] == run("destroy", "show", asked["list"])["destruction"]["certificate"]
    run("destroy", "certificate", asked["list"], "--out", tmp_path / "c.pdf", code=2)
    shown = run("show", label)
    assert shown["medium"]["status"] == "destroyed"
    assert [one["action"] for one in shown["events"]] == [
        "remove", "send", "deposit", "check-out", "check-in", "destroy-request", "destroy"]  # fmt: skip
    kinds = [one["type"] for one in office.entries() if one["type"].startswith("medi")]
    assert kinds.count("media-custody") == 5
    assert kinds.count("media-destruction") == 3


@pytest.mark.parametrize(
    ("args", "code"),
    [(["show", "EY-1"], 1), (["show", "a b"], 1), (["add", "--classification", "secret"], 2),
     (["add", "--custodian", "x", "--classification", "secret", "--vault", "none"], 2), (["change", "SY-1"], 2),
     (["sign", "0000000000", "--by", "张伟", "--sheet", "1"], 1), (["sign", "0000000000"], 2),
     (["sign", "0000000000", "--print"], 1), (["destroy", "show", "D-9"], 1), (["label", "--out", "l.pdf"], 2),
     (["label", "SY-1", "--out", "/nowhere/l.pdf"], 2), (["stock", "take", "封条", "1"], 1),
     (["transfer", "X-1", "--action", "send", "--by", "a", "--to", "b", "--sign", "nonsense"], 2),
     (["check-out", "X-1", "--by", "a", "--to", "b", "--due", "soon"], 2),
     (["audit", "nowhere", "--file", "/dev/null"], 1)],
)  # fmt: skip
def test_bad_input_is_refused_with_its_exit_code(run: Run, office: Office, args: list[str], code: int) -> None:
    office.add(label="A-1")
    told = run(*args, code=code)
    assert told["error"]["what"]
    assert office.store.count_media() == 1


def test_labels_are_printed_and_nothing_is_overwritten(run: Run, office: Office, tmp_path: Path) -> None:
    made = [office.add(location="库房2", status="deposited", custodian="㐂田").label for _turn in range(3)]
    out = tmp_path / "l.pdf"
    told = run("label", *made[:2], "--out", out, "--start", 24)
    assert (told["pages"], told["labels"], told["lacking"]) == (2, 2, "㐂")
    run("label", made[0], "--out", out, code=2)
    told = run("label", "--location", "库房2", "--out", tmp_path / "m.pdf")
    assert told["labels"] == 3
    subprocess.run(["pdftoppm", "-r", "150", "-png", tmp_path / "l.pdf", tmp_path / "page"], check=True)
    assert [codes.read(page) for page in sorted(tmp_path.glob("page-*.png"))] == [[made[0]], [made[1]]]


def test_a_table_goes_out_and_comes_in(run: Run, office: Office, tmp_path: Path) -> None:
    office.add(location="机房", note="=1+1")
    told = run("export", tmp_path / "a.csv", "--encoding", "gb18030")
    assert told["media"] == 1
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o600
    rows = list(csv.reader((tmp_path / "a.csv").read_text("gb18030").splitlines()))
    assert rows[0][:3] == ["编号", "份号", "密级"]
    assert run("import", tmp_path / "a.csv")["same"] == 1
    (tmp_path / "b.csv").write_text("编号,密级,责任人\nSY-2026-00077,机密,李娜\n")
    told = run("import", tmp_path / "b.csv", "--dry-run")
    assert (told["dry_run"], told["added"]) == (True, ["SY-2026-00077"])
    assert run("list")["count"] == 1
    run("import", tmp_path / "b.csv")
    assert run("list")["count"] == 2
    (tmp_path / "b.csv").write_text("编号,密级,责任人\nSY-2026-00078,机密,李娜\nSY-2026-00079,无,李娜\n")
    refused = run("import", tmp_path / "b.csv", code=1)
    assert "line 3" in refused["error"]["why"]
    assert run("list")["count"] == 2


def test_supplies_by_command(run: Run) -> None:
    run("stock", "set", "封条", "--kind", "seal", "--quantity", 20, "--least", 50, "--every", 90, "--place", "值班室")
    (row,) = run("stock", "list")["stock"]
    assert row["problems"] == ["short", "unchecked"]
    assert run("stock", "check", "封条", "--by", "张伟", "--quantity", 60)["item"]["problems"] == []
    assert run("stock", "take", "封条", 3)["item"]["quantity"] == 57
    assert run("stock", "set", "封条", "--least", 60)["item"]["kind"] == "seal"
    run("stock", "check", "封条", "--by", "张伟", "--on", "2999-01-01", code=1)


def test_a_list_is_found_by_every_filter_and_says_how_much_it_leaves_out(run: Run, office: Office) -> None:
    office.add(label="A-1", serial="ZC-100%", location="机房", vaults="patients,staff")
    office.add(label="A-2", serial="ZC_1", location="库房", status="deposited", classification="internal", type="USB",
               custodian="李娜")  # fmt: skip
    for number in range(210):
        office.add(label=f"B-{number:03}", serial="")
    for args, wanted in (
        (["--text", "100%"], ["A-1"]), (["--text", "C_1"], ["A-2"]), (["--vault", "staff"], ["A-1"]),
        (["--vault", "sta"], []), (["--status", "deposited"], ["A-2"]), (["--classification", "internal"], ["A-2"]),
        (["--custodian", "李娜"], ["A-2"]), (["--location", "机房"], ["A-1"]), (["--type", "USB"], ["A-2"]),
        (["--trouble"], []), (["--text", "李"], ["A-2"]),
    ):  # fmt: skip
        assert [one["label"] for one in run("list", *args)["media"]] == wanted, args
    found = run("list")
    assert (found["count"], len(found["media"])) == (212, 200)
    assert len(run("list", "--all")["media"]) == 212


def test_where_there_is_no_register_there_is_nothing_to_read_and_nothing_is_made(tmp_path: Path) -> None:
    file = tmp_path / "vaultd.toml"
    file.write_text(f'[host]\nname = "h"\nstate = "{tmp_path / "state"}"\n')
    for args in (["list"], ["items"], ["stock", "list"], ["destroy", "show"]):
        assert main(["--config", str(file), "--json", "media", *args]) == 0
    assert not (tmp_path / "state").exists()


def test_text_for_people_has_no_terminal_codes(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    label = office.add(location="机房").label
    file = office.config_file()
    assert main(["--config", str(file), "media", "show", label]) == 0
    assert "机房" in capsys.readouterr().out
    assert main(["--config", str(file), "media", "scan", "\x1b[2J"]) == 4
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for another user")
def test_what_root_makes_in_the_state_folder_is_the_daemons(tmp_path: Path) -> None:
    """Else the daemon could not write its database, nor take a certificate off-site."""
    from vaultd.custody import keep

    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 54321, 54321)
    file = tmp_path / "vaultd.toml"
    file.write_text(f'[host]\nname = "h"\nstate = "{state}"\n[[target]]\nname = "t"\nhost = "h"\nuser = "u"\n'
                    'path = "p"\nidentity = "/i"\npassword_file = "/p"\n')  # fmt: skip
    assert main(["--config", str(file), "media", "add", "--custodian", "a", "--classification", "internal"]) == 0
    keep(state, "a.pdf", b"x")
    assert {path.stat().st_uid for path in state.rglob("*")} == {54321}


@pytest.mark.parametrize("args", [["list"], ["show", "A-1"]])
def test_reading_the_register_loads_nothing_heavy(office: Office, args: list[str]) -> None:
    """A list has half a second: the checked configuration alone would take most of it."""
    office.add(label="A-1")
    file = office.config_file()
    command = [sys.executable, "-X", "importtime", "-m", "vaultd", "--config", str(file), "media", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "sqlite3" in modules
    assert modules.isdisjoint({"pydantic", "paramiko", "cryptography", "fpdf", "segno", "PIL"})

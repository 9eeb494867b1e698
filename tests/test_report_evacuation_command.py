"""``vaultd report evacuation`` and ``report drill`` as people type them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import emergencies
from vaultd import i18n
from vaultd.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VAULTD_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.chdir(tmp_path)
    yield
    i18n.choose("en")


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("emergencies")
    emergencies.main(where)
    return where


def report(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["report", *map(str, args)]) == code
    done = capsys.readouterr()
    return done.out, done.err


def figures(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> dict[str, Any]:
    return dict(json.loads(report(capsys, *args, "--json", code=code)[0]))


def test_without_files_named_both_are_written_here_for_their_owner_alone(
    ledgers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _err = report(capsys, "evacuation", "E-2026-001", "--ledger", ledgers / "fire")
    names = ["evacuation-ward-3-E-2026-001.html", "evacuation-ward-3-E-2026-001.pdf"]
    assert out.splitlines() == [f"wrote {name}" for name in names]
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names] == [0o600, 0o600]
    assert (tmp_path / names[1]).read_bytes().startswith(b"%PDF")


def test_figures_alone_write_nothing(ledgers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "evacuation", "E-2026-001", "--ledger", ledgers / "fire")
    assert (found["version"], found["evacuation"]["id"], found["files"]) == (1, "E-2026-001", [])
    compared = figures(capsys, "drill", "--trend", "--ledger", ledgers / "drills")
    assert (len(compared["drills"]), compared["files"]) == (8, [])
    assert list(tmp_path.iterdir()) == []


def test_a_drill_by_its_id_is_the_same_report(ledgers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "DRILL-2026-001"
    one, other = (figures(capsys, what, name, "--ledger", ledgers / "drills") for what in ("drill", "evacuation"))
    assert one == other
    out, _err = report(capsys, "drill", name, "--ledger", ledgers / "drills", "--html", "d.html")
    assert out == "wrote d.html\n" and "<title>DRILL DRILL-2026-001</title>" in Path("d.html").read_text("utf-8")


def test_the_table_is_written_alone_where_nothing_else_is_asked_for(
    ledgers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _err = report(capsys, "drill", "--trend", "--csv", "i.csv", "--since", "2026-09-01", "--ledger",
                       ledgers / "drills")  # fmt: skip
    assert out == "wrote i.csv\n" and [one.name for one in tmp_path.iterdir()] == ["i.csv"]
    assert stat.S_IMODE(Path("i.csv").stat().st_mode) == 0o600
    lines = Path("i.csv").read_text("utf-8-sig").splitlines()
    assert len([line for line in lines if line.startswith("drill,DRILL")]) == 5


def test_an_unknown_id_is_a_usage_error_with_those_that_there_are(
    ledgers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = figures(capsys, "evacuation", "E-2026-777", "--ledger", ledgers / "fire", code=2)["error"]
    assert "E-2026-777" in error["why"] and error["hint"] == "on record: DRILL-2026-001, E-2026-001"


@pytest.mark.parametrize(
    "options",
    [
        ("evacuation",), ("evacuation", "E-2026-001", "--zone", "Mars"), ("drill",), ("drill", "X", "--trend"),
        ("evacuation", "E-2026-001", "--html", "no/such/folder.html"), ("drill", "DRILL-2026-001", "--csv", "a.csv"),
        ("drill", "--trend", "--since", "yesterday"), ("drill", "--trend", "--csv", "no/such/folder.csv"),
    ],
)  # fmt: skip
def test_bad_options_are_usage_errors(
    options: tuple[str, ...], ledgers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(capsys, *options, "--ledger", ledgers / "drills", code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_does_not_hold_gives_none_unless_it_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ledger"
    emergencies.fire(folder)
    file = max((folder / "tile" / "entries").rglob("*.p/*"), key=lambda one: int(one.name))
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"category":"fire"', b'"category":"fine"', 1))
    for command in (("evacuation", "E-2026-001"), ("drill", "--trend")):
        error = figures(capsys, *command, "--ledger", folder, code=4)["error"]
        assert error["code"] == "difference" and "--unverified" in error["hint"]
        report(capsys, *command, "--ledger", folder, "--unverified", "--html", "a.html", code=4)
        assert "NOT VERIFIED" in Path("a.html").read_text("utf-8")


def test_the_audit_report_names_evacuations_and_drills(ledgers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "audit", "--since", "2026-06-01", "--ledger", ledgers / "fire", "--html", "a.html")
    rows = found["evacuations"]["rows"]
    assert [(row["evacuation"], row["state"]) for row in rows if row["state"] in ("ordered", "ended")] == [
        ("DRILL-2026-001", "ordered"), ("DRILL-2026-001", "ended"), ("E-2026-001", "ordered"), ("E-2026-001", "ended"),
    ]  # fmt: skip
    text = Path("a.html").read_text("utf-8")
    assert "DRILL-2026-001 (DRILL)" in text and "vaultd report evacuation ID" in text

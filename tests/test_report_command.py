"""``vaultd report audit`` as a command, also on what a real daemon has put on record."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faulting import FaultSite, bare_site, fill
from tests.reporting import DAY, HOUR, START, describe, story
from tests.site import until
from vaultd import i18n
from vaultd.cli.main import main
from vaultd.ledger.verify import verify


@pytest.fixture(autouse=True)
def english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VAULTD_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.chdir(tmp_path)
    yield
    i18n.choose("en")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    folder = tmp_path / "a ledger"
    with story(folder, host="ward 3/东") as told:
        told.say("daemon", state="started", software="vaultd 0.1.0", pid=1, boot="b")
        describe(told, "records", 900, ["bunker"])
        told.change("records", "bunker", [DAY], first=True)
        for at in range(1, 400):
            told.at(START + at * HOUR)
            told.change("records", "bunker", [20 * 10**9])
    return folder


def report(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> tuple[str, str]:
    assert main(["report", "audit", *args]) == code
    done = capsys.readouterr()
    return done.out, done.err


def figures(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    return dict(json.loads(report(capsys, "--json", *args, code=code)[0]))


def test_without_files_named_both_are_written_here_for_their_owner_alone(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _err = report(capsys, "--since", "2026-06-02", "--until", "2026-06-10", "--ledger", str(ledger))
    names = ["audit-ward_3_-2026-06-02-2026-06-10.html", "audit-ward_3_-2026-06-02-2026-06-10.pdf"]
    assert out.splitlines() == [f"wrote {name}" for name in names]
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names] == [0o600, 0o600]
    assert (tmp_path / names[1]).read_bytes().startswith(b"%PDF")


def test_figures_alone_write_nothing(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(tmp_path.iterdir())
    found = figures(capsys, "--since", "2026-06-02", "--ledger", str(ledger))
    assert set(tmp_path.iterdir()) == before
    held = verify(ledger)
    assert (found["ledger"]["size"], found["ledger"]["root"]) == (held.size, held.root.hex())
    assert (found["period"]["until"], found["files"]) == ("2026-06-17T15:00:00.000Z", [])
    assert found["recovery"][0]["worst_seconds"] == 20.0


def test_days_are_those_of_the_zone(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(
        capsys, "--since", "2026-06-02", "--until", "2026-06-02", "--zone", "+08:00", "--ledger", str(ledger)
    )
    assert found["period"]["since"] == "2026-06-01T16:00:00.000Z"
    assert found["period"]["until"] == "2026-06-02T15:59:59.999Z"
    assert found["recovery"][0]["change_sets"] == 24
    html = "day.html"
    report(capsys, "--since", "2026-06-02", "--zone", "+08:00", "--ledger", str(ledger), "--html", html)
    assert "2026-06-02 00:00:00 – 2026-06-17 23:00:00 (+08:00)" in Path(html).read_text("utf-8")


def test_html_alone_needs_no_layout_program(
    ledger: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "weasyprint", None)
    report(capsys, "--since", "2026-06-02", "--ledger", str(ledger), "--html", "a.html")
    assert Path("a.html").read_text("utf-8").startswith("<!doctype html>")
    _out, err = report(capsys, "--since", "2026-06-02", "--ledger", str(ledger), "--pdf", "a.pdf", code=1)
    assert "vaultd[report]" in err
    assert not Path("a.pdf").exists()


@pytest.mark.parametrize("what", ["entry", "checkpoint"])
def test_a_ledger_that_does_not_hold_gives_none_unless_it_is_marked(
    what: str, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if what == "entry":
        file = next(iter(sorted((ledger / "tile/entries").glob("0*"))))
        content = bytearray(file.read_bytes())
        at = content.index(b'"state":"bound"') + 9
        content[at : at + 5] = b"xound"
    else:
        file = next(one for one in (ledger / "checkpoints").iterdir())
        content = bytearray(b"nothing")
    file.write_bytes(content)
    options = ("--since", "2026-06-02", "--ledger", str(ledger))
    found = figures(capsys, *options, code=4)
    assert found["error"]["code"] == "difference"
    assert "--unverified" in found["error"]["hint"]
    _out, err = report(capsys, *options, "--html", "a.html", code=4)
    assert not Path("a.html").exists()
    _out, err = report(capsys, *options, "--html", "a.html", "--unverified", code=4)
    assert "does not hold" in err
    assert '<body class="unverified">' in Path("a.html").read_text("utf-8")
    assert figures(capsys, *options, "--unverified", code=4)["unverified"]


def test_unverified_says_nothing_of_a_ledger_that_holds(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, "--since", "2026-06-02", "--ledger", str(ledger), "--unverified", "--html", "a.html")
    assert "unverified" not in Path("a.html").read_text("utf-8").partition("<body")[2]


def test_a_torn_bundle_is_counted_when_it_is_reported_on_all_the_same(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (ledger / "tile/entries/000").write_bytes(b"\xff")
    found = figures(capsys, "--since", "2026-06-02", "--ledger", str(ledger), "--unverified", code=4)
    assert (found["unreadable"], found["ledger"]["host"]) == (256, None)
    report(capsys, "--since", "2026-06-02", "--ledger", str(ledger), "--unverified", "--html", "a.html", code=4)
    assert "could not be read: 256" in Path("a.html").read_text("utf-8")


@pytest.mark.parametrize(
    "options",
    [
        (), ("--since", "yesterday"), ("--since", "2026-06-02", "--until", "2026-06-01"),
        ("--since", "2026-06-02", "--zone", "Mars"), ("--since", "2026-06-02", "--html", "no/such/folder.html"),
        ("--since", "2020-01-01", "--until", "2020-02-01"),
    ],
)  # fmt: skip
def test_bad_options_are_usage_errors(
    options: tuple[str, ...], ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(tmp_path.iterdir())
    report(capsys, *options, "--ledger", str(ledger), code=2)
    assert set(tmp_path.iterdir()) == before


def test_no_ledger_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(capsys, "--since", "2026-06-02", "--ledger", str(tmp_path / "no"), code=1)["error"]["code"] == (
        "ledger-missing"
    )


def test_what_a_real_daemon_records_says_objectives_and_recovery_points(tmp_path: Path) -> None:
    with bare_site(tmp_path) as site:
        check_real(site)


def check_real(site: FaultSite) -> None:
    vault = site.add_vault(objective="10m", custodian="张伟")
    site.file_tail = '[ledger]\ncheckpoint = "1s"\n'
    fill(vault)
    site.prepare()
    site.start()
    site.wait_protected()
    (vault / "later").write_text("x")
    until(lambda: "later" in [one.get("path") for one in site.entries("version")], "the change is on record")
    site.wait_protected()
    site.stop()
    (version,) = [one for one in site.entries("version") if one["path"] == "later"]
    (made,) = [one for one in site.entries("snapshot") if one["change_set"] == version["change_set"]]
    # It may be seen when it is made, a moment before it is written.
    assert abs(int(made["since_ns"]) - int(version["mtime_ns"])) < 30 * 10**9
    found = site.cli("report", "audit", "--since", "2020-01-01").json
    (described,) = found["vaults"]
    assert (described["vault"], described["objective_seconds"], described["custodian"]) == ("records", 600.0, "张伟")
    assert described["folder"] == str(vault)
    (line,) = found["recovery"]
    assert line["late"] == 0
    assert 0 < line["worst_seconds"] < 60, line
    assert found["daemon"]["starts"] == 1
    # Another configuration: what differs is put on record, and nothing else.
    site.vaults["records"]["objective"] = "5m"
    site.write()
    site.backup()
    site.backup()
    entries = site.entries("vault")
    assert [one["objective_ms"] for one in entries] == [600_000, 300_000]

"""``vaultd demo``: it shows what it says, tells a difference, leaves nothing; a kept one can be gone on with."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.demoing import SECONDS, VAULTD, Run, processes_of, sabotaged_restic, start
from vaultd.demo.layout import Layout
from vaultd.demo.material import Filler
from vaultd.demo.offsite import OffsiteServer
from vaultd.restore.compare import compare

SMALL = ("--size", "1")


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path leaves room for a socket's."""
    return tmp_path_factory.mktemp("d")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Three whole demos at once, since they mostly wait: on a terminal; kept, with --json; with a spoiled restore."""
    folder = tmp_path_factory.mktemp("demo")
    restic = sabotaged_restic(folder / "bin")
    found = {
        "terminal": start(folder / "t", "demo", *SMALL, terminal=True),
        "kept": start(folder / "k", "--json", "demo", *SMALL, "--keep", str(folder / "kept")),
        "spoiled": start(folder / "s", "demo", *SMALL, path_first=restic),
    }
    try:
        for run in found.values():
            run.wait()
        yield found
    finally:
        for run in found.values():
            if run.process.poll() is None:
                run.process.terminate()
                run.process.wait()


@pytest.fixture(scope="module")
def kept(runs: dict[str, Run]) -> tuple[Layout, dict[str, Any]]:
    report = json.loads(runs["kept"].text())
    return Layout(Path(report["kept"])), report


def vaultd(layout: Layout, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*VAULTD, "--config", str(layout.config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)


def test_everything_comes_back_and_the_report_says_so(kept: tuple[Layout, dict[str, Any]]) -> None:
    layout, report = kept
    assert report["same"] is True
    assert report["differences"] == []
    assert report["compared"] > 40
    assert [one["kind"] for one in report["changes"]] == ["create", "modify", "rename", "delete", "gbk-name"]
    assert all(one["seconds"] > 0 for one in report["changes"])
    assert all(one["snapshot_kind"] == "full" for one in report["changes"] if one["kind"] in ("rename", "delete"))
    assert compare(layout.vault, layout.restored) == []  # by ourselves, not by what the report says
    names = os.listdir(os.fsencode(layout.restored / "ward-3"))
    assert "病历摘要.txt".encode("gbk") in names
    assert b"obsolete-draft.txt" not in names


def test_the_report_is_as_documented(kept: tuple[Layout, dict[str, Any]]) -> None:
    text = (Path(__file__).parent.parent / "docs" / "json-demo.md").read_text()
    assert set(kept[1]) == set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_a_terminal_shows_progress_and_the_end(runs: dict[str, Run]) -> None:
    assert runs["terminal"].wait() == 0, runs["terminal"].text()
    text = runs["terminal"].text()
    assert "\x1b[" in text
    assert "copying real files" in text or "first protection" in text
    assert len(re.findall(r"off-site after [0-9.]+ s", text)) == 6  # the first protection, five changes
    assert "no difference" in text
    assert "vaultd init" in text


def test_a_difference_is_told_and_is_not_success(runs: dict[str, Run]) -> None:
    assert runs["spoiled"].wait() == 4, runs["spoiled"].text()
    text = runs["spoiled"].text()
    assert "\x1b" not in text  # no terminal, no control sequences
    assert "ward-3/admissions.csv: sha256 is" in text
    assert "no difference" not in text


@pytest.mark.parametrize("name", ["terminal", "kept", "spoiled"])
def test_nothing_is_left_after_the_end(runs: dict[str, Run], name: str) -> None:
    assert list(runs[name].folder.iterdir()) == []
    assert processes_of(runs[name].folder) == []


def test_a_kept_demo_runs_nothing(kept: tuple[Layout, dict[str, Any]]) -> None:
    layout, _report = kept
    assert processes_of(layout.folder) == []
    assert not layout.lost.exists()
    assert not layout.new_host.exists()


def test_commands_work_on_a_kept_demo_and_leave_its_server_off(kept: tuple[Layout, dict[str, Any]]) -> None:
    layout, report = kept
    status = json.loads(vaultd(layout, "--json", "status").stdout)
    assert status["state"] == "protected"
    (layout.vault / "ward-3" / "later.txt").write_text("later\n")
    done = vaultd(layout, "--json", "backup")
    assert done.returncode == 0, done.stderr
    listed = json.loads(vaultd(layout, "--json", "snapshots", "records").stdout)
    assert {one["snapshot"] for one in report["changes"]} <= {one["id"] for one in listed["snapshots"]}
    checked = vaultd(layout, "target", "check")
    assert checked.returncode == 0, checked.stdout
    again = layout.folder / "again"
    restored = vaultd(layout, "restore", "records", "--to", str(again))
    assert restored.returncode == 0, restored.stderr
    assert (again / "ward-3" / "later.txt").read_text() == "later\n"
    assert compare(layout.vault, again) == []
    assert processes_of(layout.folder) == []


def test_the_server_of_a_kept_demo_stays_while_somebody_else_uses_it(kept: tuple[Layout, dict[str, Any]]) -> None:
    layout, _report = kept
    daemon = subprocess.Popen([*VAULTD, "--config", str(layout.config), "run"], stderr=subprocess.DEVNULL)
    try:
        server = OffsiteServer(layout.offsite)
        while not server.running():
            assert daemon.poll() is None
        assert vaultd(layout, "snapshots").returncode == 0
        assert server.running()
    finally:
        daemon.terminate()
        assert daemon.wait(SECONDS) == 0
    assert not server.running()


def test_the_fingerprint_on_paper_is_enough_and_another_one_is_refused(kept: tuple[Layout, dict[str, Any]]) -> None:
    layout, report = kept
    with OffsiteServer(layout.offsite, port=report["offsite"]["port"]) as server:

        def snapshots(fingerprint: str) -> subprocess.CompletedProcess[str]:
            return vaultd(
                layout, "snapshots", "--repository", f"sftp://{server.user}@127.0.0.1:{server.port}/repository",
                "--host-key", fingerprint, "--identity", str(server.identity), "--password-file", str(layout.password),
            )  # fmt: skip

        found = snapshots(report["offsite"]["host_key"])
        assert found.returncode == 0, found.stderr
        assert report["changes"][0]["snapshot"][:8] in found.stdout
        before = server.authentications_seen()
        refused = snapshots("SHA256:" + "A" * 43)
        assert refused.returncode == 6
        assert server.authentications_seen() == before


def test_a_kept_demo_whose_port_is_taken_says_so(kept: tuple[Layout, dict[str, Any]]) -> None:
    layout, report = kept
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", report["offsite"]["port"]))
        taken.listen()
        found = vaultd(layout, "snapshots")
    assert found.returncode == 1
    assert f"its port {report['offsite']['port']} must be free" in found.stderr


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "A folder worth protecting"),
        (signal.SIGTERM, "A place off-site"),
        (signal.SIGINT, "an OpenSSH server"),
        (signal.SIGTERM, "Protected, all the time"),
        pytest.param(signal.SIGINT, "Changes, and how long", marks=pytest.mark.soak),
        (signal.SIGHUP, "a new file"),
        (signal.SIGTERM, "its daemon is killed"),
    ],
)
def test_a_demo_that_is_ended_leaves_nothing(short: Path, number: signal.Signals, moment: str) -> None:
    run = start(short, "demo", *SMALL)
    run.wait_for(moment)
    if number == signal.SIGINT:  # Ctrl-C reaches the whole group, and people press it twice
        os.killpg(run.process.pid, number)
        os.killpg(run.process.pid, number)
    else:
        run.process.send_signal(number)
    assert run.wait() == 128 + number
    assert list(run.folder.iterdir()) == []
    assert processes_of(short) == []
    assert "ended before its end" in run.text()
    assert "Traceback" not in run.text()


def test_a_demo_to_be_kept_that_is_ended_is_not_kept(short: Path) -> None:
    (short / "mine").mkdir()
    run = start(short / "run", "demo", *SMALL, "--keep", str(short / "mine"))
    run.wait_for("Protected, all the time")
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert list((short / "mine").iterdir()) == []  # the folder was there before
    assert processes_of(short) == []


def test_keep_never_touches_a_folder_with_content(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary").write_text("dear diary\n")
    run = start(tmp_path / "run", "demo", *SMALL, "--keep", str(tmp_path / "mine"))
    assert run.wait() == 2
    assert "is not empty" in run.text()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["diary"]


def test_the_vault_keeps_what_makes_a_restore_hard(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    filled = Filler(vault, 3 << 20, lambda _now: None).fill()
    assert filled.files > 40
    assert (vault / "ward-3" / "incoming").stat().st_mode & 0o7777 == 0o2770
    assert (vault / "ward-3" / "on-duty-today.txt").samefile(vault / "ward-3" / "patients" / "0003.txt")
    assert (vault / "ward-3" / "newest").is_symlink()
    scan = (vault / "ward-3" / "scan-0001.img").stat()
    assert scan.st_blocks * 512 < scan.st_size

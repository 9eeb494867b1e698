"""Databases: the output of dump commands is in the repository as it was printed, and what failed is no snapshot."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faulting import FaultSite
from tests.filefaults import bare_site
from tests.restoring import write
from tests.site import until
from vaultd import dumping

SQLITE = shutil.which("sqlite3")


def database(path: Path, rows: int = 500) -> Path:
    """A small SQLite database."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE patient(number INTEGER PRIMARY KEY, name TEXT)")
        db.executemany("INSERT INTO patient(name) VALUES(?)", [(f"病人 {number}",) for number in range(rows)])
        db.commit()
    return path


def dumps(site: FaultSite, name: str) -> list[dict[str, Any]]:
    """The dump snapshots of a name, as restic lists them, oldest first."""
    return [one for one in site.snapshots(kind="dump") if f"dump={name}" in one["tags"]]


def assert_dump_is_true(site: FaultSite, name: str, expected: bytes | None = None, filename: str = "") -> bytes:
    """Digest and size on record equal the stored bytes; the tags tie it to a full snapshot of the vault. The bytes."""
    newest = dumps(site, name)[-1]
    stored = site.restic("dump", newest["id"], f"/{filename or name + '.dump'}")
    assert expected is None or stored == expected
    with contextlib.closing(site.store()) as store:
        rows = [row for row in store.snapshots() if row.kind == "dump" and row.dump == name]
    (row,) = [row for row in rows if row.snapshot == newest["id"]]
    assert (row.total, row.digest) == (len(stored), hashlib.sha256(stored).digest())
    of = next(tag.removeprefix("of=") for tag in newest["tags"] if tag.startswith("of="))
    assert f"id={of}" in {tag for full in site.snapshots(kind="full") for tag in full["tags"]}
    return stored


def failing_names(site: FaultSite) -> list[str]:
    found = site.alert("dump-failed")
    return sorted(str(found.detail["name"]).split(", ")) if found else []


@pytest.mark.skipif(SQLITE is None, reason="needs sqlite3")
def test_a_dump_by_sqlites_own_tool_is_stored_tied_to_the_full_snapshot_and_restored(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        file = database(vault / "patients.db")
        site.vaults["records"]["dump"] = [
            {"name": "patients", "command": [SQLITE, file, ".dump"], "filename": "patients.sql"},
            {"name": "odd", "command": ["printf", "%s", "a\tb 'c' \"d\" $HOME"]},
        ]
        site.write()
        answer = site.cli("backup", "--full")
        assert (answer.code, answer.outcome["kind"]) == (0, "full")
        printed = subprocess.run([str(SQLITE), str(file), ".dump"], capture_output=True, check=True).stdout
        assert_dump_is_true(site, "patients", printed, "patients.sql")
        assert_dump_is_true(site, "odd", b"a\tb 'c' \"d\" $HOME")
        assert site.alerts() == set()
        to = tmp_path / "restored"
        done = site.cli("restore", "records", "--to", str(to), "--dump", "patients")
        assert done.code == 0
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.executescript((to / "patients.sql").read_text())
            assert db.execute("SELECT count(*), max(name) FROM patient").fetchone()[0] == 500
        assert list((site.state / "lists").iterdir()) == []


def test_a_dump_that_fails_is_no_snapshot_an_alert_and_exit_code_3_and_stops_nothing_else(tmp_path: Path):
    """Failed, printed and then failed, nothing printed, command missing, killed; words that read like a broken line."""
    with bare_site(tmp_path) as (site, vault):
        write(vault / "file", "file")
        commands = {
            "fails": ["false"],
            "prints-then-fails": ["sh", "-c", "seq 100000; exit 7"],
            "empty": ["true"],
            "missing": ["/nonexistent/pg_dump"],
            "killed": ["sh", "-c", "seq 1000; kill -KILL $$"],
            "wrapper-killed": ["sh", "-c", "seq 1000; kill -KILL $PPID"],
            "refused": ["sh", "-c", "echo 'connection to server failed: Connection refused' >&2; exit 1"],
            "silent": ["sh", "-c", "echo begun; sleep 600"],
            "denied": ["sh", "-c", "echo 'permission denied for table patient' >&2; exit 1"],
        }
        good = {"name": "zz-good", "command": ["echo", "good"]}
        listed: list[dict[str, Any]] = [{"name": name, "command": command} for name, command in commands.items()]
        next(dump for dump in listed if dump["name"] == "silent")["silence"] = "2s"
        site.vaults["records"]["dump"] = [*listed, good]
        site.write()
        answer = site.cli("backup", "--full")
        assert (answer.code, answer.outcome["kind"]) == (3, "full")
        assert all(name in answer.error["why"] for name in commands)
        assert failing_names(site) == sorted(commands)
        assert "printed nothing for 2 s" in answer.error["why"]
        assert site.alerts() == {"dump-failed"}, "the target itself is well"
        assert len(site.snapshots(kind="dump")) == 1
        assert_dump_is_true(site, "zz-good", b"good\n")
        listed_by_restic = json.loads(site.restic("snapshots", "--json"))
        assert len(listed_by_restic) == 2, "not even an untagged or empty one"
        site.assert_no_process_left()
        for dump in listed[:-1]:
            dump["command"] = ["echo", dump["name"]]
        site.write()
        answer = site.cli("backup", "--full")
        assert answer.code == 3 and failing_names(site) == ["denied"], "the others went well: one alert is left"
        site.vaults["records"]["dump"] = [*listed[:-1], good]
        site.write()
        assert site.cli("backup").code == 0
        assert site.alerts() == set(), "what is not configured any more does not fail any more"
        for dump in listed[:-1]:
            assert_dump_is_true(site, dump["name"], f"{dump['name']}\n".encode())


def test_the_daemon_makes_dumps_as_scheduled_and_tries_a_failed_one_again(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        write(vault / "file", "file")
        broken = tmp_path / "broken"
        often = {"name": "often", "command": ["date", "+%N"], "every": "2s"}
        rarely = {"name": "rarely", "command": ["echo", "rarely"], "every": "1d"}
        unsteady = {"name": "unsteady", "command": ["sh", "-c", f"[ ! -e {broken} ] && echo well"], "every": "2s"}
        site.vaults["records"]["dump"] = [often, rarely, unsteady]
        site.write()
        broken.write_text("")
        site.start()
        until(lambda: failing_names(site) == ["unsteady"], "the failed one is an alert")
        until(lambda: len(on_record(site, "often")) >= 3, "made again and again")
        assert dumps(site, "unsteady") == []
        broken.unlink()
        until(lambda: on_record(site, "unsteady") and site.alerts() == set(), "tried again: the alert is over")
        assert len(dumps(site, "rarely")) == 1
        assert site.cli("backup", "--full").code == 0
        assert len(dumps(site, "rarely")) == 2, "backup --full makes it now"
        assert site.stop() == 0
        for name in ("often", "rarely", "unsteady"):
            assert_dump_is_true(site, name)
        site.assert_no_process_left()


@pytest.mark.parametrize(
    "then",
    [pytest.param("sleep 600", marks=pytest.mark.soak, id="silent"), pytest.param("cat /dev/urandom", id="printing")],
)
def test_a_dump_whose_line_breaks_is_no_failure_of_the_dump(tmp_path: Path, then: str):
    with bare_site(tmp_path) as (site, vault):
        write(vault / "file", "file")
        endless = {"name": "endless", "command": ["sh", "-c", f"head -c 100000000 /dev/urandom; {then}"]}
        site.vaults["records"]["dump"] = [endless]
        site.write()
        site.start()
        site.wait_uploading(size=1 << 20)
        site.servers["offsite"].stop()
        until(lambda: "target-unreachable" in site.alerts(), "the target is called unreachable")
        assert failing_names(site) == [] == on_record(site, "endless")
        assert site.stop() == 0
        until(lambda: not site.leftovers(), "the command has been ended too")


def on_record(site: FaultSite, name: str) -> list[str]:
    return [row.snapshot for row in site.snapshots_on_record() if row.dump == name]


def test_the_command_is_ended_and_not_blamed_when_restic_is_gone(tmp_path: Path):
    """The program between restic and the command, alone: its reader goes away, and it leaves no verdict."""
    result, mark = tmp_path / "result", str(tmp_path / "mark")
    endless = ["sh", "-c", 'exec cat /dev/urandom "$0"', mark]
    program = [sys.executable, "-I", str(Path(dumping.__file__)), str(result), "60", *endless]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as wrapper:
        assert wrapper.stdout is not None and wrapper.stdout.read(1 << 20)
        assert json.loads(result.read_text())["exit"] == dumping.UNFINISHED
        wrapper.stdout.close()
        assert wrapper.wait(30) == dumping.LINE_BROKE
    assert not result.exists()
    assert not [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or ())]


def _postgres() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], Path, Path]]:
    """A private PostgreSQL cluster on a Unix socket: prefix of commands, programs, socket folder. Gone at the end."""
    programs = _postgres()
    if programs is None:
        pytest.skip("no PostgreSQL server (apt-get install postgresql)")
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path must be short
    if user:
        shutil.chown(folder, "postgres")

    def run(*args: str | Path) -> None:
        done = subprocess.run([*user, *map(str, args)], cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    try:
        run(programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run(programs / "pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "log", "-w", "start")
        try:
            run(
                programs / "psql", "-h", folder, "-U", "postgres", "-c",
                "CREATE TABLE patient AS SELECT n, 'patient ' || n AS name FROM generate_series(1, 20000) n",
            )  # fmt: skip
            yield user, programs, folder
        finally:
            run(programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def test_a_dump_by_a_real_pg_dump_comes_back_and_a_server_that_is_down_is_a_failure(
    tmp_path: Path, postgres: tuple[list[str], Path, Path]
):
    user, programs, folder = postgres
    with bare_site(tmp_path) as (site, vault):
        write(vault / "file", "file")
        command = [*user, programs / "pg_dump", "-U", "postgres", "-h"]
        site.vaults["records"]["dump"] = [
            {"name": "hospital", "command": [*command, folder, "postgres"], "filename": "hospital.sql"},
            {"name": "down", "command": [*command, tmp_path, "postgres"]},
        ]
        site.write()
        answer = site.cli("backup", "--full")
        assert answer.code == 3 and site.alerts() == {"dump-failed"}
        assert failing_names(site) == ["down"] and dumps(site, "down") == []
        stored = assert_dump_is_true(site, "hospital", filename="hospital.sql")
        assert stored.count(b"\npatient ") == 0 and stored.count(b"\tpatient ") == 20000
        psql = [*user, str(programs / "psql"), "-q", "-h", str(folder), "-U", "postgres", "-v", "ON_ERROR_STOP=1"]
        subprocess.run([*psql, "-c", "CREATE DATABASE again"], cwd="/", check=True, capture_output=True)
        subprocess.run([*psql, "again"], cwd="/", check=True, capture_output=True, input=stored)
        count = subprocess.run(
            [*psql, "-A", "-t", "-c", "SELECT count(*), max(n) FROM patient", "again"],
            cwd="/", check=True, capture_output=True,
        )  # fmt: skip
        assert count.stdout.strip() == b"20000|20000"

"""`vaultd status` and `vaultd alert`: the truth from the store without a daemon, and from the daemon with one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vaultd import alerts, places, status
from vaultd.cli.main import main
from vaultd.cli.render_status import render
from vaultd.control.server import serve
from vaultd.errors import ConfigError
from vaultd.model import FileKind, Progress, SnapshotKind, Stat
from vaultd.store import Acknowledgement, Backlog, Store

HOUR = 3600 * 10**9
FILE = Stat(FileKind.FILE, 2, 100, 1, 1, 0o644, 0, 0)
FOLDER = Stat(FileKind.DIRECTORY, 1, 0, 1, 1, 0o755, 0, 0)

TOML = """
[host]
name = "archive-1"
state = "{folder}/state"
[[target]]
name = "east"
host = "127.0.0.1"
user = "nobody"
path = "repository"
identity = "{folder}/id"
password_file = "{folder}/password"
[[vault]]
name = "patients"
path = "{folder}/vault"
classification = "secret"
targets = ["east"]
objective = "15m"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vaultd.toml"
    path.write_text(TOML.format(folder=tmp_path))
    (tmp_path / "state").mkdir()
    return path


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    found = Store(places.locate(file).database)
    yield found
    found.close()


def observe(store: Store, *names: bytes) -> tuple[int, int]:
    vault, target = store.vault_id("patients"), store.target_id("east")
    store.observe(vault, [target], [(b"", FOLDER), *((name, FILE) for name in names)])
    return vault, target


def row(store: Store, file: Path, live: status.Live | None = None) -> dict[str, Any]:
    found = status.document(store, "archive-1", status.plans(places.locate(file).raw), live)
    target: dict[str, Any] = found["vaults"][0]["targets"][0]
    assert found["vaults"][0]["state"] == found["state"] == target["state"]
    return target


NOTHING = Backlog(0, 0, 0, 0, 0, None, None)
NOW = 1_795_000_000 * 10**9


@pytest.mark.parametrize(
    ("codes", "backlog", "has_full", "state"),
    [
        (set(), NOTHING, True, "protected"),
        (set(), NOTHING, False, "first-protection"),
        (set(), Backlog(1, 9, 1, 0, 0, NOW - 10**9, NOW - 10**9), True, "pending"),
        (set(), Backlog(0, 0, 1, 0, 0, None, NOW - 10**9), True, "pending"),  # content safe, exact state owed
        (set(), Backlog(1, 9, 1, 0, 0, NOW - HOUR, NOW - HOUR), True, "behind"),
        (set(), Backlog(0, 0, 2, 0, 2, None, None), True, "unread"),
        (set(), Backlog(0, 0, 2, 2, 0, None, None), True, "in-motion"),
        ({"overdue"}, NOTHING, True, "behind"),
        ({"unread-folders"}, NOTHING, True, "unread"),
        ({"target-unreachable"}, NOTHING, True, "unreachable"),
        ({"target-unreachable", "host-key"}, NOTHING, True, "blocked"),
        ({"vault-emptied"}, NOTHING, True, "blocked"),
        ({"restic"}, NOTHING, True, "error"),
        ({"watch-overflow", "mass-change", "an-unknown-one"}, NOTHING, True, "protected"),
        (set(), Backlog(1, 9, 1, 0, 0, NOW + HOUR, NOW + HOUR), True, "pending"),  # the clock was set back
    ],
)
def test_state_of(codes: set[str], backlog: Backlog, has_full: bool, state: str) -> None:
    assert status.state_of(codes, backlog, has_full, 900, NOW) == state


def test_every_alert_that_names_a_state_is_in_the_table() -> None:
    named = set().union(*status._BY_ALERT.values())
    assert named <= set(alerts.KINDS)


def test_first_protection_then_protected_then_pending(store: Store, file: Path) -> None:
    vault, target = observe(store, b"a", b"b")
    found = row(store, file)
    assert (found["state"], found["pending_files"], found["pending_bytes"]) == ("first-protection", 2, 200)
    acknowledge_all(store, target, vault)
    found = row(store, file)
    assert (found["state"], found["pending_files"], found["lag"]) == ("protected", 0, 0.0)
    assert found["last_full"]["snapshot"] == "abc"
    assert found["last_express"] is None
    observe(store, b"c")
    found = row(store, file)
    assert (found["state"], found["pending_files"]) == ("pending", 1)


def acknowledge_all(store: Store, target: int, vault: int) -> None:
    """A full snapshot that settles everything."""
    run = "000000000001-abcdef01"
    settled = [row.path for row in store.pending_rows(target, vault)]
    store.begin_run(run, target, vault, SnapshotKind.FULL)
    store.acknowledge(
        Acknowledgement(
            run, "abc", target, vault, SnapshotKind.FULL, time.time_ns(), 2, 200, store.seq(), settled=settled
        ),
        lambda _db, _versions: None,
    )


def test_alert_of_one_vault_does_not_colour_another(store: Store, file: Path) -> None:
    file.write_text(file.read_text() + file.read_text().partition("[[vault]]")[2].join(["[[vault]]", ""]).replace(
        'name = "patients"', 'name = "research"').replace("/vault", "/vault2"))  # fmt: skip
    store.alerts.raise_("vault-missing", vault="research", detail={"path": "/srv/x"})
    found = status.document(store, "h", status.plans(places.locate(file).raw))
    assert [(vault["name"], vault["state"]) for vault in found["vaults"]] == [
        ("patients", "first-protection"), ("research", "blocked"),
    ]  # fmt: skip
    assert found["state"] == "blocked"


def test_without_a_daemon_the_store_is_read_and_said_so(
    store: Store, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observe(store, b"a")
    store.alerts.raise_("target-unreachable", target="east", detail={"error": "refused"})
    assert main(["--config", str(file), "--json", "status"]) == 7
    found = json.loads(capsys.readouterr().out)
    assert found["daemon"] == {"running": False}
    assert found["vaults"][0]["targets"][0]["state"] == "unreachable"
    assert main(["--config", str(file), "status"]) == 7
    shown = capsys.readouterr()
    assert "the daemon is not running" in shown.out
    assert "target east does not answer: refused" in shown.out
    assert shown.err.startswith("vaultd: the daemon is not running: nobody answers at ")


def test_reading_changes_nothing(store: Store, file: Path) -> None:
    observe(store, b"a")
    store.close()
    folder = places.locate(file).state
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["--config", str(file), "--json", "status"]) == 7
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in before} == before


def test_no_daemon_and_no_state(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(file), "status"]) == 7
    assert os.listdir(places.locate(file).state) == []
    assert "hint: start it" in capsys.readouterr().err


def test_damaged_database_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places.locate(file).database.write_bytes(b"no database at all" * 1000)
    assert main(["--config", str(file), "status"]) == 7
    assert "damaged" in capsys.readouterr().err


def test_unknown_vault(store: Store, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(file), "status", "nope"]) == 2
    assert "hint: known vaults: patients" in capsys.readouterr().err


def test_alerts_without_a_daemon(store: Store, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.alerts.raise_("mass-change", vault="patients", detail={"changed": 1200, "files": 2000, "share": 0.6})
    assert main(["--config", str(file), "alert", "list"]) == 0
    assert "1,200 of 2,000 files of vault patients" in capsys.readouterr().out
    assert main(["--config", str(file), "alert", "ack", "1"]) == 0
    assert main(["--config", str(file), "alert", "ack", "1"]) == 2
    capsys.readouterr()
    assert main(["--config", str(file), "alert", "list"]) == 0
    assert capsys.readouterr().out == "No alert.\n"  # a mass change ends when somebody acknowledges it
    assert main(["--config", str(file), "--json", "alert", "list", "--all"]) == 0
    found = json.loads(capsys.readouterr().out)["alerts"]
    assert [(one["code"], one["acknowledged_by"]) for one in found] == [("mass-change", f"uid {os.geteuid()}")]


@pytest.mark.parametrize("code", sorted(alerts.KINDS))
def test_alert_texts_bear_missing_and_strange_details(code: str) -> None:
    assert "{" not in alerts.text(code, "v", "t", {})
    strange = {"path": "{x} %s", "error": "a{0}b", "files": 3}
    assert alerts.text(code, "v", "t", strange)
    assert alerts.hint(code, "", "", strange)


def test_unknown_alert_of_a_newer_vaultd_is_shown() -> None:
    assert alerts.text("new", "", "", {"a": 1}) == "alert new: a=1"
    assert alerts.severity("new") is alerts.Severity.WARNING


# --- with a daemon


class Served:
    """The status of a store behind a real socket, as the daemon has it."""

    def __init__(self, store: Store, file: Path) -> None:
        self.store, self.file = store, file
        self.ready, self.socket = threading.Event(), places.locate(file).socket
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    async def status(self) -> dict[str, Any]:
        live = status.Live(time.time_ns(), places.locate(self.file).state, {"east": time.time_ns() + 9 * 10**9}, [RUN])
        return status.document(self.store, "archive-1", status.plans(places.locate(self.file).raw), live)

    async def progress(self) -> list[Progress]:
        return [RUN]

    async def _main(self) -> None:
        self.loop, self.end = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self, self.socket):  # type: ignore[arg-type]  # what status needs
            self.ready.set()
            await self.end.wait()

    def __enter__(self) -> Served:
        self.thread.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_error: object) -> None:
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(20)


RUN = Progress("backup", "patients", "east", "full", 1, 4, 10, 40, 5.0, 6.0)


def test_with_a_daemon(store: Store, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vault, target = observe(store, b"a")
    with Served(store, file):
        assert main(["--config", str(file), "status"]) == 0
        shown = capsys.readouterr().out
        assert "archive-1: first protection" in shown
        assert "next attempt in" in shown
        assert "sending patients → east: 25 %" in shown
        assert main(["--config", str(file), "status", "--check"]) == 3
        acknowledge_all(store, target, vault)
        deadline = time.monotonic() + 20  # a machine under load makes the document dear, and it is given again
        while main(["--config", str(file), "status", "--check"]) != 0:
            assert time.monotonic() < deadline
        capsys.readouterr()
        assert main(["--config", str(file), "--json", "status"]) == 0
        found = json.loads(capsys.readouterr().out)
    assert found["daemon"]["pid"] == os.getpid()
    assert found["daemon"]["memory"] > 0
    assert found["state"] == "protected"


def test_whole_process_asks_the_daemon(store: Store, file: Path) -> None:
    observe(store, b"a")
    with Served(store, file):
        command = [sys.executable, "-m", "vaultd.cli.main", "--config", str(file), "--json", "status"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["daemon"]["running"]


def test_render_survives_an_empty_configuration(store: Store) -> None:
    assert "No vault is configured." in render(status.document(store, "h", []))


# --- where things are


def test_places_agree_with_the_checked_configuration(file: Path) -> None:
    from vaultd import config

    for extra in ("", '[control]\nsocket = "/run/x.sock"\n'):
        file.write_text(file.read_text() + extra)
        checked, cheap = config.load(file), places.locate(file)
        assert (cheap.state, cheap.socket) == (checked.host.state, checked.control.socket)
        (plan,) = status.plans(cheap.raw)
        vault = checked.vault[0]
        assert (plan.name, plan.objective, plan.priority, plan.targets) == (
            vault.name, vault.objective, vault.priority, tuple(vault.targets),
        )  # fmt: skip


@pytest.mark.parametrize("text", ["[host]\nstate = 5", '[host]\nstate = "relative"', "host = 1", "[host", "\xff"])
def test_wrong_configuration_is_a_configuration_error(file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        places.locate(file)


def test_plans_bear_anything() -> None:
    tables = {"vault": [5, {"name": 1}, {"name": "a", "objective": "soon", "targets": "x", "priority": "high"}]}
    assert status.plans(tables) == [status.VaultPlan("a", "")]


# --- the contract


def test_every_key_and_value_is_documented(store: Store, file: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "json.md").read_text()
    vault, target = observe(store, b"a")
    acknowledge_all(store, target, vault)
    store.alerts.raise_("target-unreachable", target="east", detail={})
    live = status.Live(time.time_ns(), places.locate(file).state, {"east": time.time_ns()}, [RUN])
    found = status.document(store, "h", status.plans(places.locate(file).raw), live)

    def keys(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from keys(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from keys(inner)

    for word in {*keys(found), *status.STATES, *alerts.KINDS, *(one.value for one in alerts.Severity)}:
        assert f"`{word}`" in text or f'"{word}":' in text, word


def test_api_models_are_documented() -> None:
    from vaultd.control import schemas

    text = (Path(__file__).parent.parent / "docs" / "json.md").read_text()
    for model in vars(schemas).values():
        if isinstance(model, type) and issubclass(model, schemas.BaseModel):
            for field in model.model_fields:
                assert f"`{field}`" in text or f'"{field}"' in text, f"{model.__name__}.{field}"

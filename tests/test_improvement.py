"""``vaultd improvement``: items get their numbers once, are followed up, and go on record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import emergencies
from tests.faulting import bare_site, fill
from tests.site import until
from vaultd import i18n
from vaultd.cli.main import main
from vaultd.custody import leave
from vaultd.ledger.events import EvacuationChanged, ImprovementNoted
from vaultd.report.improving import Improvements
from vaultd.store import Store
from vaultd.units import rfc3339

Run = Callable[..., dict[str, Any]]
TOMORROW = f"{datetime.now().astimezone() + timedelta(days=1):%Y-%m-%d}"
YEAR = datetime.now().astimezone().year


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    emergencies.fire(folder / "ledger")
    Store(folder / "state.db").close()
    (tmp_path / "vaultd.toml").write_text(f'[host]\nname = "ward-3"\nstate = "{folder}"\n')
    yield folder
    i18n.choose("en")


@pytest.fixture
def run(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*args: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        ended = main(["--config", str(tmp_path / "vaultd.toml"), "--json", "improvement", *args])
        shown = capsys.readouterr()
        assert ended == code, shown
        found: dict[str, Any] = json.loads(shown.out)
        assert found["version"] == 1
        return found

    return command


def noted(state: Path) -> list[dict[str, Any]]:
    store = Store(state / "state.db")
    try:
        return [one.fields for one in store.events(100) if one.type == "improvement"]
    finally:
        store.close()


def test_an_item_from_its_note_to_its_end(run: Run, state: Path) -> None:
    added = run("add", "E-2026-001", " 第二把梯子 ", "--owner", "张伟", "--due", TOMORROW)["item"]
    second = run("add", "DRILL-2026-001", "Better lamps", "--owner", "李娜", "--due", TOMORROW)["item"]
    assert (added["text"], added["state"], added["overdue"]) == ("第二把梯子", "open", False)
    first = 1 if YEAR != 2026 else 5  # the ledger has four of 2026
    assert [added["item"], second["item"]] == [f"IMP-{YEAR}-{first:03}", f"IMP-{YEAR}-{first + 1:03}"]
    listed = [one["item"] for one in run("list")["items"]]
    assert {"IMP-2026-002", "IMP-2026-003", "IMP-2026-004", added["item"], second["item"]} == set(listed)
    assert run("done", added["item"])["item"]["state"] == "done"
    assert run("drop", second["item"])["item"]["state"] == "dropped"
    assert run("done", "IMP-2026-002")["item"]["owner"] == "张伟"  # of the ledger itself
    assert {one["item"] for one in run("list")["items"]} == {"IMP-2026-003", "IMP-2026-004"}
    assert len(run("list", "--all")["items"]) == 6
    kept = noted(state)
    assert [(one["item"], one["state"]) for one in kept] == [
        (added["item"], "open"), (second["item"], "open"), (added["item"], "done"), (second["item"], "dropped"),
        ("IMP-2026-002", "done"),
    ]  # fmt: skip
    assert all(one["who"].startswith("uid ") for one in kept)


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (("add", "E-2026-404", "text", "--owner", "o", "--due", TOMORROW), "DRILL-2026-001, E-2026-001"),
        (("add", "E-2026-001", "  ", "--owner", "o", "--due", TOMORROW), "characters"),
        (("add", "E-2026-001", "a\x1b[31mb", "--owner", "o", "--due", TOMORROW), "invisible"),
        (("add", "E-2026-001", "x" * 501, "--owner", "o", "--due", TOMORROW), "500"),
        (("add", "E-2026-001", "text", "--owner", "a\nb", "--due", TOMORROW), "invisible"),
        (("add", "E-2026-001", "text", "--owner", "o", "--due", "soon"), "2026-12-31"),
        (("add", "E-2026-001", "text", "--owner", "o", "--due", "20261231"), "2026-12-31"),
        (("add", "E-2026-001", "text", "--owner", "o", "--due", "2020-01-01"), ""),
        (("done", "IMP-2026-001"), "IMP-2026-002"),  # done already
        (("done", "IMP-1999-001"), "IMP-2026-002"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_noted(args: tuple[str, ...], hint: str, run: Run, state: Path) -> None:
    error = run(*args, code=2)["error"]
    assert hint in error["hint"] and "\x1b" not in json.dumps(error)
    assert noted(state) == []


def test_a_number_is_given_once_though_others_write_meanwhile(state: Path) -> None:
    """What another command has noted, and what the daemon has put on record, since the list was read."""
    stores = [Store(state / "state.db") for _number in range(2)]
    try:
        one, two = (Improvements(state / "ledger", store) for store in stores)
        given = [known.add("E-2026-001", "t", "o", TOMORROW, "uid 0", state)["item"] for known in (one, two, one, two)]
        assert len(set(given)) == 4
        last = int(given[-1].rpartition("-")[2])
        taken = f"IMP-{YEAR}-{last + 7:03}"
        with emergencies.reopened(state / "ledger") as log:
            log.append([ImprovementNoted(taken, "E-2026-001", "open", "t", "o", TOMORROW, "uid 0")])
        assert two.add("E-2026-001", "t", "o", TOMORROW, "uid 0", state)["item"] == f"IMP-{YEAR}-{last + 8:03}"
    finally:
        for store in stores:
            store.close()


def test_without_a_state_it_is_said_and_nothing_is_made(state: Path, run: Run) -> None:
    (state / "state.db").unlink()
    assert run("list", code=1)["error"]["code"] == "state"
    assert not (state / "state.db").exists()


def test_people_read_overdue_items_first(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "vaultd.toml"), "improvement", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ITEM", "STATE", "DUE", "OWNER", "FROM", "TEXT"]
    assert len(lines) == 4 and "overdue" in lines[1] and "IMP-2026-003" in lines[1]


def test_a_running_daemon_puts_it_on_record_and_reports_follow_it_up(tmp_path: Path) -> None:
    with bare_site(tmp_path) as site:
        fill(site.add_vault())
        site.file_tail = '[ledger]\ncheckpoint = "1s"\n'
        site.prepare()
        site.start()
        site.wait_protected()
        moment = rfc3339(time.time_ns())
        leave(site.state, EvacuationChanged("E-2026-001", "ordered", "I", "fire", moment, "uid 0"))
        added = site.cli("improvement", "add", "E-2026-001", "梯子", "--owner", "张伟", "--due", TOMORROW).json["item"]
        until(lambda: site.entries("improvement"), "the item is on record")
        site.stop()
        (own,) = site.cli("report", "evacuation", "E-2026-001").json["improvements"]["own"]
        assert (own["item"], own["text"], own["state"]) == (added["item"], "梯子", "open")
        assert site.cli("improvement", "done", added["item"]).json["item"]["state"] == "done"
        assert site.cli("improvement", "list").json["items"] == []

"""Recovery points, gaps and the daemon's times in an audit report, against ledgers of which it is known what must come
out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import reporting
from tests.reporting import DAY, HOUR, MINUTE, SECOND, START, begun, describe, figures, line, story

# -- recovery points ---------------------------------------------------------------------------------------------------


def test_the_first_protection_is_no_recovery_point_and_later_changes_are(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told)
        told.at(START + 2 * HOUR)
        told.change("records", "bunker", [30 * SECOND, 5 * SECOND], kind="express")
        told.at(START + 3 * HOUR)
        told.change("records", "bunker", [20 * MINUTE])
    found = line(figures(tmp_path / "ledger"))
    assert (found["change_sets"], found["late"], found["objective_seconds"]) == (2, 1, 900.0)
    assert (found["worst_seconds"], found["worst_at"]) == (1200.0, "2026-06-01T03:00:00.000Z")
    assert 30 <= found["median_seconds"] <= 32
    assert found["snapshots"] == {"express": 1, "full": 2}


def test_a_file_that_came_with_an_old_time_waited_no_longer_than_since_the_newest_complete_full_one(
    tmp_path: Path,
) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told)
        told.at(START + 20 * MINUTE)  # the complete full one began 4 seconds before START + 10 minutes
        told.change("records", "bunker", [300 * DAY])
    assert line(figures(tmp_path / "ledger"))["worst_seconds"] == 604.0


def test_one_with_unread_files_is_not_complete(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told)
        told.at(START + HOUR)
        told.change("records", "bunker", [SECOND], exceptions={"unread": 3})
        told.at(START + 2 * HOUR)
        told.change("records", "bunker", [300 * DAY])
    found = line(figures(tmp_path / "ledger"))
    assert found["worst_seconds"] == 2 * 3600 - 600 + 4
    assert found["exceptions"] == {"snapshots": {"unread": 1}, "most": {"unread": 3}, "now": {}}


def test_a_change_that_nobody_saw_waited_since_the_time_of_the_file(tmp_path: Path) -> None:
    """The daemon was down for the night; it says ``since_ns`` of when it looked."""
    with story(tmp_path / "ledger") as told:
        begun(told)
        told.at(START + 10 * HOUR)
        run = told.change("records", "bunker", [])
        del run
        told.at(START + 20 * HOUR)
        told.log.append(
            [
                reporting.FileVersion("records", b"night", "bound", "c9", 1, str(told.clock.now - 6 * HOUR), bytes(32)),  # type: ignore[arg-type]
                reporting.SnapshotMade("records", "bunker", "full", "c9", "ab" * 32, str(told.clock.now), 1, 1, 1, {},
                                       since_ns=str(told.clock.now - 9 * SECOND)),
            ]
        )  # fmt: skip
    assert line(figures(tmp_path / "ledger"))["worst_seconds"] == 6 * 3600


@pytest.mark.parametrize("exact", [True, False])
def test_a_second_target_is_measured_although_its_versions_are_on_record_already(tmp_path: Path, exact: bool) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told, targets=("bunker", "annex"))
        told.at(START + HOUR)
        told.change("records", "bunker", [10 * SECOND])
        told.at(START + HOUR + 50 * SECOND)
        told.change("records", "annex", [60 * SECOND] if exact else [], second=True)
    found = line(figures(tmp_path / "ledger"), "annex")
    assert (found["change_sets"], found["worst_seconds"]) == (1, 60.0)


def test_what_still_waits_at_the_end_is_in_plot_and_gaps(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told, targets=("bunker", "annex"))
        for at in range(1, 20):
            told.at(START + at * HOUR)
            told.change("records", "bunker", [10 * SECOND])
    found = line(figures(tmp_path / "ledger", until=START + 19 * HOUR), "annex")
    assert found["change_sets"] == 0  # nothing has arrived there
    (gap,) = found["gaps"]["worst"]
    assert (gap["open"], gap["end"], gap["waited_seconds"]) == (True, "2026-06-01T19:00:00.000Z", 18 * 3600 + 10)
    series = found["series"]["waited_seconds"]
    assert series[-1] == 18 * 3600 + 10
    assert series == [None] * series.count(None) + sorted(series[series.count(None) :])  # nothing, then it rises


def test_the_objective_is_that_of_the_time(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told, objective=900)
        for objective, at in ((900, 2), (60, 3)):
            told.at(START + at * HOUR)
            describe(told, "records", objective, ["bunker"])
            told.at(START + at * HOUR + 30 * MINUTE)
            told.change("records", "bunker", [5 * MINUTE])
    found = figures(tmp_path / "ledger", since=START + HOUR)
    assert line(found)["late"] == 1
    assert line(found)["series"]["objectives"] == [
        {"from": "2026-06-01T01:00:00.000Z", "seconds": 900.0}, {"from": "2026-06-01T03:00:00.000Z", "seconds": 60.0},
    ]  # fmt: skip
    assert found["vaults"][0]["objective_seconds"] == 60.0


def test_of_an_older_ledger_without_objectives_nothing_is_said_to_be_late(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        told.change("records", "bunker", [DAY], first=True)
        told.at(START + DAY)
        told.change("records", "bunker", [HOUR])
    found = figures(tmp_path / "ledger")
    assert (line(found)["late"], line(found)["worst_seconds"], found["vaults"]) == (None, 3600.0, [])


def test_what_is_protected_no_longer_is_late_no_longer(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told, targets=("bunker", "annex"))
        told.at(START + HOUR)
        describe(told, "records", 900, ["bunker"])  # annex is given up
        told.at(START + 5 * HOUR)
        told.change("records", "bunker", [SECOND])
        told.at(START + 6 * HOUR)
        told.say("vault", vault="records", state="dropped")
        told.at(START + 7 * HOUR)
        describe(told, "records", 900, ["bunker"])
        told.change("records", "bunker", [50 * MINUTE])
    found = figures(tmp_path / "ledger")
    annex, bunker = line(found, "annex"), line(found)
    assert (annex["current"], annex["gaps"]["count"], annex["series"]["waited_seconds"]) == (False, 0, [None] * 180)
    assert [one["seconds"] for one in annex["series"]["objectives"]] == [900.0, None]
    assert (bunker["gaps"]["count"], bunker["gaps"]["late"]) == (1, 0)  # that before it was dropped
    assert [one["seconds"] for one in bunker["series"]["objectives"]] == [900.0, None, 900.0]


# -- gaps, daemon ------------------------------------------------------------------------------------------------------


def test_a_gap_counts_while_the_daemon_ran_and_is_late_where_a_change_waited(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told)
        told.at(START + 5 * HOUR)
        told.change("records", "bunker", [10 * SECOND])  # a quiet time before it
        told.at(START + 6 * HOUR)
        told.change("records", "bunker", [50 * MINUTE])
        told.say("daemon", state="stopped", software="vaultd 0.1.0", pid=1, boot="b")
        told.at(START + 20 * HOUR)
        told.say("daemon", state="started", software="vaultd 0.1.0", pid=2, boot="b")
        told.at(START + 20 * HOUR + MINUTE)
        told.change("records", "bunker", [13 * HOUR])  # while it was down
    found = figures(tmp_path / "ledger", until=START + 20 * HOUR + 2 * MINUTE)
    gaps = line(found)["gaps"]
    assert (gaps["count"], gaps["late"]) == (2, 1)
    assert [(one["begin"], one["waited_seconds"]) for one in gaps["worst"]] == [("2026-06-01T05:00:00.000Z", 3000.0)]
    assert found["daemon"]["downs"] == [
        {
            "begin": "2026-06-01T06:00:00.000Z",
            "end": "2026-06-01T20:00:00.000Z",
            "seconds": 14 * 3600.0,
            "silent": False,
        }
    ]
    assert found["daemon"]["starts"] == 2


def test_a_daemon_that_was_killed_is_down_from_its_last_snapshot(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told)
        told.at(START + HOUR)
        told.change("records", "bunker", [SECOND])
        told.at(START + 4 * HOUR)
        told.say(
            "run", vault="records", target="bunker", kind="full", change_set="x", state="failed", error="interrupted"
        )
        told.say("daemon", state="started", software="vaultd 0.1.0", pid=2, boot="c")
    (down,) = figures(tmp_path / "ledger")["daemon"]["downs"]
    assert down == {
        "begin": "2026-06-01T01:00:00.000Z", "end": "2026-06-01T04:00:00.000Z", "seconds": 3 * 3600.0, "silent": True,
    }  # fmt: skip

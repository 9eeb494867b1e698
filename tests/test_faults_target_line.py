"""The line: a server that stops in mid-upload, a connection that hangs, and one dead target beside a living one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import MIB, FaultSite, fault_site
from tests.site import until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    with fault_site(tmp_path) as made:
        yield made


def uploading(site: FaultSite, limit: int = 1024) -> Path:
    """A daemon in the middle of an upload of 3 MiB; returns the vault's folder."""
    site.targets["offsite"]["limit_upload"] = limit
    vault = site.ready()
    (vault / "large").write_bytes(os.urandom(3 * MIB))
    site.start()
    site.wait_uploading(size=MIB // 4)
    return vault


def test_a_server_that_stops_in_mid_upload_gets_everything_in_one_snapshot_once_it_is_back(site: FaultSite) -> None:
    vault, server = uploading(site), site.servers["offsite"]
    server.stop()
    site.wait_alert("target-unreachable")
    for number in range(3):  # changes go on meanwhile, each noticed by itself
        owed = site.owed()
        (vault / f"meanwhile {number}").write_text("new")
        until(lambda owed=owed: site.owed() > owed, "the change is noticed")
        (vault / "folder 0" / "file 0").write_text(f"state {number}")
    there = site.at()
    assert there["state"] == "unreachable"
    assert (there["last_full"], there["owed"] > 0) == (None, True)
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (5, "unreachable")
    server.start()
    site.assert_nothing_lost()  # by itself
    assert [row.kind for row in site.snapshots_on_record()] == ["full"], "all that was missed, in one"


def test_a_line_that_is_cut_in_mid_upload_is_taken_up_again_by_itself(site: FaultSite) -> None:
    uploading(site)
    assert site.servers["offsite"].cut() > 0
    site.wait_alert("target-unreachable")
    site.assert_nothing_lost()


def test_a_connection_that_hangs_without_closing_is_ended_by_our_own_watch_and_protection_goes_on_after_the_thaw(
    site: FaultSite,
) -> None:
    site.host["stall_seconds"] = 3
    uploading(site)
    (restic,) = site.restic_processes()
    assert site.servers["offsite"].freeze(listener=True) > 1
    alert = site.wait_alert("target-unreachable")
    assert "nothing moved" in str(alert.detail["error"])
    assert not restic.is_running()
    assert site.owed() > 0
    site.servers["offsite"].thaw()
    site.retry()
    site.assert_nothing_lost()


@pytest.mark.soak  # 20 s of waiting for ServerAlive; tests/test_ssh.py has its settings
def test_a_connection_that_hangs_is_ended_by_ssh_itself_where_the_watch_is_patient(site: FaultSite) -> None:
    site.host["stall_seconds"] = 600
    uploading(site)
    assert site.servers["offsite"].freeze() > 0
    alert = site.wait_alert("target-unreachable")
    assert "nothing moved" not in str(alert.detail["error"]), "not our watch: ServerAlive"
    site.servers["offsite"].cut()  # the frozen ones never come back; a new connection is served
    site.assert_nothing_lost()


def test_the_daemon_stops_while_a_connection_hangs_and_leaves_nothing(site: FaultSite) -> None:
    uploading(site)
    site.servers["offsite"].freeze()
    assert site.stop() == 0
    site.assert_no_process_left()
    assert site.owed() > 0
    site.servers["offsite"].stop()
    site.servers["offsite"].start()
    site.start()
    site.assert_nothing_lost()


@pytest.fixture
def two(site: FaultSite) -> FaultSite:
    """Two targets, "offsite" and "far"; the daemon runs and both have everything."""
    site.add_target("far")
    site.vaults["records"]["targets"] = ["offsite", "far"]
    site.ready()
    site.start()
    site.wait_protected()
    site.wait_protected(target="far")
    return site


def test_a_hanging_target_does_not_hold_up_another_one(two: FaultSite) -> None:
    vault = Path(two.vaults["records"]["path"])
    two.targets["far"]["limit_upload"] = 64
    two.stop()
    two.write()
    two.start()
    (vault / "large").write_bytes(os.urandom(3 * MIB))
    two.wait_uploading("far", MIB // 16)
    two.servers["far"].freeze()
    hanging = two.runs("far")[-1]
    assert hanging.state == "running"
    two.wait_protected()
    before = two.snapshots_on_record()[-1].number
    (vault / "after").write_text("begun after the other one hung")
    until(lambda: two.at()["owed"] > 0 or two.snapshots_on_record()[-1].number > before, "noticed")
    two.wait_protected()
    acknowledged = two.snapshots_on_record()[-1]
    assert acknowledged.number > before
    (same,) = [run for run in two.runs("far") if run.id == hanging.id]
    # The order of events: begun at the one while the other hung, and off-site there before that run was over.
    assert hanging.started < acknowledged.acknowledged
    assert same.finished is None or same.finished > acknowledged.acknowledged
    assert two.owed("far") > 0
    two.assert_restorable()


def test_the_backlog_of_a_dead_target_survives_a_restart_and_becomes_one_snapshot(two: FaultSite) -> None:
    vault = Path(two.vaults["records"]["path"])
    two.servers["far"].stop()
    near, far = len(two.snapshots_on_record()), len(two.snapshots_on_record("far"))
    for number in range(3):
        done = len(two.snapshots_on_record())
        (vault / f"change {number}").write_text(f"{number}")
        (vault / "often").write_text(f"{number}")
        until(lambda done=done: len(two.snapshots_on_record()) > done, "the living target has it")
        two.wait_protected()
    two.wait_alert("target-unreachable", "far")
    status = two.status()
    assert [target["state"] for target in status["vaults"][0]["targets"]] == ["protected", "unreachable"]
    assert {one["name"]: one["reachable"] for one in status["targets"]} == {"offsite": True, "far": False}
    assert status["vaults"][0]["state"] == "unreachable"
    owed = two.owed("far")
    (vault / "change 3").write_text("3")
    answer = two.cli("backup")
    assert (answer.code, answer.json["job"]["state"]) == (3, "partial"), "in part: one of two targets"
    assert two.stop() == 0
    assert two.owed("far") >= owed
    two.start()
    two.servers["far"].start()
    two.wait_protected(target="far")
    assert len(two.snapshots_on_record()) - near >= 4, "each change by itself"
    assert len(two.snapshots_on_record("far")) - far == 1, "all of them together"
    two.wait_cleared("target-unreachable", "far")
    two.assert_nothing_lost()
    two.assert_restorable(target="far")


def test_a_backup_by_hand_says_which_target_failed_and_with_none_left_that_it_is_unreachable(site: FaultSite) -> None:
    site.add_target("far")
    site.vaults["records"]["targets"] = ["offsite", "far"]
    site.ready()
    site.servers["far"].stop()
    answer = site.cli("backup", "--full")
    assert answer.code == 3
    failed = {one["target"]: (one["error"] or {}).get("code") for one in answer.json["job"]["outcomes"]}
    assert failed == {"offsite": None, "far": "unreachable"}
    site.servers["offsite"].stop()
    (Path(site.vaults["records"]["path"]) / "more").write_text("more")
    assert site.cli("backup").code == 5
    for server in site.servers.values():
        server.start()
    assert site.cli("backup", "--full").code == 0
    site.assert_nothing_lost()
    site.assert_restorable(target="far")

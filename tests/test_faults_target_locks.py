"""Locks in the repository: those of our own dead runs go, everyone else's stay and are respected."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faulting import MIB, FaultSite, Holder, fault_site
from tests.mounting import needs_mounts
from tests.site import until
from vaultd.store import Store

STOPPER = """#!/bin/sh
case "$*" in *"repair index"*)
    touch {stopped}
    (until ls {locks} | grep -Eq '^[0-9a-f]{{64}}$'; do sleep 0.002; done; kill -STOP $$) &
esac
exec {restic} "$@"
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    with fault_site(tmp_path) as made:
        yield made


def crash(site: FaultSite) -> None:
    """Daemon and restic are killed in mid-run, as when the power fails: the lock stays."""
    site.targets["offsite"]["limit_upload"] = 512
    vault = site.ready()
    (vault / "large").write_bytes(os.urandom(3 * MIB))
    site.start()
    site.wait_uploading(size=MIB // 8)
    (restic,) = site.restic_processes()
    children = restic.children(recursive=True)
    site.kill()
    for process in (restic, *children):
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs([restic, *children], 10)
    assert len(site.locks()) == 1
    del site.targets["offsite"]["limit_upload"]


def test_the_lock_of_a_dead_run_of_ours_blocks_neither_the_index_repair_nor_the_next_run(site: FaultSite) -> None:
    crash(site)
    with_lock = site.locks()
    site.write()
    site.start()
    site.wait_protected()
    assert not site.locks() & with_lock
    assert repairs(site) == ["done"], "the index was repaired before the next run"
    assert site.alert("repository-locked") is None
    site.assert_nothing_lost()


def repairs(site: FaultSite) -> list[str]:
    """How the repairs of the index ended. They are on record as runs of the state, before any copy of it."""
    store = site.store()
    try:
        number = store.vault_id("vaultd-state")
        first = min(run.started for run in store.runs() if run.vault != number and run.state == "done")
        return [run.state for run in store.runs() if run.vault == number and run.started < first]
    finally:
        store.close()


def test_the_exclusive_lock_of_our_own_dead_repair_is_lifted(site: FaultSite) -> None:
    crash(site)
    site.host["restic"] = stopper = site.folder / "restic"
    stopped = site.folder / "stopped"
    # Real restic, but that a repair is stopped as soon as it has its lock.
    stopper.write_text(
        STOPPER.format(
            stopped=stopped, locks=site.servers["offsite"].root / "repo" / "locks", restic=shutil.which("restic")
        )
    )
    stopper.chmod(0o755)
    site.write()
    site.start()
    until(stopped.exists, "the repair runs")
    until(lambda: any(is_stopped(process) for process in site.restic_processes()), "it holds its lock")
    site.kill()
    for process in site.leftovers():
        process.kill()
    assert len(site.locks()) == 1, "an exclusive lock, with which nothing goes"
    del site.host["restic"]
    site.write()
    site.start()
    site.wait_protected()
    site.assert_nothing_lost()


def is_stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:  # another, short one
        return False


def respected(site: FaultSite, held: Holder) -> None:
    """The lock stops a backup by hand and a run of the daemon, is told with its owner, and stays."""
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (1, "locked")
    assert held.host in answer.error["why"]
    site.start()  # which first lifts what is ours, since a run has failed
    until(lambda: (alert := site.alert("repository-locked")) is None or alert.times > 1, "a further try")
    alert = site.wait_alert("repository-locked")
    assert held.host in str(alert.detail["owner"]) and str(held.process.pid) in str(alert.detail["owner"])
    assert site.at()["state"] == "error"
    assert site.owed() > 0
    assert held.lock in site.locks()


@needs_mounts
def test_the_exclusive_lock_of_a_live_run_of_another_host_is_respected_until_it_is_gone(site: FaultSite) -> None:
    site.ready()
    with Holder(site, "check", host="icu").ended() as held:
        respected(site, held)
        held.finish()
    site.wait_protected()
    site.assert_nothing_lost()


def test_the_lock_of_a_persons_own_dead_restic_on_this_host_is_not_ours_to_lift(site: FaultSite) -> None:
    site.ready()
    with Holder(site, "check").ended() as held:
        held.die()
        respected(site, held)  # only the person can know
    site.restic("unlock")
    site.retry()
    site.wait_protected()
    site.assert_nothing_lost()


def test_a_persons_forgotten_shared_lock_stays_and_does_not_hold_up_protection(site: FaultSite) -> None:
    vault = site.ready()
    with Holder(site, "backup", "--dry-run=false", str(vault)).ended() as held:
        held.die()
    site.state.mkdir(exist_ok=True)
    assert site.cli("backup").code == 0
    (vault / "more").write_text("more")
    store = Store(site.state / "state.db")
    store.set_meta("repair:offsite", "1")  # as after an upload that was broken off: needs the repository for itself
    store.close()
    assert site.cli("backup", "--full").code == 0
    assert site.locks() == {held.lock}
    site.restic("unlock", "--remove-all")
    site.assert_nothing_lost()

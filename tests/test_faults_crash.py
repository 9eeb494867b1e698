"""The daemon is killed, restic and its helpers left as they happen to be; it is started again, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.hostile import MIB, HostileSite, Writer, assert_off_site, busy_helper, hostile_site, moment, seed, wait_gone
from tests.site import until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[HostileSite]:
    with hostile_site(tmp_path) as made:
        yield made


@contextlib.contextmanager
def writing(vault: Path, chance: random.Random) -> Iterator[Writer]:
    """A writer at work; it has ended afterwards."""
    writer = Writer(vault, chance)
    writer.start()
    try:
        yield writer
    finally:
        writer.finish()


def kill_at_random_moments(site: HostileSite, kills: int) -> None:
    chance = random.Random(seed())
    vault = site.add_vault(settle="100ms", max_delay="500ms")
    site.host |= {"full_seconds": 0.1, "full_share": 0.05}  # mostly express snapshots, now and then a full one
    site.prepare()
    with writing(vault, chance) as writer:
        site.start()
        for number in range(kills):
            moment(chance, 4.0)
            twice = chance.random() < 0.3 and number + 1 < kills
            with writer.paused() as closed:
                before, known = site.crash(), dict(closed)
            if twice:  # killed again while it clears up, and writes go on all the while
                site.start(wait=False)
                moment(chance, 2.0)
                before += site.crash()
            with writer.paused() as closed:
                known = dict(closed)
                site.start()
                site.assert_gone(before)
                site.wait_caught_up()
                assert_off_site(site, known)
        operations = writer.operations
    site.wait_caught_up()
    assert site.stop() == 0
    assert operations > 20 * kills
    assert_off_site(site, writer.closed)
    site.assert_records_true()
    assert site.locks() == []
    assert site.processes() == []
    assert list(site.state.glob("lists/*")) == []  # names of files that runs which died had listed
    assert site.tracebacks() == 0, site.log.read_text()[-3000:]


def test_killed_at_random_moments_of_a_busy_run_nothing_closed_is_lost(site: HostileSite):
    kill_at_random_moments(site, 4)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_50_random_moments_of_a_busy_run_nothing_closed_is_lost(site: HostileSite):
    kill_at_random_moments(site, 50)


def start_and_stop_a_run(site: HostileSite, vault: Path) -> psutil.Process:
    """Change something, and stop (SIGSTOP) the restic that is to send it, in mid-upload; returns it."""
    site.targets["offsite"]["limit_upload"] = 200  # KiB/s: the run lasts
    site.write()
    site.start()
    site.wait_caught_up()
    (vault / "large").write_bytes(os.urandom(3 * MIB))
    restic = until(site.uploading, "restic uploads")
    restic.suspend()
    return restic


def test_a_restic_left_running_is_ended_at_the_next_start_and_its_lock_does_not_block(site: HostileSite):
    vault = site.add_vault()
    (vault / "first").write_text("first")
    site.prepare()
    site.backup(full=True)
    restic = start_and_stop_a_run(site, vault)
    (lock,) = site.locks()
    before = site.crash()
    assert restic in before and restic.status() == psutil.STATUS_STOPPED
    site.targets["offsite"].pop("limit_upload")
    site.write()
    site.start()
    site.assert_gone(before)
    site.wait_caught_up()
    assert lock not in site.locks()
    assert site.stop() == 0
    assert site.locks() == []
    site.assert_restorable()
    site.assert_records_true()


def test_a_snapshot_that_nobody_acknowledged_is_unclaimed_and_its_changes_run_again(site: HostileSite):
    vault = site.add_vault()
    (vault / "first").write_text("first")
    site.prepare()
    site.start()
    site.wait_caught_up()
    assert site.daemon is not None
    daemon = psutil.Process(site.daemon.pid)
    (vault / "second").write_bytes(os.urandom(2 * MIB))
    until(site.restics, "restic runs")
    daemon.suspend()  # so restic finishes, and nobody hears of it
    wait_gone(site.restics(), "restic ends by itself")
    site.crash()
    (unclaimed,) = {one["id"] for one in site.snapshots()} - site.acknowledged()
    with contextlib.closing(site.store()) as store:
        (left,) = store.runs(state="running")
    site.start()
    site.wait_caught_up()
    assert site.stop() == 0
    with contextlib.closing(site.store()) as store:
        (found,) = store.runs(state="unclaimed")
        done = [run for run in store.runs() if run.id > left.id and run.state == "done"]
        versions = list(store.versions(store.vault_id("records"), b"second"))
    assert found.id == left.id and done
    assert unclaimed not in site.acknowledged()
    assert [version.change_set for version in versions] != [left.id] and len(versions) == 1
    assert unclaimed in {one["id"] for one in site.snapshots()}  # nothing is taken away
    site.assert_restorable()
    site.assert_records_true()


def test_a_restic_that_only_looks_and_hangs_is_ended_by_the_next_daemon(site: HostileSite):
    vault = site.add_vault()
    (vault / "file").write_bytes(b"content")
    site.prepare()
    site.start(wait=False)

    def looking() -> psutil.Process | None:
        for process in site.processes():
            with contextlib.suppress(psutil.Error):
                if process.name() == "restic" and "config" in process.cmdline():
                    return process
        return None

    reader = until(looking, "restic looks at the repository", 30)
    reader.suspend()  # on no record, and it does not end by itself
    site.crash()
    assert reader.is_running()
    site.start()
    site.assert_gone([reader])
    site.wait_caught_up()


@pytest.mark.parametrize(
    ("program", "opens"),
    [
        # The scan is over in a moment: on a busy machine it may not be met at work.
        pytest.param("vaultd.watch.scanner", "state.db", marks=pytest.mark.soak),
        ("vaultd.hashing", "disk.img"),
    ],
)
def test_helpers_of_a_killed_daemon_go_with_it_whatever_they_are_doing(site: HostileSite, program: str, opens: str):
    vault = site.add_vault()
    for number in range(3000):
        folder = vault / str(number % 30)
        folder.mkdir(exist_ok=True)
        (folder / str(number)).write_bytes(b"x" * 2000)
    with (vault / "disk.img").open("wb") as stream:
        stream.truncate(1 << 30)  # hashed for a second or more
    site.prepare()
    site.start(wait=False)
    assert site.daemon is not None
    helper = busy_helper(site.daemon.pid, program, opens)
    helper.suspend()  # it does not come to its end by itself
    before = site.crash()
    assert helper in before
    wait_gone([helper], f"{program} ends")
    site.start()
    site.assert_gone(before)
    site.wait_caught_up()
    site.assert_restorable()
    site.assert_records_true()

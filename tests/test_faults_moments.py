"""Bad moments: asked to end in the middle of everything, state gone, a second daemon, a command beside the daemon."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile import MIB, HostileSite, Writer, hostile_site, moment, seed, suspend_scan
from tests.mounting import mounted, needs_mounts
from tests.site import until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[HostileSite]:
    with hostile_site(tmp_path) as made:
        yield made


def command(site: HostileSite, *words: str) -> subprocess.CompletedProcess[str]:
    """``vaultd --json ...`` as a process of its own."""
    argv = [sys.executable, "-m", "vaultd", "--config", str(site.file), "--json", *words]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def assert_ended_in_order(site: HostileSite) -> None:
    """SIGTERM ends the daemon with code 0; nothing of it is left, in the repository neither."""
    assert site.stop(signal.SIGTERM) == 0, site.log.read_text()[-3000:]
    assert (site.processes(), site.locks()) == ([], [])
    assert site.tracebacks() == 0 and "never retrieved" not in site.log.read_text(), site.log.read_text()[-3000:]
    with contextlib.closing(site.store()) as store:
        assert store.runs(state="running") == []


def upload_slowly(site: HostileSite, vault: Path) -> None:
    """A first protection is under way that takes half a minute."""
    (vault / "large").write_bytes(os.urandom(6 * MIB))
    site.targets["offsite"]["limit_upload"] = 200  # KiB/s
    site.prepare()
    site.start()
    until(site.uploading, "restic uploads")


def then_all_is_well(site: HostileSite) -> None:
    site.targets["offsite"].pop("limit_upload", None)
    site.write()
    site.start()
    site.wait_caught_up()
    assert_ended_in_order(site)
    site.assert_restorable()
    site.assert_records_true()


def test_sigterm_in_mid_upload_ends_restic_in_order_and_loses_nothing(site: HostileSite):
    upload_slowly(site, site.add_vault())
    assert_ended_in_order(site)
    then_all_is_well(site)


def test_sigterm_while_a_backup_that_was_asked_for_uploads_ends_it_in_order(site: HostileSite):
    vault = site.add_vault()
    site.vaults["records"] |= {"settle": "1h", "max_delay": "1h"}  # nothing is done unasked
    (vault / "first").write_text("first")
    site.prepare()
    site.backup(full=True)
    site.targets["offsite"]["limit_upload"] = 200
    site.write()
    site.start()
    until(lambda: site.at()["state"] == "protected", "the first scan is over")
    (vault / "large").write_bytes(os.urandom(6 * MIB))
    argv = [sys.executable, "-m", "vaultd", "--config", str(site.file), "--json", "backup"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asked:
        until(site.uploading, "restic uploads")
        code = site.stop(signal.SIGTERM)
        said, _errors = asked.communicate(timeout=60)
    assert code == 0, site.log.read_text()[-3000:]
    told = json.loads(said)  # the job as it ended, unless the socket went before it could be asked for
    assert (told.get("error") or told["job"]["error"])["code"] == "not-running"
    assert asked.returncode == 7
    assert (site.processes(), site.locks(), site.tracebacks()) == ([], [], 0), site.log.read_text()[-3000:]
    site.vaults["records"] |= {"settle": "200ms", "max_delay": "2s"}
    then_all_is_well(site)


def test_sigterm_during_the_first_scan_ends_it(site: HostileSite):
    vault = site.add_vault()
    for number in range(2000):
        folder = vault / f"{number % 40}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}").write_bytes(b"%d" % number)
    site.prepare()
    site.start(wait=False)
    assert site.daemon is not None
    suspend_scan(site)
    until(site.answers, "the daemon answers")
    assert_ended_in_order(site)
    then_all_is_well(site)


def test_sigterm_at_random_moments_of_a_busy_run_always_ends_in_order(site: HostileSite):
    chance = random.Random(seed())
    vault = site.add_vault(settle="100ms", max_delay="500ms")
    site.prepare()
    writer = Writer(vault, chance)
    writer.start()
    try:
        for _stop in range(5):
            site.start()
            moment(chance, 3.0)
            assert_ended_in_order(site)
    finally:
        writer.finish()
    then_all_is_well(site)


def test_a_state_that_is_gone_begins_anew_above_what_the_repository_has(site: HostileSite):
    vault = site.add_vault()
    for number in range(5):
        (vault / f"{number}").write_text(f"content {number}")
    site.prepare()
    site.start()
    site.wait_caught_up()
    (vault / "0").write_text("changed")
    site.wait_caught_up()
    assert site.stop() == 0
    before = site.snapshots()
    for part in site.state.glob("state.db*"):
        part.unlink()
    (vault / "1").unlink()
    (vault / "new").write_text("new")
    site.start()
    site.wait_caught_up()
    assert_ended_in_order(site)
    after = site.snapshots()
    assert [one["id"] for one in after[: len(before)]] == [one["id"] for one in before]  # order goes on above them
    assert len(after) > len(before)
    assert [one["time"] for one in after] == sorted(one["time"] for one in after)
    with contextlib.closing(site.store()) as store:
        assert {v.path for v in store.current_versions(store.vault_id("records"))} == {b"0", b"2", b"3", b"4", b"new"}
    site.assert_restorable()
    site.assert_records_true()
    for old in before:
        site.content(old["id"])  # still there to be read


def test_backup_beside_the_daemon_is_made_by_the_daemon(site: HostileSite):
    vault = site.add_vault(settle="1h", max_delay="1h")
    (vault / "first").write_text("first")
    site.prepare()
    site.start()
    until(lambda: site.at()["last_full"], "the first protection")
    (vault / "second").write_text("second")
    done = command(site, "backup", "--full")
    assert (done.returncode, json.loads(done.stdout)["job"]["state"]) == (0, "done"), done
    assert "backup" in site.log.read_text() and "asked for by" in site.log.read_text()
    site.assert_restorable()
    assert_ended_in_order(site)
    site.assert_records_true()


def test_a_second_daemon_and_a_backup_without_the_socket_are_refused_and_the_first_goes_on(site: HostileSite):
    vault = site.add_vault()
    (vault / "first").write_text("first")
    site.prepare()
    site.start()
    site.wait_caught_up()
    second = command(site, "run")
    assert (second.returncode, json.loads(second.stdout)["error"]["code"]) == (1, "busy"), second
    assert "Traceback" not in second.stderr
    assert site.answers()
    socket = site.write().control.socket
    socket.rename(socket.with_name("elsewhere"))
    beside = command(site, "backup")
    assert (beside.returncode, json.loads(beside.stdout)["error"]["code"]) == (1, "busy"), beside
    socket.with_name("elsewhere").rename(socket)
    (vault / "second").write_text("second")
    until(lambda: site.at()["owed"] > 0 or len(site.acknowledged()) > 1, "the first daemon sees it")
    site.wait_caught_up()
    assert_ended_in_order(site)
    site.assert_restorable()


@contextlib.contextmanager
def small_disk(path: Path, size: int) -> Iterator[None]:
    """An ext4 file system of so many bytes at a new folder."""
    file = path.with_name("disk.ext4")
    with file.open("wb") as stream:
        stream.truncate(size)
    made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(file)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"mkfs.ext4: {made.stderr.strip()}")
    path.mkdir(mode=0o700)
    with mounted(path, "-o", "loop", str(file)):
        path.chmod(0o700)
        yield


def fill_up(folder: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while stream.write(b"x" * size) == size:
                    pass
    return ballast


@needs_mounts
def test_a_full_disk_of_the_state_is_told_and_when_there_is_room_again_protection_goes_on(tmp_path: Path):
    with small_disk(tmp_path / "state", 40 * MIB), hostile_site(tmp_path) as site:
        vault = site.add_vault()
        (vault / "first").write_text("first")
        site.prepare()
        site.start()
        site.wait_caught_up()
        ballast = fill_up(site.state)
        for number in range(6000):
            folder = vault / f"{number % 60}"
            folder.mkdir(exist_ok=True)
            (folder / f"{number} {'x' * 100}").write_bytes(b"%d" % number)
        states: set[str] = set()

        def told() -> bool:
            found = site.status()
            states.add(found["state"])
            return bool({alert["code"] for alert in found["alerts"]} & {"state", "state-full"})

        until(told, "the alert")
        with contextlib.closing(site.store()) as store:
            known = store.backlog(store.target_id("offsite"), store.vault_id("records")).owed
        assert site.at()["state"] != "protected", known
        assert site.daemon is not None and site.daemon.poll() is None
        assert "target-full" not in {alert["code"] for alert in site.status()["alerts"]}
        ballast.unlink()
        site.wait_caught_up(seconds=150)
        assert "protected" not in states
        until(lambda: not site.alerts() & {"state", "state-full", "watch-dead", "ledger"}, "the alerts are over")
        until(lambda: not site.owes_ledger(), "everything is on record")
        assert_ended_in_order(site)
        site.assert_restorable()
        site.assert_records_true()
        site.restic("check")

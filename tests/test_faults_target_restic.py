"""restic missing, too old, or killed: a clear error with a hint, nothing lost, and protection goes on by itself."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import MIB, FaultSite, fault_site
from tests.mounting import needs_mounts
from tests.site import until
from vaultd.store import Store

OLD = """#!/bin/sh
echo "$1" >> {calls}
[ "$1" = version ] && echo "restic 0.14.0 compiled with go1.19.8 on linux/amd64" && exit 0
exec {restic} "$@"
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    with fault_site(tmp_path) as made:
        yield made


def real_restic() -> str:
    found = shutil.which("restic")
    assert found is not None
    return found


def test_a_missing_restic_is_told_with_a_hint_and_protection_begins_once_it_is_installed(
    site: FaultSite, tmp_path: Path
) -> None:
    site.host["restic"] = tmp_path / "bin" / "restic"
    site.host["restic"].parent.mkdir()
    os.symlink(real_restic(), site.host["restic"])
    site.ready()
    site.host["restic"].unlink()
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (1, "restic")
    assert "install restic" in answer.error["hint"]
    site.start()
    site.wait_alert("restic")
    assert site.at()["state"] == "error"
    assert site.owed() > 0
    os.symlink(real_restic(), site.host["restic"])
    site.retry()
    site.assert_nothing_lost()


def test_a_restic_that_is_too_old_is_never_let_near_a_repository(site: FaultSite, tmp_path: Path) -> None:
    program, calls = tmp_path / "restic", tmp_path / "calls"
    os.symlink(real_restic(), program)
    site.host["restic"] = program
    site.ready()
    program.unlink()
    program.write_text(OLD.format(calls=calls, restic=real_restic()))
    program.chmod(0o755)
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (1, "restic")
    assert "0.14.0" in answer.error["why"] and "0.18" in answer.error["hint"]
    site.start()
    site.wait_alert("restic")
    assert set(calls.read_text().split()) == {"version"}
    program.unlink()
    os.symlink(real_restic(), program)
    site.retry()
    site.assert_nothing_lost()


def test_restic_killed_in_mid_run_is_run_again_and_its_lock_is_lifted(site: FaultSite) -> None:
    site.targets["offsite"]["limit_upload"] = 1024
    vault = site.ready()
    (vault / "large").write_bytes(os.urandom(3 * MIB))
    site.start()
    site.wait_uploading(size=MIB // 4)
    (restic,) = site.restic_processes()
    restic.send_signal(signal.SIGKILL)
    alert = site.wait_alert("restic")
    assert "SIGKILL" in str(alert.detail["error"])
    assert site.at()["state"] == "error"
    assert site.owed() > 0
    assert len(site.locks()) == 1, "it died with its lock"
    site.assert_nothing_lost()  # without a word from us, and no lock is left
    assert [run.state for run in site.runs()] == ["failed", "done"]


def test_restic_killed_on_a_backup_by_hand_is_an_error_and_the_next_one_does_it_all(site: FaultSite) -> None:
    program = Path(site.folder, "restic")
    site.host["restic"] = program
    os.symlink(real_restic(), program)
    site.ready()
    program.unlink()
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *" backup "*) kill -9 $$;; esac\nexec {real_restic()} "$@"\n'
    )  # fmt: skip
    program.chmod(0o755)
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (1, "restic")
    assert site.owed() > 0
    program.unlink()
    os.symlink(real_restic(), program)
    assert site.cli("backup", "--full").code == 0
    site.assert_nothing_lost()


@needs_mounts
def test_forced_times_are_utc_whatever_the_time_zone_of_the_host(site: FaultSite) -> None:
    vault = site.ready()
    assert site.cli("backup").code == 0
    store = Store(site.state / "state.db")
    try:  # as after a clock that was set back by a day: vaultd must tell restic which time to write
        store.set_meta("last_time", str(int(store.get_meta("last_time") or 0) + 86_400_000_000_000))
    finally:
        store.close()
    (vault / "later").write_text("later")
    zone = 'mount --bind /usr/share/zoneinfo/Asia/Shanghai "$(readlink -f /etc/localtime)" && exec "$@"'
    assert site.cli("backup", "--full", prefix=("unshare", "-m", "sh", "-c", zone, "sh")).code == 0
    recorded = {row.snapshot: row.time // 1_000_000_000 for row in site.snapshots_on_record()}
    stored = {one["id"]: one["time"] for one in site.snapshots()}
    newest = site.snapshots_on_record()[-1].snapshot
    assert unix_time(stored[newest]) == recorded[newest]
    site.assert_nothing_lost()


def unix_time(text: str) -> int:
    from vaultd.restic.commands.common import nanoseconds

    return nanoseconds(text) // 1_000_000_000


def test_an_alert_of_an_idle_daemon_ends_without_a_change(site: FaultSite) -> None:
    site.ready()
    assert site.cli("backup", "--full").code == 0
    site.servers["offsite"].stop()
    site.start()
    site.wait_alert("target-unreachable")
    assert site.at()["owed"] == 0 and site.at()["state"] == "unreachable"
    site.servers["offsite"].start()
    until(lambda: site.alert("target-unreachable") is None, "the target is seen to be back")
    site.assert_nothing_lost()

"""The clock is set back by an hour between two change sets: their order is kept, for vaultd and for restic alike.

The clock of the machine is everybody's, so only the daemon's and restic's are set back. ``sitecustomize`` shifts
``time.time`` in the daemon and its helpers by what a file says; a program before restic gives it the shifted time where
vaultd leaves it to its own clock. Files have the kernel's times, which then lie in the future.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import HostileSite, hostile_site
from tests.site import until
from vaultd.model import FileKind, SnapshotKind, Stat
from vaultd.restic.commands.common import nanoseconds
from vaultd.store import Acknowledgement, Retry, Store

HOUR = 3600 * 1_000_000_000

SHIFT = """
import pathlib, time
_place, _time, _time_ns = pathlib.Path(__file__).with_name("shift"), time.time, time.time_ns
def _shift():
    try:
        return int(_place.read_text() or 0)
    except OSError:
        return 0
time.time = lambda: _time() + _shift()
time.time_ns = lambda: _time_ns() + _shift() * 1_000_000_000
"""


RESTIC = """#!{python} -S
import datetime, os, pathlib, sys
args, place = sys.argv[1:], pathlib.Path({shift!r})
shift = int(place.read_text()) if place.exists() else 0
if shift and "backup" in args and "--time" not in args:
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=shift)
    args.insert(args.index("backup") + 1, "--time=" + now.strftime("%Y-%m-%d %H:%M:%S"))
os.execv({restic!r}, [{restic!r}, *args])
"""


class ClockSite(HostileSite):
    def status(self) -> dict[str, Any]:
        """The daemon's clock says nothing about how old it is."""
        return self.last_status()

    def set_clock(self, seconds: int) -> None:
        """From now on the daemon's clock is so many seconds off."""
        place = self.folder / "python-path"
        (place / "shift.new").write_text(str(seconds))
        (place / "shift.new").rename(place / "shift")

    def change(self, name: str, text: str) -> None:
        """Write a file, and wait until it is off-site."""
        (Path(self.vaults["records"]["path"]) / name).write_text(text)
        (Path(self.vaults["records"]["path"]) / "newest").write_text(text)
        until(lambda: text in self.stored_as("newest"), f"{name} is off-site")
        self.wait_caught_up()

    def stored_as(self, name: str) -> list[str]:
        """What acknowledged snapshots hold of a file, by its versions."""
        with contextlib.closing(self.store()) as store:
            sets = {row.change_set: row.snapshot for row in store.snapshots()}
            found = [sets[v.change_set] for v in store.versions(store.vault_id("records"), name.encode())]
        path = f"{self.vaults['records']['path']}/{name}"
        return [self.restic("dump", snapshot, path).decode() for snapshot in found[-1:]]

    def assert_in_order(self) -> None:
        """By vaultd's ids and by restic's times the order is one, and the record has the times that restic has."""
        listed = self.snapshots()
        times = [nanoseconds(snapshot["time"]) for snapshot in listed]
        assert times == sorted(set(times))
        with contextlib.closing(self.store()) as store:
            recorded = {row.snapshot: row.time for row in store.snapshots(store.vault_id("records"))}
            assert store.last_time() >= times[-1]
        told = {snapshot["id"]: nanoseconds(snapshot["time"]) for snapshot in listed}
        # whole seconds where restic was told the time; a change set without a change has its predecessor's snapshot
        assert {one: recorded[one] for one in told if one in recorded} == told


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ClockSite]:
    with hostile_site(tmp_path, ClockSite) as made:
        assert isinstance(made, ClockSite)
        (tmp_path / "python-path" / "sitecustomize.py").write_text(SHIFT)
        program, place = tmp_path / "restic", tmp_path / "python-path" / "shift"
        program.write_text(RESTIC.format(python=sys.executable, shift=str(place), restic=shutil.which("restic")))
        program.chmod(0o755)
        made.host["restic"] = program
        yield made


def test_a_clock_set_back_by_an_hour_keeps_the_order_and_the_newest_content(site: ClockSite, tmp_path: Path):
    site.add_vault()
    site.prepare()
    site.start()
    site.change("first", "before")
    site.set_clock(-3600)
    site.change("second", "an hour earlier")
    site.change("third", "an hour earlier still")
    until(lambda: "clock-backwards" in site.alerts(), "the alert")
    assert site.stop() == 0
    site.assert_in_order()

    site.start()  # it knows without having seen it happen
    until(lambda: "clock-backwards" in site.alerts(), "the alert stands")
    site.change("fourth", "after a restart")
    site.assert_in_order()
    newest(site, tmp_path, "after a restart")

    site.set_clock(0)
    site.change("fifth", "with the right time again")
    until(lambda: "clock-backwards" not in site.alerts(), "the alert is over")
    assert site.stop() == 0
    site.assert_in_order()
    newest(site, tmp_path, "with the right time again")
    site.assert_restorable()
    site.assert_records_true()


def newest(site: ClockSite, tmp_path: Path, text: str) -> None:
    """``restic restore latest`` by hand and ``vaultd restore`` give the same: the newest."""
    by_hand, by_vaultd = tmp_path / f"hand {text}", tmp_path / f"vaultd {text}"
    vault = site.vaults["records"]["path"]
    site.restic("restore", "latest", "--tag", "vault=records", "--target", str(by_hand))
    assert (by_hand / str(vault).lstrip("/") / "newest").read_text() == text
    command = [sys.executable, "-m", "vaultd", "--config", str(site.file), "restore", "records", "--to", str(by_vaultd)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert (by_vaultd / "newest").read_text() == text


def test_nothing_waits_for_a_moment_that_the_clock_will_only_come_to_again(tmp_path: Path):
    store = Store(tmp_path / "state.db")
    try:
        vault, target = store.vault_id("records"), store.target_id("offsite")
        seen = Stat(FileKind.FILE, 1, 5, 1, 1, 0o600, 0, 0)
        store.observe(vault, (target,), [(b"waits", seen), (b"new", seen)])
        with store.database.write() as db:
            db.execute("UPDATE pending SET since=since+?1, unsafe_since=unsafe_since+?1", (HOUR,))
        now = store.pending_rows(target, vault)[0].since - HOUR
        again = Retry(b"waits", None, now + HOUR + 2_000_000_000)
        store.acknowledge(
            Acknowledgement(
                "000000000001-x", "s", target, vault, SnapshotKind.FULL, now, 0, 0, store.seq(), retry=[again]
            ),
            lambda _db, _versions: None,
        )
        assert store.backlog(target, vault).files == 1
        assert store.clock_was_set_back(now) == 2
        assert store.backlog(target, vault).files == 2
        assert {row.unsafe_since for row in store.pending_rows(target, vault)} == {now}
        assert store.clock_was_set_back(now) == 0
    finally:
        store.close()


def test_a_lock_of_a_run_that_was_ended_after_the_clock_was_set_back_is_still_ours(tmp_path: Path):
    store = Store(tmp_path / "state.db")
    try:
        store.begin_run("000000000001-x", store.target_id("offsite"), store.vault_id("records"), SnapshotKind.FULL)
        store.set_process("000000000001-x", 4711, 1, "boot")
        store.end_run("000000000001-x", "failed", 0.0)
        with store.database.write() as db:
            db.execute("UPDATE run SET started=finished+?", (HOUR,))
            (started,) = db.execute("SELECT started FROM run").fetchone()
        assert store.is_our_dead_run(4711, started + 1_000_000_000)
        assert not store.is_our_dead_run(4711, started + HOUR)
        assert not store.is_our_dead_run(4712, started)
    finally:
        store.close()

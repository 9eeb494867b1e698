"""More new files at once than the kernel's queue holds: all are off-site in the end, the watcher lives, and the status
never said protected while it was not so."""

from __future__ import annotations

import bisect
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.hostile import HostileSite, hostile_site, suspend_scan
from tests.site import until
from tests.watching import short_queue
from vaultd.control.client import Client

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change fs.inotify.max_queued_events")
SECOND = 1_000_000_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[HostileSite]:
    with hostile_site(tmp_path) as made:
        yield made


class Witness(threading.Thread):
    """Asks for the status all the time, and keeps when it said protected: of which moment, and when it was answered."""

    def __init__(self, site: HostileSite) -> None:
        super().__init__(daemon=True)
        self.client = Client(site.write().control.socket)
        self.claims: list[tuple[int, int]] = []
        self.states: set[str] = set()
        self.overflows = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            asked = time.time_ns()
            found = self.client.status()
            (vault,) = found["vaults"]
            self.states.add(vault["state"])
            self.overflows += any(alert["code"] == "watch-overflow" for alert in found["alerts"])
            if vault["state"] == "protected":
                as_of = int(datetime.fromisoformat(found["as_of"]).timestamp() * SECOND)
                self.claims.append((min(asked, as_of), time.time_ns()))

    def finish(self) -> None:
        self._over.set()
        self.join(60)
        assert not self.is_alive()

    def assert_told_the_truth(self, site: HostileSite, closed: dict[bytes, int]) -> None:
        """Each time that it said protected, whatever had been closed until then was on record as stored."""
        with contextlib.closing(site.store()) as store:
            recorded = {v.path: v.recorded for v in reversed(list(store.versions(store.vault_id("records"))))}
        asked = [moment for moment, _answered in self.claims]  # in order, and so are the answers
        lies = []
        for path, at in closed.items():
            first = bisect.bisect_right(asked, at + SECOND // 5)
            if first < len(asked) and recorded[path] > self.claims[first][1]:
                lies.append((path, *self.claims[first]))
        assert lies == [], f"{len(lies)} lies in {len(self.claims)} claims: {lies[:3]}"


def old_tree(vault: Path, folders: int) -> list[Path]:
    """Old directories, with a file in every fifth."""
    made = [vault / f"old {number // 200}" / f"{number}" for number in range(folders)]
    for number, folder in enumerate(made):
        folder.mkdir(parents=True)
        if number % 5 == 0:
            (folder / "file").write_bytes(b"old %d" % number)
    return made


def write_burst(vault: Path, files: int, waves: int, closed: dict[bytes, int]) -> None:
    """Small files in new deep folders as fast as they can be written, in waves with a breath between them."""
    for number in range(files):
        folder = f"wave {number * waves // files}/{number // 1000}/{number // 40}/x/y"
        if number % 40 == 0 or number * waves % files < waves:
            os.makedirs(vault / folder, exist_ok=True)
        path = f"{folder}/{number}"
        with open(f"{vault}/{path}", "wb", buffering=0) as stream:
            stream.write(b"content of %d" % number)
        closed[os.fsencode(path)] = time.time_ns()
        if (number + 1) * waves % files < waves:
            time.sleep(3)  # long enough for a daemon that is fooled to say that all is well


def prove_that_it_hears(site: HostileSite, folders: list[Path]) -> None:
    """A write in old directories is off-site though no scan was made since."""
    (before,) = site.status()["vaults"]
    for folder in folders:
        (folder / "proof").write_bytes(os.urandom(20))
    paths = {os.fsencode(folder.relative_to(site.vaults["records"]["path"]) / "proof") for folder in folders}

    def stored() -> bool:
        with contextlib.closing(site.store()) as store:
            return paths <= {version.path for version in store.versions(store.vault_id("records"))}

    until(stored, "writes in old directories are off-site")
    (after,) = site.status()["vaults"]
    assert after["complete_as_of"] == before["complete_as_of"]


def survive(site: HostileSite, folders: int, files: int, waves: int, queue: int | None, seconds: float) -> Witness:
    vault = site.add_vault()
    old = old_tree(vault, folders)
    site.prepare()
    with short_queue(queue) if queue else contextlib.nullcontext():
        site.start()
        site.wait_caught_up(seconds=seconds)  # the watcher has its queue by now
    witness, closed = Witness(site), dict[bytes, int]()
    witness.start()
    write_burst(vault, files, waves, closed)
    site.wait_caught_up(seconds=seconds)
    until(lambda: "watch-overflow" not in site.alerts(), "the overflow is dealt with", seconds)
    site.wait_caught_up(seconds=seconds)
    prove_that_it_hears(site, old[:: max(1, folders // 20)])
    site.wait_caught_up(seconds=seconds)
    witness.finish()
    assert site.stop() == 0
    assert len(closed) == files
    site.assert_restorable()
    witness.assert_told_the_truth(site, closed)
    assert {"protected", "pending"} <= witness.states
    return witness


@needs_root
def test_after_a_burst_that_overflows_the_queue_all_is_off_site_and_the_status_was_true(site: HostileSite):
    witness = survive(site, folders=400, files=4000, waves=4, queue=64, seconds=90)
    assert witness.overflows


@needs_root
def test_status_does_not_say_protected_between_an_overflow_and_the_end_of_its_scan(site: HostileSite):
    vault = site.add_vault()
    old_tree(vault, 50)
    site.prepare()
    with short_queue(64):
        site.start()
        site.wait_caught_up()
    assert site.daemon is not None
    closed: dict[bytes, int] = {}
    burst = threading.Thread(target=write_burst, args=(vault, 2000, 1, closed))
    burst.start()
    scanner = suspend_scan(site)  # a scan of a million files takes its time, too
    burst.join()
    until(lambda: site.at()["owed"] == 0, "what was heard is off-site")
    states = {site.at()["state"] for _again in range(20)}
    scanner.resume()
    assert states == {"pending"}
    site.wait_caught_up()
    assert site.stop() == 0
    site.assert_restorable()


def test_status_does_not_say_protected_after_a_start_before_the_first_scan_is_over(site: HostileSite):
    vault = site.add_vault()
    old_tree(vault, 50)
    site.prepare()
    site.backup(full=True)
    for attempt in range(8):  # until the scan could be stopped before it had found anything
        (vault / "written while nobody watched").write_text(f"new {attempt}")
        site.start(wait=False)
        assert site.daemon is not None
        scanner = suspend_scan(site)
        until(site.answers, "the daemon answers")
        states = {(found["state"], found["owed"]) for found in (site.at() for _again in range(20))}
        scanner.resume()
        assert {state for state, _owed in states} == {"pending"}
        if states == {("pending", 0)}:
            break
        site.wait_caught_up()  # else the next attempt begins with what this one found
        assert site.stop() == 0
    assert states == {("pending", 0)}
    site.wait_caught_up()
    assert site.stop() == 0
    site.assert_restorable()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("files", [50_000, 200_000])
def test_after_a_burst_on_20000_directories_with_the_stock_queue_all_is_off_site(site: HostileSite, files: int):
    witness = survive(
        site, folders=20_000, files=files, waves=1, queue=16_384 if os.geteuid() == 0 else None, seconds=900
    )
    print(f"{files} files: overflows seen {witness.overflows} times, {len(witness.claims)} claims of being protected")

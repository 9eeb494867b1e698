"""The daemon reads back by itself: everything within the period, never in the way, and says what it found."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faulting import fill
from tests.site import until
from tests.verifying import VerifySite, verify_site
from vaultd.config import Config
from vaultd.daemon.verifying import Daily, opens_in
from vaultd.store import Store
from vaultd.verify import coverage, portion


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VerifySite]:
    with verify_site(tmp_path) as made:
        yield made


def scheduled(site: VerifySite, period: str, more: str = "") -> Path:
    site.file_tail = f'[verify]\nperiod = "{period}"\nwindow = "always"\n{more}\n'
    return site.ready()


def covered(site: VerifySite) -> dict[str, Any]:
    """What the status says of the target's coverage; empty while it says nothing."""
    (target,) = site.status()["targets"]
    return target["verification"] or {}


def whole(site: VerifySite) -> dict[str, Any] | None:
    """The same once everything was read back. For a moment: the next day begins soon."""
    found = covered(site)
    return found if found.get("share") == 1.0 else None


def verifying(site: VerifySite) -> bool:
    return any(run["phase"] == "verify" for run in site.status()["progress"])


def test_everything_is_read_back_a_damage_is_told_and_so_is_that_it_is_over(site: VerifySite) -> None:
    fill(scheduled(site, "15s"))
    site.start()
    site.wait_protected()
    found = until(lambda: whole(site), "all is read back")
    assert (found["verified_files"], found["differences"], found["period"]) == (12, 0, 15)
    assert found["verified_bytes"] == found["bytes"] == sum(map(len_of, files_of(site)))
    (pack,) = [one for one in site.packs() if site.files_of({blob for blob, _at, _size in one.blobs})]
    kept = pack.file.read_bytes()
    pack.file.unlink()
    alert = until(lambda: site.alert("verify-difference"), "the damage is found")
    assert alert.vault == "records" and alert.detail == {"files": 12}
    until(lambda: covered(site)["differences"] == 12, "the status says so")
    pack.file.write_bytes(kept)
    # What differed is looked at again on the next day; somebody who has mended it looks at once.
    assert site.verify("records")["count"] == 0
    site.wait_cleared("verify-difference")
    until(lambda: covered(site)["differences"] == 0, "the status says so")
    until(lambda: not site.owes_ledger(), "everything is on record")
    entries = site.entries("verification")
    daily = [one for one in entries if one["kind"] == "daily"]
    assert {one["who"] for one in daily} == {"daemon"} and sum(one["differences"] for one in daily) == 12
    assert entries[-1]["kind"] == "full" and entries[-1]["counts"] == {"ok": 12}
    words = [(one["state"], one["code"]) for one in site.entries("alert") if one["code"] == "verify-difference"]
    assert words == [("raised", "verify-difference"), ("cleared", "verify-difference")]


def files_of(site: VerifySite) -> list[Path]:
    return [path for path in Path(site.vaults["records"]["path"]).rglob("*") if path.is_file()]


def len_of(path: Path) -> int:
    return path.stat().st_size


def test_a_change_goes_first_and_an_order_too_and_nothing_is_left_at_the_end(site: VerifySite) -> None:
    vault = scheduled(site, "1h", "limit = 300")
    for number in range(12):
        (vault / f"large {number}").write_bytes(os.urandom(1_000_000))
    site.start()
    site.wait_protected()
    until(lambda: verifying(site), "the first portion runs")
    (vault / "change").write_text("urgent")
    site.wait_protected()  # reading back takes more than a minute at this rate
    site.assert_restorable()
    until(lambda: states(site).count("interrupted") >= 1, "the portion was ended for it")
    until(lambda: verifying(site), "it goes on")
    assert site.cli("backup", "--full").code == 0
    until(lambda: states(site).count("interrupted") >= 2, "the portion was ended for the order")
    until(lambda: verifying(site) and verified(site), "it goes on, and what was read back is kept")
    assert site.stop() == 0
    site.assert_no_process_left()
    assert 0 < verified(site) < 13
    site.start()
    until(lambda: verifying(site), "it goes on")
    site.kill()
    until(lambda: site.leftovers() == [], "nothing outlives the daemon")


def verified(site: VerifySite) -> int:
    with contextlib.closing(site.store()) as store:
        return len(list(store.verified_since(store.target_id("offsite"), store.vault_id("records"), 0)))


def states(site: VerifySite) -> list[str]:
    with contextlib.closing(site.store()) as store:
        return [row[0] for row in store.database.reader().execute("SELECT state FROM verification") if row[0]]


def test_a_target_that_goes_away_in_between_is_waited_for(site: VerifySite) -> None:
    vault = scheduled(site, "1h", "limit = 300")
    for number in range(6):
        (vault / f"large {number}").write_bytes(os.urandom(1_500_000))
    site.start()
    site.wait_protected()
    until(lambda: verifying(site), "the first portion runs")
    site.servers["offsite"].stop()
    until(lambda: site.alert("target-unreachable"), "that it is away is told")
    assert site.alert("verify-difference") is None
    site.servers["offsite"].start()
    site.retry()
    until(lambda: covered(site).get("share") == 1.0, "all is read back")
    assert site.alert("verify-difference") is None


def test_the_share_of_a_day(config: Config) -> None:
    store = Store(config.host.state / "state.db")
    coverage.update(store, "offsite", ["records"], 30 * portion.DAY)
    store.note_coverage("offsite", {"files": 0, "bytes": 0, "verified_bytes": 0, "verified_files": 0})
    day = portion._day(config, store, "offsite", ["records"])
    assert (day.files_due, day.bytes_due, day.stored_due, day.over) == (0, 0, 0, True)
    store.set_packs(store.target_id("offsite"), [(bytes([number]) * 32, 1000) for number in range(24)])
    assert portion._day(config, store, "offsite", ["records"]).stored_due == 1000  # all within 24 days
    store.set_meta(portion._key("offsite"), json.dumps({"day": day.day, "files": 3, "bytes": 7, "files_due": 4}))
    assert portion._day(config, store, "offsite", []).files == 3
    store.set_meta(portion._key("offsite"), json.dumps({"day": "1999-01-01", "files": 3}))
    assert portion._day(config, store, "offsite", []).files == 0
    store.close()


@pytest.mark.parametrize(
    ("done", "packs", "over"),
    [
        ({}, False, False), ({"files": 1, "bytes": 30}, True, False),
        ({"files": 1, "bytes": 30, "stored": 60}, False, False), ({"files": 1, "bytes": 30, "stored": 59}, True, False),
        ({"files": 4, "bytes": 100}, True, False), ({"files": 9, "bytes": 99, "stored": 200}, False, False),
        ({"files": 4, "bytes": 100, "stored": 200}, False, True),
    ],
)  # fmt: skip
def test_the_two_shares_of_a_day_go_on_side_by_side(done: dict[str, int], packs: bool, over: bool) -> None:
    day = portion.Day("2026-11-28", files_due=4, bytes_due=100, stored_due=200, **done)
    assert (day.packs_next, day.over) == (packs, over)
    nothing = portion.Day("2026-11-28", files=1, bytes=1)
    assert (nothing.packs_next, nothing.over) == (False, True)


@pytest.mark.parametrize(
    ("window", "minute", "minutes"),
    [
        (None, 5, 0), ((60, 120), 60, 0), ((60, 120), 119, 0), ((60, 120), 120, 1380), ((60, 120), 0, 60),
        ((1200, 360), 1300, 0), ((1200, 360), 359, 0), ((1200, 360), 360, 840), ((1200, 360), 1199, 1),
    ],
)  # fmt: skip
def test_the_window(window: tuple[int, int] | None, minute: int, minutes: int) -> None:
    assert opens_in(window, minute) == minutes * 60


def test_the_first_minutes_after_a_start_are_not_for_this(config: Config) -> None:
    values = config.model_dump() | {"verify": {"window": "always"}}
    daily = Daily(Config.model_validate(values), "offsite", lambda _progress: None)
    assert daily.due_at(0.0) > 0.0
    import time

    assert 500 < daily.due_at(time.monotonic()) - time.monotonic() <= 600


def test_overdue_coverage_is_an_alert(config: Config) -> None:
    from vaultd.store import Acknowledgement, Bound

    store = Store(config.host.state / "state.db")
    target, vault = store.target_id("offsite"), store.vault_id("records")
    from vaultd.model import FileKind, SnapshotKind, Stat

    bound = Bound(b"one", Stat(FileKind.FILE, 1, 5, 1, 1, 0o644, 0, 0), bytes(32))
    done = Acknowledgement("0-x", "ab", target, vault, SnapshotKind.FULL, 1, 1, 5, 1, bound=[bound])
    store.acknowledge(done, lambda _db, _versions: None)
    store.set_meta(coverage.SINCE, "1")
    store.database._writer.execute("UPDATE version SET recorded=1")
    coverage.update(store, "offsite", ["records"], 3600.0)
    assert store.alerts.is_open("verify-overdue", target="offsite")
    store.note_verified(target, vault, [(b"one", bytes(32))])
    found = coverage.update(store, "offsite", ["records"], 3600.0)
    assert (found["files"], found["verified_files"], found["verified_bytes"]) == (1, 1, 5)
    assert not store.alerts.is_open("verify-overdue", target="offsite")
    store.close()

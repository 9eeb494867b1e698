"""Which kind of snapshot comes next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import site_in
from vaultd.daemon.assembly import assemble
from vaultd.model import FileKind, SnapshotKind, Stat
from vaultd.protect.schedule import HEARING_SECONDS, PATIENCE_SECONDS, Schedule, Series
from vaultd.protect.worker import Worker
from vaultd.store import Acknowledgement, Backlog, Retry
from vaultd.store.acknowledgement import set_aside
from vaultd.watch.settle import Settle

FULL, EXPRESS = (SnapshotKind.FULL, False), (SnapshotKind.EXPRESS, False)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """With a vault that has a full snapshot already."""
    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        with assemble(site.prepare(), lambda _progress: None) as assembly:
            worker = assembly.workers["offsite"]
            schedule = worker.schedule
            (series,) = schedule.series.values()
            series.settle = Settle(2.0, 10.0)
            assembly.store.acknowledge(
                Acknowledgement("1-a", "s" * 64, schedule.target.id, series.vault.id, SnapshotKind.FULL, 1, 0, 0, 0),
                lambda _db, _versions: None,
            )
            yield worker


@pytest.fixture
def protected(worker: Worker) -> tuple[Schedule, Series]:
    (series,) = worker.schedule.series.values()
    return worker.schedule, series


def backlog(files: int, total: int = 0) -> Backlog:
    return Backlog(files, total, files, 0, 0, time.time_ns(), time.time_ns(), time.time_ns())


def test_what_cannot_be_afforded_is_made_when_express_ones_take_as_long(protected: tuple[Schedule, Series]):
    schedule, series = protected
    series.cost.full_base, series.cost.express = 8.0, 1.0
    assert schedule.kind(series, backlog(100), shaky=False) == FULL  # nothing was made in the last ten minutes
    schedule.spent.add(8.0, full=True)
    assert schedule.kind(series, backlog(100), shaky=False) == EXPRESS
    assert schedule.kind(series, backlog(40_000), shaky=False) == FULL


def test_many_bytes_are_sent_in_any_case(protected: tuple[Schedule, Series]):
    """An express snapshot of a gigabyte would only put the full one off."""
    schedule, series = protected
    series.cost.full_base, series.cost.express = 1.5, 1.0
    schedule.spent.add(1.5, full=True)
    assert schedule.kind(series, backlog(1, 1 << 30), shaky=False) == FULL


# When

NOW = 1000.0


def owe(worker: Worker, series: Series, path: bytes) -> None:
    """A changed file, and the folder that it is in."""
    store, seen = worker.context.store, Stat.of(os.lstat(series.vault.root))
    store.observe(series.vault.id, series.vault.targets, [(path, seen._replace(kind=FileKind.FILE))])


def due(schedule: Schedule, series: Series, now: float) -> float:
    """When content is due, whatever else (a copy of the state) could be done until then."""
    found = schedule._due(series, now, False)
    assert found is not None
    return found.at


def test_scans_that_follow_each_other_do_not_put_a_run_off_for_ever(worker: Worker, protected: tuple[Schedule, Series]):
    """After each overflow of the queue comes one, and what was heard is not all on record for as long."""
    schedule, series = protected
    series.hears = lambda: True
    owe(worker, series, b"file")
    worker.touch(series.vault.id, NOW)
    for later in range(20):
        worker.touch(series.vault.id, None)
        at = due(schedule, series, NOW + later)
        assert at <= NOW + max(later, series.settle.max_delay)
        if later >= series.settle.max_delay:
            assert at <= NOW + later


def test_what_is_set_aside_does_not_begin_a_burst(worker: Worker, protected: tuple[Schedule, Series]):
    schedule, series = protected
    series.hears = lambda: True
    owe(worker, series, b"unread")
    with worker.context.store.database.write() as db:
        set_aside(db, schedule.target.id, series.vault.id, [Retry(b"unread", "unread", time.time_ns() + 10**15)])
    schedule._due(series, NOW, False)
    assert series.settle.due_at() is None


def test_a_run_begins_when_all_that_was_heard_is_on_record_and_it_was_quiet_since(
    worker: Worker, protected: tuple[Schedule, Series]
):
    schedule, series = protected
    owe(worker, series, b"file")
    worker.touch(series.vault.id, NOW)
    series.hears = lambda: True
    assert due(schedule, series, NOW + 5) == NOW + 5 + HEARING_SECONDS
    series.hears = lambda: False
    assert due(schedule, series, NOW + 5) == NOW + series.settle.settle


def test_a_first_protection_waits_a_while_for_the_scan_of_a_vault_that_goes_before_it(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault("late", priority=7)
        site.add_vault("early", priority=1)
        with assemble(site.prepare(), lambda _progress: None) as assembly:
            worker = assembly.workers["offsite"]
            schedule = worker.schedule
            early, late = schedule.series.values()
            for series in (early, late):
                worker.wait_for_scan(series.vault.id)
            owe(worker, late, b"file")
            worker.touch(late.vault.id, None)  # it has been scanned, the other has not
            now = time.monotonic() + late.settle.settle
            assert schedule.choose(now, shaky=False).at == pytest.approx(now + PATIENCE_SECONDS, abs=5)
            found = schedule.choose(now + PATIENCE_SECONDS, shaky=False)
            assert found.series is late, "its scan may take an hour"
            owe(worker, early, b"file")
            worker.touch(early.vault.id, None)
            assert schedule.choose(now + PATIENCE_SECONDS, shaky=False).series is early

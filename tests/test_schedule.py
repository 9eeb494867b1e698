"""Which kind of snapshot comes next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import site_in
from vaultd.daemon.assembly import assemble
from vaultd.model import SnapshotKind
from vaultd.protect.schedule import Schedule, Series
from vaultd.store import Acknowledgement, Backlog

FULL, EXPRESS = (SnapshotKind.FULL, False), (SnapshotKind.EXPRESS, False)


@pytest.fixture
def protected(tmp_path: Path) -> Iterator[tuple[Schedule, Series]]:
    """A vault that has a full snapshot already, of which one takes 4.5 s, and an express one 1 s."""
    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        with assemble(site.prepare(), lambda _progress: None) as assembly:
            schedule = assembly.workers["offsite"].schedule
            (series,) = schedule.series.values()
            assembly.store.acknowledge(
                Acknowledgement("1-a", "s" * 64, schedule.target.id, series.vault.id, SnapshotKind.FULL, 1, 0, 0, 0)
            )
            series.cost.full_base, series.cost.express = 4.5, 1.0
            yield schedule, series


def backlog(files: int, total: int = 0) -> Backlog:
    return Backlog(files, total, files, 0, 0, time.time_ns(), time.time_ns(), time.time_ns())


def test_what_changed_during_a_full_snapshot_does_not_wait_for_another(protected: tuple[Schedule, Series]):
    schedule, series = protected
    assert schedule.kind(series, backlog(8000), shaky=False) == FULL
    schedule.spent.add(4.5, full=True)
    assert schedule.kind(series, backlog(8000), shaky=False) == EXPRESS  # two of them: half the time
    assert schedule.kind(series, backlog(40_000), shaky=False) == FULL  # eight would take longer
    schedule.spent.last_full = time.monotonic() - 14
    assert schedule.kind(series, backlog(8000), shaky=False) == FULL


def test_short_full_snapshots_follow_each_other(protected: tuple[Schedule, Series]):
    schedule, series = protected
    series.cost.full_base, series.cost.express = 2.9, 0.5
    schedule.spent.add(2.9, full=True)
    assert schedule.kind(series, backlog(100), shaky=False) == FULL


def test_many_bytes_are_sent_in_any_case(protected: tuple[Schedule, Series]):
    """An express snapshot of a gigabyte would only put the full one off."""
    schedule, series = protected
    series.cost.full_base, series.cost.express = 1.5, 1.0
    schedule.spent.add(1.5, full=True)
    assert schedule.kind(series, backlog(1, 1 << 30), shaky=False) == FULL

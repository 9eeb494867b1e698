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
    """A vault that has a full snapshot already."""
    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        with assemble(site.prepare(), lambda _progress: None) as assembly:
            schedule = assembly.workers["offsite"].schedule
            (series,) = schedule.series.values()
            assembly.store.acknowledge(
                Acknowledgement("1-a", "s" * 64, schedule.target.id, series.vault.id, SnapshotKind.FULL, 1, 0, 0, 0)
            )
            yield schedule, series


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

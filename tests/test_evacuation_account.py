"""What is kept of an evacuation: one at a time, and nothing called safe that is on its way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evacuating import ordered
from tests.site import Site, site_in
from vaultd.daemon.assembly import at_work
from vaultd.daemon.evacuating import Evacuator
from vaultd.evacuate.journal import EvacuationJournal
from vaultd.store import Store
from vaultd.store.evacuations import ENDED, PLANNED, SAFE, SENDING, BatchRow, Evacuation

NUMBER = "E-2026-001"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as found:
        found.add_target()
        (found.add_vault() / "old").write_text("old")
        found.prepare()
        found.backup(full=True)
        yield found


def test_there_is_one_at_a_time_and_a_drill_beside_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    ordered(store, NUMBER)
    ordered(store, "DRILL-2026-001")
    second = Evacuation("E-2026-002", False, "ordered", "I", "fire", "uid 0", time.time_ns(), None, "", {})
    assert not store.add_evacuation(second), "whoever keeps it"
    store.change_evacuation(NUMBER, state=ENDED, ended=time.time_ns())
    assert store.add_evacuation(second)
    assert [one.id for one in (store.open_evacuation(), store.open_evacuation(drill=True)) if one] == [
        "E-2026-002", "DRILL-2026-001"
    ]  # fmt: skip
    store.close()


def test_a_tier_whose_batch_is_on_its_way_is_not_safe_although_nothing_is_pending(site: Site) -> None:
    """Between a batch's acknowledgement and its own record nothing is pending any more."""

    async def go() -> None:
        async with at_work(site.prepare(), lambda _progress: None) as assembly:
            store = assembly.store
            ordered(store, NUMBER)
            (vault,) = assembly.vaults.values()
            store.set_totals(vault.id, 1, 3, time.time_ns())  # looked through since

            async def in_step() -> bool:
                return False

            evacuator = Evacuator(assembly, {}, in_step)
            found = store.open_evacuation()
            assert found is not None
            journal = EvacuationJournal(store, site.state, found)
            going = evacuator._begin(found, journal)
            store.begin_batch(NUMBER, BatchRow("1-a", 1, "records", "offsite", SENDING, 1, 3, time.time_ns(), None))
            evacuator._account(going)
            assert [row.state for row in store.tiers(NUMBER)] == [PLANNED]
            journal.safe("1-a", 1, 3)
            evacuator._account(going)
            assert [row.state for row in store.tiers(NUMBER)] == [SAFE]
            told = [
                (one.type, one.fields["state"], one.fields["size"]) for one in store.events(100) if "size" in one.fields
            ]
            assert told[-2:] == [("evacuation-batch", SAFE, 3), ("evacuation-tier", SAFE, 3)]

    asyncio.run(go())


def test_a_vault_that_was_not_looked_through_since_is_not_called_safe(site: Site) -> None:
    async def go() -> None:
        async with at_work(site.prepare(), lambda _progress: None) as assembly:
            store = assembly.store
            ordered(store, NUMBER)

            async def in_step() -> bool:
                return False

            evacuator = Evacuator(assembly, {}, in_step)
            found = store.open_evacuation()
            assert found is not None
            going = evacuator._begin(found, EvacuationJournal(store, site.state, found))
            evacuator._account(going)
            assert [row.state for row in store.tiers(NUMBER)] == [PLANNED]

    asyncio.run(go())

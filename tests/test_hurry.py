"""What an evacuation does at one target, looked at from near: what it breaks off, and how it cuts its batches."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.site import Site, site_in
from vaultd.daemon.assembly import Assembly, at_work
from vaultd.errors import UnreachableError
from vaultd.model import SnapshotKind
from vaultd.protect import hurry as hurrying
from vaultd.protect.hurry import BATCH_SECONDS, SHORTEST_BATCH, Hurry
from vaultd.protect.worker import Worker


class Journal:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def began(self, change_set: str, tier: int, vault: str, target: str, files: int, size: int) -> None:
        self.told.append(("began", vault))

    def safe(self, change_set: str, files: int, size: int) -> None:
        self.told.append(("safe", change_set))

    def broken(self, change_set: str, error: str) -> None:
        self.told.append(("broken", error))


class Patient:
    """Spare work that never ends by itself."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), False

    def due_at(self, now: float) -> float:
        return now

    async def run(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


class Order:
    """An urgent order that is over at once. ``lets``: whether a run on its way may go on."""

    def __init__(self, *, lets: bool = False) -> None:
        self.ran, self.lets = asyncio.Event(), lets

    async def run(self) -> bool:
        self.ran.set()
        return False

    def lets_go_on(self, vault: int, kind: SnapshotKind, size: int) -> bool:
        return self.lets


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as found:
        found.add_target()
        found.add_vault("charts", priority=1, first=["*.dcm", "open/*"])
        found.add_vault("office", priority=3)
        yield found


def at_target(site: Site, check: Callable[[Assembly, Worker], Awaitable[None]]) -> None:
    """Everything protected, and a worker for what is written then."""
    for name in site.vaults:
        (site.folder / name / "old").write_text(name)
    config = site.prepare()
    site.backup(full=True)

    async def go() -> None:
        async with at_work(config, lambda _progress: None) as assembly:
            await check(assembly, assembly.workers["offsite"])

    asyncio.run(go())


def hurry_of(assembly: Assembly, worker: Worker, journal: Journal) -> Hurry:
    numbers = {1: 1, 3: 2}
    series = list(worker.schedule.series.values())
    return Hurry(assembly.context, worker.target, worker.health, series, numbers, journal)


def scan(assembly: Assembly) -> None:
    from vaultd.watch.scan import scan as look

    for vault in assembly.vaults.values():
        look(assembly.store, vault.id, vault.targets, vault.root)


def test_an_order_breaks_off_what_nobody_waits_for(site: Site) -> None:
    async def check(_assembly: Assembly, worker: Worker) -> None:
        worker.spare = spare = Patient()
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(spare.begun.wait(), 60)
        order = Order()
        worker.hurry(order)
        await asyncio.wait_for(order.ran.wait(), 60)
        assert spare.ended
        spare.begun.clear()
        await asyncio.sleep(1.0)
        assert not spare.begun.is_set(), "as long as it goes on, nothing of that kind begins"
        worker.hurry(None)
        await asyncio.wait_for(spare.begun.wait(), 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    at_target(site, check)


@pytest.mark.parametrize("lets", [True, False])
def test_a_run_on_its_way_is_broken_off_unless_it_is_what_goes_first_anyway(site: Site, lets: bool) -> None:
    async def check(assembly: Assembly, worker: Worker) -> None:
        (site.folder / "office" / "new").write_bytes(os.urandom(64 << 10))
        await asyncio.to_thread(scan, assembly)
        broken, gone = asyncio.Event(), asyncio.Event()

        async def slow(*_args: object) -> None:
            worker.on_its_way = (1, SnapshotKind.FULL, 1)
            gone.set()
            try:
                await asyncio.sleep(3)
            except asyncio.CancelledError:
                broken.set()
                raise
            finally:
                worker.on_its_way = None

        worker.run_one = slow  # type: ignore[assignment,method-assign]
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(gone.wait(), 60)
        order = Order(lets=lets)
        worker.hurry(order)
        await asyncio.wait_for(order.ran.wait(), 60)
        assert broken.is_set() is not lets
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    at_target(site, check)


def test_what_goes_first_and_then_the_smallest(site: Site) -> None:
    async def check(assembly: Assembly, worker: Worker) -> None:
        folder = site.folder / "charts"
        (folder / "open").mkdir()
        for name, size in (("a", 900), ("b", 100), ("scan.dcm", 5000), ("open/case", 3000), ("c", 500)):
            (folder / name).write_bytes(os.urandom(size))
        await asyncio.to_thread(scan, assembly)
        hurry = hurry_of(assembly, worker, Journal())
        rows = hurry._rows(hurry.series[0], set())
        assert [row.path for row in rows] == [b"scan.dcm", b"open/case", b"b", b"c", b"a"]
        assert [row.path for row in hurry._rows(hurry.series[0], {b"b", b"scan.dcm"})] == [b"open/case", b"c", b"a"]
        hurry.rate, hurry.seconds = 1000.0, 8.5  # the line as it was measured: 8,500 bytes a batch
        assert [row.path for row in hurry._rows(hurry.series[0], set())] == [b"scan.dcm", b"open/case", b"b"]
        hurry.rate = 1.0
        assert [row.path for row in hurry._rows(hurry.series[0], set())] == [b"scan.dcm"], "one goes in any case"

    at_target(site, check)


def test_batches_get_smaller_with_each_break_and_what_was_on_its_way_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(assembly: Assembly, worker: Worker) -> None:
        (site.folder / "charts" / "new").write_bytes(b"new")
        await asyncio.to_thread(scan, assembly)
        journal = Journal()
        hurry = hurry_of(assembly, worker, journal)

        async def lost(*_args: object, **_more: object) -> None:
            raise UnreachableError("backup", "the line is cut")

        with monkeypatch.context() as patch:
            patch.setattr(hurrying, "make", lost)
            for expected in (BATCH_SECONDS / 2, BATCH_SECONDS / 4):
                with pytest.raises(UnreachableError):
                    await hurry.run()
                assert hurry.seconds == expected
            hurry.seconds = SHORTEST_BATCH
            with pytest.raises(UnreachableError):
                await hurry.run()
            assert hurry.seconds == SHORTEST_BATCH
        assert journal.told == [("began", "charts"), ("broken", "unreachable")] * 3
        assert await hurry.run() and not await hurry.run()
        assert journal.told[-1][0] == "safe"

    at_target(site, check)


def test_no_limit_of_bandwidth_holds_and_nothing_goes_before(site: Site) -> None:
    site.targets["offsite"]["limit_upload"] = 4096

    async def check(assembly: Assembly, worker: Worker) -> None:
        ours, ever = hurry_of(assembly, worker, Journal()).target.repository, worker.target.repository
        assert (ours.limit_upload, ours.urgent) == (None, True)
        assert (ever.limit_upload, ever.urgent) == (4096, False)

    at_target(site, check)


def test_a_vault_whose_folder_is_gone_does_not_hold_up_the_others(site: Site) -> None:
    async def check(assembly: Assembly, worker: Worker) -> None:
        for name in site.vaults:
            (site.folder / name / "new").write_text("new")
        await asyncio.to_thread(scan, assembly)
        (site.folder / "charts").rename(site.folder / "moved")
        journal = Journal()
        assert await hurry_of(assembly, worker, journal).run()
        assert [vault for word, vault in journal.told if word == "began"] == ["office"]
        assert "vault-missing" in {alert.code for alert in assembly.store.alerts.list()}

    at_target(site, check)

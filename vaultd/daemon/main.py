"""``vaultd run``: one asyncio process with a task for each vault's watch, each target's worker, the API and the
clock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial

from vaultd import approvals, memory
from vaultd.config.model import Config
from vaultd.control.server import serve
from vaultd.custody import Custody
from vaultd.daemon import keeping, persons, warnings
from vaultd.daemon.assembly import Assembly, at_work
from vaultd.daemon.clock import ClockCheck
from vaultd.daemon.disks import DiskWatch
from vaultd.daemon.lock import exclusive
from vaultd.daemon.media import MediaWorkers
from vaultd.daemon.notices import NoticeWatch
from vaultd.daemon.publishing import Publisher
from vaultd.daemon.retention import Retention
from vaultd.daemon.room import RoomCheck
from vaultd.daemon.service import Board, DaemonService
from vaultd.daemon.verifying import Daily
from vaultd.daemon.warnings import WarningTask
from vaultd.daemon.watching import VaultWatch
from vaultd.errors import StateError
from vaultd.evacuate import practice
from vaultd.kit import register
from vaultd.media import items
from vaultd.notices.telling import teller
from vaultd.protect.alarm import check_overdue
from vaultd.protect.worker import Worker

log = logging.getLogger(__name__)

OVERDUE_SECONDS = 5.0
TRIM_TICKS = 12
DATES_TICKS = 3
LEDGER_SECONDS = 1.0


def main(config: Config) -> int:
    """Run until SIGTERM or SIGINT. Raises VaultdError when it cannot start."""
    with exclusive(config.host.state):
        asyncio.run(_main(config))
    return 0


async def _main(config: Config) -> None:
    board, started = Board(), time.time_ns()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with at_work(config, board.show) as assembly:
        watches = {
            name: VaultWatch(assembly.context, vault, _toucher(assembly)) for name, vault in assembly.vaults.items()
        }
        for vault in assembly.vaults.values():
            for worker in assembly.workers.values():
                worker.wait_for_scan(vault.id)
        for worker in assembly.workers.values():
            _connect(worker, watches.values())
            if config.verify.scheduled:
                worker.spare = Daily(config, worker.target.name, board.show)
        media = MediaWorkers(assembly, watches, lambda worker: _connect(worker, watches.values()))
        regular = list(assembly.workers.items())
        await asyncio.to_thread(media.take_up)
        disks = DiskWatch(config, assembly.store, assembly.context.custody)
        service = DaemonService(assembly, watches, board, started, disks.keep_step)
        automatic = any(vault.retention.auto for vault in config.vault)
        members = await asyncio.to_thread(persons.settled, config, assembly.store)
        async with serve(service, config.control.socket, config.control.group, members):
            retention = [asyncio.create_task(Retention(assembly).run(), name="retention")] if automatic else []
            tasks = [
                *(asyncio.create_task(watch.run(), name=f"watch {name}") for name, watch in watches.items()),
                *(asyncio.create_task(worker.run(), name=f"target {name}") for name, worker in regular),
                asyncio.create_task(media.run(), name="media"),
                asyncio.create_task(_check_clock_and_age(assembly), name="alerts"),
                asyncio.create_task(_sign(assembly.context.custody), name="ledger"),
                asyncio.create_task(Publisher(config, assembly.context.custody).run(), name="anchors"),
                asyncio.create_task(service.evacuator.run(), name="evacuation"),
                asyncio.create_task(keeping.keep(config), name="keys for media"),
                asyncio.create_task(disks.run(), name="disks"),
                asyncio.create_task(NoticeWatch(config, assembly.store).run(), name="notices"),
                asyncio.create_task(
                    WarningTask(
                        config, assembly.store, warnings.means(assembly, watches, service.evacuate_for), teller(config)
                    ).run(),
                    name="warnings",
                ),
                *retention,
            ]
            assembly.context.custody.daemon("started")
            _notify("READY=1")
            log.info("vaultd runs: %d vaults, %d targets", len(assembly.vaults), len(assembly.workers))
            ended = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
            finally:
                _notify("STOPPING=1")
                ended.cancel()
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                await service.end_jobs()
                await asyncio.to_thread(assembly.context.custody.daemon, "stopped")
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result  # a part that ends by itself is a fault: systemd starts us again


def _toucher(assembly: Assembly) -> Callable[[int, float | None], None]:
    def touched(vault: int, heard: float | None) -> None:
        for worker in assembly.workers.values():
            worker.touch(vault, heard)

    return touched


def _connect(worker: Worker, watches: Iterable[VaultWatch]) -> None:
    """Tell a worker whether its vaults are quiet, and have them scanned when its target returns: what no watcher saw
    meanwhile is then not left to the next hour."""
    own = [watch for watch in watches if watch.vault.id in worker.schedule.series]
    for watch in own:
        worker.schedule.series[watch.vault.id].hears = partial(_hears, watch)

    def returned() -> None:
        for watch in own:
            watch.ask_for_scan()

    worker.health.on_return = returned


def _hears(watch: VaultWatch) -> bool:
    return not watch.settled()


async def _sign(custody: Custody) -> None:
    """Sign what is on record from time to time, and take up what was owed to the ledger."""
    while True:
        try:
            await asyncio.to_thread(custody.tick)
        except StateError as error:  # a full disk: it has its alert, and the next tick tries again
            log.debug("the ledger waits: %s", error)
        await asyncio.sleep(LEDGER_SECONDS)


async def _check_clock_and_age(assembly: Assembly) -> None:
    """Raise what silence would hide: vaults and media that are overdue, a clock that was set back, a kit that has
    expired."""
    clock, room = ClockCheck(assembly.store), RoomCheck(assembly.store, assembly.context.config.host.state)
    for tick in itertools.count():
        with contextlib.suppress(StateError):  # what cannot be written has an alert
            await asyncio.to_thread(room.look)
            await asyncio.to_thread(clock.look)
            if tick % DATES_TICKS == 0:
                await asyncio.to_thread(register.settle, assembly.store, register.today())
                await asyncio.to_thread(items.raise_alerts, assembly.store)
                await asyncio.to_thread(practice.settle, assembly.context.config, assembly.store)
                await asyncio.to_thread(approvals.raise_alerts, assembly.store)
                await asyncio.to_thread(approvals.put_aside, assembly.context.config, assembly.store, "daemon")
        await asyncio.sleep(OVERDUE_SECONDS)
        if tick % TRIM_TICKS == 0:
            await asyncio.to_thread(memory.give_back)
        for vault in assembly.vaults.values():
            for worker in assembly.workers.values():
                if vault.id in worker.schedule.series:
                    await asyncio.to_thread(check_overdue, assembly.store, vault, worker.target)


def _notify(message: str) -> None:
    """Tell systemd, when it asked for it (sd_notify(3): a datagram to $NOTIFY_SOCKET)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), address)

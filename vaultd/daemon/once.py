"""``vaultd backup`` where no daemon runs: the same parts under the same lock, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from vaultd.config.model import Config
from vaultd.control.service import Outcome
from vaultd.daemon.assembly import at_work
from vaultd.daemon.backup import backup, chosen
from vaultd.daemon.lock import exclusive
from vaultd.daemon.publishing import Publisher
from vaultd.daemon.watching import scan_vault
from vaultd.model import Progress


def protect_once(
    config: Config, vaults: Sequence[str], *, full: bool, accept_empty: bool, on_progress: Callable[[Progress], None]
) -> list[Outcome]:
    """Scan and protect these vaults (all when empty), and return what became of each at each target.

    Raises BusyError while a daemon or another backup holds the state folder. Ctrl-C ends restic in order; what is
    pending stays so.
    """

    async def go() -> list[Outcome]:
        async with at_work(config, on_progress) as assembly:
            lock = asyncio.Lock()
            early = [asyncio.create_task(worker.get_ready()) for worker in assembly.workers.values()]
            try:
                outcomes = await backup(
                    assembly, chosen(assembly, vaults),
                    lambda vault: scan_vault(assembly.context, vault, lock, lambda: None),
                    full=full, accept_empty=accept_empty,
                )  # fmt: skip
                await Publisher(config, assembly.context.custody).once()
                return outcomes
            finally:
                for task in early:
                    task.cancel()
                await asyncio.gather(*early, return_exceptions=True)

    with exclusive(config.host.state):
        return asyncio.run(go())

"""A target to oneself, for a command that removes or mends something there: the daemon's worker waits meanwhile, and an
evacuation does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from vaultd.errors import BusyError
from vaultd.i18n import _

if TYPE_CHECKING:
    from vaultd.cli.base import Cli
    from vaultd.store import Store

EVACUATION_SECONDS = 0.5
TURN_SECONDS = 1800.0
"""So long the daemon's run may go on before a command gives up: a full snapshot of a large vault."""


@contextlib.asynccontextmanager
async def turn(cli: Cli, target: str, store: Store | None) -> AsyncIterator[None]:
    """Have a target to oneself: the daemon's run there is waited for, and its next one waits. An evacuation does not:
    what is done here is broken off then (BusyError)."""
    from vaultd.protect.hold import Turn, held

    if store is None:
        yield
        return
    config = cli.config()
    if held(config.target_folder(config.target_named(target))):
        cli.note(_("Another vaultd works at target {name}: waiting for its run to end.").format(name=target))
    own, this, ordered = Turn(config.target_folder(config.target_named(target)), wait=TURN_SECONDS), _task(), [False]
    watching = asyncio.create_task(_watch(store, this, ordered))
    try:
        async with own:
            yield
    except asyncio.CancelledError:
        if not ordered[0] or this.uncancel():
            raise
        raise BusyError(
            _("target {name} is busy").format(name=target), _("an evacuation was ordered: this is broken off"),
            _("what was begun is finished by the same command afterwards; see vaultd evacuate watch"),
        ) from None  # fmt: skip
    finally:
        watching.cancel()
        own.close()


def _task() -> asyncio.Task[object]:
    found = asyncio.current_task()
    assert found is not None  # noqa: S101
    return found


async def _watch(store: Store, task: asyncio.Task[object], ordered: list[bool]) -> None:
    """Break a task off when an evacuation is ordered."""
    while True:
        if await asyncio.to_thread(store.open_evacuation) is not None:
            ordered[0] = True
            task.cancel()
            return
        await asyncio.sleep(EVACUATION_SECONDS)

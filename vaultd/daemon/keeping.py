"""Keeps what a medium's repository is made of, once a day, from each target: on the day on which it is needed the line
may be dead (``evacuate.preparing``, ``restic.twin``)."""

from __future__ import annotations

import asyncio
import logging

from vaultd.config import Config
from vaultd.errors import VaultdError
from vaultd.evacuate.preparing import KEEP_SECONDS, keep_keys

log = logging.getLogger(__name__)

START_SECONDS = 120.0
"""After a start protection goes first."""

LOOK_SECONDS = 3600.0


async def keep(config: Config) -> None:
    """Until cancelled. A target that cannot be reached is asked again an hour later."""
    await asyncio.sleep(START_SECONDS)
    while True:
        await once(config)
        await asyncio.sleep(LOOK_SECONDS)


async def once(config: Config) -> None:
    """Every target whose keys are kept from more than a day ago, or not at all."""
    for target in config.target:
        try:
            if await asyncio.to_thread(keep_keys, config, target, older_than=KEEP_SECONDS):
                log.info("target %s: its keys are kept for media", target.name)
        except (VaultdError, OSError) as error:
            log.info("target %s: its keys are not kept for media: %s", target.name, error)

"""Checkpoints go to whoever keeps them: every target, witnesses, time-stamp authorities. Nobody waits for that.

Before anything is signed after a start, every target is asked what it has seen: a ledger that was set back to an older
state together with everything else on this host is told there, and only there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vaultd import units
from vaultd.anchor import due, mirror, timestamp, witness
from vaultd.anchor.faults import InconsistentError
from vaultd.config.model import Config
from vaultd.custody import Custody
from vaultd.errors import LedgerError, VaultdError
from vaultd.ledger.folder import LogFolder

log = logging.getLogger(__name__)

CALM_SECONDS = 15.0
"""So long after a start the line and the processor belong to what is not protected yet; nothing is signed before."""

LOOK_SECONDS = 30.0
TICK_SECONDS = 1.0
FIRST_WAIT = 10.0
LONGEST_WAIT = 600.0


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody who keeps checkpoints. ``send`` blocks, and raises VaultdError. ``every``: at most once in so many
    seconds, however often is signed."""

    name: str
    send: Callable[[bytes], object]
    every: float = 0.0


def places_of(config: Config, folder: LogFolder) -> list[Place]:
    """Every target, witness and authority of the configuration."""
    found = [Place(one.name, partial(mirror.publish, config, one, folder)) for one in config.target]
    found += [Place(one.name, partial(witness.submit, one, folder)) for one in config.ledger.witness]
    return found + [
        Place(one.name, partial(timestamp.stamp, one, folder), one.every) for one in config.ledger.timestamp
    ]


class Publisher:
    """Publishes what custody signs."""

    def __init__(self, config: Config, custody: Custody) -> None:
        self.config = config
        self.custody = custody
        self._folder = LogFolder(config.ledger_folder)

    async def look_first(self) -> None:
        """Ask every target what it has seen of this log; only then may anything be signed. One that does not answer
        within half a minute has no say."""
        looks = [asyncio.to_thread(mirror.look, self.config, target, self._folder) for target in self.config.target]
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                for found in await asyncio.gather(*looks, return_exceptions=True):
                    if isinstance(found, InconsistentError):
                        await asyncio.to_thread(self._inconsistent, found.where.removeprefix("target "), found)
                    elif isinstance(found, VaultdError):
                        log.info("%s", found)
                    elif isinstance(found, BaseException):
                        raise found
        except TimeoutError:
            log.warning("not every target has said in time what it has seen of the ledger")
        self.custody.may_sign = True

    async def run(self) -> None:
        """Publish until cancelled: each place goes its own pace, at most once in ``[ledger] checkpoint``."""
        await asyncio.sleep(min(CALM_SECONDS, self.config.ledger.checkpoint))
        await self.look_first()
        async with asyncio.TaskGroup() as group:
            for place in places_of(self.config, self._folder):
                group.create_task(self._keep(place))

    async def _keep(self, place: Place) -> None:
        sent, failures, rest_until = 0, 0, 0.0
        while True:
            urgent = not failures and self.custody.urgent_size > sent
            if self.custody.signed_size <= sent or (time.monotonic() < rest_until and not urgent):
                await asyncio.sleep(TICK_SECONDS)
                continue
            size, good = await asyncio.to_thread(self._send, place)
            sent, failures = max(sent, size), 0 if good else failures + 1
            wait = place.every if good else min(LONGEST_WAIT, FIRST_WAIT * 2.0**failures)
            rest_until = time.monotonic() + max(wait, self.config.ledger.checkpoint)

    async def once(self) -> None:
        """Look, sign and publish now; for a command that is no daemon."""
        await self.look_first()
        await asyncio.to_thread(self.custody.seal)
        if self.custody.signed_size:
            found = places_of(self.config, self._folder)
            await asyncio.gather(*(asyncio.to_thread(self._send, place) for place in found))

    def _send(self, place: Place) -> tuple[int, bool]:
        """Send the newest checkpoint; its size, and whether the place has it now."""
        size, alerts = 0, self.custody.store.alerts
        try:
            size, note = self.custody.newest()
            place.send(note)
            alerts.clear("ledger-inconsistent", target=place.name)
            return size, True
        except InconsistentError as error:
            self._inconsistent(place.name, error)
        except VaultdError as error:  # a target that is away has its own alert; an anchor that grows old gets one below
            log.info("checkpoint %d is not at %s: %s", size, place.name, error)
        finally:
            self.note_standing()
        return 0, False

    def _inconsistent(self, name: str, error: InconsistentError) -> None:
        """Somebody has another history. Where our own key has signed that, nothing more is signed."""
        log.error("%s", error)
        self.custody.store.alerts.raise_(
            "ledger-inconsistent", target=name, detail={"error": f"{error.what}: {error.why}"}
        )
        if error.checkpoint is not None:
            self.custody.stop(error.checkpoint)

    def note_standing(self) -> None:
        """Keep for ``status`` how old the newest of each kind is; what is too old is an alert."""
        store, policy = self.custody.store, self.config.ledger.anchor_age
        try:
            found = due.standings(self.config, self._folder, store.anchored_targets())
        except LedgerError as error:
            log.info("%s", error)
            return
        now, shown = time.time(), []
        for one in found:
            late = one.overdue(policy, now)
            at = None if one.at is None else units.rfc3339(int(one.at * 1e9))
            shown.append({"kind": one.kind, "name": one.name, "size": one.size, "at": at, "overdue": late})
            if not one.is_anchor:
                continue
            if late:
                detail = {"kind": one.kind, "objective_seconds": policy}
                store.alerts.raise_("anchor-overdue", target=one.name, detail=detail)
            else:
                store.alerts.clear("anchor-overdue", target=one.name)
        store.note_anchors(shown)

"""Apply a vault's policy at a target: look, remove by id, check what stays, clear away what nothing needs.

Nothing is removed by restic's own policy, and nothing is believed of what restic says: what is gone is read back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass

from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import Pruned
from vaultd.model import StoredSnapshot
from vaultd.restic import commands
from vaultd.restic.commands import Checked
from vaultd.retain.place import Place
from vaultd.retain.select import Choice, policy_digest, select
from vaultd.units import local

SAMPLE = "2%"
"""The share of the packs, picked at random, that is read back after something was removed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would go at a target. ``withdrawn``: ids of snapshots that are nobody's, which go too."""

    choice: Choice
    withdrawn: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """All that goes."""
        return [*self.withdrawn, *(one.snapshot.id for one in self.choice.going)]

    def only(self, ids: Collection[str]) -> Plan:
        """The same, of which no others go than these."""
        decisions = tuple(one for one in self.choice.decisions if one.keep or one.snapshot.id in ids)
        return Plan(Choice(decisions, self.choice.odd), tuple(one for one in self.withdrawn if one in ids))


@dataclass(slots=True)
class Done:
    """What became of it. ``left``: what should have gone and is still there. ``freed`` is None where nothing was
    pruned."""

    forgotten: list[str]
    left: list[str]
    check: Checked | None = None
    freed: int | None = None


async def look(place: Place) -> Plan:
    """List and choose; changes nothing at the target. Raises VaultdError."""
    await place.check_ours()
    there = await place.listed()
    withdrawn = await place.withdrawn()
    place.settle({one.id for one in there} | set(withdrawn))
    choice = select(there, place.policy, now=time.time_ns(), keep=place.last_known())
    return Plan(choice, tuple(withdrawn))


def refuse_odd(place: Place, odd: tuple[StoredSnapshot, ...]) -> None:
    """Raise VaultdError for dates that cannot be believed."""
    if odd:
        first = odd[0]
        raise VaultdError(
            _("nothing of vault {vault} is forgotten at target {target}").format(
                vault=place.vault, target=place.target.name
            ),
            _("the dates of {count} snapshots do not fit their order, or lie in the future: {id} of {moment}").format(
                count=len(odd), id=first.id[:8], moment=local(first.time)
            ),
            _("find out who made them; --keep-odd keeps them, and leaves them out of the counting"),
        )


async def carry_out(place: Place, plan: Plan, *, prune: bool, sample: str = SAMPLE) -> Done:
    """Remove what a plan names, and see that the rest is whole. Raises VaultdError; what is gone then is on record."""
    place.refuse_while_alarmed()
    digest = policy_digest(place.policy)
    wanted = plan.ids
    done = Done([], [])
    if wanted:
        place.intend(wanted, digest)
        try:
            with place.upkeep() as (marker, started):
                await commands.forget_all(place.repository, wanted, marker=marker, started=started)
        finally:
            # Also when it broke off half-way: what is gone must be on record. A line that is down leaves the intention.
            there = {one.id for one in await place.listed()} | set(await place.withdrawn())
            done.forgotten = [one for one in wanted if one not in there]
            done.left = [one for one in wanted if one in there]
            place.note_forgotten(done.forgotten, digest, place.who)
            place.intend((), b"")
        done.check = await checked(place, sample)
    if prune and (done.check is None or done.check.good):
        if done.check is None:
            done.check = await checked(place, sample)
        if done.check.good:
            done.freed, done.check = await cleared(place)
    return done


async def checked(place: Place, sample: str) -> Checked:
    """Read a sample of the repository back, and see that all that its snapshots need is there."""
    with place.upkeep() as (marker, started):
        return await commands.check(place.repository, subset=sample, marker=marker, started=started)


async def cleared(place: Place, *, everything: bool = False) -> tuple[int, Checked]:
    """Prune, and check the rest. Returns how many bytes that freed."""
    before = await asyncio.to_thread(place.data_bytes)
    with place.upkeep() as (marker, started):
        await commands.prune(place.repository, everything=everything, marker=marker, started=started)
    freed = max(0, before - await asyncio.to_thread(place.data_bytes))
    found = await checked(place, "")
    place.record(Pruned(place.target.name, freed, "ok" if found.good else str(found.faults), place.who))
    return freed, found

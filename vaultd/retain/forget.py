"""Apply a vault's policy at a target: look, remove by id, check what stays, clear away what nothing needs.

Nothing is removed by restic's own policy, and nothing is believed of what restic says: what is gone is read back. What
stays is verified: a sample of the vault's files is compared with the ledger (``vaultd.verify``), and restic looks
whether all that its snapshots need is there. An alert of a mass change that opens meanwhile ends it before the next
step.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass

from vaultd import fetch
from vaultd.errors import LedgerError, VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import Pruned
from vaultd.model import StoredSnapshot
from vaultd.restic import commands
from vaultd.restic.commands import Checked
from vaultd.retain.place import Place
from vaultd.retain.select import Choice, policy_digest, select
from vaultd.units import local
from vaultd.verify import coverage, work
from vaultd.verify.kept import Kept
from vaultd.verify.result import Asked, Kind, Result
from vaultd.verify.run import Verification

SAMPLE = 0.02
"""The share of the vault's files that is read back and compared after something was removed. Where no ledger is at
hand, on another host, restic reads so much of the packs."""

AT_ONCE = 100
"""So many snapshots are removed between two looks at the alerts."""


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
    """What became of it. ``left``: what should have gone and is still there. ``check``: whether all that the snapshots
    need is there; ``sample``: what of it was compared with the ledger, None where there is none. ``freed`` is None
    where nothing was pruned."""

    forgotten: list[str]
    left: list[str]
    check: Checked | None = None
    sample: Result | None = None
    freed: int | None = None

    @property
    def faults(self) -> int:
        """How much of what stays is not whole."""
        return (self.check.faults if self.check else 0) + (self.sample.count if self.sample else 0)


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


async def carry_out(place: Place, plan: Plan, *, prune: bool) -> Done:
    """Remove what a plan names, and see that the rest is whole. Raises VaultdError, also when an alert of a mass change
    opens meanwhile; what is gone then is on record."""
    place.refuse_while_alarmed()
    digest = policy_digest(place.policy)
    wanted = plan.ids
    done = Done([], [])
    if wanted:
        place.intend(wanted, digest)
        try:
            for at in range(0, len(wanted), AT_ONCE):
                place.refuse_while_alarmed()
                with place.upkeep() as (marker, started):
                    await commands.forget_all(
                        place.repository, wanted[at : at + AT_ONCE], marker=marker, started=started
                    )
        finally:
            # Also when it broke off half-way: what is gone must be on record. A line that is down leaves the intention.
            there = {one.id for one in await place.listed()} | set(await place.withdrawn())
            done.forgotten = [one for one in wanted if one not in there]
            done.left = [one for one in wanted if one in there]
            place.note_forgotten(done.forgotten, digest, place.who)
            place.intend((), b"")
    if wanted or prune:
        done.sample = await sampled(place)
        done.check = await checked(place, "" if done.sample else f"{SAMPLE:.0%}")
    if prune and not done.faults:
        place.refuse_while_alarmed()
        done.freed, done.check = await cleared(place)
    return done


async def sampled(place: Place) -> Result | None:
    """Read a sample of the vault's files back and compare them with the ledger; None where that does not know them: on
    another host, of vaultd's own state, and while it lacks what it was owed. Raises what stopped it."""
    if place.ledger is None:
        return None
    asked = Asked(Kind.SAMPLE, SAMPLE, secrets.randbelow(2**32), again=True)
    name, kept = place.target.name, None
    if place.store is not None:
        kept = Kept(place.store, place.vault, name)
    with work.folder(place.config.host.state) as folder:
        verification = Verification(
            place.repository, place.vault, name, place.ledger, place.host, folder, asked, kept,
            fetch.of_target(place.config, place.target), stall=place.config.host.stall_seconds,
        )  # fmt: skip
        result = await verification.run()
    if isinstance(result.error, LedgerError):
        return None
    place.record(result.entry(place.who))
    if place.store is not None:
        coverage.settle(place.store, name, place.vault)
    if result.error is not None and not result.count:
        raise result.error
    return result


async def checked(place: Place, subset: str) -> Checked:
    """See that all that the repository's snapshots need is there; ``subset``: and read so much of it back."""
    with place.upkeep() as (marker, started):
        return await commands.check(place.repository, subset=subset, marker=marker, started=started)


async def cleared(place: Place, *, everything: bool = False) -> tuple[int, Checked]:
    """Prune, and check the rest. Returns how many bytes that freed."""
    before = await asyncio.to_thread(place.data_bytes)
    with place.upkeep() as (marker, started):
        await commands.prune(place.repository, everything=everything, marker=marker, started=started)
    freed = max(0, before - await asyncio.to_thread(place.data_bytes))
    found = await checked(place, "")
    place.record(Pruned(place.target.name, freed, "ok" if found.good else str(found.faults), place.who))
    return freed, found

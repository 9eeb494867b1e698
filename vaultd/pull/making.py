"""A new list: from the machine, what the configuration says of the vaults, and what the state knows is safe."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vaultd.config.model import CLASSIFICATIONS
from vaultd.disks import helper, kept
from vaultd.disks import inventory as disks
from vaultd.disks.inventory import Folder
from vaultd.disks.machine import Machine
from vaultd.disks.model import Inventory
from vaultd.i18n import _
from vaultd.media.items import registered
from vaultd.protect.recorded import STATE_VAULT
from vaultd.pull import bays, gone, users
from vaultd.pull import kept as pulls
from vaultd.pull.model import Label, Need, Pull, PullList
from vaultd.pull.noticed import noticed
from vaultd.pull.order import behind, compute
from vaultd.pull.procedure import every_name, procedure
from vaultd.pull.stack import Reader
from vaultd.status import VaultPlan
from vaultd.store import Store

_LEAVE = frozenset({"smart"})
"""What is not asked for this list: it would wake disks, and ``vaultd disks list`` asks it from time to time."""


def look(state: Path, plans: Sequence[VaultPlan], tell: Callable[[str], None]) -> Inventory:
    """The machine now, with a map for each vault and for vaultd's own state, and the bays that people have seen. It is
    kept, as is what programs said; what cannot be kept is told. Raises StateError."""
    folders = [Folder(os.fsencode(plan.path), plan.name) for plan in plans if plan.path.startswith("/")]
    folders.append(Folder(os.fsencode(state), STATE_VAULT))
    ask = helper.Kept(kept.answers(state), leave=_LEAVE)
    found = bays.apply(bays.read(state), disks.read(Machine(), folders, ask=ask))
    try:
        if state.is_dir():
            ask.keep()
            kept.keep(state, found)
    except OSError as error:
        tell(_("This could not be kept: {error}").format(error=error.strerror or error))
    return found


def needs(plans: Sequence[VaultPlan], store: Store | None) -> list[Need]:
    """The vaults, and what of each no target has. vaultd's own state is one of them: it names everything, so it counts
    as the highest of them all and goes with the first ones."""
    found = [_need(plan, store) for plan in plans]
    highest = min((one.classification for one in found), key=_rank, default="")
    first = min((one.priority for one in found), default=1)
    return [*found, Need(STATE_VAULT, first, highest)]


def _need(plan: VaultPlan, store: Store | None) -> Need:
    unknown = Need(plan.name, plan.priority, plan.classification, plan.custodian, known=False)
    number = store.known("vault", plan.name) if store is not None else None
    if store is None or number is None or store.totals(number)[2] is None:
        return unknown
    # A target that was never reached has nothing: what the others lack is then nowhere, as before.
    targets = [known for name in plan.targets if (known := store.known("target", name)) is not None]
    if not targets:
        return unknown
    files, size = store.nowhere(number, targets)
    return replace(unknown, known=True, pending_files=files, pending_bytes=size)


def _rank(classification: str) -> int:
    return CLASSIFICATIONS.index(classification) if classification in CLASSIFICATIONS else len(CLASSIFICATIONS)


def labels(inventory: Inventory, store: Store | None) -> dict[str, Label]:
    """What the register says of the disks that are in it: label number, and who has it."""
    if store is None:
        return {}
    found = {disk.key: registered(disk, store) for disk in inventory.disks}
    return {
        key: Label(medium.label, medium.holder or medium.custodian)
        for key, medium in found.items()
        if medium is not None
    }


def make(
    inventory: Inventory, wanted: Sequence[Need], known: Mapping[str, Label], host: str, reader: Reader,
    *, unsafe_first: bool = False,
) -> PullList:  # fmt: skip
    """The list, with the procedure of each disk as the machine is now."""
    made = compute(inventory, wanted, known, host, unsafe_first=unsafe_first)
    sees, pulls = users.sees_all(), list[Pull]()
    seen = users.scan() if sees else {}
    volumes = behind(inventory)
    names = tuple(name for disk in inventory.disks if disk.key in volumes for name in disk.names)
    for pull in made.pulls:
        disk = replace(pull.disk, names=names) if "behind" in pull.notes else pull.disk  # its volumes are let go
        stack = reader.stack(every_name(disk, reader))
        found = users.find(stack, seen)
        pulls.append(replace(pull, procedure=procedure(disk, reader, found, users_seen=sees, found=stack)))
    return replace(made, pulls=tuple(pulls))


def under_way(store: Store | None) -> bool:
    """Whether an evacuation is: what is not safe is then carried first."""
    return store is not None and store.open_evacuation() is not None


def again(state: Path, host: str, plans: Sequence[VaultPlan], store: Store) -> PullList | None:
    """The kept list in step with the copying: the same disks, as they were seen last, with what of each is not safe
    *now*, in the order that follows, and who has signed for which. Asks no disk and no program, so it takes as long as
    the state database takes to count. None where no list is kept. Raises StateError."""
    before, seen = pulls.read(state), kept.last(state)
    if before is None or seen is None:
        return None
    known = {pull.disk.key: pull for pull in before.pulls}
    made = compute(seen, needs(plans, store), labels(seen, store), host, unsafe_first=under_way(store))
    with_steps = [
        replace(pull, procedure=known[pull.disk.key].procedure) if pull.disk.key in known else pull
        for pull in made.pulls
    ]
    return gone.shown(replace(made, pulls=tuple(with_steps), media=before.media), store)


def fresh(
    state: Path, host: str, plans: Sequence[VaultPlan], store: Store | None, reader: Reader,
    tell: Callable[[str], None],
) -> PullList:  # fmt: skip
    """All of that. Raises StateError."""
    found = look(state, plans, tell)
    made = make(found, needs(plans, store), labels(found, store), host, reader, unsafe_first=under_way(store))
    media = () if store is None else tuple(noticed(state, store, found))
    return gone.shown(replace(made, media=media), store)

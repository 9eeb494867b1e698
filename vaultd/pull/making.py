"""A new list: from an inventory, what the configuration says of the vaults, and what the state knows is safe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vaultd.config.model import CLASSIFICATIONS
from vaultd.disks.model import Inventory
from vaultd.protect.recorded import STATE_VAULT
from vaultd.pull import users
from vaultd.pull.model import Label, Need, PullList
from vaultd.pull.order import compute
from vaultd.pull.procedure import every_name, procedure
from vaultd.pull.stack import Reader
from vaultd.status import VaultPlan
from vaultd.store import Store

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


def make(
    inventory: Inventory, wanted: Iterable[Need], labels: Mapping[str, Label], host: str, reader: Reader | None = None
) -> PullList:
    """The list, with the procedure of each disk as the machine is now where there is a ``reader``."""
    made = compute(inventory, wanted, labels, host)
    if reader is None:
        return made
    sees, pulls = users.sees_all(), []
    for pull in made.pulls:
        stack = reader.stack(every_name(pull.disk, reader))
        found = users.find(stack) if sees else ()
        pulls.append(replace(pull, procedure=procedure(pull.disk, reader, found, users_seen=sees, found=stack)))
    return replace(made, pulls=tuple(pulls))

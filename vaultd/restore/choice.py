"""Choose among the targets, or go on with what an unfinished restore into the same folder had chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.model import StoredSnapshot
from vaultd.names import display
from vaultd.restore import workplace
from vaultd.restore.plan import Plan, Request, best, choose, relative_paths


def plan_restore(listed: Mapping[str, Sequence[StoredSnapshot]], request: Request, to: Path) -> Plan:
    """Choose among the snapshots of each target, or go on with what an unfinished restore in ``to`` had chosen.

    Raises the last target's error when no target has what is asked for.
    """
    begun = workplace.find(to) if to.is_dir() else None
    if begun is not None:
        return _plan_again(listed, request, to, begun)
    plans: list[Plan] = []
    problem: VaultdError | None = None
    for target, snapshots in listed.items():
        try:
            plans.append(choose(snapshots, request, target))
        except VaultdError as error:
            problem = error
    if not plans:
        raise problem or VaultdError(_("restore of vault {vault}").format(vault=request.vault), _("no target was read"))
    return best(plans)


def _plan_again(
    listed: Mapping[str, Sequence[StoredSnapshot]], request: Request, to: Path, begun: workplace.Workplace
) -> Plan:
    if begun.request != workplace.fingerprint(request):
        raise workplace.unfinished(to, begun)
    for target, snapshots in listed.items():
        found = {one.id: one for one in snapshots}
        if all(one in found for one in begun.snapshots):
            base, *over = (found[one] for one in begun.snapshots)
            fresh = choose(snapshots, replace(request, snapshot=base.id), target)
            return replace(fresh, request=request, over=tuple(over), paths=relative_paths(request.paths, base.root))
    raise VaultdError(
        _("restore into {folder}").format(folder=display(to)),
        _("the snapshots it was begun with are at none of the targets any more"),
        _("remove {work} and restore into an empty folder").format(work=display(begun.path)),
    )

"""What a daemon that died has left: its restic ended, its locks lifted, its snapshots known.

``end_runs`` needs no target and comes first, before anything else touches a repository. ``attach`` is made for each
target
before its first run, and again after a failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from vaultd.errors import ForeignRepositoryError, LockedError
from vaultd.i18n import _
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.protect.recorded import upkeep
from vaultd.protect.refs import Context, TargetRef
from vaultd.protect.withdraw import withdraw
from vaultd.restic import commands
from vaultd.restic.proc import boot_id, end_leftover, end_orphans
from vaultd.store import RunRow, Store

log = logging.getLogger(__name__)


def end_runs(store: Store, cache: Path, held: Callable[[str], bool] = lambda _target: False) -> list[RunRow]:
    """End every process of a run that was never finished, and mark the run. Returns these runs. A run at a target that
    is ``held`` is not dead: another process works there (``protect.hold``).

    What only looked at a repository is on no record: it is told by ``cache`` and its dead owner.

    Their uploads may be worth keeping: every target with such a run gets ``restic repair index`` before its next one.
    """
    left = [run for run in store.runs(state="running") if not any(map(held, store.target_names([run.target])))]
    for run in left:
        if run.pid is not None and run.start_time is not None:
            end_leftover(run.pid, run.start_time, run.boot_id or boot_id(), run.id)
        store.end_run(run.id, "failed", 0.0, error="interrupted")
    end_orphans(cache)
    for name in store.target_names({run.target for run in left}):
        store.set_meta(f"repair:{name}", "1")
        store.set_meta(f"locks:{name}", "1")
    return left


def clear_lists(state: Path) -> None:
    """Remove the lists of paths that dead runs have left: names of files, which nobody needs any more."""
    for left in (state / "lists").glob("*"):
        left.unlink(missing_ok=True)


async def attach(context: Context, target: TargetRef, repair: bool, lift: Callable[[], Awaitable[bool]]) -> None:
    """Make sure that this is our repository, note snapshots that nobody acknowledged, keep a broken upload.

    ``lift`` removes the locks of our dead runs, and says whether there were any. Raises what the commands raise, and
    ForeignRepositoryError.
    """
    store = context.store
    found, listed = await _both(commands.repository_id(target.repository), commands.snapshots(target.repository))
    known = store.target_repository(target.name)
    if known is None:
        _refuse_foreign(context, target, listed)
        store.pin_repository(target.name, found)
    elif known != found:
        why = _("it was {known} and is {found}").format(known=known[:8], found=found[:8])
        hint = _("check the target's path; if the new repository is meant: vaultd target trust {name} --repository")
        what = _("target {name} holds another repository than before").format(name=target.name)
        raise ForeignRepositoryError(what, why, hint.format(name=target.name))
    elif store.get_meta(f"key:{target.name}") is None:  # for the next start; a first protection does not wait for it
        store.set_meta(f"key:{target.name}", await commands.key_id(target.repository) or "")
    await asyncio.to_thread(_note_unclaimed, store, target, listed, context.config.host.name)
    await asyncio.to_thread(_note_missing, store, target, listed)
    # Not before that look, which takes no lock and a second or more: a server may still be carrying out what a run that
    # was killed had asked it for, and put its lock there after we looked for locks.
    key = f"locks:{target.name}"
    if store.get_meta(key) == "1":
        await lift()
        store.set_meta(key, "0")
    for one in listed:
        if one.kind is SnapshotKind.FULL and await asyncio.to_thread(store.refused_run, one.change_set):
            await withdraw(store, target, one.vault, one.change_set, one.root, one.id)
    if repair and not await _keep_broken_upload(store, target) and await lift():
        await _keep_broken_upload(store, target)


A = TypeVar("A")
B = TypeVar("B")


async def _both(first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Wait for both also when one fails: a run that nobody waits for would go on while the next begins."""
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(two, BaseException):
        raise two
    return one, two


async def _keep_broken_upload(store: Store, target: TargetRef) -> bool:
    """``repair index``; False when somebody else holds a lock."""
    log.info("target %s: keeping what a broken upload has sent", target.name)
    try:
        with upkeep(store, target) as (run, started):
            await commands.repair_index(target.repository, marker=run, started=started)
    except LockedError as error:
        # It needs the repository for itself, a backup does not: someone's forgotten lock must not end protection.
        log.warning("target %s: %s; what was sent is sent again", target.name, error)
        return False
    return True


def _refuse_foreign(context: Context, target: TargetRef, listed: list[StoredSnapshot]) -> None:
    host = context.config.host.name
    others = sorted({snapshot.host for snapshot in listed} - {host})
    if others:
        raise ForeignRepositoryError(
            _("the repository of target {name} belongs to another host").format(name=target.name),
            _("it has snapshots of {hosts}, this host is {host}").format(hosts=", ".join(others), host=host),
            _("give each host a repository of its own, or set the name in [host] when this machine replaces that one"),
        )


def _note_missing(store: Store, target: TargetRef, listed: list[StoredSnapshot]) -> None:
    """Snapshots that were acknowledged and are gone: removed by hand, or the target is an older copy of itself. What
    only they held is not off-site any more, whatever was said before."""
    lost, names = store.note_missing(target.id, {snapshot.id for snapshot in listed}), store.vault_names()
    for vault, count in lost.items():
        log.error(
            "target %s: %d snapshots of vault %s are gone; it is protected anew", target.name, count, names[vault]
        )
        store.alerts.raise_("snapshots-missing", vault=names[vault], target=target.name, detail={"snapshots": count})


def _note_unclaimed(store: Store, target: TargetRef, listed: list[StoredSnapshot], host: str) -> None:
    """Snapshots that restic finished but nobody acknowledged: their change sets run again, they stay as they are."""
    store.raise_order(max((snapshot.order for snapshot in listed), default=0))
    newest = max((snapshot.time for snapshot in listed if snapshot.host == host), default=0)
    store.note_time(newest)
    for snapshot in listed:
        if store.mark_unclaimed(snapshot.change_set):
            log.info("target %s: snapshot %s was never acknowledged", target.name, snapshot.id[:8])

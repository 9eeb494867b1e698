"""The course of a repair: find what is damaged, name it, bring it from elsewhere, read it all back; give up nothing.

Nothing is removed before its replacement was read back. What restic itself takes away on the way is a pack that is
damaged, after what is intact in it was stored anew; a copy of it is kept. Snapshots that lack something stay as they
are until somebody accepts the loss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from vaultd import files
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import Repaired
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.repair import sources
from vaultd.repair.result import LIVE, Result
from vaultd.restic import commands
from vaultd.restic.commands import mend as restic_mend
from vaultd.restic.commands.mend import Lacking
from vaultd.restic.process import Repository
from vaultd.retain.place import Place
from vaultd.verify import packs

ATTEMPTS = 8

Tell = Callable[[str], None]


async def look(place: Place, tell: Tell) -> Result:
    """Read everything back and say what is damaged. Changes nothing."""
    await place.check_ours()
    tell(_("reading everything at target {name} back").format(name=place.target.name))
    result = Result(place.target.name, place.vault, dry=True)
    with place.upkeep() as (marker, started):
        result.first = await commands.check(place.repository, everything=True, marker=marker, started=started)
    result.packs = (*result.first.broken, *result.first.gone)
    if not result.first.good:
        named = await commands.find_packs(place.repository, result.packs) if result.packs else []
        own = {one.id for one in await place.listed()}
        result.found = [one for one in named if one.snapshot in own]
        result.index = not result.packs
    return result


async def repair(
    place: Place, others: dict[str, tuple[Repository, Sequence[StoredSnapshot]]], work: Path, tell: Tell, *,
    use_live: bool = True, accept_loss: bool = False,
) -> Result:  # fmt: skip
    """Do it. ``others``: other targets by name, with the vault's snapshots there. ``work``: a new private folder, in
    which copies of damaged packs stay. Raises VaultdError when it cannot go on; the same call then goes on."""
    result = await look(place, tell)
    result.dry = False
    assert result.first is not None  # noqa: S101
    result.found = []
    await _refuse_unmounted(place, result, accept_loss=accept_loss)
    await sources.remove_carriers(place)  # of an interrupted repair
    if not result.first.good:
        await _mend_index(place, result, work, tell)
    snapshots = await place.listed()
    result.found, elsewhere = await _lacking(place, snapshots)
    if result.found or elsewhere:
        await _bring(place, result, snapshots, others, work, tell, use_live=use_live)
        left = set(result.lost)
        if left and accept_loss:
            tell(_("taking out of the snapshots what is lost: {count}").format(count=len(left)))
            await _accept(place, [one for one in snapshots if one.kind is not SnapshotKind.DUMP], work)
            result.accepted = True
    if not result.first.good or result.found:
        tell(_("reading everything back once more"))
        with place.upkeep() as (marker, started):
            result.last = await commands.check(place.repository, everything=True, marker=marker, started=started)
        await sources.remove_carriers(place)
        result.elsewhere = (await _lacking(place, snapshots))[1]
        place.record(
            Repaired(
                place.target.name, place.vault, result.state, len(result.packs), len(result.found),
                len(result.mended), len(result.lost), place.who, sorted(set(result.mended.values())),
            )
        )  # fmt: skip
    whole = result.last or result.first
    if whole.good and place.store is not None:
        packs.mended(place.store, place.target.name)
    return result


async def _refuse_unmounted(place: Place, result: Result, *, accept_loss: bool) -> None:
    """A server whose disk is not mounted has lost nothing: nothing must be written over that."""
    assert result.first is not None  # noqa: S101
    gone = len(result.first.gone)
    if gone and not accept_loss and await asyncio.to_thread(place.data_bytes) == 0:
        raise VaultdError(
            _("target {name} is not repaired").format(name=place.target.name),
            _("none of its {count} packs is there").format(count=gone),
            _("is its disk mounted at the server? If everything is lost, make a new repository there"),
        )


async def _mend_index(place: Place, result: Result, work: Path, tell: Tell) -> None:
    """Take what is damaged out of the index: only then is it stored again."""
    assert result.first is not None  # noqa: S101
    files.make_private_directory(work)
    if result.first.broken:
        tell(_("saving what is intact in {count} damaged packs").format(count=len(result.first.broken)))
        result.copies = str(work)
        with place.upkeep() as (marker, started):
            await restic_mend.repair_packs(place.repository, result.first.broken, work, marker=marker, started=started)
    tell(_("writing the index anew"))
    with place.upkeep() as (marker, started):
        await commands.repair_index(place.repository, marker=marker, started=started)


async def _lacking(place: Place, snapshots: Sequence[StoredSnapshot]) -> tuple[list[Lacking], int]:
    """What the vault's snapshots lack; and how much those of other vaults do."""
    everyone = await commands.snapshots(place.repository)
    own = {one.id for one in snapshots}
    found = await restic_mend.lacking(place.repository, [one.id for one in everyone])
    return [one for one in found if one.snapshot in own], sum(one.snapshot not in own for one in found)


async def _bring(
    place: Place, result: Result, snapshots: Sequence[StoredSnapshot],
    others: dict[str, tuple[Repository, Sequence[StoredSnapshot]]], work: Path, tell: Tell, *, use_live: bool,
) -> None:  # fmt: skip
    """From the live folder first, which costs no line; then from each other target."""
    files.make_private_directory(work)
    by_id = {one.id: one for one in snapshots}
    if use_live:
        tell(
            _("{count} file versions are damaged: looking for them in the live folder").format(count=len(result.found))
        )
        await sources.from_live(place, result.lost, work)
        await _note_mended(place, result, snapshots, LIVE)
    for name, (repository, listed) in others.items():
        for attempt in range(ATTEMPTS):
            if not result.lost:
                return
            if attempt == 0:
                tell(_("fetching {count} from target {name}").format(count=len(result.lost), name=name))
            if not await sources.from_target(place, result.lost, by_id, repository, listed, work, attempt):
                break
            await _note_mended(place, result, snapshots, name)


async def _note_mended(place: Place, result: Result, snapshots: Sequence[StoredSnapshot], source: str) -> None:
    left = set(await restic_mend.lacking(place.repository, [one.id for one in snapshots]))
    for one in result.found:
        if one not in left:
            result.mended.setdefault(one, source)


async def _accept(place: Place, snapshots: Sequence[StoredSnapshot], lists: Path) -> None:
    """Copy each snapshot without what it lacks, see that the copies lack nothing, then remove the old ones.

    restic's own repair leaves a file under its name with what is left of its content: nobody must take that for the
    file. So files go as a whole; restic's repair is for folders alone.
    """
    before = {one.id for one in await place.listed()}
    known = set(before)
    final = dict[str, str]()
    for one in snapshots:
        lacks = await restic_mend.lacking(place.repository, [one.id])
        if not lacks:
            continue
        current = one.id
        if any(lack.folder for lack in lacks):
            with place.upkeep() as (marker, started):
                await restic_mend.drop_lacking(place.repository, [one.id], marker=marker, started=started)
            current = await _copy_of(place, one, known) or ""
        paths = sorted({lack.path for lack in lacks if not lack.folder})
        if current and paths:
            with place.upkeep() as (marker, started):
                await commands.rewrite(place.repository, [current], paths, lists, marker=marker, started=started)
            current = await _copy_of(place, one, known) or current
        final[one.id] = current
    copies = [copy for copy in final.values() if copy]
    if await restic_mend.lacking(place.repository, copies):
        raise VaultdError(
            _("target {name} is not repaired").format(name=place.target.name),
            _("the copies of its snapshots are not whole either"), _("run the same command again"),
        )  # fmt: skip
    now = {one.id for one in await place.listed()}
    go = sorted(now.intersection(known.union(final)) - (before - final.keys()) - set(copies))
    with place.upkeep() as (marker, started):
        await commands.forget_all(place.repository, go, marker=marker, started=started)
    if place.store is not None:
        place.store.note_rewritten(place.target_id, {old: copy for old, copy in final.items() if copy})
        place.store.note_forgotten(place.target_id, [old for old, copy in final.items() if not copy])
        place.store.mark_all(place.target_id, place.store.vault_id(place.vault))  # the next full one has it all again


async def _copy_of(place: Place, snapshot: StoredSnapshot, known: set[str]) -> str | None:
    """The copy that was just made of a snapshot, if one was; ``known`` has all ids that were there before."""
    new = [one for one in await place.listed() if one.id not in known]
    known.update(one.id for one in new)
    return next((one.id for one in new if one.change_set == snapshot.change_set), None)

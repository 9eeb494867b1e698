"""Take records out of all snapshots of a vault at a target, and clear their content away.

In this order, so that nothing is lost but what was named: restic copies every snapshot that holds a path without it;
each copy is listed and compared with its original, and must lack what was named and nothing else; only then do the
originals go, by id; data that nothing needs is cleared away; and every snapshot that is left is listed once more.
Interrupted, the same call goes on: what is rewritten already is found by its change set.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from vaultd.errors import ConfigError, DifferenceError, PartialError, VaultdError
from vaultd.i18n import _
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.names import display, join, replaced
from vaultd.restic import commands
from vaultd.restic.commands import Checked
from vaultd.restore.plan import relative_paths
from vaultd.retain.forget import cleared
from vaultd.retain.place import Place

Listing = dict[tuple[str, str], tuple[int, int]]
"""Path and type -> size and mtime: what ``restic ls`` tells of a snapshot."""


@dataclass(slots=True)
class Destroyed:
    """What became of it at a target. ``held``: how many snapshots held one of the paths; ``files``: how many different
    paths went; ``before`` and ``after``: snapshots of the vault."""

    target: str
    before: int
    held: int
    after: int = 0
    files: int = 0
    freed: int = 0
    check: Checked | None = None
    rewritten: dict[str, str] = field(default_factory=dict)


def wanted_paths(root: bytes, paths: Sequence[bytes]) -> tuple[bytes, ...]:
    """The paths, relative to the vault. Raises ConfigError for one outside of it, and for the whole vault."""
    found = relative_paths(paths, root)
    if not found:
        raise ConfigError(
            _("--path {path}").format(path=display(paths[0] if paths else b"")), _("this is the whole vault"),
            _("name files or folders in it"),
        )  # fmt: skip
    for path in found:
        commands.exclude_line(path)  # refused before anything is changed
    return found


def refuse_live(root: bytes, paths: Sequence[bytes]) -> None:
    """Raise VaultdError for a path that is still in the vault's folder: the next snapshot would have it again."""
    for path in paths:
        if root and os.path.lexists(join(root, path)):
            raise VaultdError(
                _("{path} is not destroyed in the snapshots").format(path=display(path)),
                _("it is still in the vault's folder, and would come back with the next snapshot"),
                _("remove it there first; --even-if-there does it all the same"),
            )


async def count(place: Place, paths: Sequence[bytes]) -> tuple[int, int]:
    """How many snapshots hold one of the paths, and how many there are. Changes nothing."""
    await place.check_ours()
    there = await _series(place)
    held = 0
    for root, ids in _by_root(there).items():
        wanted = [join(root, path) for path in paths]
        with place.upkeep() as (marker, started):
            held += await commands.rewrite(
                place.repository, ids, wanted, place.config.host.state / "lists", dry=True, marker=marker,
                started=started,
            )  # fmt: skip
    return held, len(there)


async def destroy(place: Place, paths: Sequence[bytes]) -> Destroyed:
    """Do it. Raises VaultdError; DifferenceError when a copy lacks more than was named, or a path is still there."""
    place.refuse_while_alarmed()
    await place.check_ours()
    withdrawn = await place.withdrawn()
    if withdrawn:  # nobody's, and they may hold the paths
        with place.upkeep() as (marker, started):
            await commands.forget_all(place.repository, withdrawn, marker=marker, started=started)
    old = await _series(place)
    before = {one.id for one in old}
    held = 0
    for root, ids in _by_root(old).items():
        wanted = [join(root, path) for path in paths]
        with place.upkeep() as (marker, started):
            held += await commands.rewrite(
                place.repository, ids, wanted, place.config.host.state / "lists", marker=marker, started=started
            )
    now = await _series(place)
    done = Destroyed(place.target.name, len(old), held)
    if held:
        done.files = await _replace(place, before, now, paths, done)
    done.freed, done.check = await cleared(place, everything=True)
    left = await _series(place)
    done.after = len(left)
    await _assert_gone(place, left, paths)
    return done


async def _replace(
    place: Place, before: Collection[str], now: Sequence[StoredSnapshot], paths: Sequence[bytes], done: Destroyed
) -> int:
    """Compare each copy with its original, then remove the originals. Returns how many paths went in all."""
    by_id = {one.id: one for one in now}
    copies = [one for one in now if one.id not in before]
    gone = set[tuple[str, str]]()
    for copy in copies:
        original = _original(copy, by_id, before)
        if original is None:
            raise PartialError(
                _("snapshot {id} is a copy of nothing that is there").format(id=copy.id[:8]), "",
                _("run the same command again"),
            )  # fmt: skip
        gone |= await _compare(place, original, copy, paths)
        done.rewritten[original.id] = copy.id
    change_sets = {one.change_set for one in copies}
    keep = set(done.rewritten.values())
    # Their originals; and copies that an interrupted run has made of the same originals.
    go = [one.id for one in now if one.change_set in change_sets and one.id not in keep]
    with place.upkeep() as (marker, started):
        await commands.forget_all(place.repository, go, marker=marker, started=started)
    still = {one.id for one in await _series(place)}
    if place.store is not None:
        place.store.note_rewritten(place.target_id, done.rewritten)
    if still.intersection(go):
        raise PartialError(
            _("records are not destroyed at target {name}").format(name=place.target.name),
            _("{count} snapshots that hold them could not be removed").format(count=len(still.intersection(go))),
            _("the account there may not remove: --identity names another one"),
        )
    return len(gone)


def _original(copy: StoredSnapshot, by_id: dict[str, StoredSnapshot], before: Collection[str]) -> StoredSnapshot | None:
    """What a copy was made of. Of a copy of a copy, restic names the first of them: then the change set tells."""
    if copy.original in before:
        return by_id.get(copy.original)
    same = [one for one in by_id.values() if one.change_set == copy.change_set and one.id in before]
    return same[0] if same else None


async def _compare(
    place: Place, original: StoredSnapshot, copy: StoredSnapshot, paths: Sequence[bytes]
) -> set[tuple[str, str]]:
    """Which paths the copy lacks; they must be those that were named, and all that it has must be as it was."""
    was, found = await _listing(place, original), await _listing(place, copy)
    wanted = [replaced(join(original.root, path)) for path in paths]
    lacking = was.keys() - found.keys()
    strange = [path for path, _kind in lacking if not _named(path, wanted)]
    strange += [path for (path, kind), about in found.items() if was.get((path, kind)) != about]
    strange += [path for path, _kind in found if _named(path, wanted)]
    if strange:
        raise DifferenceError(
            _("records are not destroyed at target {name}").format(name=place.target.name),
            _("the copy {copy} of snapshot {id} is not the same without them; nothing was removed").format(
                copy=copy.id[:8], id=original.id[:8]
            ),
            _("keep both, and have the repository checked: vaultd repair"),
        )
    return set(lacking)


async def _assert_gone(place: Place, left: Sequence[StoredSnapshot], paths: Sequence[bytes]) -> None:
    """List every snapshot that is left; those with the same tree are the same."""
    seen = set[str]()
    for one in left:
        if one.tree in seen:
            continue
        seen.add(one.tree)
        wanted = [replaced(join(one.root, path)) for path in paths]
        async for node in commands.ls(place.repository, one.id):
            if _named(node.path, wanted):
                raise DifferenceError(
                    _("records are not destroyed at target {name}").format(name=place.target.name),
                    _("snapshot {id} still holds one").format(id=one.id[:8]), _("run the same command again"),
                )  # fmt: skip


def _named(path: str, wanted: Sequence[str]) -> bool:
    return any(path == one or path.startswith(one + "/") for one in wanted)


async def _listing(place: Place, snapshot: StoredSnapshot) -> Listing:
    return {
        (node.path, node.type): (node.size, node.mtime)
        async for node in commands.ls(place.repository, snapshot.id)
    }  # fmt: skip


async def _series(place: Place) -> list[StoredSnapshot]:
    """The vault's snapshots that hold files by name: not its dumps."""
    return [one for one in await place.listed() if one.kind is not SnapshotKind.DUMP]


def _by_root(snapshots: Sequence[StoredSnapshot]) -> dict[bytes, list[str]]:
    """Their ids, by the folder that the vault had then."""
    found = dict[bytes, list[str]]()
    for one in snapshots:
        found.setdefault(one.root, []).append(one.id)
    return found

"""What it costs that snapshots which were acknowledged are not at the target any more: found in this host's state.

A machine that never ran vaultd cannot know: numbers of snapshots have gaps by nature.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.restore.plan import Plan, relative_paths
from vaultd.store import Store


@dataclass(frozen=True, slots=True)
class Gone:
    """An express snapshot that should be over the full one and is not there. ``paths``: what only it held; these come
    back older, or not at all. ``time`` in nanoseconds since 1970."""

    snapshot: str
    time: int
    paths: tuple[bytes, ...]


def gone(store: Store, plan: Plan, listed: Iterable[StoredSnapshot]) -> list[Gone]:
    """The acknowledged express snapshots that a restore of latest content lacks, oldest first."""
    asked = plan.request
    vault, target = store.known("vault", asked.vault), store.known("target", plan.target)
    if not asked.latest or asked.snapshot or asked.dump or vault is None or target is None:
        return []
    there = {one.id for one in listed}
    forgotten = store.forgotten(target)
    rows = [
        row
        for row in store.snapshots(vault)
        if row.target == target
        and row.kind == SnapshotKind.EXPRESS.value
        and row.snapshot not in there
        and row.snapshot not in forgotten
        and int(row.change_set.partition("-")[0]) > plan.base.order
        and (asked.at is None or row.time <= asked.at)
    ]
    if not rows:
        return []
    lost = {row.change_set: list[bytes]() for row in rows}
    brought = {one.change_set for one in plan.snapshots}
    newest = dict[bytes, str]()
    for version in store.versions(vault):
        if version.change_set in lost or version.change_set in brought:
            newest[version.path] = version.change_set if version.state != "deleted" else ""
    wanted = relative_paths(plan.request.paths, plan.base.root)
    for path, change_set in newest.items():
        inside = not wanted or any(path == one or path.startswith(one + b"/") for one in wanted)
        if change_set in lost and inside:
            lost[change_set].append(path)
    return [Gone(row.snapshot, row.time, tuple(sorted(lost[row.change_set]))) for row in reversed(rows)]

"""What a restore has done and what it has not, for people and as JSON (docs/json-restore.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from vaultd import names
from vaultd.errors import EXIT_DONE, EXIT_FAILED, EXIT_PARTIAL
from vaultd.model import StoredSnapshot
from vaultd.restore.engine import Problem
from vaultd.restore.gone import Gone
from vaultd.restore.merge import ADDED, BESIDE, REPLACED, Merge
from vaultd.restore.plan import Plan
from vaultd.units import rfc3339

LISTED = 1000
"""At most so many names of one kind are in the JSON; the counts are always whole."""


class Outcome(StrEnum):
    """Done: all that was asked for is there. Partial: it ended, but not all is there. Interrupted or failed: the same
    command goes on where it stopped."""

    PLANNED = "planned"
    DONE = "done"
    PARTIAL = "partial"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(slots=True)
class Result:
    """``done`` counts the snapshots of the plan that are in place. ``merges`` belong to the snapshots by place in the
    plan. ``reappeared``: paths that may have been deleted before the moment of the youngest content. ``missing``: paths
    asked for that are in none of the snapshots. ``gone``: acknowledged express snapshots that are not there any more.
    ``other_owners``: how many files and folders of the first snapshot belong to somebody else than who restores them,
    None where owners were restored."""

    plan: Plan
    to: Path
    outcome: Outcome = Outcome.PLANNED
    resumed: bool = False
    owners: bool = True
    done: int = 0
    files_done: int = 0
    bytes_done: int = 0
    seconds: float = 0.0
    free: int | None = None
    merges: dict[int, Merge] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    missing: list[bytes] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    other_owners: int | None = None

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        if self.outcome in (Outcome.DONE, Outcome.PLANNED):
            return EXIT_PARTIAL if any(one.paths for one in self.gone) else EXIT_DONE
        came = self.files_done or self.bytes_done  # a part of one large file is there to go on with, too
        return EXIT_PARTIAL if self.outcome is not Outcome.FAILED or came else EXIT_FAILED

    @property
    def reappeared(self) -> list[bytes]:
        """Names that may have been deleted; the folder's own list is not complete (see ``docs/repository.md``)."""
        return sorted({path for merge in self.merges.values() for path in merge.reappeared})

    def express(self, place: int) -> list[tuple[str, bytes, int, int]]:
        """What the snapshot at this place of the plan has put over the ones before: kind, path, files, other links."""
        merge = self.merges.get(place, Merge())
        return [(one.kind, one.path, one.files, one.links) for one in merge.actions]

    def as_json(self) -> dict[str, Any]:
        """The object of ``vaultd --json restore``."""
        plan = self.plan
        reappeared = self.reappeared
        return {
            "version": 1,
            "vault": plan.request.vault,
            "target": plan.target,
            "to": names.as_json(bytes(self.to)),
            "outcome": self.outcome.value,
            "exact": plan.exact,
            "asked": rfc3339(plan.request.at) if plan.request.at is not None else None,
            "moment": rfc3339(plan.base.time),
            "newest": rfc3339(plan.newest),
            "next": rfc3339(plan.next) if plan.next is not None else None,
            "paths": [names.as_json(path) for path in plan.paths],
            "resumed": self.resumed,
            "owners": self.owners,
            "files": self.files_done,
            "bytes": self.bytes_done,
            "bytes_needed": plan.bytes_total or None,
            "bytes_free": self.free,
            "seconds": round(self.seconds, 3),
            "snapshots": [self._snapshot(place, one) for place, one in enumerate(plan.snapshots)],
            "may_reappear": {
                "count": len(reappeared),
                "listed": [names.as_json(path) for path in reappeared[:LISTED]],
            },
            "missing": [names.as_json(path) for path in self.missing],
            "gone": [
                {
                    "id": one.snapshot,
                    "time": rfc3339(one.time),
                    "count": len(one.paths),
                    "listed": [names.as_json(path) for path in one.paths[:LISTED]],
                }
                for one in self.gone
            ],
            "other_owners": self.other_owners,
            "problems": {
                "count": len(self.problems),
                "listed": [{"path": one.path, "message": one.message} for one in self.problems[:LISTED]],
            },
            "dumps": [snapshot_json(one) for one in plan.dumps],
        }

    def _snapshot(self, place: int, snapshot: StoredSnapshot) -> dict[str, Any]:
        changes = self.express(place)
        return snapshot_json(snapshot) | {
            "restored": place < self.done,
            "changes": {
                "added": sum(files for kind, _path, files, _links in changes if kind == ADDED),
                "replaced": sum(files for kind, _path, files, _links in changes if kind == REPLACED),
                "beside": sum(files for kind, _path, files, _links in changes if kind == BESIDE),
                "listed": [
                    {"change": kind, "files": files, "other_links": links} | names.as_json(path)
                    for kind, path, files, links in changes[:LISTED]
                ],
            },
        }


def snapshot_json(snapshot: StoredSnapshot) -> dict[str, Any]:
    """One snapshot, as ``snapshots`` and ``restore`` show it."""
    root = {f"root{key.removeprefix('path')}": value for key, value in names.as_json(snapshot.root).items()}
    return {
        "id": snapshot.id,
        "change_set": snapshot.change_set,
        "order": snapshot.order,
        "kind": snapshot.kind.value,
        "time": rfc3339(snapshot.time),
        "host": snapshot.host,
        "files": snapshot.files,
        "bytes": snapshot.bytes,
        "dump": snapshot.dump_name or None,
        "of": snapshot.dump_of or None,
    } | root

"""One restore drill: the vault comes back into the scratch, every file is read and compared with the ledger's hash.

*Recovery time* runs from the moment when the keys are there (the shares were given) until the last file is compared.
*Recovery point* is the age, at the start, of the youngest snapshot that was restored: what was written since is what
a disaster then would have cost.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaultd import custody, names
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, EXIT_PARTIAL, VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import Drilled
from vaultd.model import Progress, StoredSnapshot
from vaultd.restic.process import Repository
from vaultd.restore import onrecord
from vaultd.restore.onrecord import Difference
from vaultd.restore.plan import Plan, Request
from vaultd.restore.result import LISTED, Outcome
from vaultd.restore.whole import WholeRestore
from vaultd.units import SECOND, rfc3339

SHOW_SECONDS = 0.2


@dataclass(slots=True)
class Drill:
    """What a drill has found. ``kit``: the kit that alone was used, None for the keys of this host. ``seconds`` is the
    recovery time, ``recovery_point`` seconds too. ``differences`` None: there was nothing to compare with.
    ``uncertain``: paths that the snapshot has unread or unconfirmed; only what exceeds them is a difference's fault.
    """

    plan: Plan
    kit: str | None
    began: int
    in_memory: bool
    state: str = "failed"
    seconds: float = 0.0
    files: int = 0
    size: int = 0
    differences: list[Difference] | None = None
    uncertain: int = 0
    taken: int = 0
    problems: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def recovery_point(self) -> int:
        """Seconds between the youngest content that was restored and the drill's start."""
        return max(0, math.ceil((self.began - self.plan.newest) / SECOND))

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        if self.differences:
            return EXIT_DIFFERENCE
        return EXIT_DONE if self.state == "done" else EXIT_PARTIAL

    def entry(self) -> Drilled:
        """For the ledger."""
        return Drilled(
            self.plan.request.vault, self.plan.target, [one.id for one in self.plan.snapshots], self.state,
            math.ceil(self.seconds), self.files, self.size, self.recovery_point, custody.caller(), self.kit,
            None if self.differences is None else len(self.differences), self.taken or None,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """The object of ``vaultd --json drill restore``."""
        found = self.differences
        return {
            "version": 1, "vault": self.plan.request.vault, "target": self.plan.target, "kit": self.kit,
            "state": self.state, "began": rfc3339(self.began), "newest": rfc3339(self.plan.newest),
            "snapshots": [one.id for one in self.plan.snapshots], "in_memory": self.in_memory,
            "seconds": round(self.seconds, 3), "recovery_point": self.recovery_point, "files": self.files,
            "bytes": self.size, "uncertain": self.uncertain, "taken": self.taken, "problems": self.problems,
            "compared": found is not None,
            "differences": {
                "count": len(found or ()),
                "listed": [names.as_json(one.path) | {"what": one.what} for one in (found or ())[:LISTED]],
            },
        }  # fmt: skip


def needed(listed: Mapping[str, Sequence[StoredSnapshot]], request: Request) -> int:
    """How many bytes the restore may take at most. Raises VaultdError when no target has the vault."""
    from vaultd.restore.choice import plan_restore

    return plan_restore(listed, request, Path("/nonexistent/vaultd-drill")).bytes_total


def carry_out(
    repositories: Mapping[str, Repository], listed: Mapping[str, Sequence[StoredSnapshot]], request: Request,
    ledger: Path, folder: Path, *, kit: str | None, in_memory: bool, began: int, clock: float,
    on_progress: Callable[[Progress], None], on_note: Callable[[str], None],
) -> Drill:  # fmt: skip
    """Restore into a folder and compare. ``began`` is the moment and ``clock`` the monotonic time of the start. Raises
    VaultdError where nothing can be restored."""
    restore = WholeRestore(
        repositories, listed, request, folder, ledger=ledger, lock=False, on_progress=on_progress, on_note=on_note
    )
    result = asyncio.run(restore.run())
    found = Drill(restore.plan, kit, began, in_memory)
    found.taken = len(restore.elsewhere.taken) if restore.elsewhere else 0
    found.problems = len(result.problems)
    try:
        known = restore.read_record()
        compared = _Meter(restore.plan, on_progress)
        if known is None:
            on_note(_("The ledger does not know these snapshots: nothing can be compared."))
            _count(found, folder)
        else:
            found.differences = known.unexplained(onrecord.differences(bytes(folder), known.sha256, compared.step))
            found.uncertain = known.uncertain
            found.files, found.size = compared.files, compared.bytes
    except VaultdError as error:
        on_note(str(error))
    found.seconds = time.monotonic() - clock
    done = result.outcome is Outcome.DONE and found.differences == []
    found.state = "done" if done else "differences" if found.differences else "partial"
    return found


def _count(found: Drill, folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found.files += 1
            found.size += path.stat().st_size


@dataclass(slots=True)
class _Meter:
    plan: Plan
    report: Callable[[Progress], None]
    files: int = 0
    bytes: int = 0
    shown: float = 0.0

    def step(self, files: int, count: int) -> None:
        """So much more was compared."""
        self.files += files
        self.bytes += count
        now = time.monotonic()
        if now - self.shown < SHOW_SECONDS:
            return
        self.shown = now
        self.report(
            Progress(
                phase="verify", vault=self.plan.request.vault, target=self.plan.target, kind="",
                files_done=self.files, files_total=self.plan.files_total, bytes_done=self.bytes,
                bytes_total=self.plan.bytes_total, rate=0.0, seconds_left=None,
            )
        )  # fmt: skip

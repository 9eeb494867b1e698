"""How far a restore is, over several runs of restic: rate over the last seconds, and the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from vaultd.model import Progress, StoredSnapshot
from vaultd.restore.engine import Ran
from vaultd.restore.plan import Plan

WINDOW = 10.0
"""Seconds over which the rate is measured."""


@dataclass(slots=True)
class Meter:
    """Turns what restic says of one run into the progress of the whole. Totals are restic's own for the present run (it
    counts folders among the files), and those of the snapshots' summaries for runs to come."""

    plan: Plan
    report: Callable[[Progress], None]
    snapshot: StoredSnapshot | None = None
    files_before: int = 0
    bytes_before: int = 0
    last: Ran = field(default_factory=Ran)
    moments: deque[tuple[float, int]] = field(default_factory=deque)

    def begin(self, snapshot: StoredSnapshot) -> None:
        """Another snapshot is being restored: what came so far counts as done."""
        self.files_before += self.last.files
        self.bytes_before += self.last.bytes
        self.snapshot, self.last = snapshot, Ran()

    def step(self, ran: Ran) -> None:
        """restic has said how far it is."""
        self.last = ran
        done = self.bytes_before + ran.bytes
        now = time.monotonic()
        self.moments.append((now, done))
        while len(self.moments) > 2 and self.moments[0][0] < now - WINDOW:
            self.moments.popleft()
        since, before = self.moments[0]
        rate = max(0.0, (done - before) / (now - since)) if now > since else 0.0
        files_to_come, bytes_to_come = self._to_come()
        total = self.bytes_before + bytes_to_come + ran.bytes_total
        left = max(0, total - done)
        self.report(
            Progress(
                phase="restore",
                vault=self.plan.request.vault,
                target=self.plan.target,
                kind=self.snapshot.kind.value if self.snapshot else "",
                files_done=self.files_before + ran.files,
                files_total=self.files_before + files_to_come + ran.files_total,
                bytes_done=done,
                bytes_total=total,
                rate=rate,
                seconds_left=left / rate if rate > 0 else None,
            )
        )

    def _to_come(self) -> tuple[int, int]:
        """Files and bytes of what restic has not looked at yet, from the summaries of the snapshots."""
        if self.plan.paths or self.snapshot is None:
            return 0, 0
        known = 1 if self.last.files_total else 0
        later = self.plan.snapshots[self.plan.snapshots.index(self.snapshot) + known :]
        return sum(one.files for one in later), sum(one.bytes for one in later)

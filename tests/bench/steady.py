"""One small change a second on a million files: how much of the time restic runs, and how far behind it is."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence

from tests.bench import trees
from tests.bench.bench import Bench
from tests.bench.ground import VAULT, Ground
from tests.bench.rows import Figures, Part, Row
from vaultd.store.records import RunRow

SECONDS = 600


def steady(bench: Bench) -> Figures:
    """Ten minutes of it, with the settings that vaultd has when nobody sets any."""
    ground = bench.million()
    ground.restart()
    ground.quiet()
    closes: dict[bytes, int] = {}
    began = time.time_ns()
    wanted = bench.scaled(SECONDS, 30)
    for index, path in enumerate(itertools.islice(bench.million_files(ground), wanted)):
        time.sleep(max(0.0, began / 1e9 + index - time.time()))
        closes[os.path.relpath(os.fsencode(path), os.fsencode(ground.vault))] = trees.change([path])
    ended = time.time_ns()
    ground.safe(ended)
    lags = _lags(ground, closes)
    runs = ground.runs(began)
    share = _busy(runs, began, ended) / (ended - began)
    notes = [
        f"{len(lags)} of {len(closes)} changes found off-site; lag: middle {sorted(lags)[len(lags) // 2]:.1f} s",
        f"daemon at most {ground.peak():.0f} MB; {ground.story(began)}",
    ]
    ground.stop()
    bench.tell(f"share {share:.3f}, largest lag {max(lags):.1f} s")
    return Figures([Part(share, 0.35), Part(max(lags), 60, " s")], notes=notes)


def _lags(ground: Ground, closes: dict[bytes, int]) -> list[float]:
    """For each change, the seconds from its close to the record of its version."""
    store, found = ground.store, dict[bytes, float]()
    number = store.vault_id(VAULT)
    for path, closed in closes.items():
        for version in store.versions(number, path):
            if version.recorded > closed and version.state != "deleted":
                found.setdefault(path, (version.recorded - closed) / 1e9)
    if len(found) < len(closes):
        raise RuntimeError(f"{len(closes) - len(found)} of {len(closes)} changes have no version")
    return list(found.values())


def _busy(runs: Sequence[RunRow], began: int, ended: int) -> float:
    """Nanoseconds within the time in which a run was on (also a copy of the state); runs never overlap on a target."""
    return sum(max(0, min(run.finished or ended, ended) - max(run.started, began)) for run in runs)


ROWS = (
    Row(
        "steady", "share of time in restic, and largest lag: 1,000,000 files, a small change a second, 10 minutes",
        steady,
    ),
)  # fmt: skip

"""First protection: from the daemon's start on a filled folder to an acknowledged full snapshot."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import trees
from tests.bench.bench import Bench
from tests.bench.rows import Figures, Part, Row, ratio


def first(bench: Bench, name: str, tree: Path, bound: float) -> Figures:
    """Protect a tree for the first time, again and again, each time into new repositories."""
    trees.warm(tree)
    figures = Figures([])
    for turn in range(bench.runs):
        with bench.ground(bench.folder / f"{name}-{turn}", tree) as ground:
            bench.level()
            started = ground.start()
            figures.ours.append(ground.safe(started, "full", owed=True))
            used, story = ground.cpu(), ground.story(started)
            figures.notes.append(f"ours {turn}: {story}; daemon at most {ground.peak():.0f} MB")
            ground.stop()
            bench.level()  # what ours left to be written is not to hold up the other
            figures.plain.append(ground.plain())
            figures.notes[-1] += f"; CPU ours {used:.1f} s, plain {ground.plain_cpu:.1f} s"
        bench.tell(f"{name}: plain {figures.plain[-1]:.2f} s, ours {figures.ours[-1]:.2f} s; {figures.notes[-1]}")
    figures.parts.append(Part(ratio(figures.ours, figures.plain), bound))
    return figures


def large(bench: Bench) -> Figures:
    """2 GB in 8 files."""
    with bench.place("large-files") as tree:
        trees.large_files(tree, 8, bench.scaled(2_000_000_000))
        return first(bench, "first-large", tree, 1.05)


def small(bench: Bench) -> Figures:
    """100,000 small files."""
    with bench.place("small-files") as tree:
        trees.small_files(tree, bench.scaled(1000), 100, 500, 4000)
        return first(bench, "first-small", tree, 1.15)


STATUS_RUNS = 20


def status(bench: Bench) -> Figures:
    """``vaultd status`` as a whole process, while 2 GB are protected for the first time."""
    with bench.place("large-files") as tree:
        trees.large_files(tree, 8, bench.scaled(2_000_000_000))
        with bench.ground(bench.folder / "status", tree) as ground:
            started = ground.start()
            ground.wait(lambda: any(run.state == "running" for run in ground.runs(started)), "restic runs")
            command = [sys.executable, "-m", "vaultd", "--config", str(ground.site.file), "status"]
            figures = Figures([])
            for _turn in range(STATUS_RUNS):
                begun = time.monotonic()
                subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
                figures.ours.append(time.monotonic() - begun)
            if ground.newest(started, None) is not None:
                figures.notes.append("the backup was over before the last of them")
            ground.stop()
    figures.parts.append(Part(statistics.median(figures.ours), 0.2, " s"))
    bench.tell(f"status: {', '.join(f'{one:.3f}' for one in figures.ours)} s")
    return figures


ROWS = (
    Row("first-large", "first protection of 2 GB in 8 files, against plain restic backup", large),
    Row("first-small", "first protection of 100,000 small files, against plain restic backup", small),
    Row("status", "vaultd status as a whole process, while a backup runs", status),
)

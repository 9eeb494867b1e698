"""From the last close of 100 changed files to their acknowledged snapshot."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator

from tests.bench import trees
from tests.bench.bench import Bench
from tests.bench.ground import SETTLE, Ground
from tests.bench.rows import Figures, Part, Row, ratio

CHANGED = 100
ALWAYS_EXPRESS = {"full_seconds": 0, "full_share": 0.0001}
"""A full snapshot is affordable on an idle machine, so it has to be forbidden to see an express one."""


def measure(bench: Bench, ground: Ground, files: Iterator[str], kind: str, figures: Figures, *, plain: bool) -> None:
    """Change files and wait; then plain restic on the same change. The first turn only warms up."""
    full = kind == "full"
    for turn in range(bench.runs + 1):
        ground.quiet(owed=full)
        closed = trees.change(list(itertools.islice(files, CHANGED)))
        seconds = ground.safe(closed, kind, owed=full) - SETTLE
        story = ground.story(closed)
        other = ground.plain() if plain else 0.0
        if not turn:
            continue
        figures.ours.append(seconds)
        if plain:
            figures.plain.append(other)
        figures.notes.append(f"{kind} {turn}: {story}; daemon at most {ground.peak():.0f} MB")
        bench.tell(f"100 changed, {kind}: ours {seconds:.2f} s, plain {other:.2f} s; {story}")


def full(bench: Bench) -> Figures:
    """A tree of 100,000 files, a full snapshot."""
    folders = bench.scaled(1000)
    ground = bench.kept("hundred-thousand", lambda root: trees.small_files(root, folders, 100, 60, 120))
    ground.restart()
    figures = Figures([])
    measure(bench, ground, trees.paths(ground.vault, folders, 100), "full", figures, plain=True)
    ground.stop()
    figures.parts.append(Part(ratio(figures.ours, figures.plain), 1.3))
    return figures


def express(bench: Bench) -> Figures:
    """A tree of a million files, an express snapshot."""
    ground = bench.million()
    ground.restart(ALWAYS_EXPRESS, objective="1d")
    figures = Figures([])
    measure(bench, ground, bench.million_files(ground), "express", figures, plain=True)
    ground.stop()
    figures.parts.append(Part(ratio(figures.ours, figures.plain), 0.3))
    return figures


def growth(bench: Bench) -> Figures:
    """The same express snapshot on a tree of 10,000."""
    big, small = bench.million(), ten_thousand(bench)
    figures, less = Figures([]), Figures([])
    for ground in (big, small):
        ground.restart(ALWAYS_EXPRESS, objective="1d")
    measure(bench, small, trees.paths(small.vault, small_folders(bench), 100), "express", less, plain=False)
    measure(bench, big, bench.million_files(big), "express", figures, plain=False)
    big.stop()
    small.stop()
    figures.parts.append(Part(ratio(figures.ours, less.ours), 4))
    figures.notes += [f"at 10,000 files: {statistics.median(less.ours):.2f} s", *less.notes]
    return figures


def small_folders(bench: Bench) -> int:
    """How many folders the small tree has."""
    return bench.scaled(100, 2)


def ten_thousand(bench: Bench) -> Ground:
    """10,000 files."""
    return bench.kept("ten-thousand", lambda root: trees.small_files(root, small_folders(bench), 100, 60, 120))


ROWS = (
    Row("change-100k", "100 changed of 100,000: last close to full snapshot less settle, against plain", full),
    Row("change-1m", "100 changed of 1,000,000: last close to express snapshot less settle, against plain", express),
    Row("express-growth", "the same express snapshot at 1,000,000 against at 10,000 files", growth),
)

"""50,000 new small files at once, in new deep folders, on a tree of 20,000 directories."""

from __future__ import annotations

import time

from tests.bench import trees
from tests.bench.bench import Bench
from tests.bench.ground import Ground
from tests.bench.rows import Figures, Part, Row, ratio


def burst(bench: Bench) -> Figures:
    """From the last close until everything is off-site; then plain restic on the same tree."""
    figures = Figures([])
    # One place for all turns: where many files were removed a moment ago, ext4 makes new ones ten times slower.
    with bench.place("burst") as folder:
        for turn in range(bench.runs):
            with bench.ground(folder / f"site-{turn}", remove=False) as ground:
                _turn(bench, ground, turn, figures)
    figures.parts.append(Part(ratio(figures.ours, figures.plain), 1.5))
    return figures


def _turn(bench: Bench, ground: Ground, turn: int, figures: Figures) -> None:
    files = bench.scaled(50_000)
    trees.small_files(ground.vault, bench.scaled(20_000), 1, 60, 120, wide=200)
    started = ground.start()
    ground.safe(started, "full", owed=True)
    ground.plain()
    ground.quiet()
    begun, used = time.time_ns(), ground.cpu()
    closed = trees.deep_burst(ground.vault / "burst", files)
    ground.wait(lambda: ground.versions_below("burst") >= files, "the burst has versions")
    safe, exact = ground.safe(closed), ground.safe(closed, owed=True)
    used = ground.cpu() - used
    made, story = (closed - begun) / 1e9, ground.story(begun)
    figures.ours.append(safe)
    figures.plain.append(ground.plain())
    story += f"; CPU ours {used:.1f} s, plain {ground.plain_cpu:.1f} s"
    note = f"burst {turn}: made in {made:.1f} s, off-site {safe:.1f} s after that, exact {exact:.1f} s; {story}"
    figures.notes.append(f"{note}; daemon at most {ground.peak():.0f} MB; alerts {sorted(ground.site.alerts())}")
    bench.tell(f"{note}; plain {figures.plain[-1]:.2f} s")


ROWS = (Row("burst", "burst of 50,000 on 20,000 directories: until all is off-site, against plain restic", burst),)

"""Restore of the latest content after a busy day, against restic's restore of one full snapshot of the same vault."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import trees
from tests.bench.bench import Bench
from tests.bench.ground import TARGET, VAULT, Ground
from tests.bench.rows import Figures, Part, Row, ratio
from vaultd.model import SnapshotKind
from vaultd.restic import commands
from vaultd.restic.tags import new_change_set, tags_of

CHANGES = 8640
"""A day with one every ten seconds."""

EXPRESS = 200
"""So many express snapshots hold them: made quickly, one after the other, as the daemon makes and tags them. (On a tree
of this size the daemon itself would make full ones instead, and leave far fewer.)"""

FOLDERS, EACH = 1000, 100


def restore_latest(bench: Bench) -> Figures:
    """100,000 files, one full snapshot, and the express ones of the day over it."""
    figures = Figures([])
    with bench.place("restore-latest") as folder, bench.ground(folder / "ground", remove=False) as ground:
        trees.small_files(ground.vault, bench.scaled(FOLDERS), EACH, 500, 4000)
        repository, root = ground.site.repository(TARGET), os.fsencode(ground.vault)

        def store(order: int, listed: list[str]) -> str:
            kind = SnapshotKind.EXPRESS if listed else SnapshotKind.FULL
            listing = folder / "listed"
            listing.write_bytes(b"".join(os.fsencode(one) + b"\0" for one in listed))
            done = asyncio.run(
                commands.backup(
                    repository,
                    roots=[] if listed else [root],
                    files_from=listing if listed else None,
                    host="ward",
                    tags=tags_of(VAULT, kind, new_change_set(order), root),
                )
            )
            assert done.snapshot_id
            return done.snapshot_id

        full = store(1, [])
        files = list(trees.paths(ground.vault, bench.scaled(FOLDERS), EACH))
        count, dice = bench.scaled(EXPRESS), random.Random(11)
        for number in range(count):
            changed = [dice.choice(files) for _change in range(-(-bench.scaled(CHANGES) // count))]
            trees.change(changed)
            store(2 + number, changed)
        bench.tell(f"restore-latest: {count} express snapshots made")
        ground.warm_plain(full)
        for turn in range(bench.runs):
            figures.ours.append(_ours(bench, ground, folder / f"ours-{turn}"))
            figures.plain.append(_plain(bench, ground, folder / f"plain-{turn}", full))
            bench.tell(f"restore-latest: plain {figures.plain[-1]:.2f} s, ours {figures.ours[-1]:.2f} s")
        figures.notes.append(f"{count} express snapshots, {bench.scaled(CHANGES)} changes")
    figures.parts.append(Part(ratio(figures.ours, figures.plain), 1.5))
    return figures


def _ours(bench: Bench, ground: Ground, to: Path) -> float:
    """``vaultd restore`` as a whole process; what it brings is compared with the vault."""
    bench.level()
    command = [sys.executable, "-m", "vaultd", "--config", str(ground.site.file), "--json", "restore", VAULT]
    begun = time.monotonic()
    subprocess.run([*command, "--to", str(to)], check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - begun
    same = subprocess.run(["diff", "-r", "-q", str(ground.vault), str(to)], capture_output=True, check=False)
    assert same.returncode == 0, same.stdout[:2000]
    subprocess.run(["rm", "-rf", str(to)], check=True)
    return seconds


def _plain(bench: Bench, ground: Ground, to: Path, full: str) -> float:
    bench.level()
    seconds = ground.restore_plain(full, to)
    subprocess.run(["rm", "-rf", str(to)], check=True)
    return seconds


ROWS = (
    Row("restore-latest", "latest content of 100,000 files after 8,640 changes, against restore of one full snapshot",
        restore_latest),
)  # fmt: skip

"""The pull list from the kept state, as somebody types it in an emergency: the whole process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.rows import Figures, Part, Row
from tests.pulling import disk, inventory, leaf, mapped, need
from vaultd.pull import kept
from vaultd.pull.model import Do, Need, Procedure, PullList, Step
from vaultd.pull.order import compute

DISKS = 96
"""Of a machine with four shelves of 24 bays."""

_STEPS = (
    Step(Do.STOP_USERS, ""), Step(Do.SYNC, "/srv", ("sync", "-f", "/srv")),
    Step(Do.UNMOUNT, "/srv", ("umount", "/srv")),
    Step(Do.CRYPT, "sec", ("cryptsetup", "close", "sec")), Step(Do.ARRAY, "md0", ("mdadm", "--stop", "/dev/md0")),
    Step(Do.DETACH, "disk", write=("/sys/block/sda/device/delete", "1")),
)  # fmt: skip


def large(disks: int) -> PullList:
    """Arrays of six disks, each with a vault."""
    keys = [f"k{number}" for number in range(disks)]
    arrays = [keys[at : at + 6] for at in range(0, disks, 6)]
    maps = [mapped(f"vault-{number}", need(len(one) - 1, *map(leaf, one))) for number, one in enumerate(arrays)]
    needs = [Need(f"vault-{number}", 1 + number % 9, "secret", "张伟", 7, 10**9) for number in range(len(arrays))]
    found = compute(inventory([disk(key, str(at)) for at, key in enumerate(keys)], maps), needs, {}, "archive-1")
    return replace(found, pulls=tuple(replace(one, procedure=Procedure(_STEPS)) for one in found.pulls))


def pull_list(bench: Bench) -> Figures:
    """``vaultd disks pull-list``, as text."""
    ours = list[float]()
    with bench.place("pull") as folder:
        file = folder / "vaultd.toml"
        file.write_text(f'[host]\nname = "archive-1"\nstate = "{folder}/state"\n')
        (folder / "state").mkdir()
        kept.write(folder / "state", large(bench.scaled(DISKS, 6)))
        _once(file)  # compiled, and in the page cache, as where it was called before
        for _turn in range(max(bench.runs, 9)):
            ours.append(_once(file))
    bench.tell(f"pull-list: {', '.join(f'{one:.2f}' for one in ours)} s")
    return Figures([Part(statistics.median(ours), 0.3, " s")], ours=ours)


def _once(file: Path) -> float:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "vaultd", "--config", str(file), "disks", "pull-list"], capture_output=True, check=True
    )
    seconds = time.monotonic() - begun
    assert b"COPY COMPLETE of vault-0" in done.stdout
    return seconds


ROWS = (Row("pull-list", f"vaultd disks pull-list from the kept state, {DISKS} disks, whole process", pull_list),)

"""Disks: a whole inventory with maps of the largest machine, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from tests.bench.bench import Bench
from tests.bench.rows import Figures, Part, Row
from tests.disking_large import DISKS, VAULTS, large_machine


def inventory(bench: Bench) -> Figures:
    """``vaultd disks list --root``: from the start of the process to its end; its largest resident size."""
    folder = bench.folder / "disks"
    box = large_machine(folder / "machine")
    config = folder / "vaultd.toml"
    rows = [f'[[vault]]\nname = "v{number}"\npath = "/srv/vault{number}"\n' for number in range(VAULTS)]
    config.write_text(f'[host]\nname = "large"\nstate = "{folder / "state"}"\n' + "".join(rows))
    command = [
        sys.executable,
        "-m",
        "vaultd",
        "--config",
        str(config),
        "--json",
        "disks",
        "list",
        "--root",
        str(box.root),
    ]
    seconds, memory = list[float](), 0
    for _run in range(max(bench.runs, 3)):
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        found = json.loads(process.stdout.read())
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.monotonic() - begun)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode or len(found["disks"]) != DISKS or len(found["maps"]) != VAULTS + 1:
            raise RuntimeError(f"disks list ended with {process.returncode}: {len(found['disks'])} disks")
        memory = max(memory, usage.ru_maxrss * 1024)
    return Figures(
        [Part(sorted(seconds)[len(seconds) // 2], 2.0, " s"), Part(memory / 2**20, 150, " MiB")], ours=seconds,
        notes=[f"{2 * DISKS} paths, {VAULTS} vaults"],
    )  # fmt: skip


ROWS = (Row("disks", "inventory and maps of a machine of 144 paths", inventory),)

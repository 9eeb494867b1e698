"""The register of 100,000 media: listing, filtering and showing, as whole processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.rows import Figures, Part, Row
from vaultd.places import database
from vaultd.store import Store
from vaultd.store.mediarows import Medium

BOUND = 0.5
STATUSES = ("in-service", "deposited", "in-transit", "returned", "destroyed")


def fill(folder: Path, count: int) -> Path:
    """A host with a register; its configuration."""
    file = folder / "vaultd.toml"
    file.write_text(f'[host]\nname = "ward"\nstate = "{folder / "state"}"\n')
    (folder / "state").mkdir(mode=0o700)
    store = Store(database(folder / "state"))
    with store.database.write():
        for number in range(count):
            store.add_medium(
                Medium(
                    label=f"SY-2026-{number:06}", classification="secret", custodian=f"保管员{number % 500}",
                    type="HDD", make="Seagate", model="ST4000", serial=f"ZC{number:08}", capacity=4 * 10**12,
                    vaults="patients", location=f"库房{number % 200}", status=STATUSES[number % 5],
                    holder=f"保管员{number % 500}",
                    due=10**18 if number % 1000 == 0 else None, salt=bytes(16), added=10**18, changed=10**18,
                )
            )  # fmt: skip
    store.close()
    return file


def register(bench: Bench) -> Figures:
    """Medians of at least five processes each."""
    count, notes, parts = bench.scaled(100_000), list[str](), list[Part]()
    with bench.place("media") as folder:
        begun = time.monotonic()
        file = fill(folder, count)
        bench.tell(f"media-register: {count} media in {time.monotonic() - begun:.1f} s")
        last = f"SY-2026-{count - 1:06}"
        for name, args in (
            ("list", ["list"]), ("by place", ["list", "--location", "库房7"]),
            ("by status", ["list", "--status", "deposited"]),
            ("by text", ["list", "--text", f"ZC{count - 1:08}"]),
            ("overdue", ["list", "--overdue"]),
            ("as JSON", ["--json", "list", "--custodian", "保管员7"]), ("show", ["show", last]),
        ):  # fmt: skip
            found = [_run(file, args) for _turn in range(max(bench.runs, 5))]
            parts.append(Part(statistics.median(found), BOUND, " s"))
            notes.append(f"{name}: {', '.join(f'{one:.2f}' for one in found)} s")
            bench.tell(f"media-register: {notes[-1]}")
        notes.append(f"list --all, which has no bound: {_run(file, ['list', '--all']):.2f} s")
        bench.tell(f"media-register: {notes[-1]}")
    return Figures(parts, notes=notes)


def _run(file: Path, args: list[str]) -> float:
    group = ["--json", "media", *args[1:]] if args[0] == "--json" else ["media", *args]
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "vaultd", "--config", str(file), *group], capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return time.monotonic() - begun


ROWS = (
    Row("media-register", "register of 100,000 media: list, filters, show, whole process each", register),
)  # fmt: skip

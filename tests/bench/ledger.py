"""The ledger: appending, verifying and proving, as whole processes where a user waits for one."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.bench.bench import Bench
from tests.bench.rows import Figures, Part, Row
from tests.ledgering import Made, make_log
from vaultd.ledger.events import Body, FileVersion

BATCH = 10_000


def bodies(count: int) -> list[Body]:
    """Versions of files as a first protection has them."""
    return [
        FileVersion(
            "records", b"ward-%02d/patient-%05d/note-%07d.txt" % (number % 40, number % 9973, number), "bound",
            "000000000012-6f1b2c3d", 2_000 + number % 977, 1_763_879_363_123_456_789 + number, os.urandom(32),
        )
        for number in range(count)
    ]  # fmt: skip


def fill(made: Made, count: int) -> tuple[float, float]:
    """Append so many entries in batches, and sign; seconds of both."""
    wanted = bodies(count)
    log = made.open()
    begun = time.monotonic()
    for at in range(0, count, BATCH):
        log.append(wanted[at : at + BATCH])
    appended = time.monotonic()
    log.seal()
    sealed = time.monotonic()
    log.close()
    return appended - begun, sealed - appended


def append(bench: Bench) -> Figures:
    """Entries a second, durable when each batch returns; and what the folder takes beside the entries' own bytes."""
    count, rates, notes, share = bench.scaled(100_000), list[float](), list[str](), 0.0
    for turn in range(bench.runs):
        with bench.place("ledger") as folder:
            made = make_log(folder / "ledger")
            bench.level()
            seconds, sealing = fill(made, count)
            rates.append(count / seconds)
            notes.append(f"run {turn}: {seconds:.2f} s, then tiles and signature {sealing:.2f} s")
            share = disk_share(made.folder)
            bench.tell(f"ledger-append: {notes[-1]}")
    notes.append(f"with tiles and signature: {count / (seconds + sealing):.0f} entries a second in the last run")
    return Figures(
        [Part(statistics.median(rates), 50_000, "/s", at_least=True), Part(share, 1.3)], notes=notes
    )  # fmt: skip


def disk_share(folder: Path) -> float:
    """Bytes of all files of the ledger, against those of its entries (bundles without their lengths)."""
    entries = total = 0
    for path in folder.rglob("*"):
        if path.is_file() and "SPEC" not in path.parts:
            size = path.stat().st_size
            total += size
            if "entries" in path.parts:
                entries += size
    return total / entries


def big(bench: Bench) -> Made:
    """A ledger of a million entries, with checkpoints on the way; made once."""
    folder = bench.folder / f"ledger-{bench.scale:g}"
    if folder.exists():
        from vaultd.ledger import epochs, private

        origin = epochs.read(folder / "ledger").origin
        key = private.read(folder / "ledger.key", origin)
        return Made(folder / "ledger", folder / "ledger.key", key, key)
    folder.mkdir(parents=True)
    made = make_log(folder / "ledger")
    for _part in range(20):
        fill(made, bench.scaled(50_000))
    return made


def verify(bench: Bench) -> Figures:
    """``vaultd ledger verify`` of a million entries: seconds and largest memory of its processes together."""
    made = big(bench)
    ours, most = list[float](), 0.0
    for _turn in range(bench.runs):
        seconds, memory = run("verify", "--ledger", str(made.folder))
        ours.append(seconds)
        most = max(most, memory)
        bench.tell(f"ledger-verify: {seconds:.1f} s, {memory:.0f} MB")
    return Figures([Part(statistics.median(ours), 20, " s"), Part(most, 300, " MB")], ours=ours)


def audit(bench: Bench) -> Figures:
    """``vaultd report audit`` of a million entries, verified first: HTML and PDF."""
    made = big(bench)
    ours, most = list[float](), 0.0
    with bench.place("report") as folder:
        files = ("--html", str(folder / "a.html"), "--pdf", str(folder / "a.pdf"))
        for _turn in range(bench.runs):
            words = ("--since", "2020-01-01", "--ledger", str(made.folder), *files)
            seconds, memory = run("audit", *words, group="report")
            ours.append(seconds)
            most = max(most, memory)
            bench.tell(f"report-audit: {seconds:.1f} s, {memory:.0f} MB")
    return Figures([Part(statistics.median(ours), 60, " s"), Part(most, 300, " MB")], ours=ours)


def prove(bench: Bench) -> Figures:
    """``vaultd ledger prove`` of one entry among a million."""
    made = big(bench)
    ours = list[float]()
    with bench.place("proofs") as folder:
        for turn in range(max(bench.runs, 5)):
            number = str(turn * 1_003 + 17)
            seconds, _memory = run("prove", "--entry", number, "--ledger", str(made.folder), "--to", str(folder))
            ours.append(seconds)
    bench.tell(f"ledger-prove: {', '.join(f'{one:.2f}' for one in ours)} s")
    return Figures([Part(statistics.median(ours), 0.5, " s")], ours=ours)


def run(*args: str, group: str = "ledger") -> tuple[float, float]:
    """A command of a group as a process: seconds, and the largest proportional memory of it and its children."""
    begun, most = time.monotonic(), 0
    child = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "--json", group, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    process = psutil.Process(child.pid)
    while child.poll() is None:
        most = max(most, memory_of(process))
        time.sleep(0.01)
    seconds = time.monotonic() - begun
    _shown, told = child.communicate()
    if child.returncode:
        raise RuntimeError(told.decode())
    return seconds, most / 1e6


def memory_of(process: psutil.Process) -> int:
    """Proportional share of a process and its children now, in bytes; 0 once it is over."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss
    except psutil.Error:
        return total
    return total


ROWS = (
    Row("ledger-append", "append of 100,000 entries in batches, durable; disk against the entries' own bytes", append),
    Row("ledger-verify", "vaultd ledger verify of 1,000,000 entries, whole process", verify),
    Row("report-audit", "vaultd report audit of 1,000,000 entries, verified, HTML and PDF, whole process", audit),
    Row("ledger-prove", "vaultd ledger prove in a ledger of 1,000,000 entries, whole process", prove),
)

"""A million files at rest: the reconcile scan, and a daemon with nothing to do."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
import time

import psutil

from tests.bench.bench import Bench
from tests.bench.ground import TARGET, VAULT, Ground
from tests.bench.rows import Figures, Part, Row
from vaultd import places
from vaultd.watch.scanner import scan_in_process

IDLE_SECONDS = 60.0
CALM_SECONDS = 20.0


def reconcile(bench: Bench) -> Figures:
    """Scans of an unchanged, warm tree, as the daemon makes them; memory in a run of its own."""
    ground = bench.million()
    ground.restart()
    ground.quiet()
    ground.stop()
    scan(ground)
    figures = Figures([], ours=[scan(ground) for _turn in range(bench.runs)])
    memory = Memory()
    with memory.watched():
        scan(ground)
    figures.parts += [Part(statistics.median(figures.ours), 5, " s"), Part(memory.most, 150, " MB")]
    figures.notes.append(f"memory: proportional share (PSS) of all its processes; sum of RSS {memory.most_rss:.0f} MB")
    bench.tell(f"reconcile: {figures.ours} s, {memory.most:.0f} MB")
    return figures


def scan(ground: Ground) -> float:
    """One scan; seconds, its process' start included."""
    store = ground.store
    vault, targets = store.vault_id(VAULT), (store.target_id(TARGET),)
    begun = time.monotonic()
    result = asyncio.run(
        scan_in_process(places.database(ground.site.state), vault, targets, bytes(ground.vault))
    )  # fmt: skip
    seconds = time.monotonic() - begun
    if result.changed or result.gone or not result.complete:
        raise RuntimeError(f"the tree has changed under the bench: {result}")
    return seconds


class Memory:
    """The largest memory of this process' children, in MB, while it is watched."""

    def __init__(self) -> None:
        self.most = self.most_rss = 0.0
        self._over = threading.Event()

    @contextlib.contextmanager
    def watched(self):  # type: ignore[no-untyped-def]
        """Watch until the block ends."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            share = whole = 0
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "vaultd.watch.scanner" in process.cmdline():
                        found = process.memory_full_info()
                        share, whole = share + found.pss, whole + found.rss
            self.most, self.most_rss = max(self.most, share / 1e6), max(self.most_rss, whole / 1e6)


def idle(bench: Bench) -> Figures:
    """A daemon after its first scan and a minute of nothing, then after it has worked."""
    ground = bench.million()
    ground.restart()
    ground.quiet()
    time.sleep(CALM_SECONDS)
    memory, share = rest(ground, bench.scaled(int(IDLE_SECONDS), 30))
    peak = ground.peak()
    ground.stop()
    bench.tell(f"idle: {memory:.1f} MB, {share:.3%} of a core, at most {peak:.0f} MB since its start")
    notes = [f"at most {peak:.0f} MB since its start (restart on a protected vault, with its scan)"]
    return Figures([Part(memory, 100, " MB"), Part(100 * share, 0.5, " %")], notes=notes)


def rest(ground: Ground, seconds: float) -> tuple[float, float]:
    """Resident MB, and the share of a core of the daemon and its children that ended meanwhile, over some seconds."""
    before, begun = ground.cpu(), time.monotonic()
    time.sleep(seconds)
    return ground.daemon.memory_info().rss / 1e6, (ground.cpu() - before) / (time.monotonic() - begun)


ROWS = (
    Row("reconcile", "reconcile scan of 1,000,000 unchanged files, warm: time and memory", reconcile),
    Row("idle", "idle daemon on 1,000,000 files in 10,000 directories: resident memory and CPU", idle),
)

"""Reading back: `vaultd verify --full` against what plain restic has for it, on the same repository."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.bench import trees
from tests.bench.bench import Bench
from tests.bench.ground import TARGET, Ground
from tests.bench.rows import Figures, Part, Row, ratio
from vaultd.priority import give_way


def ours(ground: Ground, files: int) -> float:
    """A whole verification as a process; seconds."""
    command = [sys.executable, "-m", "vaultd", "--config", str(ground.site.file), "--json", "verify", "--again"]
    begun = time.monotonic()
    before = os.times()
    done = subprocess.run([*ground.prefix, *command], stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - begun
    ground.used = cpu_since(before)
    (found,) = json.loads(done.stdout)["verifications"]
    if done.returncode or found["counts"]["ok"] != files:
        raise RuntimeError(f"verify ended with {done.returncode}: {found['counts']}, {found['error']}")
    return seconds


def cpu_since(before: os.times_result) -> float:
    """CPU seconds of our children that have ended since, and of theirs."""
    now = os.times()
    return now.children_user + now.children_system - before.children_user - before.children_system


def plain(ground: Ground, *args: str) -> float:
    """restic by hand on the same repository, without a cache of before; seconds."""
    found, cache = ground.site.repository(TARGET), ground.folder / "their-cache"
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(ground.folder), "RESTIC_CACHE_DIR": str(cache),
        "RESTIC_REPOSITORY": found.url, "RESTIC_PASSWORD_FILE": str(found.password_file),
    }  # fmt: skip
    begun = time.monotonic()
    process = subprocess.Popen(
        [*ground.prefix, "restic", *found.options, *args], env=environment, stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    give_way(process.pid)  # as ours does: on a machine where others work, that makes more of a difference than anything
    before = os.times()
    ended = process.wait()
    ground.used = cpu_since(before)
    if ended:
        raise RuntimeError(f"restic {args[0]} ended with {process.returncode}")
    seconds = time.monotonic() - begun
    shutil.rmtree(cache, ignore_errors=True)
    return seconds


def measure(bench: Bench, name: str, tree: Path, files: int, other: Callable[[Ground], float], bound: float) -> Figures:
    """Protect a tree, then read it back by both, in turn."""
    figures = Figures([])
    with bench.ground(bench.folder / f"{name}-ground", tree) as ground:
        ground.safe(ground.start(), "full", owed=True)
        ground.quiet()
        ground.stop()
        for _turn in range(bench.runs):
            bench.level()
            figures.ours.append(ours(ground, files))
            used = ground.used
            bench.level()
            figures.plain.append(other(ground))
            figures.notes.append(f"CPU without the server's: ours {used:.1f} s, plain {ground.used:.1f} s")
            bench.tell(f"{name}: plain {figures.plain[-1]:.2f} s, ours {figures.ours[-1]:.2f} s; {figures.notes[-1]}")
    figures.parts.append(Part(ratio(figures.ours, figures.plain), bound))
    return figures


def large(bench: Bench) -> Figures:
    """2 GB in 8 files."""
    with bench.place("large-files") as tree:
        trees.large_files(tree, 8, bench.scaled(2_000_000_000))
        return measure(bench, "verify-large", tree, 8, lambda ground: plain(ground, "check", "--read-data"), 1.2)


def small(bench: Bench) -> Figures:
    """100,000 small files."""
    to = bench.folder / "restored"

    def restore(ground: Ground) -> float:
        newest = ground.site.snapshots(kind="full")[-1]["id"]
        try:
            return plain(ground, "restore", newest, "--target", str(to))
        finally:
            shutil.rmtree(to, ignore_errors=True)

    with bench.place("small-files") as tree:
        folders = bench.scaled(1000)
        trees.small_files(tree, folders, 100, 500, 4000)
        return measure(bench, "verify-small", tree, folders * 100, restore, 1.0)


def memory(bench: Bench) -> Figures:
    """A million files: the largest memory of our own processes together, restic's and ssh's left out."""
    ground = bench.million()
    ground.stop()
    over, most = threading.Event(), 0.0

    def watch() -> None:
        nonlocal most
        while not over.wait(0.2):
            share = 0
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "python" in process.name() and "vaultd" in " ".join(process.cmdline()):
                        share += process.memory_full_info().pss
            most = max(most, share / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        seconds = ours(ground, bench.scaled(10_000) * 100)
    finally:
        over.set()
        thread.join()
    bench.tell(f"verify-memory: {most:.0f} MB, {seconds:.0f} s")
    return Figures([Part(most, 500, " MB")], notes=[f"{seconds:.0f} s; proportional share (PSS) of our own processes"])


ROWS = (
    Row("verify-large", "verify --full of 2 GB in 8 files, against restic check --read-data", large),
    Row("verify-small", "verify --full of 100,000 small files, against restic restore", small),
    Row("verify-memory", "verify --full of 1,000,000 files: memory of our own processes", memory),
)

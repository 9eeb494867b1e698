"""An overflow of the kernel's queue costs a flag and a reconcile, never the watcher."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watching import Heard, flush, short_queue, wait_for, watching
from vaultd.watch.canary import Canary
from vaultd.watch.hints import HintKind
from vaultd.watch.observer import Fault, Watcher

CHANGED = HintKind.CHANGED
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change fs.inotify.max_queued_events")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "vault"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)  # pytest keeps temporary folders: not tens of thousands of files


def burst(root: Path, files: int, per_folder: int = 50, prefix: str = "") -> set[bytes]:
    """New files in new deep folders, as fast as possible; all their folders."""
    made = set()
    for index in range(files):
        folder = f"new/{index // 1000}/{index // per_folder}/x/y"
        if index % per_folder == 0:
            os.makedirs(root / folder)
            made.add(os.fsencode(prefix + folder))
        with open(f"{root}/{folder}/{index}", "wb", buffering=0) as stream:
            stream.write(b"content")
    return made


def old_folders(root: Path, count: int) -> list[bytes]:
    names = [f"old/{index // 100}/{index}" for index in range(count)]
    for name in names:
        (root / name).mkdir(parents=True)
    return [os.fsencode(name) for name in names]


def prove_that_all_are_heard(watcher: Watcher, heard: Heard, root: Path, folders: list[bytes]) -> None:
    heard.forget()
    for step in range(0, len(folders), 50):  # a queue of 64 events must not overflow by the proof itself
        for folder in folders[step : step + 50 : 10]:
            with open(os.fsencode(root) + b"/" + folder + b"/proof", "wb"):
                pass
        for folder in folders[step : step + 50 : 10]:
            heard.wait(folder + b"/proof", CHANGED)
    assert watcher.alive()


@needs_root
def test_a_burst_of_20000_files_with_a_short_queue_sets_the_flag_and_leaves_the_watcher_live(root: Path) -> None:
    old = old_folders(root, 2000)
    with short_queue(64):
        context = watching(root)
        watcher, heard = context.__enter__()
    try:
        with watcher._lock:  # the reading thread gets no time at first, as on a busy machine
            new = burst(root, 10_000)
        new |= burst(root / "second", 10_000, prefix="second/")
        wait_for(lambda: watcher.overflowed, "the overflow flag")
        assert Fault.OVERFLOW in heard.faults
        wait_for(lambda: canary_like(watcher, heard, root), "events again")
        prove_that_all_are_heard(watcher, heard, root, old[:200])  # before any rewatch: the old watches were kept

        assert watcher.take_overflow()
        covered = watcher.rewatch()
        assert covered.unwatched == 0
        assert covered.watched == sum(len(folders) for _, folders, _ in os.walk(root)) + 1
        prove_that_all_are_heard(watcher, heard, root, old[::4] + sorted(new))
        assert not watcher.take_overflow()
    finally:
        context.__exit__(None, None, None)


def canary_like(watcher: Watcher, heard: Heard, root: Path) -> bool:
    path = root / f"again-{os.urandom(4).hex()}"
    path.touch()
    try:
        wait_for(lambda: heard.has(os.fsencode(path.name)), "", deadline=0.5)
    except AssertionError:
        return False
    return True


@needs_root
def test_renames_and_deletions_lost_in_an_overflow_are_put_right_by_rewatch(root: Path) -> None:
    old_folders(root, 300)
    release, entered = threading.Event(), threading.Event()
    with short_queue(16):
        heard = Heard()
        watcher = Watcher(root, "test", heard.on_hints, on_fault=lambda fault: block())

    def block() -> None:  # holds the reading thread at its first overflow, while the tree is turned over
        entered.set()
        release.wait(90)

    with short_queue(16):
        watcher.start()
    try:
        for index in range(1000):
            (root / f"noise{index}").touch()
        assert entered.wait(90)
        (root / "old" / "0").rename(root / "moved")
        shutil.rmtree(root / "old" / "1")
        (root / "old" / "2").rename(root / "swap")
        (root / "moved").rename(root / "old" / "2")
        release.set()
        wait_for(lambda: canary_like(watcher, heard, root), "events again")
        watcher.take_overflow()
        watcher.rewatch()
        heard.forget()
        (root / "old" / "2" / "7" / "was-0").touch()
        (root / "swap" / "207" / "was-2").touch()
        heard.wait(b"old/2/7/was-0", CHANGED)
        heard.wait(b"swap/207/was-2", CHANGED)
        expected = sum(len(folders) for _, folders, _ in os.walk(root)) + 1
        wait_for(lambda: watcher.rewatch().watched == expected, "vanished directories are forgotten")
    finally:
        release.set()
        watcher.stop()


@needs_root
def test_directories_made_while_rewatch_walks_are_watched(root: Path) -> None:
    """The races of two threads that place watches: none may be lost without an overflow."""
    old_folders(root, 500)
    stop = threading.Event()
    made: list[bytes] = []
    with watching(root) as (watcher, heard):

        def churn() -> None:
            number = 0
            while not stop.is_set():
                folder = root / "old" / str(number % 5) / f"made{number}" / "deep"
                folder.mkdir(parents=True)
                target = root / f"kept{number}"
                folder.parent.rename(target)
                made.append(os.fsencode(f"kept{number}/deep"))
                number += 1
                if number >= 400:
                    return

        thread = threading.Thread(target=churn)
        thread.start()
        while thread.is_alive():
            watcher.rewatch()
        stop.set()
        thread.join()
        flush(watcher, heard, root)
        if watcher.take_overflow():
            watcher.rewatch()
        prove_that_all_are_heard(watcher, heard, root, made)


def test_the_canary_proves_that_the_watcher_hears(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "canary"
    folder.mkdir()
    canary, heard = Canary(folder), Heard()
    watcher = Watcher(root, "test", heard.on_hints, canary=canary)
    watcher.start()
    try:
        for _ in range(3):
            assert canary.check(10)
        assert heard.hints == []  # it is nobody's file
    finally:
        watcher.stop()
    assert not canary.check(0.2)


def test_a_deaf_watcher_is_found_by_the_canary_though_its_threads_live(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "canary"
    folder.mkdir()
    canary = Canary(folder)
    watcher = Watcher(root, "test", lambda hints: None, canary=canary)
    watcher.start()
    try:
        assert canary.check(10)
        assert watcher._reader is not None and watcher._canary_watch is not None
        watcher._reader.unwatch(watcher._canary_watch)
        assert watcher.alive()
        assert not canary.check(0.3)
    finally:
        watcher.stop()


def test_a_consumer_that_raises_is_not_silence(root: Path) -> None:
    def broken(hints: object) -> None:
        raise RuntimeError("broken consumer")

    caught = []
    before, threading.excepthook = threading.excepthook, lambda args: caught.append(args.exc_value)
    watcher = Watcher(root, "test", broken)
    try:
        watcher.start()
        (root / "file").touch()
        wait_for(lambda: not watcher.alive(), "not alive")
        assert isinstance(caught[0], RuntimeError)
    finally:
        watcher.stop()
        threading.excepthook = before


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("files", [50_000, 200_000])
def test_the_full_burst_on_20000_directories_with_the_stock_queue(root: Path, files: int) -> None:
    old = old_folders(root, 20_000)
    with watching(root) as (watcher, heard):
        new = burst(root, files)
        flush(watcher, heard, root)
        if watcher.take_overflow():
            assert Fault.OVERFLOW in heard.faults
            watcher.rewatch()
        covered = watcher.rewatch()
        assert covered.watched == sum(len(folders) for _, folders, _ in os.walk(root)) + 1
        prove_that_all_are_heard(watcher, heard, root, old[::20] + sorted(new)[::20])

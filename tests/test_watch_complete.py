"""Hints alone, followed as the daemon follows them, keep the catalog equal to the folder through any churn."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watching import short_queue, wait_for
from vaultd.model import Stat
from vaultd.names import join
from vaultd.store import Store, catalog
from vaultd.watch.follow import follow
from vaultd.watch.hints import Hint
from vaultd.watch.observer import Watcher
from vaultd.watch.scan import scan


class Follower:
    """Follows the hints of a watcher into a catalog."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vault"
        self.path.mkdir()
        self.root = os.fsencode(self.path)
        self.store = Store(folder / "state.db")
        self.vault, self.target = self.store.vault_id("papers"), self.store.target_id("office")
        self.watcher = Watcher(self.path, "papers", self.follow)
        self.seen = threading.Event()

    def follow(self, hints: list[Hint]) -> None:
        follow(self.store, self.vault, (self.target,), self.root, hints, accept=True)
        if any(hint.path == b"the end" for hint in hints):
            self.seen.set()

    def reconcile(self) -> tuple[int, int]:
        found = scan(self.store, self.vault, (self.target,), self.root, accept=True)
        return found.changed, found.gone

    def known(self) -> dict[bytes, Stat]:
        db = self.store.database.reader()
        own = catalog.get(db, self.vault, b"")
        return dict(catalog.below(db, self.vault, b"")) | ({} if own is None else {b"": own.stat})

    def truth(self) -> dict[bytes, Stat]:
        found = {b"": Stat.of(os.lstat(self.root))}
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                found[(folder + b"/" + name)[len(self.root) + 1 :]] = Stat.of(os.lstat(folder + b"/" + name))
        return found


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    made = Follower(tmp_path)
    yield made
    made.watcher.stop()
    made.store.close()


def churn(root: Path, steps: int, seed: int) -> None:  # noqa: C901  # a list of cases
    """Random work of a busy day in a small tree, so that names collide and kinds change."""
    dice = random.Random(seed)

    def place() -> Path:
        return root.joinpath(*(dice.choice("abcd") for _ in range(dice.randint(1, 4))))

    def remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    for step in range(steps):
        one, other = place(), place()
        try:
            match dice.randint(0, 9):
                case 0 | 1:
                    one.mkdir(parents=True)
                case 2 | 3:
                    one.write_text(str(step))
                case 4:
                    one.rename(other)
                case 5:
                    remove(one)
                case 6:
                    one.chmod(dice.choice([0o755, 0o700, 0o711]))
                case 7:
                    one.symlink_to(dice.choice(["a", "../b", "nowhere"]))
                case 8:
                    os.utime(one, ns=(step, step), follow_symlinks=False)
                case 9:
                    (one / "x" / "y" / "z").mkdir(parents=True)
                    (one / "x" / "y" / "z" / "file").touch()
        except OSError:
            pass  # not there, not empty, not a directory: then not


@pytest.mark.parametrize("seed", range(5))
def test_after_any_churn_the_catalog_is_the_folder_without_a_reconcile(follower: Follower, seed: int) -> None:
    follower.watcher.start()
    follower.reconcile()
    churn(follower.path, 3000, seed)
    (follower.path / "the end").touch()
    assert follower.seen.wait(60)
    assert not follower.watcher.overflowed
    assert follower.watcher.alive()
    wait_for(lambda: follower.known() == follower.truth(), "the catalog is the folder")
    assert follower.reconcile() == (0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change fs.inotify.max_queued_events")
def test_after_overflows_a_rewatch_and_a_reconcile_make_it_whole_again(follower: Follower) -> None:
    with short_queue(32):
        follower.watcher.start()
    for seed in range(3):
        with follower.watcher._lock:  # the reading thread gets no time, as on a busy machine
            churn(follower.path, 1000, seed)
        wait_for(lambda: follower.watcher.overflowed, "the overflow flag")
        churn(follower.path, 100, seed + 100)
        while follower.watcher.take_overflow():
            follower.watcher.rewatch()
            follower.reconcile()
    for folder in [os.fsencode(follower.path), *(join(follower.root, path) for path in _folders(follower))]:
        Path(os.fsdecode(folder), "proof").touch()
        assert follower.watcher.alive()
    (follower.path / "the end").touch()
    wait_for(lambda: follower.watcher.overflowed or follower.seen.is_set(), "the end")
    if follower.watcher.take_overflow():
        follower.watcher.rewatch()
        follower.reconcile()
    wait_for(lambda: follower.known() == follower.truth(), "the catalog is the folder")


def _folders(follower: Follower) -> list[bytes]:
    return [path for path, stat in follower.truth().items() if stat.kind == "d" and path]

"""The scan in processes of its own finds the same, and never outlives whoever asked for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.watching import Children, wait_for
from vaultd.errors import VaultdError
from vaultd.model import Stat
from vaultd.store import Store, catalog
from vaultd.watch.result import RootProblem
from vaultd.watch.scanner import scan_in_process


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """600 files in 330 directories, with one deep and one wide branch."""
    folder = tmp_path / "vault"
    for index in range(300):
        (folder / f"{index % 10}" / f"{index}").mkdir(parents=True)
    (folder / "deep" / "/".join("abcdefghijklmnopqrst")).mkdir(parents=True)
    name = os.fsdecode("机密".encode("gbk"))
    (folder / name).mkdir()
    for index in range(600):
        (folder / f"{index % 300 % 10}" / f"{index % 300}" / f"file{index}").write_text(str(index))
    (folder / name / name).touch()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def known(database: Path) -> dict[bytes, Stat]:
    store = Store(database)
    try:
        db = store.database.reader()
        own = catalog.get(db, 1, b"")
        return dict(catalog.below(db, 1, b"")) | ({} if own is None else {b"": own.stat})
    finally:
        store.close()


def truth(root: Path) -> dict[bytes, Stat]:
    base = os.fsencode(root)
    found = {b"": Stat.of(os.lstat(base))}
    for folder, folders, files in os.walk(base):
        for name in folders + files:
            found[(folder + b"/" + name)[len(base) + 1 :]] = Stat.of(os.lstat(folder + b"/" + name))
    return found


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store = Store(tmp_path / "state.db")
    assert (store.vault_id("papers"), store.target_id("office")) == (1, 1)
    store.close()
    return tmp_path / "state.db"


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_it_finds_the_same_with_any_number_of_processes(root: Path, database: Path, processes: int) -> None:
    progress: list[tuple[int, int, int]] = []

    def scan() -> tuple[int, int, int, int]:
        found = asyncio.run(
            scan_in_process(
                database, 1, (1,), os.fsencode(root), processes=processes, on_progress=lambda *now: progress.append(now)
            )
        )
        assert found.complete
        return found.files, found.directories, found.changed, found.gone

    directories = sum(len(folders) for _, folders, _ in os.walk(root)) + 1
    assert scan() == (601, directories, 601 + directories, 0)
    assert known(database) == truth(root)
    assert scan() == (601, directories, 0, 0)
    shutil.rmtree(root / "3")
    (root / "4" / "14").rename(root / "moved")
    (root / "5" / "25" / "file25").write_text("changed")
    scan()
    assert known(database) == truth(root)
    assert scan()[2:] == (0, 0)
    assert progress == sorted(progress) or processes != 1


def test_problems_come_back_as_they_are(root: Path, database: Path) -> None:
    asyncio.run(scan_in_process(database, 1, (1,), os.fsencode(root)))
    root.rename(root.with_name("away"))
    found = asyncio.run(scan_in_process(database, 1, (1,), os.fsencode(root)))
    assert found.root_problem is RootProblem.GONE
    root.mkdir()
    found = asyncio.run(scan_in_process(database, 1, (1,), os.fsencode(root)))
    assert found.root_problem is RootProblem.EMPTIED
    found = asyncio.run(scan_in_process(database, 1, (1,), os.fsencode(root), accept=True))
    assert (found.complete, found.gone) == (True, 12)  # what was directly in it, with all below
    assert known(database).keys() == {b""}


def test_a_damaged_database_is_an_error_and_not_a_result(root: Path, database: Path) -> None:
    database.write_bytes(b"not a database" * 1000)
    with pytest.raises(VaultdError, match="scan failed"):
        asyncio.run(scan_in_process(database, 1, (1,), os.fsencode(root)))


def test_a_killed_scan_is_an_error_and_not_a_result(root: Path, database: Path) -> None:
    children = Children()

    async def killed() -> None:
        task = asyncio.create_task(scan_in_process(database, 1, (1,), os.fsencode(root)))
        await asyncio.to_thread(wait_for, lambda: bool(children()), "the scan's process")
        children()[0].kill()
        await task

    with pytest.raises(VaultdError, match="scan failed"):
        asyncio.run(killed())


def test_cancelling_ends_every_process(root: Path, database: Path) -> None:
    seen: list[psutil.Process] = []
    children = Children()

    async def cancelled() -> None:
        store = Store(database)
        with store.database.write():  # the scan's first write must wait: it cannot be over before it is cancelled
            task = asyncio.create_task(scan_in_process(database, 1, (1,), os.fsencode(root)))
            while len(seen) < 3:
                seen[:] = children()
                await asyncio.sleep(0.01)
                assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        store.close()

    change_files_only(root, database)
    asyncio.run(cancelled())
    wait_for(lambda: not any(process.is_running() for process in seen), "all processes of the scan end")


def change_files_only(root: Path, database: Path) -> None:
    """So that the next scan has nothing to write, and to wait for, before its workers have."""
    asyncio.run(scan_in_process(database, 1, (1,), os.fsencode(root)))
    for path in root.rglob("file*"):
        path.write_text("changed")


PARENT = """
import asyncio, os, sys
from pathlib import Path
from vaultd.store import Store
from vaultd.watch.scanner import scan_in_process
store = Store(Path(sys.argv[2]))
async def main():
    with store.database.write():
        await scan_in_process(Path(sys.argv[2]), 1, (1,), os.fsencode(sys.argv[1]))
asyncio.run(main())
"""


def test_it_dies_with_a_parent_that_is_killed(root: Path, database: Path) -> None:
    change_files_only(root, database)
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(PARENT), str(root), str(database)]) as parent:
        found: list[psutil.Process] = []

        def has_workers() -> bool:
            found[:] = psutil.Process(parent.pid).children(recursive=True)
            return len(found) >= 3

        wait_for(has_workers, "the scan and its two workers")
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(process.is_running() for process in found), "all processes of the scan end")

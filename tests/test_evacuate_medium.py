"""A medium as a target, on real loop devices with real restic: prepared, written to, restored from, with the keys of a
target; and what is refused before anything is changed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.carrying import (
    LABEL,
    attached,
    detached,
    needs_tools,
    plug_in,
    prepared,
    pull_out,
    register_in,
    target_in,
)
from tests.mounting import needs_mounts
from tests.site import Site, site_in
from vaultd.config import load
from vaultd.daemon.assembly import at_work, worker_at
from vaultd.daemon.watching import scan_vault
from vaultd.errors import UnreachableError
from vaultd.evacuate import medium
from vaultd.evacuate.finishing import Finished, finish

pytestmark = [needs_mounts, needs_tools, pytest.mark.root]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as made:
        made.add_target()
        made.add_vault()
        made.prepare()
        yield made


@pytest.fixture
def disk(tmp_path: Path, site: Site) -> Iterator[Path]:
    with attached(tmp_path / "disk.img") as device:
        yield device


def copied(site: Site, label: str = LABEL) -> list[str]:
    """Scan, then copy everything that the medium is owed; the ids of the snapshots."""

    async def go() -> list[str]:
        config = load(site.file)
        async with at_work(config, lambda _progress: None) as assembly:
            store = assembly.store
            worker = worker_at(assembly.context, target_in(site, label), assembly.vaults.values())
            try:
                made = []
                for number in worker.schedule.series:
                    made += await worker.fulfil(number, full=True, upto=store.seq())
                return [one.snapshot for one in made]
            finally:
                worker.close()

    return asyncio.run(go())


def restic(site: Site, *args: str, password: Path | None = None) -> str:
    """restic by hand, on the medium."""
    target = target_in(site)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(site.folder), "RESTIC_REPOSITORY": target.path,
        "RESTIC_PASSWORD_FILE": str(password or target.password_file), "RESTIC_CACHE_DIR": str(site.folder / "hand"),
    }  # fmt: skip
    return subprocess.run(["restic", *args], env=environment, check=True, capture_output=True, text=True).stdout


def test_a_medium_takes_snapshots_as_any_target(site: Site, disk: Path) -> None:
    (site.folder / "records/病历.txt").write_text("secret of a patient\n")
    site.backup()
    ready = prepared(site, disk)
    assert (ready.made, ready.formatted, ready.like) == (True, True, "offsite")
    made = copied(site)
    assert len(made) >= 1
    dumped = restic(site, "dump", made[-1], str(site.folder / "records/病历.txt"))
    assert dumped == "secret of a patient\n"
    assert [one["target"] for one in site.entries("snapshot")][-1] == LABEL
    again = copied(site)
    assert len(again) <= 1  # at most the exact one that was asked for: nothing is owed


def finished(site: Site, *, everything: bool = False) -> Finished:
    with register_in(site) as register:
        return asyncio.run(
            finish(register.config, register.store, LABEL, everything=everything, tell=lambda _text: None)
        )  # fmt: skip


def test_it_may_be_unplugged_when_everything_has_arrived(site: Site, disk: Path, tmp_path: Path) -> None:
    (site.folder / "records/a").write_bytes(os.urandom(300_000))
    site.backup()
    prepared(site, disk)
    made = copied(site)
    found = finished(site, everything=True)
    assert (found.snapshots, found.device) == (len(made), str(disk))
    assert found.packs > 0 and found.bytes > 300_000
    assert not os.path.ismount(target_in(site).mount)
    detached(disk, tmp_path / "disk.img")
    with attached(tmp_path / "disk.img") as again:  # what it holds is on the disk, not in anybody's memory
        ready = prepared(site, again, erase=False)
        assert (ready.made, ready.formatted, ready.like) == (False, False, "offsite")
        assert made[-1] in restic(site, "snapshots", "--json", "--no-lock")


def stored(folder: Path) -> int:
    """Bytes of the files below a folder, those that are being written too."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_pulled_out_in_mid_write_and_plugged_in_again(site: Site, disk: Path) -> None:
    """The error says so, the other target goes on, and what had arrived before is still there."""
    (site.folder / "records/first").write_text("before\n")
    site.backup()
    prepared(site, disk)
    (before,) = copied(site)
    (site.folder / "records/large").write_bytes(os.urandom(12 << 20))
    slow = replace(target_in(site), limit_upload=4096)
    data = Path(slow.path) / "data"

    async def pull() -> None:
        while stored(data) < 2 << 20:  # noqa: ASYNC110  # another program writes there
            await asyncio.sleep(0.05)
        pull_out(disk)

    async def go() -> tuple[BaseException, list[Any]]:
        config = load(site.file)
        async with at_work(config, lambda _progress: None) as assembly:
            store = assembly.store
            (vault,) = assembly.vaults.values()
            worker = worker_at(assembly.context, slow, [vault])
            both = medium.owe(store, worker.target, [vault])[0]
            lock = asyncio.Lock()
            await scan_vault(assembly.context, both, lock, lambda: None)
            try:
                failed, done, _pulled = await asyncio.gather(
                    worker.fulfil(vault.id, full=False, upto=store.seq()),
                    assembly.workers["offsite"].fulfil(vault.id, full=True, upto=store.seq()),
                    pull(), return_exceptions=True,
                )  # fmt: skip
                assert isinstance(failed, BaseException)
                assert isinstance(done, list), done
                return failed, done
            finally:
                worker.close()

    failed, done = asyncio.run(go())
    assert isinstance(failed, UnreachableError) and LABEL in failed.what and "prepare" in failed.hint, failed
    assert done[-1].snapshot
    site.assert_restorable()
    assert "target-unreachable" in site.alerts()

    plug_in(disk)
    ready = prepared(site, disk, erase=False)
    assert not ready.made
    made = copied(site)
    listed = restic(site, "snapshots", "--json", "--no-lock")
    assert before in listed and made[-1] in listed
    assert "no errors were found" in restic(site, "check", "--read-data")
    assert "target-unreachable" not in site.alerts()
    assert finished(site).snapshots == len(json.loads(listed))

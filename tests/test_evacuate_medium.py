"""A medium as a target, on real loop devices with real restic: prepared, written to, restored from, with the keys of a
target; and what is refused before anything is changed."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.carrying import LABEL, attached, needs_mounts, needs_tools, prepared, register_in, target_in
from tests.site import Site, site_in
from vaultd import reach, targets
from vaultd.config import load
from vaultd.daemon.assembly import at_work, worker_at
from vaultd.evacuate import medium
from vaultd.restic import commands

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

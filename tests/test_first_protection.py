"""Several vaults and several targets: first protection in committed batches by priority; a target that comes later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import FaultSite
from tests.filefaults import WITHOUT_PRIVILEGE, bare_site, hooks, needs_user, no_hooks
from tests.restoring import write
from tests.site import until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    made = FaultSite(tmp_path)
    try:
        yield made
    finally:
        made.close()


def fill(vault: Path, folders: int, size: int) -> None:
    for number in range(folders):
        for name in range(3):
            write(vault / f"folder {number}" / f"file {name}", os.urandom(size // 3))


def kinds(site: FaultSite, vault: str, target: str) -> list[str]:
    """The kinds of a vault's snapshots at a target, oldest first, as restic lists them."""
    listed = site.snapshots(target, vault)
    return [next(tag for tag in snapshot["tags"] if tag.startswith("kind=")) for snapshot in listed]


def order(snapshot: dict[str, list[str]]) -> str:
    return next(tag for tag in snapshot["tags"] if tag.startswith("id="))


def test_a_first_protection_runs_in_batches_by_priority_each_restorable_by_itself(site: FaultSite):
    """Two vaults at two targets: the first in priority is whole before the other begins; every batch holds files as
    they are; all content is off-site before the full snapshot, which comes last."""
    site.host["batch_seconds"] = 0.1
    for target in ("near", "far"):
        site.add_target(target)
    late, early = site.add_vault("late", priority=7), site.add_vault("early", priority=1)
    fill(late, 5, 900_000)
    fill(early, 5, 900_000)
    site.prepare()
    site.start()
    for target in ("near", "far"):
        for vault in ("early", "late"):
            site.wait_protected(vault, target)
    assert site.stop() == 0
    for target in ("near", "far"):
        first = {}
        for vault in ("early", "late"):
            found = kinds(site, vault, target)
            batches = found.index("kind=full")
            assert batches >= 2 and set(found[:batches]) == {"kind=express"}, found
            snapshots = site.snapshots(target, vault)
            on_disk = site.on_disk(vault)
            safe: dict[bytes, str] = {}
            for snapshot in snapshots[:batches] if target == "near" else []:
                content = site.content(snapshot["id"], target, vault)
                assert content and content.items() <= on_disk.items(), "a batch holds files as they are"
                assert not content.keys() & safe.keys(), "no file is sent in two batches"
                safe |= content
            assert target == "far" or len(safe) >= len(on_disk) - 6, "the full snapshot finds its data there"
            site.assert_restorable(vault, target)
            first[vault] = snapshots
        assert order(first["early"][kinds(site, "early", target).index("kind=full")]) < order(first["late"][0])
    assert site.alerts() == set()


def test_a_broken_first_protection_keeps_its_finished_batches(tmp_path: Path):
    """The third run dies in its middle: what the first two have sent is there, acknowledged, and is not sent again."""
    with bare_site(tmp_path) as (site, vault):
        site.host["batch_seconds"] = 0.1
        fill(vault, 6, 900_000)
        count = tmp_path / "count"
        hooks(site, before=f"echo run >> '{count}'; [ $(wc -l < '{count}') -ne 3 ] || exit 1")
        (outcome,) = site.backup(full=True)
        assert outcome.error is not None
        batches = site.snapshots(kind="express")
        assert len(batches) == 2 == len(site.snapshots())
        kept = [site.content(batch["id"]) for batch in batches]
        assert all(kept)
        no_hooks(site)
        (outcome,) = site.backup(full=True)
        assert outcome.error is None
        again = [site.content(batch["id"]) for batch in site.snapshots(kind="express")[2:]]
        assert not set().union(*again) & set().union(*kept)
        assert site.assert_hashes_true() == 18
        site.assert_nothing_lost()


@needs_user
def test_a_large_file_that_cannot_be_read_does_not_stop_the_batches_behind_it(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        site.host["batch_seconds"] = 0.1
        write(vault / "a" / "closed", os.urandom(3_000_000))
        fill(vault, 4, 900_000)
        if os.geteuid() == 0:
            os.chown(vault / "a" / "closed", 4711, 4711)
        (vault / "a" / "closed").chmod(0)
        site.write()
        site.start(prefix=WITHOUT_PRIVILEGE)
        until(lambda: site.at()["last_full"], f"the full snapshot: {site.at()}")
        until(lambda: site.at()["state"] == "unread", f"all but that file: {site.at()}")
        assert len(site.runs()) < 12
        newest = site.snapshots(kind="full")[-1]
        assert site.content(newest["id"]).keys() == site.on_disk().keys() - {b"a/closed"}


def test_a_target_that_is_added_later_or_comes_back_gets_everything(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        fill(vault, 2, 3000)
        site.backup(full=True)
        site.add_target("second")
        site.vaults["records"]["targets"] = ["offsite", "second"]
        site.ready()
        site.start()
        site.wait_protected(target="second")
        site.assert_restorable(target="second")
        assert site.stop() == 0
        # Not in the configuration for a while: what changes meanwhile is owed when it is back.
        away = site.targets.pop("second")
        site.vaults["records"]["targets"] = ["offsite"]
        site.write()
        write(vault / "folder 0" / "file 0", "changed")
        write(vault / "new", "new")
        (vault / "folder 1" / "file 1").unlink()
        for outcome in site.backup(full=True):
            assert outcome.error is None
        site.targets["second"] = away
        site.vaults["records"]["targets"] = ["offsite", "second"]
        site.write()
        site.start()
        until(lambda: len(site.snapshots("second", kind="full")) == 2, "the target is brought up to date")
        site.wait_protected(target="second")
        site.assert_restorable(target="second")
        site.assert_restorable(target="offsite")

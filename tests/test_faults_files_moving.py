"""Files that change, grow or vanish while they are read: what is recorded is what is stored, or nothing is."""

from __future__ import annotations

import itertools
import mmap
import os
import tempfile
from pathlib import Path

import pytest

from tests.filefaults import bare_site, deletions, hooks, meanwhile, no_hooks, stored_file, versions
from tests.restoring import write
from tests.site import until

MIB = 1 << 20


def test_a_file_that_vanishes_between_hash_and_backup_is_no_version_and_no_damage(tmp_path: Path):
    """It is hashed, then gone before restic reads: no hash may be recorded; "deleted" only once it was stored."""
    with bare_site(tmp_path) as (site, vault):
        for name in ("stays", "vanishes", "folder/vanishes too"):
            write(vault / name, name)
        write(vault / "old", "old")
        hooks(site, before=f"sleep 1; rm -r '{vault}/vanishes' '{vault}/folder'")
        (outcome,) = site.backup(full=True)
        assert outcome.error is None
        no_hooks(site)
        assert {version.path for version in versions(site)} == {b"stays", b"old"}
        assert deletions(site) == set()
        assert site.content(outcome.snapshot).keys() == {b"stays", b"old"}
        # One that is in a snapshot already: gone before the second run reads, but deleted only in the third.
        write(vault / "old", "changed")
        hooks(site, before=f"sleep 1; rm '{vault}/old'")
        (outcome,) = site.backup(full=True)
        no_hooks(site)
        assert deletions(site) == set() and len(versions(site, b"old")) == 1
        (outcome,) = site.backup(full=True)
        assert (outcome.error, outcome.unread) == (None, ())
        assert deletions(site) == {b"old"}
        site.assert_hashes_true()
        site.assert_nothing_lost()


def test_the_recorded_hash_of_a_file_rewritten_meanwhile_is_that_of_what_is_stored(tmp_path: Path):
    """Rewritten before restic reads, after it has read, with the old times put back, and all the time in between."""
    with bare_site(tmp_path) as (site, vault):
        write(vault / "quiet", "quiet")
        for name in ("before", "after", "times", "replaced"):
            write(vault / name, f"the first {name}")
        with (vault / "large").open("wb") as stream:
            for _block in range(64):
                stream.write(os.urandom(MIB))
        stamp = vault / "stamp"
        write(stamp, "times of this file")
        os.utime(vault / "times", ns=(10**18, 10**18))
        hooks(
            site,
            before=f"sleep 0.5; cd '{vault}'; printf 'other content  ' > before;"
            f" touch -r times stamp; printf 'the other ti' > times; touch -r stamp times;"
            f" printf 'the other replaced' > new; mv new replaced",
            after=f"cd '{vault}'; printf 'other content ' > after",
        )
        large = os.open(vault / "large", os.O_WRONLY)

        def rewrite(number: int) -> None:
            os.pwrite(large, os.urandom(4096), (number * 7919 % 16384) * 4096)

        with meanwhile(rewrite):
            (outcome,) = site.backup(full=True)
        os.close(large)
        assert outcome.error is None
        no_hooks(site)
        assert site.assert_hashes_true() >= 1  # every version that is on record, each read back
        bound = {version.path for version in versions(site) if version.state == "bound"}
        assert b"quiet" in bound
        site.backup(full=True)
        site.assert_hashes_true()
        newest = {version.path: version.sha256 for version in versions(site)}
        assert {path: digest.hex() for path, digest in newest.items() if digest} == site.on_disk()
        site.assert_nothing_lost()


def test_a_file_that_grows_all_the_time_is_in_motion_protected_and_not_red_for_ever(tmp_path: Path):
    """Its recorded hash is that of the stored bytes; it is sent again no more often than the objective says; when it
    comes to rest it is bound like any other."""
    objective = 4.0
    with bare_site(tmp_path, objective=objective) as (site, vault):
        write(vault / "quiet", "quiet")
        handle = os.open(vault / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        site.start()
        with meanwhile(lambda number: os.write(handle, b"line %d\n" % number) and None, 0.01):
            until(lambda: site.alert("in-motion"), "the file is found in motion")
            until(lambda: site.at()["state"] == "in-motion", f"not red: {site.at()['state']}")
            assert site.at()["lag"] < objective
            until(lambda: len(versions(site, b"log")) >= 3, "it is sent again after the objective")
            assert "overdue" not in site.alerts()
            states = {version.state for version in versions(site, b"log")}
        assert states == {"in-motion"}
        os.close(handle)
        recorded = [version.recorded / 1e9 for version in versions(site, b"log")]
        gaps = [later - earlier for earlier, later in itertools.pairwise(recorded)]
        assert all(gap >= objective for gap in gaps), gaps
        site.wait_protected()
        assert site.alert("in-motion") is None
        assert versions(site, b"log")[-1].state == "bound"
        site.assert_hashes_true()
        site.assert_nothing_lost()


def test_other_changes_beside_a_file_in_motion_are_protected_at_once(tmp_path: Path):
    with bare_site(tmp_path, objective=600) as (site, vault):
        handle = os.open(vault / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        site.start()
        with meanwhile(lambda number: os.write(handle, b"line %d\n" % number) and None, 0.01):
            until(lambda: site.alert("in-motion"), "the file is found in motion")
            write(vault / "beside", "beside")
            until(lambda: versions(site, b"beside"), "the other file is protected")
            assert len(versions(site, b"log")) == 1
        os.close(handle)
        assert site.stop() == 0
        site.assert_hashes_true()


def test_a_write_through_a_hard_link_outside_the_vault_is_found_by_the_next_scan(tmp_path: Path):
    """No event tells of it; its ctime does."""
    with bare_site(tmp_path) as (site, vault):
        write(vault / "linked", "first")
        os.link(vault / "linked", tmp_path / "outside")
        site.start()
        site.wait_protected()
        before, times = versions(site, b"linked")[-1].sha256, (vault / "linked").stat()
        with (tmp_path / "outside").open("r+") as stream:
            stream.write("OTHER")
        os.utime(tmp_path / "outside", ns=(times.st_atime_ns, times.st_mtime_ns))
        answer = site.cli("backup", "records")  # the daemon scans when somebody asks, and every hour
        assert answer.code == 0
        site.wait_protected()
        assert versions(site, b"linked")[-1].sha256 != before
        site.assert_nothing_lost()


def test_a_write_through_mmap_is_found_by_the_next_scan_once_the_kernel_notes_it(tmp_path: Path):
    """The kernel notes a write through a map when a clean page becomes dirty. A second write to a page that is dirty
    still changes no time: nobody can find that by times, and only verification of the stored bytes can tell. A tmpfs
    notes no such write at all: /tmp is one on some machines."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, bare_site(tmp_path, path=Path(folder)) as (site, vault):
        write(vault / "mapped", b"x" * 8192)
        with (vault / "mapped").open("r+b") as stream, mmap.mmap(stream.fileno(), 8192) as mapped:
            site.backup(full=True)
            os.sync()
            mapped[:5] = b"first"
            mapped.flush()
            (outcome,) = site.backup()
            assert (outcome.error, outcome.files > 0) == (None, True)
            before = (vault / "mapped").stat().st_mtime_ns
            mapped[:6] = b"second"  # the page is clean again after the flush
            mapped.flush()
            if (vault / "mapped").stat().st_mtime_ns == before:
                pytest.skip("this file system (a tmpfs, perhaps) notes no time for a write through a map")
            (outcome,) = site.backup()
        assert outcome.error is None
        site.assert_hashes_true()
        sha256 = versions(site, b"mapped")[-1].sha256
        assert sha256 is not None
        assert (8192, sha256.hex()) == stored_file(site, outcome.snapshot, vault / "mapped")
        assert site.on_disk()[b"mapped"] == sha256.hex()

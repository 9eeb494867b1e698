"""Vaults and mounts that go away, are emptied, replaced or changed wholesale: alerts, and nothing is called deleted."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faulting import FaultSite
from tests.filefaults import bare_site, deletions, fulls, hooks, no_hooks, versions
from tests.mounting import mounted, needs_mounts, unmount
from tests.restoring import write
from tests.site import until


def alert(site: FaultSite, code: str) -> object:
    """A vault's alert that stands."""
    return site.alert(code, "")


def wait_alert(site: FaultSite, code: str) -> None:
    until(lambda: alert(site, code), f"alert {code}; standing: {site.alerts()}")


def wait_over(site: FaultSite, code: str) -> None:
    until(lambda: not alert(site, code), f"alert {code} is over")


@needs_mounts
def test_a_mount_inside_a_vault_that_is_gone_holds_back_full_snapshots_and_deletes_nothing(tmp_path: Path):
    """An alert; no deletions; express snapshots go on; mounted again, all is well. Another file system in its place is
    an alert too, until somebody says that it is meant."""
    disk, other = tmp_path / "disk", tmp_path / "other"
    write(disk / "folder" / "on the disk", "on the disk")
    write(disk / "changes", "first")
    write(other / "on another", "on another")
    with bare_site(tmp_path / "site") as (site, vault):
        write(vault / "beside", "beside")
        (vault / "mount").mkdir()
        with mounted(vault / "mount", "--bind", str(disk)):
            site.start()
            site.wait_protected()
            made = len(fulls(site))
            assert b"mount/folder/on the disk" in site.content(fulls(site)[-1])
            unmount(vault / "mount")
            wait_alert(site, "mount-missing")
            write(vault / "new", "new")
            until(lambda: versions(site, b"new"), "express snapshots go on")
            answer = site.cli("backup", "--full")
            assert answer.code != 0 and "mount" in answer.error["why"]
            assert len(fulls(site)) == made
            assert {snapshot["id"] for snapshot in site.snapshots(kind="full")} == set(fulls(site))
            assert deletions(site) == set()
            write(disk / "changes", "while it was away")
            with mounted(vault / "mount", "--bind", str(disk)):
                wait_over(site, "mount-missing")
                until(lambda: len(fulls(site)) > made, "full snapshots again")
                site.cli("backup")
                site.wait_protected()
                assert deletions(site) == set()
                site.assert_restorable()
                write(disk / "folder" / "seen again", "seen")
                until(lambda: versions(site, b"mount/folder/seen again"), "the watcher sees it again")
                site.wait_protected()
                made = len(fulls(site))
            with mounted(vault / "mount", "--bind", str(other)):
                wait_alert(site, "mount-missing")
                write(vault / "new", "newer")
                until(lambda: len(versions(site, b"new")) == 2, "express snapshots go on")
                assert len(fulls(site)) == made and deletions(site) == set()
                assert site.cli("backup", "--full", "--accept-empty").code == 0
                wait_over(site, "mount-missing")
                site.wait_protected()
                assert b"mount/on another" in site.content(fulls(site)[-1])
                assert {b"mount/changes", b"mount/folder/on the disk"} <= deletions(site)
                site.assert_nothing_lost()


def assert_only_exact_ones(site: FaultSite) -> None:
    """Who has the repository alone finds no full snapshot but those on record; what was made in vain is withdrawn."""
    assert {snapshot["id"] for snapshot in site.snapshots(kind="full")} == set(fulls(site))
    assert site.snapshots(kind="withdrawn")


@needs_mounts
def test_a_disk_that_goes_while_restic_runs_is_nothing_acknowledged_and_nothing_deleted(tmp_path: Path):
    """A mount inside the vault, and the vault itself, unmounted between the look at the files and restic's."""
    disk = tmp_path / "disk"
    for number in range(5):
        write(disk / "folder" / f"{number}", f"first {number}")
    (tmp_path / "vault").mkdir()
    with bare_site(tmp_path / "site", path=tmp_path / "vault") as (site, vault):
        write(vault / "beside", "beside")
        (vault / "mount").mkdir()
        with mounted(vault / "mount", "--bind", str(disk)):
            site.backup(full=True)
            for path in (disk / "folder").iterdir():
                path.write_text("changed")
            hooks(site, before=f"umount '{vault}/mount'")
            (outcome,) = site.backup(full=True)
            no_hooks(site)
            assert outcome.error is not None and outcome.error["code"] == "root"
            assert "mount-missing" in site.alerts() and len(fulls(site)) == 1
            assert_only_exact_ones(site)
            assert deletions(site) == set()
            with mounted(vault / "mount", "--bind", str(disk)):
                (outcome,) = site.backup(full=True)
                assert outcome.error is None and deletions(site) == set()
                assert site.assert_hashes_true() == 11
                site.assert_restorable()
        with mounted(vault, "--bind", str(disk)):
            site.backup(full=True, accept_empty=True)
            gone, made = deletions(site), len(fulls(site))
            write(disk / "folder" / "new", "new")
            hooks(site, before=f"umount '{vault}'")
            (outcome,) = site.backup(full=True)
            no_hooks(site)
            assert outcome.error is not None and outcome.error["code"] == "root"
            assert (deletions(site), len(fulls(site))) == (gone, made)
            assert_only_exact_ones(site)
            with mounted(vault, "--bind", str(disk)):
                (outcome,) = site.backup(full=True)
                assert outcome.error is None and deletions(site) == gone
                site.assert_restorable()


@contextlib.contextmanager
def site_with_disk(folder: Path) -> Iterator[tuple[FaultSite, Path, Path]]:
    """A site, its vault with a file and a place to mount something at, and a folder with a file to mount there."""
    write(folder / "disk" / "file", "on the disk")
    with bare_site(folder / "site") as (site, vault):
        write(vault / "beside", "beside")
        (vault / "mount").mkdir()
        yield site, vault, folder / "disk"


@needs_mounts
def test_a_snapshot_that_cannot_be_removed_is_copied_once_and_removed_when_it_can_be(tmp_path: Path):
    with site_with_disk(tmp_path) as (site, vault, disk):
        snapshots = site.servers["offsite"].root / "repo" / "snapshots"
        try:
            with mounted(vault / "mount", "--bind", str(disk)):
                site.backup(full=True)
                write(disk / "file", "changed")
                hooks(site, before=f"umount '{vault}/mount'", after=f"chattr +i '{snapshots}'/*")
                (outcome,) = site.backup(full=True)
                no_hooks(site)
            assert outcome.error is not None and outcome.error["code"] == "root"
            assert len(site.snapshots(kind="withdrawn")) == 1
            for _again in range(2):
                with mounted(vault / "mount", "--bind", str(disk)):
                    (outcome,) = site.backup(full=True)
                assert outcome.error is None
            assert len(site.snapshots(kind="withdrawn")) == 1
            assert len(site.snapshots(kind="full")) == len(set(fulls(site))) + 1
        finally:
            subprocess.run(["chattr", "-i", *map(str, snapshots.iterdir())], check=True)
        with mounted(vault / "mount", "--bind", str(disk)):
            (outcome,) = site.backup(full=True)
        assert outcome.error is None and len(site.snapshots(kind="withdrawn")) == 1
        assert_only_exact_ones(site)


@needs_mounts
def test_a_snapshot_that_could_not_be_withdrawn_at_once_is_when_the_target_is_looked_at_again(tmp_path: Path):
    with site_with_disk(tmp_path) as (site, vault, disk):
        with mounted(vault / "mount", "--bind", str(disk)):
            site.backup(full=True)
            write(disk / "file", "changed")
            snapshots = site.servers["offsite"].root / "repo" / "snapshots"
            hooks(site, before=f"umount '{vault}/mount'", after=f"chattr +a '{snapshots}'")  # nothing can be removed
            try:
                (outcome,) = site.backup(full=True)
            finally:
                no_hooks(site)
                subprocess.run(["chattr", "-a", str(snapshots)], check=True)
            assert outcome.error is not None and outcome.error["code"] == "root"
            assert {snapshot["id"] for snapshot in site.snapshots(kind="full")} > set(fulls(site))
        with mounted(vault / "mount", "--bind", str(disk)):
            (outcome,) = site.backup(full=True)
            assert outcome.error is None
            assert_only_exact_ones(site)
            site.assert_restorable()


@needs_mounts
def test_a_daemon_that_dies_while_it_withdraws_a_snapshot_does_so_when_it_starts_again(tmp_path: Path):
    with site_with_disk(tmp_path) as (site, vault, disk):
        with mounted(vault / "mount", "--bind", str(disk)):
            site.backup(full=True)
            write(disk / "file", "changed")
            hooks(site, before=f"umount '{vault}/mount'")
            wrapper = Path(site.host["restic"])
            killing = 'case " $* " in *" tag "*) kill -9 $PPID;; esac\ncase'
            wrapper.write_text(wrapper.read_text().replace("case", killing, 1))
            site.start()
            assert site.daemon is not None
            until(lambda: site.daemon is None or site.daemon.poll() is not None, "the daemon has died")
            no_hooks(site)
            assert {snapshot["id"] for snapshot in site.snapshots(kind="full")} > set(fulls(site))
        with mounted(vault / "mount", "--bind", str(disk)):
            site.start()
            site.wait_protected()
            assert_only_exact_ones(site)
            site.assert_restorable()


@needs_mounts
def test_an_unmounted_vault_is_an_alert_and_no_snapshot_and_so_is_another_file_system_there(tmp_path: Path):
    disk, other = tmp_path / "disk", tmp_path / "other"
    write(disk / "a", "a")
    write(other / "b", "b")
    (tmp_path / "vault").mkdir()
    with bare_site(tmp_path / "site", path=tmp_path / "vault") as (site, vault):  # noqa: SIM117
        with mounted(vault, "--bind", str(disk)):
            site.start()
            site.wait_protected()
            unmount(vault)
            until(lambda: {"vault-emptied", "vault-replaced"} & site.alerts(), "the alert")
            answer = site.cli("backup", "--full")
            assert answer.code != 0 and "--accept-empty" in answer.error["hint"]
            with mounted(vault, "--bind", str(other)):
                wait_alert(site, "vault-replaced")
                assert site.cli("backup", "--full").code != 0
                assert len(fulls(site)) == len(site.snapshots()) == 1
                assert deletions(site) == set()
            with mounted(vault, "--bind", str(disk)):
                write(disk / "c", "while nobody could see it")
                until(lambda: not {"vault-emptied", "vault-replaced"} & site.alerts(), "the alert is over")
                until(lambda: versions(site, b"c"), "protected again")
                site.wait_protected()
                assert deletions(site) == set()
                site.assert_nothing_lost()


def test_an_emptied_vault_is_an_alert_and_no_snapshot_until_it_is_said_to_be_meant(tmp_path: Path):
    """Emptied under the eyes of the daemon, file by file."""
    with bare_site(tmp_path) as (site, vault):
        write(vault / "folder" / "a", "a")
        write(vault / "b", "b")
        site.start()
        site.wait_protected()
        before = [snapshot["id"] for snapshot in site.snapshots()]
        shutil.rmtree(vault / "folder")
        (vault / "b").unlink()
        wait_alert(site, "vault-emptied")
        answer = site.cli("backup", "--full")
        assert answer.code != 0 and "--accept-empty" in answer.error["hint"]
        assert [snapshot["id"] for snapshot in site.snapshots()] in (before, before[:-1])
        kept = site.content(fulls(site)[-1])
        assert b"b" in kept or b"folder/a" in kept
        made = len(fulls(site))
        answer = site.cli("backup", "--accept-empty")
        assert answer.code == 0
        assert len(fulls(site)) > made, "the empty full snapshot is there"
        assert site.content(fulls(site)[-1]) == {}
        wait_over(site, "vault-emptied")
        site.wait_protected()
        assert deletions(site) == {b"folder/a", b"b"}
        write(vault / "again", "again")
        site.wait_protected()
        until(lambda: versions(site, b"again"), "a new file is protected")
        for path in vault.iterdir():
            path.unlink()
        wait_alert(site, "vault-emptied")  # it was meant once, not for ever


def test_accept_empty_without_a_daemon_makes_the_empty_full_snapshot(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        write(vault / "a", "a")
        site.backup(full=True)
        (vault / "a").unlink()
        answer = site.cli("backup")
        assert answer.code != 0 and "vault-emptied" in site.alerts()
        assert len(site.snapshots()) == 1
        answer = site.cli("backup", "--accept-empty")
        assert (answer.code, answer.outcome["kind"], answer.outcome["files"]) == (0, "full", 0)
        assert site.content(answer.outcome["snapshot"]) == {}
        assert site.alerts() == set()
        assert deletions(site) == {b"a"}


def test_a_vault_that_is_replaced_by_a_file_or_goes_and_comes_back(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        write(vault / "folder" / "a", "a")
        site.start()
        site.wait_protected()
        aside = tmp_path / "aside"
        vault.rename(aside)
        wait_alert(site, "vault-missing")
        write(vault, "a file where the vault was")
        wait_alert(site, "vault-replaced")
        assert not alert(site, "vault-missing")
        assert site.cli("backup", "--full").code != 0
        vault.unlink()
        wait_alert(site, "vault-missing")
        assert len(site.snapshots()) == 1 and deletions(site) == set()
        write(aside / "folder" / "b", "b, while it was away")
        aside.rename(vault)
        until(lambda: not {"vault-missing", "vault-replaced"} & site.alerts(), "the alerts are over")
        until(lambda: versions(site, b"folder/b"), "protected again")
        write(vault / "folder" / "c", "c")
        until(lambda: versions(site, b"folder/c"), "watched again")
        site.wait_protected()
        assert deletions(site) == set()
        site.assert_nothing_lost()


def test_a_vault_that_is_missing_when_the_daemon_starts_is_an_alert_and_holds_up_no_other(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        other = site.add_vault("other")
        site.write()
        write(vault / "a", "a")
        write(other / "b", "b")
        site.start()
        site.wait_protected()
        site.wait_protected("other")
        assert site.stop() == 0
        vault.rename(tmp_path / "aside")
        site.start()
        wait_alert(site, "vault-missing")
        write(other / "c", "c")
        until(lambda: versions(site, b"c", "other"), "the other vault is protected")
        assert deletions(site) == set() and len(fulls(site)) == 1
        write(tmp_path / "aside" / "d", "d, while it was away")
        (tmp_path / "aside").rename(vault)
        wait_over(site, "vault-missing")
        until(lambda: versions(site, b"d"), "protected again")
        site.wait_protected()
        site.assert_nothing_lost()


def test_a_new_vault_whose_folder_is_missing_is_refused_before_a_record_of_it_is_made(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        vault.rmdir()
        shutil.rmtree(site.state)
        answer = site.cli("backup")
        assert answer.code != 0 and answer.json["error"]["code"] == "config"
        assert os.listdir(site.state) == ["lock"]


def test_a_mass_change_that_is_stored_in_parts_is_seen_as_a_whole(tmp_path: Path):
    with bare_site(tmp_path, mass_change_share=0.5, mass_change_files=10) as (site, vault):
        for number in range(40):
            write(vault / f"folder {number % 8}" / f"{number}", os.urandom(300_000))
        site.backup(full=True)
        site.host["batch_seconds"] = 0.05
        site.write()
        for path in [path for path in vault.rglob("*") if path.is_file()]:
            path.write_bytes(os.urandom(300_000))
        site.backup(full=True)
        parts = [len(site.content(snapshot["id"])) for snapshot in site.snapshots(kind="express")]
        assert len(parts) >= 2 and max(parts) < 20, "no part is half of the vault"
        found = site.alert("mass-change", "")
        assert found is not None and found.detail["changed"] == 40


def test_a_mass_change_is_an_alert_protection_goes_on_and_only_somebody_ends_it(tmp_path: Path):
    with bare_site(tmp_path, mass_change_share=0.5, mass_change_files=10) as (site, vault):
        for number in range(40):
            write(vault / f"folder {number % 3}" / f"{number}", f"first {number}")
        site.start()
        site.wait_protected()
        for number in range(40, 100):
            write(vault / "new" / f"{number}", "new files are no mass change")
        until(lambda: len(versions(site)) >= 100, "new files are protected")
        site.wait_protected()
        for number in range(9):
            write(vault / "new" / f"{number + 40}", "few")
        until(lambda: len(versions(site)) >= 109, "few changes are protected")
        site.wait_protected()
        assert site.alert("mass-change", "") is None
        for path in [path for path in vault.rglob("*") if path.is_file()][:60]:
            path.write_text("encrypted")
        wait_alert(site, "mass-change")
        until(lambda: len(versions(site)) >= 169, "protection goes on")
        site.wait_protected()
        site.assert_restorable()
        found = site.alert("mass-change", "")
        assert found is not None and found.detail["changed"] >= 50
        answer = site.cli("backup", "--full")
        assert answer.code == 0 and alert(site, "mass-change"), "only somebody ends it"
        assert site.cli("alert", "ack", str(found.id)).code == 0
        assert alert(site, "mass-change") is None
        for path in [path for path in vault.rglob("*") if path.is_file()][:70]:
            path.unlink()
        wait_alert(site, "mass-change")
        site.wait_protected()
        assert len(deletions(site)) == 70
        site.assert_restorable()

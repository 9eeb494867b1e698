"""The life of a change, with a real daemon, restic and sshd: what changed is off-site, exactly, and hashes are true."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site, site_in, until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as made:
        made.add_target()
        yield made


def fill(vault: Path, files: int = 60) -> None:
    for number in range(files):
        folder = vault / f"folder {number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"file {number}").write_bytes(os.urandom(500 + number))


def test_a_first_backup_without_a_daemon_is_exact_and_bound(site: Site):
    vault = site.add_vault()
    fill(vault)
    site.prepare()
    (outcome,) = site.backup(full=True)
    assert (outcome.error, outcome.kind) == (None, "full")
    site.assert_restorable()
    assert site.assert_hashes_true() >= 60


def test_every_kind_of_change_reaches_a_full_snapshot(site: Site):
    vault = site.add_vault()
    fill(vault)
    site.prepare()
    site.start()
    site.wait_protected()
    (vault / "new").write_text("new")
    (vault / "folder 0" / "file 0").write_text("rewritten")
    (vault / "folder 1").rename(vault / "renamed")
    (vault / "folder 2" / "file 2").unlink()
    (vault / "deep" / "er").mkdir(parents=True)
    (vault / "deep" / "er" / "file").write_text("deep")
    Path(os.fsdecode(os.fsencode(vault) + b"/\xc4\xe3\xba\xc3 \n-")).write_text("GBK")
    until(lambda: site.at()["owed"] > 0, "the changes are noticed")
    site.wait_protected()
    site.assert_restorable()
    assert site.assert_hashes_true() >= 63
    store = site.store()
    deleted = {v.path for v in store.versions(store.vault_id("records")) if v.state == "deleted"}
    store.close()
    assert b"folder 2/file 2" in deleted
    assert b"folder 1/file 1" in deleted


def test_nothing_is_done_while_nothing_changes(site: Site):
    fill(site.add_vault())
    site.prepare()
    site.backup(full=True)
    before = [snapshot["id"] for snapshot in site.snapshots()]
    site.backup()
    assert [snapshot["id"] for snapshot in site.snapshots()] == before


def test_a_large_backlog_is_settled_by_a_scan_and_not_path_by_path(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vaultd.protect.snapshot.MANY_OWED", 1)
    monkeypatch.setattr("vaultd.protect.settle.settle_owed", None)
    vault = site.add_vault()
    fill(vault)
    site.prepare()
    site.backup(full=True)
    (vault / "folder 2" / "file 2").unlink()
    (vault / "empty").mkdir()
    (vault / "folder 3").chmod(0o700)
    site.backup(full=True)
    store = site.store()
    try:
        target, number = store.target_id("offsite"), store.vault_id("records")
        assert store.backlog(target, number).owed == 0
        assert [v.path for v in store.versions(number) if v.state == "deleted"] == [b"folder 2/file 2"]
    finally:
        store.close()
    site.assert_restorable()


def test_a_folder_replaced_by_a_symlink_takes_its_files_along(site: Site, tmp_path: Path):
    vault = site.add_vault()
    fill(vault)
    site.prepare()
    site.start()
    site.wait_protected()
    elsewhere = tmp_path / "elsewhere"
    (vault / "folder 0").rename(elsewhere)
    (vault / "folder 0").symlink_to(elsewhere)  # lstat of "folder 0/file 0" still answers, for a file elsewhere
    until(lambda: site.at()["owed"] > 0, "the change is noticed")
    site.wait_protected()
    store = site.store()
    try:
        current = {v.path for v in store.current_versions(store.vault_id("records"))}
    finally:
        store.close()
    assert not any(path.startswith(b"folder 0/") for path in current)
    site.assert_hashes_true()

"""Whole listings go into the catalog as they are, and nothing younger is lost by that."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mounting import mounted, needs_mounts, unmount
from tests.scanning import Vault
from vaultd.model import Stat
from vaultd.store.catalog import Row
from vaultd.watch import listings
from vaultd.watch.differences import Differences
from vaultd.watch.follow import follow
from vaultd.watch.guard import check
from vaultd.watch.hints import Hint, HintKind
from vaultd.watch.listings import Listings
from vaultd.watch.record import record
from vaultd.watch.result import Counts
from vaultd.watch.walk import Walk


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault(tmp_path)
    for name in ("a/b/c/file", "a/b/other", "a/top", "z"):
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / name).write_text(name)
    yield made
    made.store.close()


def writer(vault: Vault) -> tuple[Listings, Differences]:
    differences = Differences(vault.store, vault.id, (vault.target,), vault.root, False, Counts())
    return Listings(vault.store, vault.id, (vault.target,), vault.root, False, differences), differences


def rows(vault: Vault, folder: str) -> list[Row]:
    found = [(path.name, Stat.of(path.lstat())) for path in (vault.path / folder).iterdir()]
    return sorted((os.fsencode(name), seen.kind.value, *seen[1:]) for name, seen in found)


def takes(made: Listings, vault: Vault, folder: str, below: list[bytes]) -> bool:
    return made.takes(os.fsencode(folder), os.lstat(vault.path / folder), rows(vault, folder), below)


def write_down(vault: Vault, *paths: bytes) -> None:
    record(vault.store, vault.id, (vault.target,), vault.root, paths)


def test_a_directory_is_listed_after_its_own_entry_is_in_the_catalog(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a change after the listing could have its hint before the catalog has the directory, and be dropped."""
    real, listed = Walk._listing, []

    def listing(walk: Walk, folder: bytes, *others: Any) -> list[Row]:
        listed.append(folder)
        assert vault.store.entries(vault.id, [folder])[folder].stat.kind == "d"
        return real(walk, folder, *others)

    monkeypatch.setattr(Walk, "_listing", listing)
    vault.scan()
    assert sorted(listed) == [b"", b"a", b"a/b", b"a/b/c"]
    assert vault.known() == vault.truth()
    assert vault.pending() == {path: seen.kind.value for path, seen in vault.truth().items()}


def test_what_was_seen_after_the_listing_is_not_overwritten_by_it(vault: Vault) -> None:
    write_down(vault, b"", b"a")
    made, differences = writer(vault)
    assert takes(made, vault, "a", [b"a/b"])
    (vault.path / "a/top").write_text("younger, and longer")
    write_down(vault, b"a/top")  # its hint
    (vault.path / "a/b/c/file").unlink()
    assert made.write() == [b"a/b"]
    differences.write()
    assert vault.known() == {path: vault.truth()[path] for path in (b"", b"a", b"a/top", b"a/b")}


def test_a_directory_that_became_something_else_takes_its_listing_along(vault: Vault) -> None:
    write_down(vault, b"", b"a", b"a/b")
    made, differences = writer(vault)
    assert takes(made, vault, "a/b", [])
    shutil.rmtree(vault.path / "a/b")
    (vault.path / "a/b").write_text("a file now")
    write_down(vault, b"a/b")
    made.write()
    differences.write()
    assert vault.known().keys() == {b"", b"a", b"a/b"}
    vault.scan()
    assert vault.known() == vault.truth()


def test_what_went_after_the_listing_is_not_written(vault: Vault) -> None:
    """The hint of a deletion finds nothing to delete when it comes first."""
    write_down(vault, b"", b"a")
    made, differences = writer(vault)
    assert takes(made, vault, "a", [b"a/b"])
    (vault.path / "a/top").unlink()
    write_down(vault, b"a/top", b"a")
    made.write()
    differences.write()
    assert vault.known() == {path: vault.truth()[path] for path in (b"", b"a", b"a/b")}
    assert made.whole == set()


def test_a_name_that_is_listed_twice_is_one(vault: Vault) -> None:
    """Some file systems do so, those in user space among them."""
    write_down(vault, b"")
    made, differences = writer(vault)
    twice = [*rows(vault, ""), *rows(vault, "")]
    assert made.takes(b"", os.lstat(vault.path), twice, [b"a"])
    made.write()
    differences.write()
    assert vault.known() == {path: vault.truth()[path] for path in (b"", b"a", b"z")}


def test_what_could_not_be_looked_at_once_is_found_by_its_hint(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failed = os.stat, list[object]()

    def stat(path: Any, **values: Any) -> os.stat_result:
        if path == b"top" and not failed:
            failed.append(path)
            raise OSError(errno.EIO, "once")
        return real(path, **values)

    monkeypatch.setattr(os, "stat", stat)
    hints = [Hint(b"a", HintKind.DIRECTORY), Hint(b"a/top", HintKind.CHANGED), Hint(b"z", HintKind.CHANGED)]
    write_down(vault, b"")
    follow(vault.store, vault.id, (vault.target,), vault.root, hints)
    assert failed and vault.known() == vault.truth()


def test_a_long_listing_is_written_path_by_path(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep other writers waiting."""
    monkeypatch.setattr(listings, "LONGEST", 0)
    made, _differences = writer(vault)
    assert not takes(made, vault, "", [])
    monkeypatch.setattr(vault.store, "observe_listings", None)  # and by nothing else
    assert vault.scan().changed == len(vault.truth())
    assert vault.known() == vault.truth()


@needs_mounts
def test_a_disk_that_goes_between_listing_and_writing_leaves_no_trace_of_its_absence(vault: Vault) -> None:
    disk = vault.path / "a" / "disk"
    (disk / "dir").mkdir(parents=True)  # what it hides
    (disk / "dir" / "hidden").touch()
    write_down(vault, b"", b"a")
    with mounted(disk, "-t", "tmpfs", "none"):
        (disk / "dir").mkdir()
        assert not check(vault.store, vault.id, vault.root).skipped
        made, differences = writer(vault)
        assert takes(made, vault, "a", [b"a/b", b"a/disk"])
        unmount(disk)
        made.write()
        differences.write()
    assert b"a/disk" not in vault.known() and b"a/top" in vault.known()
    assert differences.counts.skipped == {b"a/disk"}
    assert not vault.scan().complete
    assert not [path for path in vault.known() if path.startswith(b"a/disk")]

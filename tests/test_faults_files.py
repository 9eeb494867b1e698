"""Files as they come: every kind, name and kind of change is in a full snapshot that restic alone restores."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.filefaults import ROOT, assert_exact, bare_site, fulls, next_full, stored_file, versions
from tests.restoring import _ACL, ODD_NAMES, hard_to_restore, write

MIB = 1 << 20
LONGEST = 4095
"""Bytes of the longest path that the kernel takes, from the root folder on."""


def deep_file(root: Path, length: int) -> bytes:
    """Write a file whose absolute path has exactly ``length`` bytes; its path."""
    path = os.fsencode(root)
    while length - len(path) > 300:
        path += b"/" + b"D" * 200
        os.mkdir(path)
    rest = length - len(path) - 1
    if rest > 255:
        path += b"/" + b"e" * 100
        os.mkdir(path)
        rest -= 101
    path += b"/" + b"f" * rest
    assert len(path) == length
    write(path, "deep")
    return path


def test_every_kind_of_file_and_name_comes_back_exactly(tmp_path: Path):
    """0 bytes, FIFO, device, symlink loop, 255-byte names, newline, quotes, leading dash, invalid UTF-8, long paths."""
    with bare_site(tmp_path) as (site, vault):
        hard_to_restore(vault)
        longest = deep_file(vault, LONGEST)
        with socket.socket(socket.AF_UNIX) as channel:
            channel.bind(str(vault / "socket"))
            (outcome,) = site.backup(full=True)
            assert (outcome.error, outcome.unread, outcome.kind) == (None, (), "full")
            site.assert_restorable()
            assert_exact(site, long=True)
            assert {version.path for version in versions(site)} == site.on_disk().keys()
            assert longest[len(os.fsencode(vault)) + 1 :] in site.on_disk()
            assert site.assert_hashes_true() > len(ODD_NAMES)
            assert site.owed() == 0
            assert site.alerts() == set()
            kinds = site.restic("ls", "--json", fulls(site)[-1])
            assert b'"type":"fifo"' in kinds
            assert b'"type":"socket"' not in kinds  # restic leaves them out: nobody could use one that comes back
            assert not ROOT or b'"type":"chardev"' in kinds


def test_listed_files_with_any_name_are_in_an_express_snapshot(tmp_path: Path):
    """An express snapshot names its files one by one: no name may be taken for an option, a pattern or two names."""
    with bare_site(tmp_path) as (site, vault):
        write(vault / "first", "first")
        site.host["full_seconds"] = 0
        site.host["full_share"] = 0.000001
        site.write()
        site.backup(full=True)
        for name in ODD_NAMES:
            write(os.path.join(os.fsencode(vault), b"odd", name), b"content of " + name)
        deep_file(vault, LONGEST)
        (outcome,) = site.backup()
        assert (outcome.error, outcome.kind, outcome.unread) == (None, "express", ())
        expected = {path: digest for path, digest in site.on_disk().items() if path != b"first"}
        assert site.content(outcome.snapshot) == expected
        assert site.assert_hashes_true() == len(expected) + 1


def test_a_path_longer_than_the_kernel_takes_is_named_and_stops_nothing_else(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        write(vault / "beside", "beside")
        folder = os.path.dirname(deep_file(vault, LONGEST))
        handle = os.open(folder, os.O_RDONLY)
        try:
            with open(os.open(b"g" * 250, os.O_WRONLY | os.O_CREAT, dir_fd=handle), "wb") as stream:
                stream.write(b"out of reach")
            (outcome,) = site.backup(full=True)
            assert (outcome.error, outcome.kind) == (None, "full")
            assert [os.path.basename(path) for path in outcome.unread] == [b"g" * 250]
            assert "unread-files" in site.alerts()
            content = site.content(outcome.snapshot)
            assert b"beside" in content and len(content) == 2
            os.unlink(b"g" * 250, dir_fd=handle)
        finally:
            os.close(handle)
        (outcome,) = site.backup(full=True)
        assert (outcome.error, outcome.unread) == (None, ())
        assert site.alerts() == set()
        assert site.owed() == 0


def test_a_sparse_file_of_more_than_4_gib_is_bound_to_what_is_stored(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        size = (4 << 30) + 4097
        with (vault / "huge").open("wb") as stream:
            stream.write(b"begins")
            stream.truncate(size)
            stream.seek(size - 4)
            stream.write(b"ends")
        (outcome,) = site.backup(full=True)
        assert (outcome.error, outcome.bytes) == (None, size)
        (version,) = versions(site)
        assert version.sha256 is not None and version.state == "bound"
        assert (version.size, version.sha256.hex()) == stored_file(site, outcome.snapshot, vault / "huge")
        assert version.size == size
        assert outcome.sent < 64 * MIB


def _set_acl(path: Path) -> None:
    os.setxattr(path, "system.posix_acl_access", _ACL)


CHANGES: dict[str, Callable[[Path], object]] = {
    "mode of a file": lambda vault: (vault / "a").chmod(0o640),
    "mode of a folder": lambda vault: (vault / "folder").chmod(0o710),
    "owner": lambda vault: os.chown(vault / "a", 1234, 4321) if ROOT else (vault / "a").chmod(0o604),
    "owner of a symlink": lambda vault: os.lchown(vault / "link", 5, 6) if ROOT else None,
    "times of a file": lambda vault: os.utime(vault / "a", ns=(1, 981173106_123456789)),
    "times of a folder": lambda vault: os.utime(vault / "folder", ns=(1, 981173107_000000001)),
    "extended attribute": lambda vault: os.setxattr(vault / "b", "user.note", b"\x00\xff"),
    "extended attribute of a folder": lambda vault: os.setxattr(vault / "folder", "user.note", b"of a folder"),
    "ACL": lambda vault: _set_acl(vault / "b"),
    "default ACL": lambda vault: os.setxattr(vault / "folder", "system.posix_acl_default", _ACL),
    "rename": lambda vault: (vault / "a").rename(vault / "a renamed"),
    "move into a folder": lambda vault: (vault / "a renamed").rename(vault / "folder" / "a moved"),
    "hard link": lambda vault: os.link(vault / "b", vault / "folder" / "b too"),
    "symlink with another target": lambda vault: _relink(vault / "link"),
    "deletion": lambda vault: (vault / "c").unlink(),
    "deletion of an empty folder": lambda vault: (vault / "empty").rmdir(),
    "attributes of the vault's folder": lambda vault: os.setxattr(vault, "user.root", b"root"),
}


def _relink(link: Path) -> None:
    link.unlink()
    link.symlink_to("elsewhere")


def test_each_kind_of_change_leads_to_a_full_snapshot_that_has_it(tmp_path: Path):
    """Mode, owner, times, xattr, ACL, rename, hard link, deletion: each alone wakes the daemon, by its event."""
    with bare_site(tmp_path) as (site, vault):
        for name in ("a", "b", "c", "folder/inside"):
            write(vault / name, name)
        (vault / "empty").mkdir()
        (vault / "link").symlink_to("a")
        site.start()
        site.wait_protected()
        assert_exact(site)
        for number, (what, change) in enumerate(CHANGES.items()):
            known = len(fulls(site))
            if what.startswith("owner of") and not ROOT:
                continue
            change(vault)
            next_full(site, known, what)
            if number % 5 == 4:
                assert_exact(site)
        assert_exact(site)
        site.assert_hashes_true()
        assert site.stop() == 0


def test_a_change_of_metadata_alone_is_found_by_the_scan_too(tmp_path: Path):
    """The same changes without a daemon, as they are after a restart: nothing but the scan can tell."""
    with bare_site(tmp_path) as (site, vault):
        for name in ("a", "b", "c", "folder/inside"):
            write(vault / name, name)
        (vault / "empty").mkdir()
        (vault / "link").symlink_to("a")
        site.backup(full=True)
        for what, change in CHANGES.items():
            if not what.startswith("owner of") or ROOT:
                change(vault)
        site.start()
        next_full(site, 1, "a restart")
        assert_exact(site)
        site.assert_hashes_true()


@pytest.mark.parametrize("files", [1000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_metadata_of_thousands_of_files_changes_cheaply(tmp_path: Path, files: int):
    """chmod of the vault's root and of all files, rename of their folder: at most two snapshots each, no content sent
    again. A folder replaced by a file, and back."""
    with bare_site(tmp_path, mass_change_share=1.0) as (site, vault):
        for number in range(files):
            write(vault / "many" / f"{number % 10}" / f"file {number}", os.urandom(600))
        site.start()
        site.wait_protected()
        before = len(site.runs())

        def settled(what: str, most: int) -> int:
            nonlocal before
            next_full(site, known, what)
            made = site.runs()[before:]
            before += len(made)
            snapshots = [run for run in made if run.state in ("done", "partial")]
            assert len(snapshots) <= most, f"{what}: {[(run.kind, run.state, run.files) for run in made]}"
            assert sum(run.sent for run in made) < files * 600, f"{what}: content was sent again"
            return len(fulls(site))

        known = len(fulls(site))
        vault.chmod(0o711)
        known = settled("chmod of the root", 1)
        for folder in (vault / "many").iterdir():
            for path in folder.iterdir():
                path.chmod(0o600)
        known = settled("chmod of all files", 2)
        assert_exact(site)
        (vault / "many").rename(vault / "renamed")
        known = settled("rename of the folder", 2)
        assert_exact(site)
        (vault / "renamed").rename(tmp_path / "aside")
        write(vault / "renamed", "a file now")
        known = settled("folder replaced by a file", 3)
        assert site.content(fulls(site)[-1]).keys() == {b"renamed"}
        (vault / "renamed").unlink()
        (tmp_path / "aside").rename(vault / "renamed")
        known = settled("the folder back", 3)
        assert_exact(site)
        assert site.assert_hashes_true() >= 2 * files
        site.assert_nothing_lost()

"""The reconcile scan finds every difference, and takes nothing for deleted that it could not look at."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mounting import image, mounted, needs_mounts, unmount
from tests.scanning import Vault
from vaultd.model import Stat
from vaultd.names import join
from vaultd.store import Store
from vaultd.watch.look import Look
from vaultd.watch.scan import RootProblem


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault(tmp_path)
    for index in range(3):
        folder = made.path / f"d{index}" / "deep"
        folder.mkdir(parents=True)
        (folder / "file").write_text(f"content {index}")
        (made.path / f"f{index}").write_text("top")
    yield made
    made.store.close()


def test_the_first_scan_has_everything_and_the_second_finds_nothing(vault: Vault) -> None:
    first = vault.scan()
    assert (first.files, first.directories, first.size) == (6, 7, 3 * 9 + 3 * 3)
    assert (first.changed, first.gone, first.complete) == (13, 0, True)
    assert vault.known() == vault.truth()
    assert vault.pending().keys() == vault.truth().keys()
    vault.settle()
    second = vault.scan()
    assert (second.files, second.directories, second.changed, second.gone) == (6, 7, 0, 0)
    assert vault.pending() == {}


def _replace_folder_by_file(path: Path) -> None:
    shutil.rmtree(path / "d0")
    (path / "d0").write_text("now a file")


def _replace_file_by_folder(path: Path) -> None:
    (path / "f0").unlink()
    (path / "f0" / "sub").mkdir(parents=True)
    (path / "f0" / "sub" / "file").touch()


def _write_through_mmap_times_kept(path: Path) -> None:
    before = os.stat(path / "f0")
    (path / "f0").write_text("TOP")
    os.utime(path / "f0", ns=(before.st_atime_ns, before.st_mtime_ns))  # only the ctime tells


def _swap_the_children_of_two_folders(path: Path) -> None:
    (path / "d0" / "deep").rename(path / "tmp")
    (path / "d1" / "deep").rename(path / "d0" / "deep")
    (path / "tmp").rename(path / "d1" / "deep")


CHANGES: list[tuple[Callable[[Path], object], set[bytes]]] = [
    (lambda path: (path / "f0").write_text("longer"), {b"f0"}),
    (lambda path: (path / "f0").chmod(0o600), {b"f0"}),
    (lambda path: (path / "d0").chmod(0o700), {b"d0"}),
    (lambda path: path.chmod(0o700), {b""}),
    (lambda path: os.utime(path / "f0", ns=(1, 1)), {b"f0"}),
    (lambda path: (path / "f0").unlink(), {b"f0", b""}),
    (lambda path: (path / "f0").rename(path / "g0"), {b"f0", b"g0", b""}),
    (lambda path: (path / "d0").rename(path / "e0"), {b"d0", b"d0/deep", b"d0/deep/file", b"e0", b"e0/deep",
    b"e0/deep/file", b""}), (lambda path: shutil.rmtree(path / "d0"), {b"d0", b"d0/deep", b"d0/deep/file", b""}),
    (lambda path: (path / "d0" / "empty").mkdir(), {b"d0", b"d0/empty"}), (lambda path: os.link(path / "f0", path /
    "d0" / "hard"), {b"f0", b"d0", b"d0/hard"}), (lambda path: (path / "link").symlink_to("f0"), {b"link", b""}),
    (lambda path: os.mkfifo(path / "fifo"), {b"fifo", b""}), (_replace_folder_by_file, {b"d0", b"d0/deep",
    b"d0/deep/file", b""}), (_replace_file_by_folder, {b"f0", b"f0/sub", b"f0/sub/file", b""}),
    (_write_through_mmap_times_kept, {b"f0"}), (_swap_the_children_of_two_folders, {b"", b"d0", b"d1", b"d0/deep",
    b"d1/deep", b"d0/deep/file", b"d1/deep/file"}), ]  # fmt: skip


@pytest.mark.parametrize(("change", "paths"), CHANGES)
def test_each_kind_of_change_is_found_and_marks_just_its_paths(
    vault: Vault, change: Callable[[Path], object], paths: set[bytes]
) -> None:
    vault.scan()
    vault.settle()
    change(vault.path)
    vault.scan()
    assert vault.known() == vault.truth()
    assert vault.pending().keys() == paths
    vault.settle()
    assert (vault.scan().changed, vault.pending()) == (0, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_change_of_owner_is_found(vault: Vault) -> None:
    vault.scan()
    vault.settle()
    os.chown(vault.path / "f0", 12345, 54321)
    os.mknod(vault.path / "null", 0o20666, os.makedev(1, 3))
    vault.scan()
    assert vault.pending().keys() == {b"f0", b"null", b""}
    assert vault.known() == vault.truth()


def test_names_are_bytes_and_sockets_are_entries(vault: Vault) -> None:
    names = [b"\xff\xfe", "机密".encode("gbk"), b"new\nline", b"-rf", b"'\"", b"n" * 255, b"\x01", "é".encode(), b"a b"]
    for name in names:
        os.mkdir(vault.root + b"/" + name)
        os.close(os.open(vault.root + b"/" + name + b"/" + name, os.O_CREAT))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(vault.path / "sock"))
        assert vault.scan().complete
        assert vault.known() == vault.truth()
        assert vault.known()[b"sock"].kind == "o"


def test_symlink_loops_are_entries_and_not_followed(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (vault.path / "self").symlink_to(vault.path)
    (vault.path / "out").symlink_to(tmp_path / "outside")
    (vault.path / "circle").symlink_to("circle")
    vault.scan()
    assert vault.known() == vault.truth()
    vault.scan(b"out/secret")
    vault.scan(b"self/f0")
    assert vault.known() == vault.truth()


def test_more_changes_than_a_batch_are_all_written(vault: Vault) -> None:
    for index in range(12_000):
        os.close(os.open(vault.root + b"/d0/%d" % index, os.O_CREAT))
    assert vault.scan().changed == 12_013
    shutil.rmtree(vault.path / "d0")
    (vault.path / "d0").mkdir()
    assert vault.scan().gone == 12_001
    assert vault.known() == vault.truth()


@pytest.mark.parametrize("subtree", [b"d0", b"d0/deep", b"d0/deep/file", b"f0", b"d0/deep/none/of/it", b"none"])
def test_a_scan_of_one_path_sees_that_path_only(vault: Vault, subtree: bytes) -> None:
    vault.scan()
    vault.settle()
    (vault.path / "f2").write_text("not looked at")
    vault.scan(subtree)
    assert vault.pending() == {}
    if os.path.lexists(join(vault.root, subtree)):
        (vault.path / os.fsdecode(subtree)).chmod(0o700)
        vault.scan(subtree)
        assert vault.pending().keys() == {subtree}


def test_a_scan_of_a_path_that_went_or_became_a_file_puts_all_below_right(vault: Vault) -> None:
    vault.scan()
    vault.settle()
    shutil.rmtree(vault.path / "d0")
    vault.scan(b"d0")
    assert vault.pending() == {b"d0": "-", b"d0/deep": "-", b"d0/deep/file": "-"}
    vault.settle()
    shutil.rmtree(vault.path / "d1")
    (vault.path / "d1").write_text("file")
    vault.scan(b"d1/deep/file")
    assert vault.pending() == {b"d1": "f", b"d1/deep": "-", b"d1/deep/file": "-"}
    vault.scan()
    assert vault.known() == vault.truth()


def test_paths_too_long_to_open_are_reported_and_not_deleted(vault: Vault) -> None:
    handle = os.open(vault.root, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=handle)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = deeper
    os.close(handle)
    try:
        found = vault.scan()
        assert not found.complete
        assert found.unreadable_count == 1
        assert len(found.unreadable[0]) > 3500
        assert found.directories > 20
        vault.settle()
        again = vault.scan()
        assert (again.changed, again.gone, again.unreadable) == (0, 0, found.unreadable)
    finally:
        shutil.rmtree(vault.path / ("d" * 250))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_what_lies_below_an_unreadable_directory_stays(vault: Vault, tmp_path: Path) -> None:
    vault.scan()
    vault.settle()
    (vault.path / "d0").chmod(0o000)  # cannot be listed
    (vault.path / "d1").chmod(0o704)  # can be listed, but its entries cannot be looked at
    vault.store.close()
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o005)
    for path in (tmp_path, *tmp_path.glob("state.db*")):
        os.chown(path, 65534, 65534)
    script = (
        "import os,sys\nfrom pathlib import Path\nfrom vaultd.store import Store\nfrom vaultd.watch.scan import scan\n"
        "import encodings.ascii, urllib.parse\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s=Store(Path(sys.argv[2])); r=scan(s,1,(1,),os.fsencode(sys.argv[1]))\n"
        "print(r.changed, r.gone, r.complete, sorted(r.unreadable))\ns.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(vault.path), str(vault.database)], capture_output=True, text=True
    )
    assert done.stdout == "2 0 False [b'd0', b'd1/deep']\n", done.stderr
    vault.store = Store(vault.database)
    assert vault.known() == vault.truth()


def test_a_vault_that_changes_all_the_time_is_right_once_it_rests(vault: Vault) -> None:
    """Directories vanish, appear and are replaced during the walk, and another writer notes what it sees meanwhile."""
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            folder = vault.path / "d1" / f"c{number % 7}"
            if folder.is_dir():
                folder.rename(folder.with_name("gone"))
                shutil.rmtree(folder.with_name("gone"))
                folder.write_text("file")
            else:
                folder.unlink(missing_ok=True)
                (folder / "x" / "y").mkdir(parents=True)
                (folder / "x" / "y" / f"{number}").touch()
            (vault.path / "f1").write_text(str(number))
            vault.store.observe(vault.id, (vault.target,), [(b"f1", Stat.of(os.lstat(vault.path / "f1")))])

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(100):
            assert not vault.scan().root_problem
    finally:
        stop.set()
        thread.join()
    vault.scan()
    assert vault.known() == vault.truth()


# The vault's folder itself


def test_a_missing_folder_is_a_problem_and_no_deletion(vault: Vault) -> None:
    vault.scan()
    known = vault.known()
    vault.settle()
    vault.path.rename(vault.path.with_name("away"))
    assert vault.scan().root_problem is RootProblem.GONE
    vault.path.write_text("a file")
    assert vault.scan().root_problem is RootProblem.GONE
    assert not vault.scan().complete
    assert (vault.known(), vault.pending()) == (known, {})


def test_an_emptied_folder_is_a_problem_until_it_is_accepted(vault: Vault) -> None:
    vault.scan()
    known = vault.known()
    for path in vault.path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert vault.scan().root_problem is RootProblem.EMPTIED
    assert vault.scan(b"d0").root_problem is RootProblem.EMPTIED
    assert vault.known() == known
    assert vault.scan(accept=True).gone == 6
    assert vault.known().keys() == {b""}
    assert vault.scan().complete


def test_a_vault_that_begins_empty_is_fine(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert vault.scan().complete
    assert vault.known().keys() == {b""}
    vault.store.close()


# Mounts


@needs_mounts
def test_a_mount_that_went_makes_no_deletions_and_the_same_one_back_is_fine(vault: Vault, tmp_path: Path) -> None:
    disk, place = image(tmp_path / "disk.img"), vault.path / "d0" / "disk"
    place.mkdir()
    with mounted(place, "-o", "loop", str(disk)):
        (place / "kept").write_text("on the disk")
        assert vault.scan().complete
        assert b"d0/disk/kept" in vault.known()
    known = vault.known()
    vault.settle()
    for subtree in (b"", b"d0", b"d0/disk", b"d0/disk/kept"):
        without = vault.scan(subtree)
        assert without.skipped_mounts == (b"d0/disk",)
        assert (without.changed, without.gone, without.complete) == (0, 0, False)
    (place / "covered").touch()
    vault.scan()
    assert (vault.known(), vault.pending()) == (known, {})
    assert vault.scan(b"d1").complete  # the rest of the vault is not held up
    (place / "covered").unlink()
    with mounted(place, "-o", "loop", str(disk)):
        again = vault.scan()
        assert (again.complete, again.changed, again.gone) == (True, 0, 0)
        assert vault.known() == vault.truth()


@needs_mounts
def test_the_mount_point_itself_removed_makes_no_deletions(vault: Vault) -> None:
    place = vault.path / "d0" / "disk"
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "none"):
        (place / "kept").touch()
        vault.scan()
        unmount(place)
    shutil.rmtree(vault.path / "d0")
    found = vault.scan()
    assert found.skipped_mounts == (b"d0/disk",)
    assert b"d0/disk/kept" in vault.known()
    assert vault.scan(accept=True).complete
    assert vault.known() == vault.truth()


@needs_mounts
def test_another_disk_at_a_mount_point_makes_no_deletions_until_it_is_accepted(vault: Vault) -> None:
    place = vault.path / "disk"
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "none"):
        (place / "kept").touch()
        vault.scan()
    with mounted(place, "-t", "tmpfs", "none"):
        (place / "other").touch()
        assert vault.scan().skipped_mounts == (b"disk",)
        assert b"disk/kept" in vault.known()
        assert vault.scan(accept=True).complete
        assert vault.known() == vault.truth()
        assert vault.scan().complete


@needs_mounts
def test_a_mount_over_known_files_makes_no_deletions(vault: Vault) -> None:
    vault.scan()
    known = vault.known()
    vault.settle()
    with mounted(vault.path / "d0", "-t", "tmpfs", "none"):
        assert vault.scan().skipped_mounts == (b"d0",)
        assert (vault.known(), vault.pending()) == (known, {})
    assert vault.scan().complete


@needs_mounts
def test_the_vault_unmounted_is_a_problem_and_no_deletion(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    (vault.path / "below the mount").touch()
    with mounted(vault.path, "-t", "tmpfs", "none"):
        (vault.path / "file").touch()
        vault.scan()
        known = vault.known()
    assert vault.scan().root_problem is RootProblem.MOUNT
    assert vault.known() == known
    assert vault.scan(accept=True).complete
    assert vault.known() == vault.truth()
    vault.store.close()


@needs_mounts
def test_a_bind_mount_is_walked_like_any_mount(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").touch()
    (vault.path / "bind").mkdir()
    with mounted(vault.path / "bind", "--bind", str(tmp_path / "source")):
        assert vault.scan().complete
        assert b"bind/file" in vault.known()
    assert vault.scan().skipped_mounts == (b"bind",)


def test_a_look_at_a_path_never_goes_through_a_symlink(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "deep" / "secret").touch()
    look = Look(vault.root)
    assert look.at(b"d0/deep/file") == vault.truth()[b"d0/deep/file"]
    assert look.at(b"") == vault.truth()[b""]
    shutil.rmtree(vault.path / "d0")
    (vault.path / "d0").symlink_to(tmp_path / "outside")
    (vault.path / "loop").symlink_to("loop")
    look = Look(vault.root)
    for path in (b"d0/deep", b"d0/deep/secret", b"loop/x", b"loop/x/y", b"f0/x", b"none/x/y", b"d1/none"):
        assert look.at(path) is None
    assert look.at(b"d0") == vault.truth()[b"d0"]
    assert look.at(b"loop") == vault.truth()[b"loop"]

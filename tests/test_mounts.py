"""What is mounted where, and whether it is still the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mounting import image, mounted, needs_mounts, unmount
from vaultd.watch.mounts import current, identity, is_network, mount_of, mounts_below, needs_poll, parse

TABLE = rb"""
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:40 / /srv/vault/with\040space\134and\012line rw,relatime shared:9 master:2 - tmpfs tmpfs rw
41 27 8:1 /data /srv/vault/bind rw - ext4 /dev/sda1 rw
42 27 0:50 / /srv/vault-other rw - nfs4 server:/export rw
43 42 0:51 / /srv/vault-other/inner rw - cifs //server/share rw
44 27 0:52 / /over rw - tmpfs one rw
45 44 0:53 / /over/inner rw - tmpfs hidden rw
46 44 0:54 / /over rw - tmpfs two rw
47 27 0:55 / /fuse rw - fuse.sshfs me@server: rw
48 27 8:2 / /stick rw - fuseblk /dev/sdb1 rw
broken line
"""


def test_paths_are_unescaped_and_related_to_the_vault() -> None:
    found = mounts_below(b"/srv/vault", parse(TABLE))
    assert set(found) == {b"with space\\and\nline", b"bind"}
    assert found[b"bind"].root == b"/data"
    assert set(mounts_below(b"/srv/vault/", parse(TABLE))) == set(found)
    assert b"srv/vault/bind" in mounts_below(b"/", parse(TABLE))


def test_the_mount_of_a_path_is_the_innermost() -> None:
    table = parse(TABLE)
    for path, source in [
        (b"/srv/vault/bind/x", b"/dev/sda1"),
        (b"/srv/vault/bind", b"/dev/sda1"),
        (b"/srv/vault/binder", b"/dev/vda"),
        (b"/srv/vault-other/inner/deep", b"//server/share"),
    ]:
        mount = mount_of(path, table)
        assert mount is not None
        assert mount.source == source


def test_a_mount_on_top_hides_what_was_mounted_below() -> None:
    table = parse(TABLE)
    over = mount_of(b"/over", table)
    assert over is not None
    assert over.source == b"two"
    assert mounts_below(b"/over", table) == {}


@pytest.mark.parametrize(
    ("path", "network"),
    [
        (b"/srv/vault-other", True),
        (b"/srv/vault-other/inner", True),
        (b"/fuse/x", True),
        (b"/stick", False),
        (b"/etc", False),
    ],
)
def test_network_file_systems_are_known(path: bytes, network: bool) -> None:
    assert is_network(path, parse(TABLE)) is network


def test_the_identity_of_a_network_mount_is_its_source_and_asks_nobody() -> None:
    mount = mount_of(b"/srv/vault-other", parse(TABLE))
    assert mount is not None
    assert identity(mount) == "nfs4:server:/export:/"


def test_this_machine_has_a_root_with_an_identity(tmp_path: Path) -> None:
    mount = mount_of(os.fsencode(tmp_path), current())
    assert mount is not None
    assert identity(mount) == identity(mount)
    assert needs_poll(b"/proc") is False


@needs_mounts
def test_an_image_keeps_its_identity_over_a_remount_and_another_image_has_another(tmp_path: Path) -> None:
    first, second, place = image(tmp_path / "one.img"), image(tmp_path / "two.img"), tmp_path / "place"
    place.mkdir()
    seen = []
    for file in (first, second, first):
        with mounted(place, "-o", "loop", str(file)):
            seen.append(identity(mounts_below(os.fsencode(tmp_path))[b"place"]))
        assert b"place" not in mounts_below(os.fsencode(tmp_path))
    assert seen[0] == seen[2] != seen[1]


@needs_mounts
def test_a_tmpfs_is_another_one_each_time(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with mounted(tmp_path, "-t", "tmpfs", "none"):
            mount = mount_of(os.fsencode(tmp_path))
            assert mount is not None
            seen.append(identity(mount))
    assert seen[0] != seen[1]


@needs_mounts
def test_a_bind_mount_is_known_by_its_source_folder(tmp_path: Path) -> None:
    for name in ("one", "two", "place"):
        (tmp_path / name).mkdir()
    seen = []
    for name in ("one", "two", "one"):
        with mounted(tmp_path / "place", "--bind", str(tmp_path / name)):
            seen.append(identity(mounts_below(os.fsencode(tmp_path))[b"place"]))
    assert seen[0] == seen[2] != seen[1]


@needs_mounts
@pytest.mark.parametrize("name", [b"a space", b"tab\tand\nline", "机密".encode("gbk"), b"back\\slash", b"#hash"])
def test_mount_points_of_any_name_are_found(tmp_path: Path, name: bytes) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "none"):
        assert list(mounts_below(os.fsencode(tmp_path))) == [name]
        unmount(place)
    assert mounts_below(os.fsencode(tmp_path)) == {}

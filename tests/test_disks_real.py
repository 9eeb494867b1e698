"""Folders of this machine, for real: loop devices under file systems that spread over several of them, overlays, bind
mounts, an image inside an image, a mount that has lost a device. Root only.

A loop device is no disk: what is told apart here are the files that stand for disks, each on this machine's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounting import mounted, needs_mounts
from vaultd.disks import copies, inventory, mapping, sysfs
from vaultd.disks.graph import Graph
from vaultd.disks.machine import Machine
from vaultd.disks.model import Disk, DiskMap, Kind, Layer

pytestmark = [needs_mounts, pytest.mark.root]

SIZE = 400 << 20


def run(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def loop(image: Path, size: int = SIZE) -> Iterator[str]:
    """A loop device over a new sparse file; its name ("loop3")."""
    with image.open("wb") as stream:
        stream.truncate(size)
    device = run("losetup", "--find", "--show", image)
    try:
        yield device.removeprefix("/dev/")
    finally:
        subprocess.run(["losetup", "--detach", device], capture_output=True)


@pytest.fixture
def loops(tmp_path: Path) -> Iterator[list[str]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(loop(tmp_path / f"disk{number}.img")) for number in range(3)]


def seen(path: Path, pretend: list[str]) -> tuple[DiskMap, set[frozenset[str]]]:
    """The map of a folder on a machine whose loop devices stand for disks, and its smallest sets by their names."""
    machine = Machine()
    blocks = sysfs.blocks(machine)
    disks = [Disk(f"key-{name}", (name,), "", "", "", "", SIZE, "") for name in pretend]
    graph = Graph(machine, blocks, sysfs.by_node(blocks, machine), mapping.mounts(machine), disks)
    (shown,), problems = mapping.maps(graph, [inventory.Folder(os.fsencode(path))])
    assert problems == []
    return shown, {frozenset(key.removeprefix("key-") for key in one) for one in shown.copies}


def kinds(top: Layer) -> list[Kind]:
    return [layer.kind for layer in copies.layers(top)]


def test_btrfs_raid1_over_three_devices(loops: list[str], tmp_path: Path) -> None:
    """Any two of three are guaranteed, no single one; a subvolume by itself, and below a bind mount, is the same."""
    point = tmp_path / "mnt"
    point.mkdir()
    run("mkfs.btrfs", "-q", "-f", "-m", "raid1", "-d", "raid1", *(f"/dev/{name}" for name in loops))
    with mounted(point, f"/dev/{loops[0]}"):
        run("btrfs", "subvolume", "create", point / "病案")
        expected = {frozenset(pair) for pair in ((loops[0], loops[1]), (loops[0], loops[2]), (loops[1], loops[2]))}
        other = tmp_path / "bound"
        other.mkdir()
        with mounted(other, "--bind", str(point / "病案")):
            for folder in (point, point / "病案", other):
                shown, sets = seen(folder, loops)
                assert sets == expected
                assert shown.sure
                assert shown.every == {f"key-{name}" for name in loops}


def test_btrfs_that_lost_a_device_needs_all_that_is_left(loops: list[str], tmp_path: Path) -> None:
    point = tmp_path / "mnt"
    point.mkdir()
    run("mkfs.btrfs", "-q", "-f", "-m", "raid1", "-d", "raid1", *(f"/dev/{name}" for name in loops))
    run("losetup", "--detach", f"/dev/{loops[2]}")
    run("btrfs", "device", "scan", "--forget")
    run("btrfs", "device", "scan", f"/dev/{loops[1]}")
    with mounted(point, "-o", "degraded", f"/dev/{loops[0]}"):
        shown, sets = seen(point, loops[:2])
        assert sets == {frozenset(loops[:2])}
        assert any("degraded" in layer.notes for layer in copies.layers(shown.top))


def test_btrfs_striped_data_needs_all(loops: list[str], tmp_path: Path) -> None:
    """Metadata in two copies do not make a copy of the data."""
    point = tmp_path / "mnt"
    point.mkdir()
    run("mkfs.btrfs", "-q", "-f", "-m", "raid1", "-d", "single", *(f"/dev/{name}" for name in loops))
    with mounted(point, f"/dev/{loops[1]}"):
        assert seen(point, loops)[1] == {frozenset(loops)}


def test_an_image_in_an_image_leads_to_the_disk_below(loops: list[str], tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    outer.mkdir()
    inner.mkdir()
    run("mkfs.ext4", "-q", f"/dev/{loops[0]}")
    with mounted(outer, f"/dev/{loops[0]}"), loop(outer / "卷 1.img", 20 << 20) as image:
        run("mkfs.ext4", "-q", f"/dev/{image}")
        with mounted(inner, f"/dev/{image}"):
            shown, sets = seen(inner, loops)
            assert sets == {frozenset({loops[0]})}
            assert kinds(shown.top) == [Kind.FOLDER, Kind.FILESYSTEM, Kind.LOOP, Kind.FILE, Kind.FILESYSTEM, Kind.DISK]


def test_an_overlay_needs_all_its_folders(loops: list[str], tmp_path: Path) -> None:
    """Lower ones and the upper one, on three file systems; one with a colon and a space in its name."""
    points = [tmp_path / name for name in ("low:er 1", "lower2", "upper", "merged")]
    for point in points:
        point.mkdir()
    with contextlib.ExitStack() as stack:
        second = "xfs" if shutil.which("mkfs.xfs") else "ext2"
        for name, point, kind in zip(loops, points, ("ext4", second, "ext4"), strict=False):
            run(f"mkfs.{kind}", "-q", f"/dev/{name}")
            stack.enter_context(mounted(point, f"/dev/{name}"))
        (points[2] / "u").mkdir()
        (points[2] / "w").mkdir()
        lower = f"{str(points[0]).replace(':', chr(92) + ':')}:{points[1]}"
        options = f"lowerdir={lower},upperdir={points[2] / 'u'},workdir={points[2] / 'w'}"
        stack.enter_context(mounted(points[3], "-t", "overlay", "-o", options, "overlay"))
        shown, sets = seen(points[3], loops)
        assert sets == {frozenset(loops)}
        assert Kind.OVERLAY in kinds(shown.top)


def test_what_is_mounted_below_a_folder_belongs_to_it(loops: list[str], tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    (vault / "archive").mkdir(parents=True)
    for name in loops[:2]:
        run("mkfs.ext4", "-q", f"/dev/{name}")
    with mounted(vault, f"/dev/{loops[0]}"):
        (vault / "archive/2026").mkdir(parents=True)
        with mounted(vault / "archive/2026", f"/dev/{loops[1]}"):
            assert seen(vault, loops)[1] == {frozenset(loops[:2])}
            assert seen(vault / "archive/2026", loops)[1] == {frozenset({loops[1]})}
            assert seen(vault / "archive", loops)[1] == {frozenset(loops[:2])}


def test_a_symlink_leads_to_where_the_files_are(loops: list[str], tmp_path: Path) -> None:
    point, link = tmp_path / "mnt", tmp_path / "link"
    point.mkdir()
    link.symlink_to(point)
    run("mkfs.ext4", "-q", f"/dev/{loops[0]}")
    with mounted(point, f"/dev/{loops[0]}"):
        assert seen(link, loops)[1] == {frozenset({loops[0]})}


def test_a_vault_in_memory_is_on_no_disk(tmp_path: Path) -> None:
    with mounted(tmp_path, "-t", "tmpfs", "tmpfs"):
        shown, sets = seen(tmp_path, [])
        assert (sets, shown.every) == (set(), frozenset())
        assert Kind.MEMORY in kinds(shown.top)


def test_the_disks_of_this_machine_are_those_that_lsblk_lists() -> None:
    found = inventory.read(Machine())
    names = {name for disk in found.disks for name in disk.names}
    listed = run("lsblk", "-dnbo", "NAME,TYPE,SIZE").splitlines()
    theirs = {row.split()[0] for row in listed if row.split()[1] == "disk" and row.split()[2] != "0"}
    assert names == {name for name in theirs if not name.startswith(("zram", "nbd", "ram"))}

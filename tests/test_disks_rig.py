"""The machine that was made for vaultd: what every layer is was known when it was built. From its sysfs, udev database
and outputs of programs; and replayed with umockdev, as the kernel itself would show it."""

from __future__ import annotations

import json
import lzma
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disking import CORPUS, Box, needs_corpus, unpacked
from vaultd.disks import copies, form, inventory
from vaultd.disks.model import Inventory, Kind
from vaultd.disks.tools import smart

pytestmark = needs_corpus

RIG = CORPUS / "rig-ours"

DISKS = {
    # how it was built: by the serial number that the emulator was told
    "/srv/crypt": [{"SCSI0001"}, {"SCSI0002"}],
    "/home/b": [{"SCSI0001"}, {"SCSI0002"}],
    "/srv/r5": [{"SCSI0003", "SCSI0004"}, {"SCSI0003", "SCSI0005"}, {"SCSI0004", "SCSI0005"}],
    "/srv/lvr": [{"SCSI0006"}, {"SCSI0007"}],
    "/srv/btr": [{"SCSI0008"}, {"WD-ATA10"}],
    "/srv/btrsv": [{"SCSI0008"}, {"WD-ATA10"}],
    "/srv/nv": [{"NVME11"}],
    "/srv/bc": [{"WD-ATA9"}],
    "/srv/usb": [{"USB13"}],
    "/srv/mp": [{"MPATH14"}],
    "/srv/ov": [
        {mirror, *pair}
        for mirror in ("SCSI0006", "SCSI0007")
        for pair in (("SCSI0003", "SCSI0004"), ("SCSI0003", "SCSI0005"), ("SCSI0004", "SCSI0005"))
    ],
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Box:
    folder = tmp_path_factory.mktemp("rig")
    machine = unpacked(RIG / "sysroot.tar.xz", folder, "sysroot")
    box = Box(machine.root)
    for text in (RIG / "udev-db.txt").read_text("utf-8", "replace").split("\n\n"):
        number = re.search(r"^D: b (\d+:\d+)$", text, re.M)
        if number:
            rows = [f"{line[0]}:{line[3:]}" for line in text.splitlines() if line[:3] in ("S: ", "E: ")]
            box.write(f"run/udev/data/b{number[1]}", "\n".join(rows) + "\n")
    box.write("proc/self/mountinfo", (RIG / "mountinfo").read_bytes())
    box.write("proc/mdstat", (RIG / "mdstat").read_bytes())
    box.outputs = {
        ("dm-table", ""): (RIG / "dmtable").read_text(),
        ("dm-status", ""): "vg_r-mir: 0 81920 raid raid1 2 AA 81920/81920 idle 0 0 -\n",
        ("lvs", ""): (RIG / "lvs.json").read_text(),
        ("multipath", ""): (RIG / "multipath.txt").read_text(),
        ("btrfs", "sdj"): (RIG / "btrfs-usage.txt").read_text(),
        ("luks", "nvme0n1"): (RIG / "luksdump.json").read_text(),
        **{("smart", name): (RIG / f"smart-{name}.json").read_text() for name in ("sda", "sdc", "sdm", "nvme0n1")},
    }
    return box


@pytest.fixture(scope="module")
def found(rig: Box) -> Inventory:
    return inventory.read(rig.machine, [inventory.Folder(path.encode()) for path in DISKS], ask=rig.ask)


def serials(found: Inventory, keys: frozenset[str]) -> set[str]:
    return {re.sub(r"-0:0$", "", disk.serial) for disk in found.disks if disk.key in keys}


@pytest.mark.parametrize("path", DISKS)
def test_the_smallest_sets_are_as_it_was_built(found: Inventory, path: str) -> None:
    shown = next(one for one in found.maps if one.path == path.encode())
    assert {frozenset(serials(found, one)) for one in shown.copies} == set(map(frozenset, DISKS[path]))
    assert shown.sure
    assert serials(found, shown.every) == set().union(*DISKS[path])


def test_what_is_in_memory_is_on_no_disk(rig: Box) -> None:
    (shown,) = inventory.read(rig.machine, [inventory.Folder(b"/")]).maps
    assert any(layer.kind is Kind.MEMORY for layer in copies.layers(shown.top))
    assert shown.copies == ()
    # All but the disk with the script, and the cache that was not attached.
    assert len(shown.every) == 14


def test_every_disk_is_listed_once_with_its_identity(found: Inventory) -> None:
    assert {re.sub(r"-0:0$", "", disk.serial) for disk in found.disks} == {
        *(f"SCSI{number:04}" for number in range(1, 9)), "MPATH14", "WD-ATA9", "WD-ATA10", "USB13", "NVME11", "NVME12",
        "guestroot", "script",
    }  # fmt: skip
    assert len({disk.key for disk in found.disks}) == len(found.disks) == 16
    both = next(disk for disk in found.disks if disk.serial == "MPATH14")
    assert both.names == ("sdk", "sdl")
    transports = {disk.serial: disk.transport for disk in found.disks}
    assert (transports["WD-ATA9"], transports["NVME11"], transports["guestroot"]) == ("sata", "nvme", "virtio")
    assert next(disk.transport for disk in found.disks if disk.serial.startswith("USB13")) == "usb"


def test_encryption_is_that_of_what_lies_on_the_disk(found: Inventory) -> None:
    encrypted = {disk.serial: disk.encryption for disk in found.disks if disk.encryption}
    assert encrypted == {"SCSI0001": "luks2", "SCSI0002": "luks2", "NVME11": "luks2"}


def test_health_is_taken_from_the_disk_that_was_asked(found: Inventory) -> None:
    said = {disk.serial: disk.health.passed for disk in found.disks if disk.health}
    own = smart.parse((RIG / "smart-nvme0n1.json").read_text())
    assert own is not None
    assert said["NVME11"] == own.passed
    assert "MPATH14" not in said


def test_the_layers_are_those_that_were_built(found: Inventory) -> None:
    shown = next(one for one in found.maps if one.path == b"/home/b")
    kinds = [layer.kind for layer in copies.layers(shown.top)]
    assert kinds[:6] == [Kind.FOLDER, Kind.FILESYSTEM, Kind.LOGICAL_VOLUME, Kind.CRYPT, Kind.MD, Kind.PARTITION]
    backed = next(layer for one in found.maps for layer in copies.layers(one.top) if layer.kind is Kind.BCACHE)
    assert backed.detail in ("writeback", "writethrough")


def test_without_root_it_is_the_same_but_for_what_is_then_a_guess(rig: Box, found: Inventory) -> None:
    """No program may be asked: every disk is still found, and no set is called enough that is not."""
    bare = inventory.read(rig.machine, [inventory.Folder(path.encode()) for path in DISKS])
    sure = {shown.path for shown in bare.maps if shown.sure}
    for full, one in zip(found.maps, bare.maps, strict=True):
        assert one.every == full.every
        assert all(copies.carries(full.top, chosen) for chosen in one.copies)
    assert {b"/srv/crypt", b"/srv/r5", b"/srv/nv", b"/srv/mp"} <= sure
    assert not {b"/srv/lvr", b"/srv/btr", b"/srv/ov"} & sure  # the level is not told


def test_lsblk_sees_the_same_disks(found: Inventory) -> None:
    """The cross-check: lsblk of the same moment."""
    rows = json.loads((RIG / "lsblk-root.json").read_text())["blockdevices"]
    theirs = {row["name"]: row for row in rows if row["type"] == "disk"}
    ours = {name: disk for disk in found.disks for name in disk.names}
    assert set(ours) == set(theirs)
    for name, row in theirs.items():
        assert ours[name].size == row["size"], name
        if row["wwn"] and not row["wwn"].startswith("nvme."):
            assert int(ours[name].wwn, 16) == int(row["wwn"], 16), name


needs_umockdev = pytest.mark.skipif(shutil.which("umockdev-run") is None, reason="umockdev is not installed")


REPLAY = """
import json
from vaultd.disks import form, inventory
from vaultd.disks.machine import Machine
found = inventory.read(Machine(), [inventory.Folder(path) for path in (b"/dev/md127", b"/dev/vgc/m")])
print(json.dumps(form.inventory(found)))
"""


@needs_umockdev
def test_the_recording_is_replayed_by_umockdev(tmp_path: Path) -> None:
    """Through the very calls that read this machine. Only block devices and what they hang on: the rest takes long."""
    parts = lzma.decompress((RIG / "rig-t4.umockdev.xz").read_bytes()).decode().split("\n\n")
    places = {part.split("\n", 1)[0][3:]: part for part in parts if part.startswith("P: ")}
    blocks = [place for place, part in places.items() if "E: SUBSYSTEM=block" in part and "/loop" not in place]
    kept = [part for place, part in places.items() if any(f"{block}/".startswith(f"{place}/") for block in blocks)]
    recording = tmp_path / "rig.umockdev"
    recording.write_text("\n\n".join(kept) + "\n")
    done = subprocess.run(
        ["umockdev-run", "-d", str(recording), "--", sys.executable, "-c", REPLAY], capture_output=True, text=True,
        check=True, timeout=120, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    found = form.read_inventory(json.loads(done.stdout))
    by_serial = {disk.serial: disk for disk in found.disks}
    assert {f"SCSI{number:04}" for number in range(1, 9)} | {"MPATH14", "USB13", "NVME11", "WD-ATA9"} <= set(by_serial)
    assert by_serial["MPATH14"].names == ("sdk", "sdl")
    array, volume = found.maps
    # Of this array one half was failed and removed a moment before: only the other one carries it.
    assert array.every == {by_serial["SCSI0001"].key}
    assert volume.every == {by_serial["SCSI0006"].key, by_serial["SCSI0007"].key}
    assert not volume.sure

"""The pull list and the procedures of the machine that was made for vaultd: what stands on which disk is known."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.disking import Box, needs_corpus
from tests.pulling import carries
from tests.test_disks_rig import DISKS, found  # noqa: F401
from tests.test_disks_rig import rig as recorded  # noqa: F401
from vaultd.disks.model import Disk, Inventory
from vaultd.pull import words
from vaultd.pull.model import Do, Need
from vaultd.pull.order import compute
from vaultd.pull.procedure import procedure
from vaultd.pull.stack import Reader

pytestmark = needs_corpus


@pytest.fixture(scope="module")
def rig(recorded: Box) -> Box:  # noqa: F811
    """With what the recording left out of the kernel's other ways to the same devices, and the members of the btrfs."""
    sys = recorded.root / "sys"
    (sys / "class/block").mkdir(parents=True)
    (sys / "class/nvme").mkdir()
    for device in (sys / "block").iterdir():
        (sys / "class/block" / device.name).symlink_to(device.resolve())
        for part in device.glob(f"{device.name}*"):
            (sys / "class/block" / part.name).symlink_to(part.resolve())
        if (device / "device").is_dir():
            (device / "device/delete").touch()
        if device.name.startswith("nvme"):
            controller = (device / "device").resolve()
            (sys / "class/nvme" / controller.name).symlink_to(controller)
    members = sys / "fs/btrfs/1/devices"
    members.mkdir(parents=True)
    for name in _BTRFS:
        (members / name).touch()
    return recorded


_BTRFS = ("sdj", "sdb")


def commands(rig: Box, disk: Disk) -> list[str]:
    made = procedure(disk, Reader(rig.root))
    shown = [words.command(step) for step in made.steps if step.do is not Do.SYNC]
    return [command.replace(str(rig.root), "") for command in shown if command]


def by_serial(found: Inventory, serial: str) -> Disk:  # noqa: F811
    return next(disk for disk in found.disks if re.sub(r"-0:0$", "", disk.serial) == serial)


def test_every_prefix_that_is_called_complete_carries_a_copy(found: Inventory) -> None:  # noqa: F811
    named = replace(found, maps=tuple(replace(one, vault=one.path.decode()) for one in found.maps))
    made = compute(named, [Need(path, number) for number, path in enumerate(DISKS, 1)])
    assert {line.need.vault for line in made.vaults} == set(DISKS)
    assert all(line.after is not None for line in made.vaults)
    out = set[str]()
    for pull in made.pulls:
        out.add(pull.disk.key)
        for one in named.maps:
            complete = next(line.after for line in made.vaults if line.need.vault == one.vault)
            assert carries(one.top, frozenset(out)) is (complete is not None and complete <= pull.number)
    assert out == frozenset[str]().union(*(one.every for one in named.maps))


def test_the_encrypted_mirror_comes_down_from_the_top(rig: Box, found: Inventory) -> None:  # noqa: F811
    done = commands(rig, by_serial(found, "SCSI0001"))
    kinds = [line.split()[0] for line in done]
    assert kinds.index("vgchange") > max(at for at, kind in enumerate(kinds) if kind == "umount")
    assert kinds.index("cryptsetup") > kinds.index("vgchange")
    assert kinds.index("mdadm") > kinds.index("cryptsetup")
    assert kinds[-1] == "echo" and done[-1].endswith("/device/delete")
    assert any("AUTO -all" in line for line in done)
    mounts = [line.removeprefix("umount -- ").strip("'") for line in done if line.startswith("umount")]
    assert set(mounts) == {"/srv/crypt", "/home/b"}  # the second is a bind mount of a folder inside


@pytest.mark.parametrize("path", [path for path in DISKS if path != "/srv/ov"])
def test_the_mount_of_each_folder_is_taken_down(rig: Box, found: Inventory, path: str) -> None:  # noqa: F811
    for serial in set().union(*DISKS[path]):
        done = commands(rig, by_serial(found, serial))
        assert any(line.startswith("umount") and path in line for line in done), serial
        assert done[-1].startswith(("echo 1 >", "udisksctl power-off"))


def test_the_transports_are_detached_their_own_way(rig: Box, found: Inventory) -> None:  # noqa: F811
    assert commands(rig, by_serial(found, "NVME11"))[-1].endswith("/device/remove")
    assert commands(rig, by_serial(found, "USB13"))[-1].startswith("udisksctl power-off")
    assert sum("/device/delete" in line for line in commands(rig, by_serial(found, "MPATH14"))) == 2
    assert any(line.startswith("multipath -f") for line in commands(rig, by_serial(found, "MPATH14")))


def test_the_overlay_is_taken_down_before_what_it_is_made_of(rig: Box, found: Inventory) -> None:  # noqa: F811
    done = commands(rig, by_serial(found, "SCSI0003"))
    mounts = [line.removeprefix("umount -- ").strip("'") for line in done if line.startswith("umount")]
    assert mounts.index("/srv/ov") < mounts.index("/srv/r5")

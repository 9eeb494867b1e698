"""The steps that let a disk go, for stacks of every kind: each layer after all that stands on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakesys import FakeSys
from tests.pulling import disk
from vaultd.disks.model import Disk
from vaultd.pull import words
from vaultd.pull.model import Do, Procedure, User
from vaultd.pull.procedure import procedure
from vaultd.pull.stack import Reader, unescape, volume
from vaultd.pull.users import service


@pytest.fixture
def machine(tmp_path: Path) -> FakeSys:
    return FakeSys(tmp_path)


def steps(machine: FakeSys, one: Disk) -> Procedure:
    return procedure(one, Reader(machine.root))


def typed(machine: FakeSys, made: Procedure) -> list[str]:
    """The commands, with the root of the machine left out."""
    root = str(machine.root)
    return [command.replace(root, "") for step in made.steps if (command := words.command(step))]


def dos(made: Procedure) -> list[Do]:
    return [step.do for step in made.steps]


def test_the_whole_stack_of_a_mirror(machine: FakeSys) -> None:
    """md raid1 -> LUKS -> LVM -> ext4 and swap, a bind mount, something mounted inside."""
    machine.block("sda"), machine.block("sdb")
    machine.block("sda1", parent="sda"), machine.block("sdb1", parent="sdb")
    machine.block("md0", "sda1", "sdb1")
    machine.block("dm-0", "md0", dm=("sec", "CRYPT-LUKS2-1-sec"))
    home = machine.block("dm-1", "dm-0", dm=("vg--a-home", "LVM-x"))
    machine.block("dm-2", "dm-0", dm=("vg--a-swap", "LVM-y"))
    base = machine.mount("/srv/档案", home)
    machine.mount("/srv/档案/deep/tmp", "0:50", parent=base, type="tmpfs")
    machine.mount("/srv/bind", home)
    made = steps(machine, disk("a"))
    assert typed(machine, made) == [
        "sync -f /srv/bind",
        "umount -- /srv/档案/deep/tmp".replace("/srv/档案", "'/srv/档案") + "'",
        "umount -- '/srv/档案'",
        "umount -- /srv/bind",
        "vgchange -an vg-a",
        "cryptsetup close -- sec",
        "echo 'AUTO -all' > /etc/mdadm.conf.d/vaultd-release.conf",
        "mdadm --stop /dev/md0",
        "echo 1 > /sys/class/block/sda/device/delete",
    ]
    assert dos(made)[0] is Do.STOP_USERS and dos(made)[-2:] == [Do.FREE, Do.DETACH]


def test_a_disk_with_nothing_on_it_is_only_detached(machine: FakeSys) -> None:
    machine.block("sda")
    assert dos(steps(machine, disk("a"))) == [Do.FREE, Do.DETACH]


def test_a_disk_that_is_gone_has_no_steps(machine: FakeSys) -> None:
    assert steps(machine, disk("a")) == Procedure(())


def test_the_running_system_is_switched_off(machine: FakeSys) -> None:
    machine.mount("/", machine.block("sda"), type="ext4")
    assert dos(steps(machine, disk("a"))) == [Do.POWER_OFF]


def test_users_stop_first_even_where_nothing_is_mounted(machine: FakeSys) -> None:
    machine.block("sda")
    made = procedure(disk("a"), Reader(machine.root), [User(7, "postgres", "postgresql.service")])
    assert dos(made) == [Do.STOP_USERS, Do.FREE, Do.DETACH]


def test_a_group_that_is_on_other_disks_too_loses_only_what_is_here(machine: FakeSys) -> None:
    machine.block("sda"), machine.block("sdb")
    machine.block("dm-0", "sda", dm=("vg-a_rimage_0", "LVM-1"))
    machine.block("dm-1", "sdb", dm=("vg-a_rimage_1", "LVM-2"))
    machine.block("dm-2", "dm-0", "dm-1", dm=("vg-a", "LVM-3"))
    machine.block("dm-3", "sdb", dm=("vg-elsewhere", "LVM-4"))
    assert typed(machine, steps(machine, disk("a"))) == [
        "lvchange -an vg/a",
        "echo 1 > /sys/class/block/sda/device/delete",
    ]
    assert typed(machine, steps(machine, disk("b")))[:2] == ["lvchange -an vg/a", "lvchange -an vg/elsewhere"]


def test_a_group_ends_after_all_that_is_opened_on_its_volumes(machine: FakeSys) -> None:
    """Its first volume is free at once; the second still carries an opened device."""
    machine.block("sda")
    machine.block("dm-0", "sda", dm=("vg-free", "LVM-1"))
    machine.block("dm-1", "sda", dm=("vg-used", "LVM-2"))
    machine.block("dm-2", "dm-1", dm=("sec", "CRYPT-x"))
    assert typed(machine, steps(machine, disk("a")))[:2] == ["cryptsetup close -- sec", "vgchange -an vg"]


def test_an_image_in_a_file_is_taken_down_before_its_file_system(machine: FakeSys) -> None:
    outer = machine.mount("/srv", machine.block("sda"))
    inner = machine.block("loop0", loop="/srv/images/a b.img")
    machine.mount("/mnt/inner", inner)
    machine.block("loop1", loop="/mnt/inner/deeper.img")
    assert typed(machine, steps(machine, disk("a"))) == [
        "sync -f /mnt/inner", "sync -f /srv", "losetup -d /dev/loop1", "umount -- /mnt/inner", "losetup -d /dev/loop0",
        "umount -- /srv", "echo 1 > /sys/class/block/sda/device/delete",
    ]  # fmt: skip
    assert outer in Reader(machine.root).stack(["sda"]).mounts


def test_an_overlay_and_a_swap_file_stand_on_their_folders(machine: FakeSys) -> None:
    machine.mount("/srv", machine.block("sda"))
    machine.mount(
        "/merged", "0:60", type="overlay", options="rw,lowerdir=/etc:/srv/low,upperdir=/srv/up,workdir=/srv/w"
    )
    machine.swaps("/srv/swap\\040file", "/dev/nothing")
    assert typed(machine, steps(machine, disk("a"))) == [
        "sync -f /srv", "umount -- /merged", "swapoff -- '/srv/swap file'", "umount -- /srv",
        "echo 1 > /sys/class/block/sda/device/delete",
    ]  # fmt: skip


def test_all_members_of_a_btrfs_are_under_its_mount(machine: FakeSys) -> None:
    for name in ("sda", "sdb"):
        machine.block(name)
        (machine.root / "sys/fs/btrfs/uuid/devices").mkdir(parents=True, exist_ok=True)
        (machine.root / "sys/fs/btrfs/uuid/devices" / name).touch()
    machine.mount("/pool", "0:44", type="btrfs", source="/dev/sda")
    assert "umount -- /pool" in typed(machine, steps(machine, disk("b")))


def test_a_pool_is_exported(machine: FakeSys) -> None:
    machine.udev(machine.block("sda"), ID_FS_TYPE="zfs_member", ID_FS_LABEL="tank")
    machine.mount("/tank/a", "0:70", type="zfs", source="tank/a")
    machine.mount("/other", "0:71", type="zfs", source="other")
    assert typed(machine, steps(machine, disk("a")))[:3] == [
        "sync -f /tank/a",
        "umount -- /tank/a",
        "zpool export tank",
    ]


def test_multipath_and_every_path_of_it(machine: FakeSys) -> None:
    machine.block("sda"), machine.block("sdb")
    machine.mount("/srv", machine.block("dm-0", "sda", "sdb", dm=("mpatha", "mpath-3600")))
    assert typed(machine, steps(machine, disk("a", names=("sda", "sdb")))) == [
        "sync -f /srv", "umount -- /srv", "multipath -f mpatha", "echo 1 > /sys/class/block/sda/device/delete",
        "echo 1 > /sys/class/block/sdb/device/delete",
    ]  # fmt: skip


def test_each_transport_is_detached_its_own_way(machine: FakeSys) -> None:
    machine.block("sda")
    assert typed(machine, steps(machine, disk("a", transport="usb"))) == ["udisksctl power-off --block-device /dev/sda"]
    machine.block("nvme0n1"), machine.block("nvme0n2")
    controller = machine.root / "sys/devices/pci/nvme0"
    for name in ("nvme0n1", "nvme0n2"):
        (controller / name).mkdir(parents=True)
        device = machine.root / "sys/class/block" / name / "device"
        (device / "delete").unlink()
        device.rmdir()
        device.symlink_to(controller)
    (machine.root / "sys/class/nvme").mkdir()
    (machine.root / "sys/class/nvme/nvme0").symlink_to(controller)
    machine.mount("/second", "4000:3")
    made = steps(machine, disk("x", names=("nvme0n1",), transport="nvme"))
    assert typed(machine, made) == [
        "sync -f /second", "umount -- /second", "echo 1 > /sys/class/nvme/nvme0/device/remove",
    ]  # fmt: skip


def test_a_mount_over_a_mount_comes_off_first(machine: FakeSys) -> None:
    lower = machine.mount("/srv", machine.block("sda"))
    machine.mount("/srv", "0:80", parent=lower, type="tmpfs")
    found = [step for step in steps(machine, disk("a")).steps if step.do is Do.UNMOUNT]
    assert [step.gone for step in found] == [("3",), ("2",)]


def test_names_as_the_kernel_writes_them() -> None:
    assert unescape(rb"/a\040b\134\303\251") == "/a b\\é".encode()
    assert volume("vg--a-home--x") == "vg-a/home-x"


def test_a_slave_that_stands_on_itself_does_not_hang(machine: FakeSys) -> None:
    machine.block("sda")
    machine.block("dm-0", "sda", dm=("one", "CRYPT-1"))
    machine.block("dm-1", "dm-0", dm=("two", "CRYPT-2"))
    (machine.root / "sys/class/block/dm-1/holders/dm-0").touch()
    (machine.root / "sys/class/block/dm-0/slaves/dm-1").touch()
    made = steps(machine, disk("a"))
    assert {step.subject for step in made.steps if step.do is Do.CRYPT} == {"one", "two"}


def test_what_a_service_sees_twice_is_one_mount(machine: FakeSys) -> None:
    """ProtectSystem mounts folders onto themselves in a service's own view."""
    number = machine.block("sda")
    base = machine.mount("/srv", number)
    machine.lines.append(f"9 {base} {number} /state /srv/state ro - ext4 none ro\n")
    machine.lines.append(f"10 {base} {number} /other /srv/bound rw - ext4 none rw\n")
    (machine.root / "proc/self/mountinfo").write_text("".join(machine.lines))
    seen = {one.path for one in Reader(machine.root, sandboxed=True).stack(["sda"]).mounts.values()}
    assert seen == {b"/srv", b"/srv/bound"}
    assert len(Reader(machine.root).stack(["sda"]).mounts) == 3


def test_a_firmwares_volume_stops_before_its_container(machine: FakeSys) -> None:
    machine.block("sda")
    machine.block("md1", "sda")  # the container, whose name comes first
    machine.block("md2", "sda")
    (machine.root / "sys/class/block/md2/md/metadata_version").write_text("external:/md1/0\n")
    found = [step.subject for step in steps(machine, disk("a")).steps if step.do is Do.ARRAY]
    assert found == ["md2", "md1"]


def test_a_cache_is_let_go_after_what_it_serves(machine: FakeSys) -> None:
    machine.block("sda"), machine.block("sdb")
    machine.block("bcache0", "sda", "sdb")
    (machine.root / "sys/class/block/sdb/bcache/set").mkdir(parents=True)
    assert typed(machine, steps(machine, disk("b")))[:2] == [
        "echo 1 > /sys/class/block/bcache0/bcache/stop", "echo 1 > /sys/class/block/sdb/bcache/set/stop",
    ]  # fmt: skip
    assert typed(machine, steps(machine, disk("a")))[1] == "echo 1 > /sys/class/block/sda/device/delete"


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("/system.slice/postgresql.service", "postgresql.service"),
        ("/system.slice/system-postgresql.slice/postgresql@15-main.service", "postgresql@15-main.service"),
        ("/user.slice/user-1000.slice/session-3.scope", ""),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-gedit.service", ""),
        ("/user.slice/user-1000.slice/user@1000.service", ""),
        ("/system.slice/docker-0a1b.scope", ""),
        ("/", ""),
        ("", ""),
    ],
)
def test_only_a_service_of_the_system_is_stopped_by_name(group: str, unit: str) -> None:
    """Stopping a session's manager would end everything that its user does."""
    assert service(group) == unit

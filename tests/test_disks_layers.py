"""What each kind of layer makes of the disks below it: device mapper's targets, ZFS, arrays, journals, keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.disking import Box, disk
from vaultd.disks import copies, inventory
from vaultd.disks.model import DiskMap, Kind

ROOM = "0 8192"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path / "machine")
    for minor, name in enumerate(("sda", "sdb", "sdc", "sdd")):
        disk(made, name, minor)
    return made


def mapped(box: Box, minor: int, name: str, *below: str, uuid: str = "LVM-x") -> None:
    place = f"/devices/virtual/block/dm-{minor}"
    box.block(place, f"253:{minor}", 1 << 30, {"DM_NAME": name, "DM_UUID": uuid}, dm__name=name, dm__uuid=uuid)
    box.slaves(place, *below)


def shown(box: Box, path: str = "/srv", **more: object) -> tuple[DiskMap, list[str]]:
    """The map, and its smallest sets as words of letters ("ab cd")."""
    found = inventory.read(box.machine, [inventory.Folder(path.encode())], ask=box.ask, **more)  # type: ignore[arg-type]
    letters = {disk.key: disk.names[0][-1] for disk in found.disks if disk.names}
    (one,) = found.maps
    assert len(found.disks) == 4
    return one, sorted("".join(sorted(letters[key] for key in each)) for each in one.copies)


def of_table(box: Box, *lines: str, status: str = "") -> tuple[DiskMap, list[str]]:
    """The map of a device made by a table over the four disks (8:0, 8:16, 8:32, 8:48)."""
    used = [f"sd{'abcd'[minor]}" for minor in range(4) if any(f" 8:{16 * minor}" in f" {line}" for line in lines)]
    mapped(box, 9, "top", *used)
    box.outputs["dm-table", ""] = "".join(f"top: {line}\n" for line in lines)
    box.outputs["dm-status", ""] = f"top: {status}\n" if status else ""
    box.mount("253:9", "/srv", "xfs", "/dev/mapper/top")
    return shown(box)


@pytest.mark.parametrize(
    ("lines", "status", "sets", "every"),
    [
        ([f"{ROOM} linear 8:16 2048"], "", ["b"], 1),
        ([f"{ROOM} linear 8:16 2048", "8192 8192 linear 8:48 0"], "", ["bd"], 2),
        ([f"{ROOM} striped 3 128 8:0 0 8:16 0 8:32 0"], "", ["abc"], 3),
        ([f"{ROOM} raid raid1 3 0 region_size 4096 2 8:0 8:16 8:32 8:48"], f"{ROOM} raid raid1 2 AA 1/1 idle 0 0 -",
         ["b", "d"], 2),
        ([f"{ROOM} raid raid1 3 0 region_size 4096 2 8:0 8:16 8:32 8:48"], f"{ROOM} raid raid1 2 Aa 1/2 recover 0 0 -",
         ["b"], 2),
        ([f"{ROOM} raid raid1 3 0 region_size 4096 2 8:0 8:16 - -"], f"{ROOM} raid raid1 2 AD 1/1 idle 0 0 -",
         ["b"], 1),
        ([f"{ROOM} raid raid5_ls 3 128 region_size 4096 4 - 8:0 - 8:16 - 8:32 - 8:48"],
         f"{ROOM} raid raid5_ls 4 AAAA 1/1 idle 0 0 -", ["abc", "abd", "acd", "bcd"], 4),
        ([f"{ROOM} raid raid6_zr 3 128 region_size 4096 4 - 8:0 - 8:16 - 8:32 - 8:48"],
         f"{ROOM} raid raid6_zr 4 AAAD 1/1 idle 0 0 -", ["ab", "ac", "bc"], 4),
        ([f"{ROOM} raid raid10 3 128 region_size 4096 4 - 8:0 - 8:16 - 8:32 - 8:48"],
         f"{ROOM} raid raid10 4 AAAA 1/1 idle 0 0 -", ["ac", "ad", "bc", "bd"], 4),
        ([f"{ROOM} raid raid0 3 128 region_size 4096 2 - 8:0 - 8:16"], f"{ROOM} raid raid0 2 AA 1/1 idle 0 0 -",
         ["ab"], 2),
        ([f"{ROOM} mirror core 2 1024 nosync 2 8:0 0 8:16 0 1 handle_errors"],
         f"{ROOM} mirror 2 8:0 8:16 9/9 1 AA 1 core", ["a", "b"], 2),
        ([f"{ROOM} mirror core 2 1024 nosync 2 8:0 0 8:16 0 1 handle_errors"],
         f"{ROOM} mirror 2 8:0 8:16 5/9 1 AA 1 core", ["a"], 2),
        ([f"{ROOM} cache 8:0 8:16 8:32 128 1 writethrough smq 0"], "", ["c"], 3),
        ([f"{ROOM} cache 8:0 8:16 8:32 128 2 metadata2 writeback smq 0"], "", ["abc"], 3),
        ([f"{ROOM} writecache s 8:0 8:16 4096 0"], "", ["ab"], 2),
        ([f"{ROOM} thin-pool 8:0 8:16 128 0 0"], "", ["ab"], 2),
        ([f"{ROOM} snapshot 8:0 8:16 P 8"], "", ["ab"], 2),
        ([f"{ROOM} vdo V4 8:32 4096 32768 16380"], "", ["c"], 1),
        ([f"{ROOM} error"], "", [], 0),
    ],
)  # fmt: skip
def test_targets_of_device_mapper(box: Box, lines: list[str], status: str, sets: list[str], every: int) -> None:
    one, found = of_table(box, *lines, status=status)
    assert found == sets
    assert len(one.every) == every


def test_a_raid_of_which_the_state_is_not_told_is_not_sure(box: Box) -> None:
    one, found = of_table(box, f"{ROOM} raid raid1 3 0 region_size 4096 2 - 8:0 - 8:16")
    assert found == ["a", "b"]
    assert not one.sure


def test_a_target_that_nobody_knows_needs_all_and_is_not_sure(box: Box) -> None:
    one, found = of_table(box, f"{ROOM} novelty 8:0 8:16")
    assert (found, one.sure) == (["ab"], False)


def test_a_table_that_is_cut_off_is_not_sure_and_leaves_no_disk_behind(box: Box) -> None:
    one, _found = of_table(box, f"{ROOM} raid raid1 3 0 region_size 4096 2 8:0 8:16 8:32")
    assert not one.sure
    assert len(one.every) == 3


def test_a_table_of_before_is_not_believed(box: Box) -> None:
    """The volume was moved to another disk since root was asked: the kernel's own slaves count."""
    mapped(box, 9, "top", "sdc")
    box.outputs["dm-table", ""] = f"top: {ROOM} linear 8:0 2048\n"
    box.mount("253:9", "/srv", "xfs", "/dev/mapper/top")
    assert shown(box)[1] == ["c"]


def test_snapshots_hold_older_content_of_the_volume(box: Box) -> None:
    """On another disk: no copy needs it, but it must not be left behind. With root and without."""
    mapped(box, 0, "vg-data-real", "sda")
    mapped(box, 1, "vg-data", "dm-0")
    mapped(box, 2, "vg-snap-cow", "sdb")
    mapped(box, 3, "vg-snap", "dm-0", "dm-2")
    box.mount("253:1", "/srv", "xfs", "/dev/mapper/vg-data")
    for tables in ("", f"vg-data: {ROOM} snapshot-origin 253:0\nvg-data-real: {ROOM} linear 8:0 2048\n"
                   f"vg-snap-cow: {ROOM} linear 8:16 2048\nvg-snap: {ROOM} snapshot 253:0 253:2 P 8\n"):  # fmt: skip
        box.outputs["dm-table", ""] = tables
        one, found = shown(box)
        assert found == ["a"]
        assert len(one.every) == 2


# --- LUKS ------------------------------------------------------------------------------------------------------------


def test_a_disk_that_only_this_tpm_opens_is_told(box: Box) -> None:
    box.udev("8:0", {"ID_FS_TYPE": "crypto_LUKS", "ID_FS_VERSION": "2", "ID_SERIAL_SHORT": "S0000"})
    mapped(box, 0, "secret", "sda", uuid="CRYPT-LUKS2-00-secret")
    box.mount("253:0", "/srv", "ext4", "/dev/mapper/secret")
    box.outputs["luks", "sda"] = '{"keyslots": {"0": {}}, "tokens": {"0": {"type": "systemd-tpm2", "keyslots": ["0"]}}}'
    one, found = shown(box)
    crypt = next(layer for layer in copies.layers(one.top) if layer.kind is Kind.CRYPT)
    assert (found, crypt.detail, crypt.notes) == (["a"], "luks2", ("tpm",))


@pytest.mark.parametrize(("kind", "sure"), [("crypto_LUKS", True), ("", False)])
def test_a_header_that_lies_elsewhere_is_told(box: Box, kind: str, sure: bool) -> None:
    """Without it nobody opens the disk, wherever it is carried."""
    values = {"ID_FS_TYPE": kind, "ID_SERIAL_SHORT": "S0000", "ID_WWN": "0x5000c50000000000"}
    box.udev("8:0", {key: value for key, value in values.items() if value}, links=("disk/by-path/x",))
    mapped(box, 0, "secret", "sda", uuid="CRYPT-LUKS2-00-secret")
    box.mount("253:0", "/srv", "ext4", "/dev/mapper/secret")
    one, found = shown(box)
    assert (found, one.sure) == (["a"], sure)


@pytest.mark.parametrize(
    ("parts", "expected", "problem"),
    [
        ({"sda1": ("crypto_LUKS", ""), "sda2": ("crypto_LUKS", "")}, "luks2", False),
        ({"sda1": ("vfat", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), "sda2": ("crypto_LUKS", "")}, "luks2", False),
        ({"sda1": ("ext4", ""), "sda2": ("crypto_LUKS", "")}, "", True),
        ({"sda1": ("ext4", "")}, "", False),
        ({"sda1": ("BitLocker", "")}, "bitlocker", False),
        ({}, "", False),
    ],
)
def test_a_disk_is_encrypted_when_all_of_it_is(
    tmp_path: Path, parts: dict[str, tuple[str, str]], expected: str, problem: bool
) -> None:
    box = Box(tmp_path)
    disk(box, "sda", 0)
    for number, (name, (kind, entry)) in enumerate(parts.items(), 1):
        path = f"/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/{name}"
        box.block(path, f"8:{number}", 1 << 29, {"ID_FS_TYPE": kind, "ID_FS_VERSION": "2", "ID_FS_USAGE": "filesystem",
                                                 "ID_PART_ENTRY_TYPE": entry})  # fmt: skip
    (found,) = inventory.read(box.machine).disks
    assert found.encryption == expected
    assert ("part-encrypted" in found.problems) is problem


# --- file systems ----------------------------------------------------------------------------------------------------


ZPOOL = """  pool: tank
 state: {state}
config:

\tNAME            STATE     READ WRITE CKSUM
\ttank            {state}     0     0     0
\t  mirror-0      {state}     0     0     0
\t    /dev/sda    ONLINE       0     0     0
\t    /dev/sdb    {second}       0     0     0
\t  /dev/sdc      ONLINE       0     0     0
\tlogs
\t  /dev/sdd      ONLINE       0     0     0

errors: No known data errors
"""


@pytest.mark.parametrize(("second", "sets"), [("ONLINE", ["ac", "bc"]), ("FAULTED", ["ac"])])
def test_a_pool_of_zfs(box: Box, second: str, sets: list[str]) -> None:
    box.mount("0:50", "/srv", "zfs", "tank/records")
    box.outputs["zpool", ""] = ZPOOL.format(state="ONLINE" if second == "ONLINE" else "DEGRADED", second=second)
    one, found = shown(box)
    assert found == sets
    assert len(one.every) == 4  # the log holds the last writes
    assert one.sure


def test_a_pool_that_nobody_tells_of_needs_all_its_members(box: Box) -> None:
    for number in ("8:0", "8:16"):
        box.udev(number, {"ID_FS_TYPE": "zfs_member", "ID_FS_LABEL": "tank", "ID_SERIAL_SHORT": f"Z{number}"})
    box.mount("0:50", "/srv", "zfs", "tank/records")
    one, found = shown(box)
    assert (found, one.sure) == (["ab"], False)


@pytest.mark.parametrize(
    ("profiles", "sets"),
    [
        ({"data": "raid1", "metadata": "raid1"}, ["ab", "ac", "bc"]),
        ({"data": "raid1c3", "metadata": "raid1c3"}, ["a", "b", "c"]),
        ({"data": "raid1c3", "metadata": "raid1"}, ["ab", "ac", "bc"]),
        ({"data": "raid0", "metadata": "raid1"}, ["abc"]),
        ({"data": "single", "metadata": "dup"}, ["abc"]),
        ({"data": "raid6", "metadata": "raid1c3"}, ["a", "b", "c"]),
    ],
)
def test_profiles_of_btrfs(box: Box, profiles: dict[str, str], sets: list[str]) -> None:
    for name in ("sda", "sdb", "sdc"):
        box.link(f"sys/fs/btrfs/u-u-i-d/devices/{name}", f"../../../../block/{name}")
    for what, profile in profiles.items():
        box.write(f"sys/fs/btrfs/u-u-i-d/allocation/{what}/{profile}/used_bytes", "1\n")
        box.write(f"sys/fs/btrfs/u-u-i-d/allocation/{what}/total_bytes", "1\n")
    box.mount("0:44", "/srv", "btrfs", "/dev/sdb", root="/subvolume")
    one, found = shown(box)
    assert found == sets
    assert one.sure


def test_a_journal_on_another_disk_is_needed(box: Box) -> None:
    box.mount("8:0", "/", "xfs", "/dev/sda", options="rw,logdev=/dev/sdb,noquota")
    box.udev("8:48", {"ID_FS_TYPE": "jbd", "ID_SERIAL_SHORT": "S0003", "ID_WWN": "0x5000c50000000003"})
    box.mount("8:32", "/srv", "ext4", "/dev/sdc")
    box.outputs["blkid", ""] = (
        '/dev/sdd: UUID="j" LOGUUID="j" TYPE="jbd"\n/dev/sdc: UUID="f" EXT_JOURNAL="j" TYPE="ext4"\n'
    )
    assert shown(box, "/srv")[1] == ["cd"]
    assert shown(box, "/var")[1] == ["ab"]


# --- md --------------------------------------------------------------------------------------------------------------


def array(
    box: Box, level: str, layout: int, states: dict[str, str], disks: int = 4, **more: str
) -> tuple[DiskMap, list[str]]:
    members = {}
    for slot, (name, state) in enumerate(states.items()):
        members[f"md__dev-{name}__state"] = state
        members[f"md__dev-{name}__slot"] = str(slot) if state != "faulty" else "none"
    box.block("/devices/virtual/block/md7", "9:7", 1 << 30, {}, md__level=level, md__raid_disks=str(disks),
              md__layout=str(layout), **members, **more)  # fmt: skip
    box.slaves("/devices/virtual/block/md7", *states)
    box.mount("9:7", "/srv", "ext4", "/dev/md7")
    return shown(box)


GOOD = dict.fromkeys(("sda", "sdb", "sdc", "sdd"), "in_sync")


@pytest.mark.parametrize(
    ("level", "layout", "states", "sets"),
    [
        ("raid10", 258, GOOD, ["ac", "ad", "bc", "bd"]),
        ("raid10", 513, GOOD, ["ac", "bd"]),
        ("raid10", 258, {**GOOD, "sda": "faulty"}, ["bc", "bd"]),
        ("raid10", 513, {**GOOD, "sda": "faulty"}, ["bd"]),
        ("raid5", 2, GOOD, ["abc", "abd", "acd", "bcd"]),
        ("raid5", 2, {**GOOD, "sdc": "spare"}, ["abd"]),
        ("raid6", 2, {**GOOD, "sdb": "write_mostly,in_sync"}, ["ab", "ac", "ad", "bc", "bd", "cd"]),
        ("raid0", 0, GOOD, ["abcd"]),
        ("linear", 0, GOOD, ["abcd"]),
        ("raid1", 0, {**GOOD, "sdd": "faulty"}, ["a", "b", "c"]),
        ("raid0", 0, {**GOOD, "sdd": "faulty"}, []),
    ],
)
def test_arrays_by_what_sysfs_says(box: Box, level: str, layout: int, states: dict[str, str], sets: list[str]) -> None:
    one, found = array(box, level, layout, states)
    assert found == sets
    assert len(one.every) == 4
    assert one.sure


def test_a_journal_that_holds_writes_is_needed(box: Box) -> None:
    states = {"sda": "in_sync", "sdb": "in_sync", "sdc": "in_sync", "sdd": "journal"}
    one, found = array(box, "raid5", 2, states, disks=3, md__journal_mode="write-through [write-back]")
    assert found == ["abd", "acd", "bcd"]
    assert any("writeback-cache" in layer.notes for layer in copies.layers(one.top))


def test_an_array_that_is_being_reshaped_is_not_sure(box: Box) -> None:
    one, _found = array(box, "raid5", 2, GOOD, md__reshape_position="4096")
    assert not one.sure


def test_a_level_that_nobody_knows_needs_all(box: Box) -> None:
    one, found = array(box, "raid77", 0, GOOD)
    assert (found, one.sure) == (["abcd"], False)

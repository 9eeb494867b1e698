"""Disks that are not as they should be: double and empty serials, no WWN, names that change, slots that two claim,
texts that are none, cycles, thousands of mounts, a disk that has just gone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.disking import Box, disk
from vaultd.disks import copies, form, inventory, kept, mapping, places
from vaultd.disks.graph import Graph
from vaultd.disks.machine import Machine
from vaultd.disks.model import Bay, Disk, Inventory, Kind, Unseen
from vaultd.errors import StateError
from vaultd.watch.mounts import parse


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "machine")


def read(box: Box, *paths: str, **more: object) -> Inventory:
    folders = [inventory.Folder(path.encode()) for path in paths]
    return inventory.read(box.machine, folders, **more)  # type: ignore[arg-type]


def one(found: Inventory, name: str) -> Disk:
    return next(disk for disk in found.disks if name in disk.names)


# --- identity --------------------------------------------------------------------------------------------------------


def test_a_disk_is_the_same_under_another_name_and_another_one_under_its_name(box: Box, tmp_path: Path) -> None:
    disk(box, "sda", 0)
    disk(box, "sdb", 1)
    before = read(box)
    after = Box(tmp_path / "after")  # sda was pulled, sdb became sda, a new one became sdb
    disk(after, "sda", 0, ID_WWN="0x5000c50000000001", ID_SERIAL_SHORT="S0001")
    disk(after, "sdb", 1, ID_WWN="0x5000c50000000002", ID_SERIAL_SHORT="S0002")
    now = read(after)
    assert one(now, "sda").key == one(before, "sdb").key
    assert one(now, "sdb").key not in {disk.key for disk in before.disks}


def test_a_wwn_of_zeros_is_none(box: Box) -> None:
    for minor in range(2):
        disk(box, f"sd{'ab'[minor]}", minor, ID_WWN="0x0000000000000000")
    found = read(box)
    assert [disk.wwn for disk in found.disks] == ["", ""]
    assert [disk.key for disk in found.disks] == ["serial-ACME_1000-S0000", "serial-ACME_1000-S0001"]
    assert all(disk.problems == ("no-wwn",) for disk in found.disks)


def test_a_wwn_that_two_disks_have_tells_neither(box: Box) -> None:
    for minor in range(2):
        disk(box, f"sd{'ab'[minor]}", minor, ID_WWN="0x5000c5000000aaaa")
    found = read(box)
    assert len({disk.key for disk in found.disks}) == 2
    assert all(disk.key.startswith("serial-") and "double-wwn" in disk.problems for disk in found.disks)


def test_a_serial_that_two_disks_have_tells_neither(box: Box) -> None:
    for minor in range(2):
        disk(box, f"sd{'ab'[minor]}", minor, ID_SERIAL_SHORT="0123456789ABCDE", ID_WWN="")
    found = read(box)
    assert len({disk.key for disk in found.disks}) == 2
    assert all(disk.key.startswith("path-") and "double-serial" in disk.problems for disk in found.disks)


def test_a_double_serial_does_not_matter_where_the_wwn_is_its_own(box: Box) -> None:
    for minor in range(2):
        disk(box, f"sd{'ab'[minor]}", minor, ID_SERIAL_SHORT="SAME")
    found = read(box)
    assert {disk.key for disk in found.disks} == {"wwn-5000c50000000000", "wwn-5000c50000000001"}
    assert all("double-serial" in disk.problems for disk in found.disks)


def test_two_disks_that_are_the_same_in_everything_are_still_two(box: Box) -> None:
    """SATA has one port: what looks like two ways to one disk is two disks of a careless maker."""
    for minor in range(2):
        disk(box, f"sd{'ab'[minor]}", minor, ID_SERIAL_SHORT="SAME", ID_WWN="0x5000c5000000aaaa")
    assert len({disk.key for disk in read(box).disks}) == 2


@pytest.mark.parametrize("serial", ["", "    ", "\t", "0000", "none", "\x00\x00"])
def test_a_serial_that_says_nothing_is_none(box: Box, serial: str) -> None:
    disk(box, "sda", 0, ID_SERIAL_SHORT=serial, ID_WWN="")
    (found,) = read(box).disks
    assert "no-serial" in found.problems
    assert found.key.startswith("path-")


def test_a_model_that_is_no_text_is_shown_without_harm(box: Box) -> None:
    path = "/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda"
    box.block(path, "8:0", 1 << 30)
    box.write(f"sys{path}/device/model", b"\xff\xfeDISK\x1b[31m\x07 \xe7\x97\x85\n")
    box.write(f"sys{path}/device/serial", b"A\xc3(\x00\x9bB\n")
    (found,) = read(box).disks
    assert "DISK" in found.model
    assert found.model.isprintable()
    assert found.serial.isprintable()
    assert form.read_inventory(form.inventory(read(box))).disks[0] == found


def test_two_paths_of_one_sas_disk_are_one_disk(box: Box) -> None:
    for host in range(2):
        path = f"/devices/pci0000:00/0000:0{host}:00.0/host{host}/port-{host}:0/end_device-{host}:0/target{host}:0:0"
        box.block(f"{path}/{host}:0:0:0/block/sd{'ab'[host]}", f"8:{16 * host}", 1 << 40,
                  {"ID_WWN": "0x5000c50000000001", "ID_SCSI_SERIAL": "Z1", "ID_MODEL": "ST4000"})  # fmt: skip
    (found,) = read(box).disks
    assert found.names == ("sda", "sdb")
    assert found.transport == "sas"
    assert found.size == 1 << 40


def test_two_namespaces_of_one_nvme_disk_are_pulled_as_one(box: Box) -> None:
    for number in (1, 2):
        box.block(f"/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n{number}", f"259:{number}", 1 << 30,
                  {"ID_SERIAL_SHORT": "N1", "ID_WWN": f"eui.00000000000000000{number}"})  # fmt: skip
    (found,) = read(box).disks
    assert (found.names, found.size, found.transport) == (("nvme0n1", "nvme0n2"), 2 << 30, "nvme")


# --- what is a disk --------------------------------------------------------------------------------------------------


def test_what_is_no_disk_is_not_listed(box: Box) -> None:
    disk(box, "sda", 0)
    box.block("/devices/pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0/block/sr0", "11:0", 1 << 20)
    box.block("/devices/platform/floppy.0/block/fd0", "2:0", 1 << 20)
    box.block("/devices/virtual/block/zram0", "252:0", 1 << 20)
    box.block("/devices/virtual/block/loop0", "7:0", 1 << 20)
    box.block("/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host8/target8:0:0/8:0:0:0/block/sdz", "65:0", 0,
              removable="1")  # fmt: skip  # a card reader without a card
    assert [disk.names for disk in read(box).disks] == [("sda",)]


def test_what_cannot_be_seen_is_said(box: Box) -> None:
    def scsi(name: str, minor: int, address: str, above: str = "pci0000:00/0000:02:00.0", **files: str) -> None:
        host, channel, target, _lun = address.split(":")
        path = f"/devices/{above}/host{host}/target{host}:{channel}:{target}/{address}/block/{name}"
        box.block(path, f"8:{minor}", 1 << 40, {}, **files)

    box.write("sys/class/scsi_host/host0/proc_name", "megaraid_sas\n")
    scsi("sda", 0, "0:2:0:0")  # channels from 2 on are volumes there
    scsi("sdb", 16, "0:0:5:0")  # and those below are disks
    scsi("sdc", 32, "1:0:0:0", device__raid_level="RAID 5")
    scsi("sdd", 48, "2:0:0:0", device__vendor="HPE", device__model="LOGICAL VOLUME")
    scsi("sde", 64, "3:0:0:0", above="platform/host3/session1")
    scsi("sdf", 80, "4:0:0:0", device__vendor="QEMU", device__model="QEMU HARDDISK")
    seen = {disk.names[0]: disk.unseen for disk in read(box).disks}
    assert seen == {
        "sda": Unseen.CONTROLLER, "sdb": None, "sdc": Unseen.CONTROLLER, "sdd": Unseen.CONTROLLER, "sde": Unseen.REMOTE,
        "sdf": Unseen.VIRTUAL,
    }  # fmt: skip


def test_disks_behind_a_controller_are_listed_and_the_map_is_not_sure(box: Box) -> None:
    path = "/devices/pci0000:00/0000:02:00.0/host0/target0:2:0/0:2:0:0/block/sda"
    box.write("sys/class/scsi_host/host0/proc_name", "megaraid_sas\n")
    box.block(path, "8:0", 1 << 40)
    box.mount("8:0", "/srv", "xfs", "/dev/sda")
    box.outputs["megacli", ""] = "Adapter #0\n" + "".join(
        f"Enclosure Device ID: 32\nSlot Number: {slot}\nWWN: 5000c50000000{slot:03}\nPD Type: SAS\n"
        f"Raw Size: 1.0 TB [0x100000 Sectors]\nFirmware state: {state}\n"
        f"Inquiry Data: SEAGATE ST4000NM0023    0004Z1Z{slot:05}\nDrive has flagged a S.M.A.R.T alert : No\n\n"
        for slot, state in ((0, "Online, Spun Up"), (1, "Failed"))
    )
    found = read(box, "/srv", ask=box.ask)
    hidden = [disk for disk in found.disks if not disk.names]
    bays = [Bay(f"enclosure 32 slot {slot} (controller 0)", "controller") for slot in range(2)]
    assert [disk.bay for disk in hidden] == bays
    assert [disk.health and disk.health.passed for disk in hidden] == [True, False]
    assert [disk.serial for disk in hidden] == ["Z1Z00000", "Z1Z00001"]
    assert not found.maps[0].sure


# --- bays ------------------------------------------------------------------------------------------------------------


def slotted(box: Box, name: str, minor: int, slot: str, enclosure: str = "0:0:24:0") -> None:
    disk(box, name, minor)
    block = os.path.realpath(box.root / "sys/block" / name)
    target = f"../../../../../../pci0000:00/0000:03:00.0/enclosure/{enclosure}/{slot}"
    place = Path(block) / "device"
    place.mkdir(exist_ok=True)
    (place / f"enclosure_device:{slot}").symlink_to(target)


def test_the_enclosure_says_which_bay(box: Box) -> None:
    slotted(box, "sda", 0, "Slot 03")
    (found,) = read(box).disks
    assert found.bay == Bay("Slot 03 (0:0:24:0)", "enclosure")
    assert "double-slot" not in found.problems


def test_two_disks_in_one_bay_are_told(box: Box) -> None:
    slotted(box, "sda", 0, "Slot 03")
    slotted(box, "sdb", 1, "Slot 03")
    slotted(box, "sdc", 2, "Slot 03", enclosure="0:0:25:0")
    found = {disk.names[0]: disk.problems for disk in read(box).disks}
    assert "double-slot" in found["sda"]
    assert "double-slot" in found["sdb"]
    assert "double-slot" not in found["sdc"]


def test_the_operators_word_wins(box: Box) -> None:
    slotted(box, "sda", 0, "Slot 03")
    (found,) = read(box, confirmed={"wwn-5000c50000000000": "7"}).disks
    assert found.bay == Bay("7", "confirmed")


def test_two_sources_that_contradict_each_other_are_told(box: Box) -> None:
    """A recorded machine has a slot named 24 where the expander says bay 23."""
    path = "/devices/pci0000:00/0000:03:00.0/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0/block/sda"
    box.block(path, "8:0", 1 << 30, {"ID_SCSI_SERIAL": "Z"})
    box.write("sys/class/sas_device/end_device-1:0/bay_identifier", "23\n")
    (found,) = read(box).disks
    assert found.bay == Bay("bay 23", "enclosure")
    device = box.root / f"sys{path}/device"
    device.mkdir()
    (device / "enclosure_device:#24").symlink_to("../../../enclosure/1:0:9:0/#24")
    (found,) = read(box).disks
    assert found.bay == Bay("#24 (1:0:9:0)", "enclosure")
    assert "slot-differs" in found.problems


# --- maps ------------------------------------------------------------------------------------------------------------


def test_a_cycle_of_slaves_ends(box: Box) -> None:
    disk(box, "sda", 0)
    for minor in range(2):
        path = f"/devices/virtual/block/dm-{minor}"
        box.block(path, f"253:{minor}", 1 << 30, {"DM_NAME": f"x{minor}", "DM_UUID": "LVM-x"}, dm__name=f"x{minor}")
    box.slaves("/devices/virtual/block/dm-0", "dm-1", "sda")
    box.slaves("/devices/virtual/block/dm-1", "dm-0")
    box.mount("253:0", "/srv", "ext4", "/dev/mapper/x0")
    (shown,) = read(box, "/srv").maps
    assert shown.every == {one(read(box), "sda").key}
    assert not shown.sure
    assert any("cycle" in layer.notes for layer in copies.layers(shown.top))


def test_an_image_that_lies_in_itself_ends(box: Box) -> None:
    box.block("/devices/virtual/block/loop0", "7:0", 1 << 30, loop__backing_file="/srv/image")
    box.mount("7:0", "/srv", "ext4", "/dev/loop0")
    (shown,) = read(box, "/srv").maps
    assert (shown.copies, shown.sure) == ((), False)


def test_thousands_of_mounts_are_no_matter(box: Box) -> None:
    disk(box, "sda", 0)
    disk(box, "sdb", 1)
    box.mount("8:0", "/", "ext4", "/dev/sda")
    box.mounts += [
        f"{number + 100} 20 8:16 /r{number} /srv/vault/{number:04} rw - ext4 /dev/sdb rw\n" for number in range(4096)
    ]
    box.write("proc/self/mountinfo", "".join(box.mounts))
    (shown,) = read(box, "/srv/vault").maps
    assert len(shown.top.below) == 2  # the same file system each time
    assert shown.copies == (frozenset({"wwn-5000c50000000000", "wwn-5000c50000000001"}),)


@pytest.mark.parametrize(("kind", "source"), [("nfs4", "server:/export"), ("cifs", "//server/share"), ("9p", "host")])
def test_a_vault_on_another_host_is_on_no_disk_here(box: Box, kind: str, source: str) -> None:
    disk(box, "sda", 0)
    box.mount("8:0", "/", "ext4", "/dev/sda")
    box.mount("0:55", "/srv", kind, source)
    (shown,) = read(box, "/srv/records").maps
    assert (shown.every, shown.copies) == (frozenset(), ())
    assert Kind.REMOTE in {layer.kind for layer in copies.layers(shown.top)}


def test_a_vault_on_a_disk_that_has_just_gone(box: Box) -> None:
    box.mount("8:0", "/srv", "ext4", "/dev/sda")
    found = read(box, "/srv")
    (shown,) = found.maps
    assert (shown.every, shown.copies, shown.sure) == (frozenset(), (), False)
    assert any("gone" in layer.notes for layer in copies.layers(shown.top))


def test_a_member_that_has_gone_is_told_and_the_others_are_what_is_left(box: Box) -> None:
    disk(box, "sda", 0)
    box.block("/devices/virtual/block/md0", "9:0", 1 << 30, {}, md__level="raid1", md__raid_disks="2", md__degraded="1",
              **{"md__dev-sda__state": "in_sync", "md__dev-sda__slot": "0", "md__dev-sdb__state": "faulty",
                 "md__dev-sdb__slot": "none"})  # fmt: skip
    box.mount("9:0", "/srv", "ext4", "/dev/md0")
    (shown,) = read(box, "/srv").maps
    assert shown.copies == (frozenset({"wwn-5000c50000000000"}),)
    array = next(layer for layer in copies.layers(shown.top) if layer.kind is Kind.MD)
    assert {"degraded", "not-in-sync"} <= set(array.notes)


def test_a_member_out_of_sync_holds_bytes_but_no_copy(box: Box) -> None:
    for minor, name in enumerate(("sda", "sdb")):
        disk(box, name, minor)
    box.block("/devices/virtual/block/md0", "9:0", 1 << 30, {}, md__level="raid1", md__raid_disks="2",
              **{"md__dev-sda__state": "in_sync", "md__dev-sda__slot": "0", "md__dev-sdb__state": "spare",
                 "md__dev-sdb__slot": "1"})  # fmt: skip
    box.slaves("/devices/virtual/block/md0", "sda", "sdb")
    box.mount("9:0", "/srv", "ext4", "/dev/md0")
    (shown,) = read(box, "/srv").maps
    assert shown.copies == (frozenset({"wwn-5000c50000000000"}),)
    assert len(shown.every) == 2


def test_what_the_kernel_counts_to_an_array_holds_bytes_whatever_it_is(box: Box) -> None:
    """A slave of which the array's own folder says nothing."""
    for minor, name in enumerate(("sda", "sdb")):
        disk(box, name, minor)
    box.block("/devices/virtual/block/md0", "9:0", 1 << 30, {}, md__level="raid1", md__raid_disks="2",
              **{"md__dev-sda__state": "in_sync", "md__dev-sda__slot": "0"})  # fmt: skip
    box.slaves("/devices/virtual/block/md0", "sda", "sdb")
    box.mount("9:0", "/srv", "ext4", "/dev/md0")
    (shown,) = read(box, "/srv").maps
    assert len(shown.every) == 2
    assert shown.copies == (frozenset({"wwn-5000c50000000000"}),)


def test_a_folder_on_a_server_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be gone, and whoever opens waits for it."""
    opened = list[bytes]()

    def look(paths: Sequence[bytes], seconds: float = 1) -> list[places.Place]:
        opened.extend(paths)
        return [places.Place(None, path) for path in paths]

    monkeypatch.setattr(places, "look", look)
    rows = b"1 0 8:0 / / rw - ext4 /dev/sda rw\n2 1 0:9 / /srv rw - nfs4 server:/ rw\n"
    graph = Graph(Machine(), {}, {}, parse(rows), [])
    found, _problems = mapping.maps(graph, [inventory.Folder(b"/srv/x"), inventory.Folder(b"/home")])
    assert opened == [b"/home"]
    assert Kind.REMOTE in {layer.kind for layer in copies.layers(found[0].top)}


@pytest.mark.parametrize(
    ("mode", "state", "need"),
    [
        ("writethrough [writeback] writearound none", "clean", 2),
        ("[writethrough] writeback writearound none", "clean", 1),
        ("[writethrough] writeback writearound none", "dirty", 2),
    ],
)
def test_a_writeback_cache_counts_with_its_disk(box: Box, mode: str, state: str, need: int) -> None:
    for minor, name in enumerate(("sda", "sdb")):
        disk(box, name, minor)
    place = os.path.realpath(box.root / "sys/block/sda")
    (Path(place) / "bcache").mkdir()
    (Path(place) / "bcache/cache_mode").write_text(mode + "\n")
    (Path(place) / "bcache/state").write_text(state + "\n")
    box.block("/devices/virtual/block/bcache0", "251:0", 1 << 30, {})
    box.slaves("/devices/virtual/block/bcache0", "sda", "sdb")
    box.mount("251:0", "/srv", "ext4", "/dev/bcache0")
    (shown,) = read(box, "/srv").maps
    assert [len(one) for one in shown.copies] == [need]
    assert len(shown.every) == 2


# --- kept ------------------------------------------------------------------------------------------------------------


def test_an_inventory_is_kept_as_it_was(box: Box, tmp_path: Path) -> None:
    for minor, name in enumerate(("sda", "sdb")):
        slotted(box, name, minor, f"Slot {minor}")
    box.mount("8:0", "/srv/病案\\040x", "ext4", "/dev/sda")
    found = inventory.read(box.machine, [inventory.Folder("/srv/病案 x".encode(), "v"), inventory.Folder(b"/srv/\xff")])
    assert kept.last(tmp_path) is None
    kept.keep(tmp_path, found)
    assert kept.last(tmp_path) == found
    assert kept.file(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"version": 9}', b'{"version": 1, "time": 3}', b"\xff"])
def test_a_damaged_list_is_told(tmp_path: Path, content: bytes) -> None:
    kept.file(tmp_path).write_bytes(content)
    with pytest.raises(StateError, match="disks"):
        kept.last(tmp_path)


# --- cross-check -----------------------------------------------------------------------------------------------------


def test_lsblk_and_findmnt_that_see_something_else_are_told(box: Box) -> None:
    for minor, name in enumerate(("sda", "sdb")):
        disk(box, name, minor)
    box.block("/devices/pci0000:00/weird/block/odd0", "300:0", 1 << 30, removable="1", hidden="1")
    box.block("/devices/virtual/block/zram0", "252:0", 1 << 20)
    box.mount("8:0", "/srv", "ext4", "/dev/sda")
    rows = [{"kname": name, "type": "disk", "size": 5} for name in ("sda", "odd0", "zram0", "gone")]
    box.outputs["lsblk", ""] = json.dumps({"blockdevices": [{**rows[0], "children": rows[1:]}]})
    box.outputs["findmnt", ""] = json.dumps({"filesystems": [{"target": "/srv", "maj:min": "8:16"}]})
    texts = "\n".join(read(box, ask=box.ask).problems)
    assert "not listed here: odd0\n" in texts
    assert "does not list these disks: sdb" in texts
    assert "another device for /srv: 8:16" in texts
    assert "gone" not in texts


def test_where_they_agree_nothing_is_told(box: Box) -> None:
    disk(box, "sda", 0)
    box.mount("8:0", "/srv", "ext4", "/dev/sda")
    box.outputs["lsblk", ""] = '{"blockdevices": [{"kname": "sda", "type": "disk", "size": "1073741824"}]}'
    box.outputs["findmnt", ""] = '{"filesystems": [{"target": "/srv", "maj:min": "8:0"}]}'
    assert not [text for text in read(box, ask=box.ask).problems if "lsblk" in text or "findmnt" in text]

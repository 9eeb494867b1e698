"""Recorded machines of others: all are read without a crash, and the disks of each file system are those of an
independent device graph."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import pytest

from tests.disking import CORPUS, needs_corpus, recorded, unpacked
from tests.disking_others import Mockup, materialised, probed, storage_of
from vaultd.disks import copies, inventory, listing, mapping, sysfs, telling
from vaultd.disks.graph import Graph
from vaultd.disks.helper import Ask
from vaultd.disks.machine import Machine
from vaultd.disks.model import Inventory, Kind

pytestmark = needs_corpus

MOCKUPS = recorded("libstorage-ng/*-mockup.xml")
CURTIN = recorded("curtin/*.json")
DUMPS = recorded("util-linux-lsblk/dumps/*.tar.xz")


def graph_of(machine: Machine, ask: Ask | None) -> tuple[Graph, dict[str, str]]:
    """The graph of a machine, and the kernel's name of each disk by key."""
    blocks, mounts = sysfs.blocks(machine), mapping.mounts(machine)
    answers = telling.ask(machine, blocks, mounts, ask)
    blocks = sysfs.completed(blocks, answers.slaves)
    disks = listing.disks(machine, blocks, {})
    made = Graph(machine, blocks, sysfs.by_node(blocks, machine), mounts, disks, answers.told)
    return made, {disk.key: name for disk in disks for name in disk.names[:1]}


def every_folder(machine: Machine) -> list[inventory.Folder]:
    return [inventory.Folder(mount.path) for mount in mapping.mounts(machine)]


def read_all(machine: Machine, ask: Ask | None = None) -> Inventory:
    return inventory.read(machine, every_folder(machine), ask=ask)


def graph_file(mockup: Path) -> Path:
    return mockup.with_name(mockup.name.replace("-mockup", "-devicegraph"))


# --- libstorage-ng ---------------------------------------------------------------------------------------------------


class Expected:
    """The device graph that libstorage-ng made of the same recording."""

    def __init__(self, file: Path) -> None:
        top = ElementTree.parse(file).getroot()
        devices, holders = top.find("Devices"), top.find("Holders")
        assert devices is not None
        self.devices = {one.findtext("sid", ""): one for one in devices}
        self.below = defaultdict[str, list[str]](list)
        for one in holders if holders is not None else ():
            self.below[one.findtext("target-sid", "")].append(one.findtext("source-sid", ""))

    def leaves(self, sid: str) -> set[str]:
        """Kernel names of the disks below."""
        if self.devices[sid].tag in ("Disk", "Dasd"):
            return {self.devices[sid].findtext("sysfs-name", "")}
        return set[str]().union(*(self.leaves(one) for one in self.below[sid]))

    def passes(self, sid: str, tag: str) -> bool:
        return self.devices[sid].tag == tag or any(self.passes(one, tag) for one in self.below[sid])

    def filesystems(self) -> list[tuple[list[str], str]]:
        """(paths in /dev of the devices that it stands on, sid) of each file system."""
        found = []
        for sid in self.devices:
            sources = [one for one in self.below[sid] if self.devices[one].findtext("name", "").startswith("/dev/")]
            if self.devices[sid].tag in ("Ext2", "Ext3", "Ext4", "Xfs", "Btrfs", "Vfat", "Ntfs") and sources:
                found.append(([self.devices[one].findtext("name", "") for one in sources], sid))
        return found


@pytest.mark.parametrize("file", [file for file in MOCKUPS if graph_file(file).exists()], ids=lambda file: file.stem)
def test_the_disks_of_each_file_system_are_those_of_the_independent_graph(file: Path, tmp_path: Path) -> None:
    box = materialised(Mockup.of(file), tmp_path)
    graph, names = graph_of(box.machine, box.ask)
    expected = Expected(graph_file(file))
    paths = {name: found.names for found in listing.disks(box.machine, graph.blocks, {}) for name in found.names}
    for nodes, sid in expected.filesystems():
        if not all(node in graph.nodes for node in nodes):
            assert expected.passes(sid, "LvmLv")  # a volume that is not active: there is no device to look at
            continue
        found = set[str]()
        for node in nodes:
            found |= {names[key] for key in copies.every(graph.node(node))}
        leaves = {paths[leaf][0] for leaf in expected.leaves(sid)}
        if expected.passes(sid, "LvmLv") or expected.passes(sid, "MdContainer"):
            # That graph ties a volume to its whole group, and an array to all disks of its container; it lies on those
            # that hold its extents.
            assert found and found <= leaves, nodes
        else:
            assert found == leaves, nodes


@pytest.mark.parametrize("file", MOCKUPS, ids=lambda file: file.stem)
def test_recordings_of_libstorage_are_read(file: Path, tmp_path: Path) -> None:
    mockup = Mockup.of(file)
    box = materialised(mockup, tmp_path)
    found = read_all(box.machine, box.ask)
    kernel = set(mockup.output("/bin/ls -1 --sort=none /sys/block").split())
    seen = {name for disk in found.disks for name in disk.names}
    assert seen == {
        name for name in kernel if not name.startswith(("dm-", "md", "loop", "sr", "bcache", "fd", "zram", "pktcdvd"))
    }
    assert len({disk.key for disk in found.disks}) == len(found.disks)


def test_a_volume_lies_on_the_disks_that_hold_its_extents(tmp_path: Path) -> None:
    """raid1 and raid5 of LVM over four disks, of which one has nothing of either."""
    box = materialised(Mockup.of(CORPUS / "libstorage-ng/lvm-raid1-mockup.xml"), tmp_path)
    graph, names = graph_of(box.machine, box.ask)
    mirror, parity = graph.node("/dev/mapper/test-data1"), graph.node("/dev/mapper/test-data2")
    assert {names[key] for key in copies.every(mirror)} == {"sdd", "sde"}
    assert {names[key] for key in copies.every(parity)} == {"sdc", "sdd", "sde"}
    assert {frozenset(names[key] for key in one) for one in copies.smallest(parity)[0]} == {
        frozenset({"sdc", "sdd"}), frozenset({"sdc", "sde"}), frozenset({"sdd", "sde"}),
    }  # fmt: skip


# --- curtin ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", CURTIN, ids=lambda file: file.stem)
def test_recordings_of_curtin_are_read(file: Path, tmp_path: Path) -> None:
    storage = storage_of(file)
    found = read_all(probed(storage, tmp_path).machine)
    disks = {
        node.removeprefix("/dev/")
        for node, row in storage["blockdev"].items()
        if row["DEVTYPE"] == "disk"
        and row["MAJOR"] not in ("2", "7", "9", "11", "253", "252", "251", "7")
        and not node.startswith(("/dev/dm-", "/dev/loop", "/dev/bcache", "/dev/md", "/dev/sr", "/dev/fd"))
    }
    assert {name for disk in found.disks for name in disk.names} >= disks - {"zram0"}
    assert len({disk.key for disk in found.disks}) == len(found.disks)


def test_raid5_lvm_and_luks_of_curtin(tmp_path: Path) -> None:
    storage = storage_of(CORPUS / "curtin/probert_storage_dmcrypt.json")
    box = probed(storage, tmp_path)
    graph, _names = graph_of(box.machine, None)
    crypt = next(iter(storage["dmcrypt"].values()))
    layer = graph.device(crypt["blkdevname"])
    kinds = {one.kind for one in copies.layers(layer)}
    assert layer.kind is Kind.CRYPT
    assert layer.detail == "luks2"
    assert Kind.LOGICAL_VOLUME in kinds


# --- util-linux ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", DUMPS, ids=lambda file: file.name.split(".")[0])
def test_dumps_of_util_linux_are_read_as_lsblk_reads_them(archive: Path, tmp_path: Path) -> None:
    name = archive.name.split(".")[0]
    machine = unpacked(archive, tmp_path, name)
    found = read_all(machine)
    basic = (CORPUS / f"util-linux-lsblk/expected/lsblk-{name}-basic").read_text().splitlines()
    at = basic[0].index("KNAME")
    rows = [line[at:].split() for line in basic[1:]]
    seen = {one for disk in found.disks for one in disk.names}
    assert seen == {row[0] for row in rows if row[4] == "disk"}
    assert set(sysfs.blocks(machine)) >= {row[0] for row in rows}


def test_several_devices_of_bcachefs(tmp_path: Path) -> None:
    machine = unpacked(CORPUS / "util-linux-lsblk/dumps/multi-devs-bcachefs.tar.xz", tmp_path, "multi-devs-bcachefs")
    found = inventory.read(machine, [inventory.Folder(b"/mnt/test")])
    (shown,) = found.maps
    used = {layer.name for layer in copies.layers(shown.top) if layer.kind is Kind.PARTITION}
    assert used == {"sdc1", "sdc2"}
    assert shown.sure  # both on one disk, whatever is on which


# --- procfs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def procfs(tmp_path: Path) -> Machine:
    return unpacked(CORPUS / "procfs/unpacked-fixtures.tar.xz", tmp_path, "fixtures")


def test_fixtures_of_procfs_are_read(procfs: Machine) -> None:
    found = read_all(procfs)
    assert found.disks


def test_arrays_of_procfs_have_their_members(procfs: Machine) -> None:
    graph, _names = graph_of(procfs, None)
    layer = graph.device("md10")
    assert (layer.detail, len(layer.below)) == ("raid10", 4)

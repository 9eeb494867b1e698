"""What storage programs print, of real machines: parsed, cut off at every length, and compared with what others made of
the same text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.disking import CORPUS, load, needs_corpus, recorded
from vaultd.disks.tools import btrfs, controllers, dmsetup, luks, lvm, mdadm, multipath, nvme, smart, zpool
from vaultd.disks.tools.controllers import Member

NETDATA = CORPUS / "netdata"


def text_of(path: Path) -> str:
    return path.read_text("utf-8", "replace")


PARSERS: dict[str, Callable[[str], object]] = {
    "netdata/storcli/testdata/*.json": controllers.storcli,
    "netdata/megacli/testdata/*phys*.txt": controllers.megacli,
    "netdata/hpssa/testdata/*.txt": controllers.ssacli,
    "netdata/adaptecraid/testdata/*pd*.txt": controllers.arcconf,
    "netdata/nvme/testdata/*/nvme-list.json": nvme.namespaces,
    "netdata/lvm/testdata/*.json": lvm.volumes,
    "smartctl/*.json": smart.parse,
    "scrutiny/**/*.json": smart.parse,
    "netdata/smartctl/testdata/*/device-*.json": smart.parse,
    "jc/generic/mdadm-query*.out": mdadm.detail,
    "jc/generic/zpool-status*.out": zpool.status,
    "procfs/../libstorage-ng/lvm*-mockup.xml": dmsetup.parse,
    "rig-ours/btrfs-usage.txt": btrfs.usage,
    "rig-ours/multipath.txt": multipath.maps,
    "rig-ours/luksdump.json": luks.needs,
    "rig-ours/mdstat": mdadm.mdstat,
}


@needs_corpus
@pytest.mark.parametrize("pattern", PARSERS)
def test_any_text_is_taken_cut_off_at_any_place(pattern: str) -> None:
    """None raises, whatever is missing at the end, in the middle, or of the text altogether."""
    files = recorded(pattern)
    assert files, pattern
    for file in files[:8]:
        whole = text_of(file)
        step = max(1, len(whole) // 40)
        for end in range(0, len(whole), step):
            PARSERS[pattern](whole[:end])
            PARSERS[pattern](whole[end:])
        PARSERS[pattern](whole[: len(whole) // 3] + "\x00\ufffd\n[]{}:" + whole[len(whole) // 2 :])
    for odd in ("", "{}", "[]", "null", "3", '"x"', '{"report": 3}', "[" * 100_000, "\n" * 50):
        PARSERS[pattern](odd)


# --- health ----------------------------------------------------------------------------------------------------------


@needs_corpus
@pytest.mark.parametrize("file", [*recorded("smartctl/*.json"), *recorded("scrutiny/models/**/*.json")],
                         ids=lambda file: file.stem)  # fmt: skip
def test_health_is_what_smartctl_said(file: Path) -> None:
    document = load(file)
    if not isinstance(document, dict) or "smartctl" not in document:
        pytest.skip("no output of smartctl")
    found = smart.parse(text_of(file))
    said = document.get("smart_status", {}).get("passed")
    if found is None:
        assert said is None
        return
    if isinstance(said, bool):
        assert found.passed is said
    else:
        assert found.passed is (False if document["smartctl"]["exit_status"] & 8 else None)
    assert found.serial == document.get("serial_number", "").strip()


@needs_corpus
def test_a_failing_disk_is_told_as_one() -> None:
    failing = [file for file in recorded("scrutiny/**/*.json") if '"passed": false' in text_of(file)]
    assert failing
    for file in failing:
        found = smart.parse(text_of(file))
        assert found is not None
        assert found.passed is False


# --- behind controllers ----------------------------------------------------------------------------------------------


@needs_corpus
def test_disks_behind_megaraid_by_storcli() -> None:
    found = controllers.storcli(text_of(NETDATA / "storcli/testdata/megaraid-drives-info.json"))
    first = found[0]
    assert first == Member(
        "controller 0", "enclosure 252 slot 0", "ATA", "ST16000NM001G-2KK103", "ZL2PVFA8", "5000c500e54f4ebb",
        0x746C00000 * 512, "sata", True, "Onln",
    )  # fmt: skip
    assert len({one.serial for one in found}) == len(found)


@needs_corpus
def test_disks_behind_megaraid_by_megacli() -> None:
    found = controllers.megacli(text_of(NETDATA / "megacli/testdata/mega-phys-drives-info.txt"))
    assert len(found) == text_of(NETDATA / "megacli/testdata/mega-phys-drives-info.txt").count("Slot Number:")
    first = found[0]
    assert (first.bay, first.serial, first.wwn) == ("enclosure 32 slot 0", "S1YHNXAG804005", "5002538c4002e713")
    assert (first.model, first.vendor, first.good) == ("SAMSUNG MZ7LM960HCHP-00003", "ATA", True)
    assert controllers.megacli(text_of(NETDATA / "megacli/testdata/mega-phys-drives-info-no-drives.txt")) == []


@needs_corpus
@pytest.mark.parametrize("file", recorded("netdata/hpssa/testdata/*.txt"), ids=lambda file: file.stem)
def test_disks_behind_smart_array(file: Path) -> None:
    found = controllers.ssacli(text_of(file))
    listed = set(re.findall(r"^\s+physicaldrive (\S+)\s*$", text_of(file), re.M))
    assert len({one.bay for one in found}) >= len(listed) > 0
    assert all(one.size and one.controller for one in found)


@needs_corpus
@pytest.mark.parametrize("file", recorded("netdata/adaptecraid/testdata/*pd*.txt"), ids=lambda file: file.stem)
def test_disks_behind_adaptec(file: Path) -> None:
    found = controllers.arcconf(text_of(file))
    assert len(found) == text_of(file).count("Device is a Hard drive")
    assert all(one.size and one.bay for one in found)
    assert len({one.bay for one in found}) == len(found)


@needs_corpus
def test_both_layouts_of_nvme_list() -> None:
    old = nvme.namespaces(text_of(NETDATA / "nvme/testdata/v2.3/nvme-list.json"))
    new = nvme.namespaces(text_of(NETDATA / "nvme/testdata/v2.11/nvme-list.json"))
    assert [one.device for one in old][:2] == ["nvme0n1", "nvme1n1"]
    assert {one.device for one in new} >= {"nvme0n1"}
    assert {one.model for one in old} & {one.model for one in new}
    assert nvme.namespaces(text_of(NETDATA / "nvme/testdata/nvme-list-empty.json")) == []


# --- arrays and pools ------------------------------------------------------------------------------------------------


@needs_corpus
@pytest.mark.parametrize("file", recorded("jc/generic/mdadm-query*.out"), ids=lambda file: file.stem)
def test_arrays_of_mdadm_are_as_jc_reads_them(file: Path) -> None:
    theirs, text = load(file.with_suffix(".json")), text_of(file)
    found = mdadm.detail(text)
    if "raid_level" not in theirs:
        assert found is None
        return
    assert found is not None
    assert found.level == theirs["raid_level"]
    table = [row for row in theirs.get("device_table", []) if row.get("device")]
    assert {name for name, _slot, _in_sync in found.members} == {row["device"].removeprefix("/dev/") for row in table}
    in_sync = {
        row["device"].removeprefix("/dev/") for row in table if {"active", "sync"} <= set(row.get("state") or [])
    }
    assert {name for name, _slot, good in found.members if good} == in_sync


@needs_corpus
def test_pools_of_zfs_are_as_jc_reads_them() -> None:
    for file in recorded("jc/generic/zpool-status*.out"):
        theirs = load(file.with_suffix(".json"))
        found = zpool.status(text_of(file))
        assert set(found) == {row["pool"] for row in theirs}, file.name
        for row in theirs:
            leaves = {part.name for part in flat(found[row["pool"]]) if not part.parts}
            groups = ("mirror", "raidz", "draid", "spare", "replacing", "logs", "cache", "special", "dedup")
            assert leaves == {
                one["name"] for one in row["config"]
                if one["name"] != row["pool"] and not re.match("|".join(groups), one["name"])
            }, file.name  # fmt: skip


def flat(pool: zpool.Pool) -> list[zpool.Part]:
    waiting, found = [*pool.data, *pool.special, *(part for _heading, part in pool.other)], list[zpool.Part]()
    while waiting:
        part = waiting.pop()
        found.append(part)
        waiting.extend(part.parts)
    return found


def test_a_pool_needs_every_top_level_device() -> None:
    text = """  pool: tank
 state: DEGRADED
config:

\tNAME                     STATE     READ WRITE CKSUM
\ttank                     DEGRADED     0     0     0
\t  raidz2-0               ONLINE       0     0     0
\t    /dev/sda             ONLINE       0     0     0
\t    /dev/sdb             ONLINE       0     0     0
\t    /dev/sdc             ONLINE       0     0     0
\t    /dev/sdd             ONLINE       0     0     0
\t  mirror-1               DEGRADED     0     0     0
\t    /dev/sde             ONLINE       0     0     0
\t    replacing-1          DEGRADED     0     0     0
\t      /dev/sdf           OFFLINE      0     0     0
\t      /dev/sdg           ONLINE       0     0     0  (resilvering)
\tspecial
\t  mirror-2               ONLINE       0     0     0
\t    /dev/nvme0n1         ONLINE       0     0     0
\t    /dev/nvme1n1         ONLINE       0     0     0
\tlogs
\t  /dev/nvme2n1           ONLINE       0     0     0
\tcache
\t  /dev/nvme3n1           ONLINE       0     0     0
\tspares
\t  /dev/sdz               AVAIL

errors: No known data errors
"""
    pool = zpool.status(text)["tank"]
    assert [part.name for part in pool.data] == ["raidz2-0", "mirror-1"]
    assert [(zpool.need(part), len(part.parts)) for part in pool.data] == [(2, 4), (1, 2)]
    assert [part.good for part in pool.data[1].parts] == [True, False]
    assert [part.name for part in pool.special] == ["mirror-2"]
    assert [heading for heading, _part in pool.other] == ["logs", "cache", "spares"]


@needs_corpus
def test_mdstat_of_procfs_has_its_members_and_who_is_in_sync() -> None:
    text = (CORPUS / "procfs/fixtures.ttar").read_text("utf-8", "replace")
    arrays = mdadm.mdstat(text[text.index("Personalities :") : text.index("unused devices:")])
    assert len(arrays) == 18
    six = arrays["md6"]
    assert {name: good for name, _slot, good in six.members} == {"sdb2": False, "sdc": False, "sda2": True}
    eight = {name for name, _slot, good in arrays["md3"].members if good}
    assert eight == {"sda1", "sdh1", "sdg1", "sdf1", "sde1", "sdd1", "sdc1", "sdb1"}
    assert {name for name, _slot, good in arrays["md7"].members if good} == {"sdb1", "sde1", "sdd1"}


def test_a_key_bound_to_the_tpm_alone_is_told() -> None:
    bound = {"keyslots": {"0": {}}, "tokens": {"0": {"type": "systemd-tpm2", "keyslots": ["0"]}}}
    both = {"keyslots": {"0": {}, "1": {}}, "tokens": {"0": {"type": "systemd-tpm2", "keyslots": ["1"]}}}
    assert luks.needs(json.dumps(bound)) == ("tpm",)
    assert luks.needs(json.dumps(both)) == ()  # a passphrase opens it anywhere


def test_failed_paths_are_told_apart() -> None:
    text = """mpatha (35000c50000000014) dm-10 IBM,2107900
size=160M features='1 queue_if_no_path' hwhandler='0' wp=rw
`-+- policy='service-time 0' prio=1 status=active
  |- 9:0:20:0  sdk 8:160 active ready running
  `- 10:0:20:0 sdl 8:176 failed faulty offline
"""
    (found,) = multipath.maps(text)
    assert (found.name, found.wwid, found.kernel) == ("mpatha", "35000c50000000014", "dm-10")
    assert found.paths == (("sdk", True), ("sdl", False))

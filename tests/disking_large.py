"""A large machine: 72 SAS disks of two ports each behind expanders (144 paths), multipath over them, six arrays of
raid6 over twelve each, LUKS on every array, LVM over pairs of those, 24 vaults. Made up, in the kernel's own terms."""

from __future__ import annotations

from pathlib import Path

from tests.disking import Box

DISKS, ARRAYS, VAULTS = 72, 6, 24


def large_machine(folder: Path, disks: int = DISKS, arrays: int = ARRAYS, vaults: int = VAULTS) -> Box:
    box = Box(folder)
    for number in range(disks):
        _disk(box, number, disks)
    members = disks // arrays
    for array in range(arrays):
        place = f"/devices/virtual/block/md{array}"
        box.block(place, f"9:{array}", 10 << 40, {"ID_FS_TYPE": "crypto_LUKS", "ID_FS_VERSION": "2"}, md__level="raid6",
                  md__raid_disks=str(members), md__layout="2", md__reshape_position="none")  # fmt: skip
        used = [f"dm-{array * members + slot}" for slot in range(members)]
        for slot, name in enumerate(used):
            box.write(f"sys{place}/md/dev-{name}/state", "in_sync\n")
            box.write(f"sys{place}/md/dev-{name}/slot", f"{slot}\n")
        box.slaves_of(place, used)
        _mapped(box, disks + array, f"crypt{array}", f"CRYPT-LUKS2-{array:032x}-crypt{array}", [f"md{array}"])
    for vault in range(vaults):
        minor, pair = disks + arrays + vault, [(vault % arrays), (vault + 1) % arrays]
        _mapped(box, minor, f"vg-vault{vault}", f"LVM-{vault:064x}", [f"dm-{disks + one}" for one in pair])
        box.mount(f"253:{minor}", f"/srv/vault{vault}", "xfs", f"/dev/mapper/vg-vault{vault}")
    rows = [
        f"vg-vault{vault}: {4096 * half} 4096 linear 253:{disks + (vault + half) % arrays} 2048\n"
        for vault in range(vaults)
        for half in range(2)
    ]
    box.outputs["dm-table", ""] = "".join(rows)
    return box


def _disk(box: Box, number: int, disks: int) -> None:
    paths = []
    for host in range(2):
        name = _letters(number + host * disks)
        major, minor = divmod(16 * (number + host * disks), 256)
        end = f"end_device-{host}:0:{number}"
        port = f"host{host}/port-{host}:0/expander-{host}:0/port-{host}:0:{number}"
        device = f"/devices/pci0000:0{host}/0000:0{host}:00.0/{port}/{end}"
        place = f"{device}/target{host}:0:{number}/{host}:0:{number}:0/block/{name}"
        values = {"ID_WWN": f"0x5000c5000000{number:04x}", "ID_SCSI_SERIAL": f"ZL2{number:05}", "ID_VENDOR": "SEAGATE"}
        values |= {"ID_MODEL": "ST16000NM002G", "ID_FS_TYPE": "mpath_member"}
        box.block(place, f"{8 if major == 0 else 64 + major}:{minor}", 16 << 40, values)
        box.write(f"sys/class/sas_device/{end}/bay_identifier", f"{number}\n")
        paths.append(name)
    _mapped(box, number, f"mpath{number}", f"mpath-35000c5000000{number:04x}", paths)


def _mapped(box: Box, minor: int, name: str, uuid: str, below: list[str]) -> None:
    place = f"/devices/virtual/block/dm-{minor}"
    box.block(place, f"253:{minor}", 1 << 40, {"DM_NAME": name, "DM_UUID": uuid}, dm__name=name, dm__uuid=uuid)
    box.slaves_of(place, below)


def _letters(number: int) -> str:
    """sda, sdb, ... sdz, sdaa: as the kernel counts."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return f"sd{text}"

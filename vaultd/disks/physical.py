"""Which block devices are physical disks, and what hardware says of them: names, connection, what hides behind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vaultd.disks.machine import Machine
from vaultd.disks.model import Unseen
from vaultd.disks.sysfs import Block
from vaultd.disks.udevdb import decoded

_DISK_TYPES = ("", "0", "14", "20")
"""SCSI peripheral types of disks: block device, reduced block commands, host-managed zones (as sysfs writes them)."""

_NET_MAJORS = {"43": "nbd", "147": "drbd"}

_CONTROLLER_MODEL = re.compile(
    r"\b(logical volume|logicaldrv|perc|megaraid|serveraid|smart array|raid ?\d\w*|mr\d{4}\S*|virtual disk \d)\b", re.I
)
_HYPERVISOR = re.compile(
    r"\b(qemu|vmware|vbox|virtualbox|msft|xen|parallels|bhyve|nutanix|google|amazon elastic)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a disk says of itself. ``wwn`` without a prefix, in lower case, "" where it says none or only zeros.
    ``unit``: what is pulled out as one piece: the same for two namespaces of one NVMe disk."""

    vendor: str
    model: str
    serial: str
    wwn: str
    transport: str
    unit: str
    path: str
    rotational: bool | None
    removable: bool
    unseen: Unseen | None
    network: bool


def is_disk(machine: Machine, block: Block) -> bool:
    """Whether a block device stands for hardware that holds data: no partition, no CD, no empty card reader."""
    if block.parent is not None or machine.number(f"{block.folder}/hidden") == 1:
        return False
    if any(machine.has(f"{block.folder}/{made}") for made in ("dm", "md", "loop")):
        return False
    if block.virtual and "/nvme-subsystem/" not in block.path:
        return False
    if block.number.split(":")[0] in ("2", "11") or block.udev.get("ID_CDROM") or block.name.startswith(("sr", "fd")):
        return False
    if re.fullmatch(r"mmcblk\d+(boot\d+|rpmb)", block.name) or is_network(block):
        return False
    if machine.text(f"{block.folder}/device/type") not in _DISK_TYPES and _is_scsi(block):
        return False
    return bool(block.size) or machine.number(f"{block.folder}/removable") != 1


def is_network(block: Block) -> bool:
    """Whether it is a block device whose data another host keeps (nbd, rbd)."""
    return block.number.split(":")[0] in _NET_MAJORS or block.name.startswith(("rbd", "nbd", "drbd"))


def facts(machine: Machine, block: Block) -> Facts:
    """What a disk and udev say of it. Every text is cleaned; "" is not known."""
    vendor, model = _names(machine, block)
    transport = _transport(machine, block, vendor)
    return Facts(
        vendor=vendor,
        model=model,
        serial=_serial(machine, block),
        wwn=_wwn(machine, block),
        transport=transport,
        unit=_unit(block),
        path=block.udev.get("ID_PATH") or block.path,
        rotational={0: False, 1: True}.get(_or(machine.number(f"{block.folder}/queue/rotational"), -1)),
        removable=machine.number(f"{block.folder}/removable") == 1 or transport in ("usb", "mmc"),
        unseen=_unseen(machine, block, vendor, model, transport),
        network=transport in ("iscsi", "fc", "nvme-tcp", "nvme-rdma", "nvme-fc", "nvme-loop"),
    )


def _or(value: int | None, other: int) -> int:
    return other if value is None else value


def _names(machine: Machine, block: Block) -> tuple[str, str]:
    device = f"{block.folder}/device"
    udev = block.udev
    vendor = machine.text(f"{device}/vendor") or decoded(udev.get("ID_VENDOR_ENC")) or udev.get("ID_VENDOR")
    model = (
        machine.text(f"{device}/model")
        or machine.text(f"{block.folder}/model")
        or decoded(udev.get("ID_MODEL_ENC"))
        or udev.get("ID_MODEL").replace("_", " ").strip()
        or machine.text(f"{device}/name")
    )
    if re.fullmatch(r"0x[0-9a-f]{4}", vendor):
        vendor = ""  # virtio and nvme: a number of the PCI vendor
    return vendor, model


def _serial(machine: Machine, block: Block) -> str:
    udev, device = block.udev, f"{block.folder}/device"
    for name in ("ID_SCSI_SERIAL", "SCSI_IDENT_SERIAL"):
        if udev.get(name):
            return udev.get(name)
    page = machine.read(f"{device}/vpd_pg80")
    if page and len(page) > 4 and page[1] == 0x80:
        from vaultd.disks.machine import clean

        found = clean(page[4 : 4 + int.from_bytes(page[2:4], "big")])
        if found:
            return found
    return (
        machine.text(f"{device}/serial")
        or machine.text(f"{block.folder}/serial")
        or udev.get("ID_SERIAL_SHORT")
        or udev.get("ID_SERIAL")
    )


def _wwn(machine: Machine, block: Block) -> str:
    udev = block.udev
    said = (
        udev.get("ID_WWN_WITH_EXTENSION")
        or udev.get("ID_WWN")
        or udev.get("DM_WWN")
        or machine.text(f"{block.folder}/device/wwid")
        or machine.text(f"{block.folder}/wwid")
    )
    found = re.fullmatch(r"(?:0x|naa\.|eui\.|uuid\.)([0-9a-f-]+)", said.lower())
    return found[1] if found and found[1].strip("0-") else ""


def _is_scsi(block: Block) -> bool:
    return bool(re.search(r"/target\d+:\d+:\d+/", block.path))


def _transport(machine: Machine, block: Block, vendor: str) -> str:
    path = block.path
    nvme = re.search(r"/(nvme\d+)(?:c\d+)?n\d+$", path)
    if nvme or "/nvme-subsystem/" in path:
        kind = machine.text(f"{block.folder}/device/transport")
        if not kind and "/nvme-fabrics/" in path:
            kind = "fabrics"
        return "nvme" if kind in ("", "pcie", "apple-nvme") else f"nvme-{kind}"
    for form, transport in (
        (r"/usb\d+/", "usb"), (r"/session\d+/", "iscsi"), (r"/rport-\d", "fc"), (r"/ata\d+/", "sata"),
        (r"/mmc\d+:", "mmc"), (r"/virtio\d+/", "virtio"), (r"/(vbd-\d+|xen)", "xen"), (r"/vmbus|/VMBUS", "hyperv"),
    ):  # fmt: skip
        if re.search(form, path):
            return transport
    if "/end_device-" in path:
        return "sata" if vendor == "ATA" or block.udev.get("ID_BUS") == "ata" else "sas"
    return {"ata": "sata", "usb": "usb", "nvme": "nvme"}.get(block.udev.get("ID_BUS"), "")


def _unit(block: Block) -> str:
    """The controller of an NVMe disk: all its namespaces are one piece of hardware. Others stand for themselves."""
    found = re.search(r"^(.*/(?:nvme|nvme-subsys)\d+)/nvme\d+(?:c\d+)?n\d+$", block.path)
    return found[1] if found else block.path


def _unseen(machine: Machine, block: Block, vendor: str, model: str, transport: str) -> Unseen | None:
    if transport in ("iscsi", "fc") or transport.startswith("nvme-"):
        return Unseen.REMOTE
    level = machine.text(f"{block.folder}/device/raid_level")
    if level and level.upper() not in ("N/A", "UNKNOWN"):
        return Unseen.CONTROLLER
    if _CONTROLLER_MODEL.search(f"{vendor} {model}") or _is_logical(machine, block):
        return Unseen.CONTROLLER
    if transport in ("virtio", "xen", "hyperv") or _HYPERVISOR.search(f"{vendor} {model}"):
        return Unseen.VIRTUAL
    return None


def _is_logical(machine: Machine, block: Block) -> bool:
    """Whether the controller's driver keeps its logical drives at such an address."""
    found = re.search(r"/host(\d+)/target\d+:(\d+):\d+/", block.path)
    if not found:
        return False
    driver = machine.text(f"sys/class/scsi_host/host{found[1]}/proc_name")
    return driver == "megaraid_sas" and int(found[2]) >= 2

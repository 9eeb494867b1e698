"""Where a disk sits, as far as the machine says. Its word may be wrong: an operator's confirmation wins over it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from vaultd.disks.machine import Machine
from vaultd.disks.model import Bay
from vaultd.disks.sysfs import Block


def bay(machine: Machine, block: Block) -> tuple[Bay | None, bool]:
    """The bay of a disk, and whether two sources of the machine contradict each other."""
    slot, address = _enclosure(machine, block)
    phy = _sas(machine, block)
    if slot:
        return Bay(f"{slot} ({address})" if address else slot, "enclosure"), bool(phy and _last(phy) != _last(slot))
    if phy:
        return Bay(phy, "enclosure"), False
    pci = _pci_slot(machine, block)
    if pci:
        return Bay(f"PCIe slot {pci}", "path"), False
    path = _path(block)
    return (Bay(path, "path") if path else None), False


def _enclosure(machine: Machine, block: Block) -> tuple[str, str]:
    """The component of an enclosure (SES) that links to the disk: what the firmware calls it, and the enclosure's
    address, as one machine may have several with the same names."""
    device = f"{block.folder}/device"
    for name in machine.names(device):
        if name.startswith("enclosure_device:"):
            target = machine.device_path(f"{device}/{name}")
            parts = target.split("/")
            # Its number where the kernel tells it; never its LEDs, which ask the enclosure.
            slot = machine.text(f"{device}/{name}/slot")
            text = parts[-1] or name.partition(":")[2]
            if slot.isdigit() and not re.search(r"\d", text):
                text = f"{text} {slot}"
            return text, parts[-2] if len(parts) > 1 and re.fullmatch(r"[\d:]+", parts[-2]) else ""
    return "", ""


def _sas(machine: Machine, block: Block) -> str:
    found = re.search(r"/(end_device-[\d:]+)/", block.path)
    if not found:
        return ""
    folder = f"sys/class/sas_device/{found[1]}"
    if not machine.has(folder):
        upto = block.path[: found.end()].rstrip("/")
        folder = f"sys{upto}/sas_device/{found[1]}"
    number = machine.text(f"{folder}/bay_identifier")
    return f"bay {number}" if number.isdigit() else ""


def _pci_slot(machine: Machine, block: Block) -> str:
    """The slot of an NVMe disk: the kernel knows which address each PCI slot has."""
    if "/nvme" not in block.path:
        return ""
    addresses = re.findall(r"/([0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2})\.\d", block.path)
    for address in reversed(addresses):
        for slot in machine.names("sys/bus/pci/slots"):
            if machine.text(f"sys/bus/pci/slots/{slot}/address") == address:
                return slot
    return ""


def _path(block: Block) -> str:
    for form, text in (
        (r"/ata(\d+)/", "ATA port {}"), (r"/usb\d+/(?:[\d.-]+/)*(\d+-[\d.]+)/", "USB {}"),
        (r"/(nvme\d+)/", "{}"), (r"/(\d+:\d+:\d+:\d+)/block/", "SCSI {}"), (r"/(virtio\d+)/", "{}"),
        (r"/(mmc\d+):", "{}"),
    ):  # fmt: skip
        found = re.search(form, block.path)
        if found:
            return text.format(found[1])
    return block.udev.get("ID_PATH")


def _last(text: str) -> str:
    numbers = re.findall(r"\d+", text)
    return numbers[-1].lstrip("0") or "0" if numbers else text


def doubled(bays: Mapping[str, Bay | None]) -> frozenset[str]:
    """The disks (keys) whose bay another disk claims as well."""
    count = Counter(bay.text for bay in bays.values() if bay is not None)
    return frozenset(key for key, bay in bays.items() if bay is not None and count[bay.text] > 1)

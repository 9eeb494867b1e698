"""Whether what lies on a disk is encrypted: looked at from the disk upwards, until a layer that encrypts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from vaultd.disks.machine import Machine
from vaultd.disks.sysfs import Block

_SCHEMES = {"BitLocker": "bitlocker", "crypto_FileVault2": "filevault", "TCRYPT": "tcrypt"}

_SMALL = 4 << 30
"""Bytes: a boot partition may be readable and the disk still be called encrypted; nobody's files are there."""

_BOOT = frozenset(
    (
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",  # EFI
        "21686148-6449-6e6f-744e-656564454649",  # BIOS boot
        "bc13c2ff-59e6-4262-a352-b275fd6f7172",  # /boot of the boot loader specification
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",  # Microsoft reserved
        "9e1a2d38-c612-4316-aa26-8b49521e5a8b",  # PReP
        "0xef",
    )
)


def schemes(machine: Machine, blocks: Mapping[str, Block]) -> dict[str, frozenset[str]]:
    """For each block device the schemes that its content lies under; "" among them stands for content that is not
    encrypted. Nothing where no content can be seen."""
    holders = defaultdict[str, list[str]](list)
    for block in blocks.values():
        for below in [*block.slaves, *([block.parent] if block.parent else [])]:
            holders[below].append(block.name)
    made = dict[str, frozenset[str]]()

    def of(name: str, above: tuple[str, ...]) -> frozenset[str]:
        if name in above or name not in blocks:
            return frozenset()
        if name not in made:
            own = scheme(machine, blocks[name])
            if own is not None:
                made[name] = frozenset({own})
            else:
                parts = [of(one, (*above, name)) for one in holders[name] if not _is_boot(blocks[one])]
                found = frozenset[str]().union(*parts)
                made[name] = found or _content(blocks[name])
        return made[name]

    return {name: of(name, ()) for name in blocks}


def scheme(machine: Machine, block: Block) -> str | None:
    """The scheme that a device itself is a container of; None when it is none."""
    kind = block.udev.get("ID_FS_TYPE")
    if kind == "crypto_LUKS":
        return "luks" + (block.udev.get("ID_FS_VERSION") or "")[:1]
    if kind in _SCHEMES:
        return _SCHEMES[kind]
    for holder in machine.names(f"{block.folder}/holders"):  # a plain one, or one whose header lies elsewhere
        uuid = machine.text(f"sys/block/{holder}/dm/uuid")
        if uuid.startswith("CRYPT-"):
            return uuid.split("-")[1].lower().replace("bitlk", "bitlocker")
    return None


def _content(block: Block) -> frozenset[str]:
    usage = block.udev.get("ID_FS_USAGE")
    return frozenset({""}) if usage in ("filesystem", "raid", "other") and block.udev.get("ID_FS_TYPE") else frozenset()


def _is_boot(block: Block) -> bool:
    return block.parent is not None and block.size <= _SMALL and block.udev.get("ID_PART_ENTRY_TYPE").lower() in _BOOT


def of_disk(found: Iterable[frozenset[str]]) -> tuple[str, bool]:
    """The scheme of a disk by those of its names, "" when any of its content is readable; and whether it is so in part
    only."""
    whole = frozenset[str]().union(*found)
    named = sorted(whole - {""})
    return ("+".join(named) if "" not in whole else ""), bool(named) and "" in whole

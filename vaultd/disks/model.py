"""What is known of disks, and of the layers between a folder and its disks.

Everything here is a frozen value: read once, kept with its time, shown by the command line and printed. Texts that come
from hardware (model, serial) are hostile: decoded with replacement, control characters taken out, whoever shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a layer is."""

    FOLDER = "folder"
    FILESYSTEM = "filesystem"
    OVERLAY = "overlay"
    FILE = "file"  # the backing file of a loop device
    LOOP = "loop"
    PARTITION = "partition"
    CRYPT = "crypt"
    LOGICAL_VOLUME = "lv"
    MD = "md"
    DM_RAID = "dm-raid"  # of a controller's firmware, by device mapper
    MULTIPATH = "multipath"
    BCACHE = "bcache"
    ZPOOL = "zpool"
    DISK = "disk"
    REMOTE = "remote"  # NFS, CIFS, iSCSI: the disk stands elsewhere
    MEMORY = "memory"  # tmpfs, ramfs, zram: goes with the power
    UNKNOWN = "unknown"  # nothing says what lies below


class Unseen(StrEnum):
    """Why what is behind a disk cannot be seen."""

    CONTROLLER = "raid-controller"
    VIRTUAL = "virtual"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Bay:
    """Where a disk sits: as people read it on the chassis ("24", "enclosure 1 slot 3"), and who says so: "confirmed"
    (an operator has looked; wins), "enclosure", "path", "controller"."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Health:
    """What SMART says; ``passed`` is None when the disk does not say. ``time``: when it was asked, nanoseconds since
    1970."""

    passed: bool | None
    time: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """A physical disk. ``key`` stays when the kernel's name changes, and is another one's after a swap: by WWN where it
    is not zero and unique, else vendor, model and serial, else the path of its connection (``vaultd.disks.identity``).
    ``names``: the kernel's names, more than one by multipath. ``size`` in bytes."""

    key: str
    names: tuple[str, ...]
    vendor: str
    model: str
    serial: str
    wwn: str
    size: int
    transport: str  # "sata", "sas", "nvme", "usb", "virtio", "mmc", ""
    rotational: bool | None = None
    removable: bool = False
    bay: Bay | None = None
    health: Health | None = None
    encryption: str = ""  # "luks2", "luks1", "bitlocker", "opal", "": none that can be seen
    unseen: Unseen | None = None
    written: int | None = None  # bytes since the machine started
    problems: tuple[str, ...] = ()
    """Codes: "no-wwn", "double-wwn", "no-serial", "double-serial", "double-slot", "slot-differs" (two sources of the
    machine say different bays), "part-encrypted" (some of it is readable), "no-size", "gone"."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a stack: what it is, what the kernel calls it, and the layers directly below.

    A whole copy of the layer's content needs each ``groups`` element in enough members: ``(need, (index, ...))`` says
    that at least ``need`` of these ``below`` must be there, and every group must be satisfied. One of two mirrors is
    ``((1, (0, 1)),)``; all of a stripe ``((2, (0, 1)),)``; an md raid10 n2 of four ``((1, (0, 1)), (1, (2, 3)))``.
    Members that are not in sync stand in ``below`` (bytes are on them) and in no group. A leaf has no ``below``;
    ``disk`` is its key when it is one.
    """

    kind: Kind
    name: str
    detail: str = ""  # "raid1", "ext4", "luks2", "striped"
    below: tuple[Layer, ...] = ()
    groups: tuple[tuple[int, tuple[int, ...]], ...] = ()
    disk: str | None = None
    notes: tuple[str, ...] = ()
    """Codes: "degraded", "not-in-sync", "writeback-cache", "snapshots", "tpm", "token", "header", "guessed", "cycle",
    "gone", "raid-controller"."""


@dataclass(frozen=True, slots=True)
class DiskMap:
    """From a folder to its disks. ``every``: keys of all disks that hold any byte of it. ``copies``: the smallest sets
    of disks that carry a whole copy, none a subset of another; empty when there is none, or when the rule is not known.
    ``sure``: False where a layer could not be seen or its rule is a guess."""

    path: bytes
    vault: str | None
    top: Layer
    every: frozenset[str]
    copies: tuple[frozenset[str], ...]
    sure: bool
    all_copies: bool = True  # False: there are too many to list; ``vaultd.disks.copies.carries`` knows them all


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that was seen at a time (nanoseconds since 1970). ``problems``: what could not be read, as text, and why."""

    time: int
    disks: tuple[Disk, ...]
    maps: tuple[DiskMap, ...]
    problems: tuple[str, ...] = ()

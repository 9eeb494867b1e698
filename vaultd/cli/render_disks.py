"""How disks and maps look on the terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from vaultd.cli.format import ago, size, table
from vaultd.disks.machine import clean
from vaultd.disks.model import Disk, DiskMap, Health, Inventory, Kind, Layer
from vaultd.i18n import N_, _
from vaultd.names import display

KINDS = {
    Kind.FOLDER: N_("folder"), Kind.FILESYSTEM: N_("file system"), Kind.OVERLAY: N_("overlay"), Kind.FILE: N_("file"),
    Kind.LOOP: N_("loop device"), Kind.PARTITION: N_("partition"), Kind.CRYPT: N_("encrypted"),
    Kind.LOGICAL_VOLUME: N_("logical volume"), Kind.MD: N_("software raid"), Kind.DM_RAID: N_("firmware raid"),
    Kind.MULTIPATH: N_("several paths"), Kind.BCACHE: N_("bcache"), Kind.ZPOOL: N_("ZFS pool"), Kind.DISK: N_("disk"),
    Kind.REMOTE: N_("on another host"), Kind.MEMORY: N_("in memory only"), Kind.UNKNOWN: N_("unknown"),
}  # fmt: skip

NOTES = {
    "degraded": N_("degraded"), "writeback-cache": N_("write-back cache"), "tpm": N_("bound to this machine's TPM"),
    "token": N_("bound to a token"), "header": N_("its header lies elsewhere"),
    "not-in-sync": N_("a member is not in sync"),
    "guessed": N_("not known for sure"), "cycle": N_("leads back to itself"), "gone": N_("gone"),
    "snapshots": N_("snapshots hold older content"),
    "raid-controller": N_("a volume of a raid controller"),
}  # fmt: skip

PROBLEMS = {
    "no-wwn": N_("no WWN"), "double-wwn": N_("another disk has this WWN too"), "no-serial": N_("no serial number"),
    "double-serial": N_("another disk has this serial number too"),
    "double-slot": N_("another disk claims this bay too, look"),
    "slot-differs": N_("the bay's number is in doubt, look"),
    "part-encrypted": N_("encrypted in part only"), "no-size": N_("tells no size, it may be dying"), "gone": N_("gone"),
}  # fmt: skip

UNSEEN = {
    "raid-controller": N_("disks behind a raid controller, not seen"),
    "virtual": N_("virtual, its disks are the host's"),
    "remote": N_("its disks stand elsewhere"),
}  # fmt: skip

SETS = 8
"""How many of the smallest sets are printed."""

QUIET = frozenset(("no-wwn",))
"""Problems that are told in JSON only: it is so for many a disk, and the serial number does as well."""


def disk_table(found: Inventory, labels: Mapping[str, tuple[str, str]] | None = None) -> Iterator[str]:
    """All disks, then what is to be said of some. ``labels``: label number and custodian by a disk's key, from the
    register; None where there is none."""
    if not found.disks:
        yield _("No physical disk can be seen.")
        return
    head: tuple[str, ...] = (_("disk"), _("bay"), _("model"), _("serial"), _("size"), _("connection"), _("health"))
    head = (*head, _("encryption"), _("vaults"))
    rows = [_row(found, disk) for disk in found.disks]
    if labels is not None:
        head = (*head, _("label"), _("custodian"))
        rows = [(*row, *labels.get(disk.key, ("-", "-"))) for row, disk in zip(rows, found.disks, strict=True)]
    yield table(head, rows, right=(4,))
    said = defaultdict[str, list[str]](list)
    for disk in found.disks:
        if disk.unseen is not None:
            said[_(UNSEEN[disk.unseen.value])].append(name(disk))
        for code in disk.problems:
            if code in PROBLEMS and code not in QUIET:
                said[_(PROBLEMS[code])].append(name(disk))
    for text, names in said.items():
        yield f"{text}: {', '.join(names)}"


def _row(found: Inventory, disk: Disk) -> tuple[str, ...]:
    return (
        name(disk), disk.bay.text + ("" if disk.bay.source != "confirmed" else " ✓") if disk.bay else "-",
        clean(f"{disk.vendor} {disk.model}") or "-", clean(disk.serial) or "-", size(disk.size), disk.transport or "-",
        health(disk.health, found.time), disk.encryption or _("none seen"),
        ", ".join(one.vault or display(one.path) for one in found.maps if disk.key in one.every) or "-",
    )  # fmt: skip


def name(disk: Disk) -> str:
    """The kernel's names of a disk, its key where it has none."""
    return "+".join(disk.names) or disk.key


def health(one: Health | None, now: int) -> str:
    """Value and age."""
    if one is None:
        return "-"
    word = {True: _("good"), False: _("FAILING"), None: _("not told")}[one.passed]
    old = now - one.time
    return word if old < 60 * 1_000_000_000 else f"{word} ({ago(one.time, now)})"


def tree(found: Inventory, shown: DiskMap) -> Iterator[str]:
    """The layers below each other, then the two answers."""
    disks = {disk.key: disk for disk in found.disks}
    yield from _branch(shown.top, "", "", disks, set())
    yield ""
    yield _("Disks that hold any byte of it: {disks}").format(disks=_names(shown.every, disks) or _("none"))
    if not shown.copies:
        yield _("No set of disks that can be seen here carries a whole copy.")
    else:
        yield _("A whole copy is carried by:")
        for one in shown.copies[:SETS]:
            yield "  " + _names(one, disks)
        if len(shown.copies) > SETS or not shown.all_copies:
            yield "  " + _("... and other sets (--json lists them)")
    if not shown.sure:
        yield _("This is not sure: a layer could not be seen, or its rule is a guess. Take all disks.")


def _branch(layer: Layer, first: str, rest: str, disks: dict[str, Disk], seen: set[int]) -> Iterator[str]:
    text = first + describe(layer, disks)
    if id(layer) in seen and layer.below:
        yield text + " " + _("(as above)")
        return
    seen.add(id(layer))
    yield text
    for number, one in enumerate(layer.below):
        last = number == len(layer.below) - 1
        yield from _branch(one, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), disks, seen)


def describe(layer: Layer, disks: dict[str, Disk]) -> str:
    """A layer in one line."""
    parts = [_(KINDS[layer.kind]), layer.name]
    disk = disks.get(layer.disk) if layer.disk else None
    if disk is not None:
        parts[1] = name(disk)
        parts += [clean(f"{disk.vendor} {disk.model}"), clean(disk.serial), f"[{disk.bay.text}]" if disk.bay else ""]
    elif layer.detail and layer.kind is not Kind.MULTIPATH:
        parts.append(f"({layer.detail})")
    notes = [_(NOTES.get(code, code)) for code in layer.notes]
    return " ".join(part for part in parts if part) + (": " + ", ".join(notes) if notes else "")


def _names(keys: frozenset[str], disks: dict[str, Disk]) -> str:
    known = [disks[key] for key in keys if key in disks]
    return ", ".join(sorted(name(disk) for disk in known))

"""Which disk somebody means who has it in the hand: by what is printed on it, on its bay, or on the list.

Nobody is asked but the kept list, the disks as they were seen last, and the register: the disk may be out already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vaultd.disks.model import Disk, Inventory
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.media import items, numbering
from vaultd.media.faults import MediaError
from vaultd.media.register import Register
from vaultd.names import display
from vaultd.protect.recorded import STATE_VAULT
from vaultd.pull.model import Pull, PullList
from vaultd.pull.sheet_texts import CODE
from vaultd.store.mediarows import Medium


@dataclass(frozen=True, slots=True)
class Subject:
    """``disk``: as it was seen last, None for a medium that this machine never saw; ``medium``: as the register has it,
    None where it is in no register; ``vaults`` with bytes on it."""

    disk: Disk | None
    medium: Medium | None
    vaults: tuple[str, ...]

    @property
    def text(self) -> str:
        """As people know it."""
        if self.medium is not None:
            return self.medium.label
        return (self.disk.serial or self.disk.key) if self.disk is not None else "-"


def find(register: Register, made: PullList | None, inventory: Inventory | None, wanted: str) -> Subject:
    """The one disk that is meant. Raises ConfigError when there is none, or more than one."""
    wanted = wanted.strip()
    text = wanted.removeprefix(CODE)
    pulls = {pull.disk.key: pull for pull in (made.pulls if made is not None else ())}
    disks = {disk.key: disk for disk in (inventory.disks if inventory is not None else ())}
    disks |= {key: pull.disk for key, pull in pulls.items()}
    found = _numbered(pulls.values(), text) or _named(register, disks.values(), text) or _in_bay(disks.values(), text)
    if len(found) > 1:
        raise ConfigError(
            _("disk {disk}").format(disk=display(wanted)), _("{count} disks are called that").format(count=len(found)),
            _("use the serial number: {serials}").format(serials=", ".join(one.serial or one.key for one in found)),
        )  # fmt: skip
    if found:
        return _of_disk(register, found[0], pulls, inventory)
    medium = _labelled(register, text)
    if medium is None:
        raise ConfigError(
            _("disk {disk}").format(disk=display(wanted)),
            _("neither the pull list nor the register has such a disk"),
            _("read its serial number again; if it is right and the disk is in no list: --new registers it"),
        )
    seen = [disk for disk in disks.values() if (one := items.registered(disk, register.store)) and one.id == medium.id]
    if seen:
        return _of_disk(register, seen[0], pulls, inventory)
    return Subject(None, medium, medium.vault_names)


def _numbered(pulls: Iterable[Pull], text: str) -> list[Disk]:
    return [pull.disk for pull in pulls if text == f"#{pull.number}"]


def _named(register: Register, disks: Iterable[Disk], text: str) -> list[Disk]:
    name, label = text.removeprefix("/dev/"), _labelled(register, text)
    found = []
    for disk in disks:
        known = items.registered(disk, register.store) if label is not None else None
        same = known is not None and label is not None and known.id == label.id
        if name in disk.names or text in (disk.key, disk.serial, disk.wwn) or same:
            found.append(disk)
    return found


def _in_bay(disks: Iterable[Disk], text: str) -> list[Disk]:
    return [disk for disk in disks if disk.bay is not None and disk.bay.text == text]


def _labelled(register: Register, text: str) -> Medium | None:
    try:
        return register.store.medium(numbering.normal(text))
    except MediaError:
        return None  # a serial number with blanks, a bay: no label


def _of_disk(
    register: Register, disk: Disk, pulls: Mapping[str, Pull], inventory: Inventory | None
) -> Subject:  # fmt: skip
    medium = items.registered(disk, register.store)
    vaults = list(pulls[disk.key].vaults) if disk.key in pulls else []
    maps = inventory.maps if inventory is not None else ()
    vaults += [one.vault for one in maps if one.vault is not None and disk.key in one.every]
    vaults += medium.vault_names if medium is not None else ()
    return Subject(disk, medium, tuple(one for one in dict.fromkeys(vaults) if one != STATE_VAULT))


def unknown(serial: str) -> Subject:
    """A disk in somebody's hand that no list and no register has, by what is printed on it."""
    return Subject(Disk(f"hand:{serial}", (), "", "", serial, "", 0, ""), None, ())

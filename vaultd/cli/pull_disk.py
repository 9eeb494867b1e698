"""Which disk somebody means, and whose a kernel's name is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.cli.base import Cli
    from vaultd.disks.model import Disk
    from vaultd.pull.model import PullList


def identify(name: str) -> str | None:
    """The key of the disk that a name of the kernel belongs to now. Asks the kernel alone, never the disk."""
    return next((disk.key for disk in _listed() if name in disk.names), None)


def of_firmware(disk: Disk) -> Disk:
    """The disk with the bay that the machine itself says, whatever people have seen."""
    return next((one for one in _listed() if one.key == disk.key), disk)


def _listed() -> list[Disk]:
    from vaultd.disks import listing, sysfs
    from vaultd.disks.machine import Machine

    machine = Machine()
    return listing.disks(machine, sysfs.blocks(machine), {})


def find(cli: Cli, wanted: str) -> tuple[PullList, Disk]:
    """A new list, and the disk of this machine that is meant: by the kernel's name, serial number, WWN, key, label
    number, or "#1" for the first of the kept list. Raises ConfigError when there is none, or more than one."""
    from vaultd.cli.pull_list import make
    from vaultd.disks import kept

    key = _of_kept_list(cli, wanted) if wanted.startswith("#") else wanted
    made = make(cli)
    state = cli.places().state
    inventory = kept.last(state) if state.is_dir() else None
    disks = {one.key: one for one in (inventory.disks if inventory is not None else ())}
    disks |= {pull.disk.key: pull.disk for pull in made.pulls if pull.disk.key in disks or inventory is None}
    name = key.removeprefix("/dev/")
    labels = {pull.disk.key: pull.label.number for pull in made.pulls if pull.label is not None}
    found = [
        one for one in disks.values()
        if name in one.names or key in (one.key, one.serial, one.wwn, labels.get(one.key))
    ]  # fmt: skip
    if len(found) == 1:
        return made, found[0]
    what = _("disk {disk}").format(disk=display(wanted))
    if found:
        raise ConfigError(
            what, _("{count} disks are called that").format(count=len(found)),
            _("use the kernel's name: {names}").format(names=", ".join(name for one in found for name in one.names)),
        )  # fmt: skip
    raise ConfigError(what, _("there is no such disk"), _("vaultd disks list shows what is there"))


def _of_kept_list(cli: Cli, wanted: str) -> str:
    from vaultd.pull import kept

    made = kept.read(cli.places().state)
    for pull in made.pulls if made is not None else ():
        if wanted == f"#{pull.number}":
            return pull.disk.key
    raise ConfigError(
        _("disk {disk}").format(disk=display(wanted)), _("the kept pull list has no such number"),
        _("see `vaultd disks pull-list`"),
    )  # fmt: skip

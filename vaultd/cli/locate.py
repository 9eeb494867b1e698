"""``vaultd disks locate|confirm-bay``: light a bay, look, and keep what was seen."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.disks.model import Disk
    from vaultd.pull.model import Label


@command(
    "locate",
    help=N_(
        "Light the lamp of a disk's bay, through its enclosure or ledctl; --off puts it out.\n\n"
        "DISK is a kernel's name, a serial number, a label number, or its number in the kept pull list (#1). It needs "
        "root."
    ),
    examples=["vaultd disks locate sdb", "vaultd disks locate X-0007 --off"],
)
@click.argument("disk")
@click.option("--off", is_flag=True, help=N_("Put it out."))
@pass_cli
def locate_command(cli: Cli, disk: str, off: bool) -> int:
    """Light it, or put it out."""
    from vaultd.cli.pull_disk import find
    from vaultd.cli.render_pull import bay_text, disk_text
    from vaultd.pull import locate
    from vaultd.pull.stack import Reader

    _made, one = find(cli, disk)
    by = locate.light(one, Reader(), on=not off)
    cli.emit({"version": 1, "disk": one.key, "lit": not off, "by": by})
    text = _("The lamp is out: {bay}, {disk}") if off else _("The lamp is on: {bay}, {disk}")
    cli.say(text.format(bay=bay_text(one), disk=disk_text(one)))
    return EXIT_DONE


@command(
    "confirm-bay",
    help=N_(
        "Keep in which bay a disk is, as somebody has seen it: the bay is lit, you look, and read or scan the label or "
        "the serial number on the disk that is in it. That word is kept, goes on record, and wins over what the "
        "machine says, until the machine says that the disk has moved.\n\n"
        "--label gives what was read where nobody can be asked. It must be this disk's, else nothing is kept."
    ),
    examples=["vaultd disks confirm-bay sdb 4", "vaultd disks confirm-bay ZA1B2C3D 'shelf 2, bay 4' --label X-0007"],
)
@click.argument("disk")
@click.argument("bay")
@click.option("--label", "read", default="", metavar="TEXT",
              help=N_("The label or serial number that was read on the disk."))  # fmt: skip
@click.option("--no-light", is_flag=True, help=N_("Do not try to light the bay."))
@pass_cli
def confirm_command(cli: Cli, disk: str, bay: str, read: str, no_light: bool) -> int:
    """Light, look, read, keep."""
    from vaultd.cli.places import require_owner
    from vaultd.cli.pull_disk import find, of_firmware
    from vaultd.cli.pull_list import make
    from vaultd.cli.render_pull import disk_text
    from vaultd.custody import caller
    from vaultd.disks import kept
    from vaultd.ledger.events import BayConfirmed
    from vaultd.pull import bays

    require_owner(cli)
    state = cli.places().state
    made, one = find(cli, disk)
    label = next((pull.label for pull in made.pulls if pull.disk.key == one.key), None)
    inventory, known = kept.last(state), bays.read(state)
    if inventory is None:
        raise ConfigError(_("bay {bay}").format(bay=bay), _("this host has no state"), _("set it up: vaultd init"))
    shown = read or _ask(cli, one, light=not no_light)
    _check_read(one, label, shown)
    before = known.get(one.key)
    new = bays.confirm(state, known, of_firmware(one), bay, caller(), inventory)
    cli.record(BayConfirmed(one.key, one.serial, new.bay, new.firmware, shown.strip(), caller()))
    make(cli)  # the kept list is about this bay
    cli.emit({"version": 1, "disk": one.key, "bay": new.bay, "firmware": new.firmware or None,
              "before": before.bay if before is not None else None})  # fmt: skip
    cli.say(_("Kept: {disk} is in bay {bay}.").format(disk=disk_text(one), bay=new.bay))
    return EXIT_DONE


def _ask(cli: Cli, disk: Disk, *, light: bool) -> str:
    """What is read on the disk in the lit bay."""
    from vaultd.pull import locate
    from vaultd.pull.stack import Reader

    if cli.json or not sys.stdin.isatty():
        raise ConfigError(
            _("the bay is not kept"),
            _("nobody can be asked what is on the disk"),
            _("give what was read: --label TEXT"),
        )
    lit = False
    if light:
        try:
            locate.light(disk, Reader(), on=True)
            lit = True
            cli.note(_("The lamp of its bay is on."))
        except locate.LocateError as error:
            cli.note(_("No lamp: {error}").format(error=error))
    try:
        return str(click.prompt(_("Read or scan the label or the serial number on the disk in that bay"), err=True))
    finally:
        if lit:
            locate.light(disk, Reader(), on=False)


def _check_read(disk: Disk, label: Label | None, shown: str) -> None:
    """What was read must be this disk's. Raises ConfigError."""
    own = [text for text in (disk.serial, disk.wwn, label.number if label is not None else "") if text]
    if _alike(shown) and _alike(shown) in map(_alike, own):
        return
    raise ConfigError(
        _("the bay is not kept"), _("{read} is not on this disk").format(read=shown.strip() or "-"),
        _("it has: {own}").format(own=", ".join(own) or "-"),
    )  # fmt: skip


def _alike(text: str) -> str:
    """As a scanner or a tired person gives it: wide letters, small ones, blanks."""
    return "".join(unicodedata.normalize("NFKC", text).upper().split())

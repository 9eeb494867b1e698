"""``vaultd evacuate medium``: a removable disk becomes a target on the spot, and is let go when it has everything."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.errors import EXIT_DONE, NotAuthorisedError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.evacuate.finishing import Finished
    from vaultd.evacuate.preparing import Ready
    from vaultd.media.register import Register


@group(
    "medium",
    help=N_(
        "A removable disk as a target: a restic repository on it takes the tiers of an evacuation, beside the targets "
        "on the line. It is registered (vaultd media add), prepared, filled, and finished; then it may be unplugged."
    ),
    examples=[
        "vaultd evacuate medium prepare SH1-2026-00009 --device /dev/sdc1",
        "vaultd evacuate medium finish SH1-2026-00009 --by 张伟",
    ],
)
def medium_group() -> None:
    """Only a name for its commands."""


def _require_root() -> None:
    if os.geteuid() != 0:
        raise NotAuthorisedError(
            _("not allowed"), _("user {uid} may not mount a disk").format(uid=os.geteuid()), _("run it as root")
        )


@medium_group.command_of(
    "prepare",
    help=N_(
        "Make a registered disk a target. It is looked at first: a disk that is mounted, in use, or has bytes of a "
        "vault is refused. Where it has no ext4 yet, or other files, nothing is done without --erase LABEL. It is "
        "mounted below the state folder (no programs, no devices), and gets a repository that opens with every key of "
        "a target, the recovery kits' too; with the line dead, with the keys as they were kept.\n\n"
        "After it was pulled out in mid-write, the same command makes it ready again; nothing that was safe on it is "
        "lost."
    ),
    examples=[
        "vaultd evacuate medium prepare SH1-2026-00009 --device /dev/sdc1",
        "vaultd evacuate medium prepare SH1-2026-00009 --device /dev/sdc --erase SH1-2026-00009",
    ],
)
@click.argument("label")
@click.option("--device", required=True, metavar="DEVICE", type=click.Path(path_type=Path),
              help=N_("The disk or partition, such as /dev/sdc1."))  # fmt: skip
@click.option("--erase", default="", metavar="LABEL",
              help=N_("Erase everything on the device and make a file system; repeat the label."))  # fmt: skip
@click.option("--like", default="", metavar="TARGET",
              help=N_("The target whose keys are to open it [default: the first that can be had]"))  # fmt: skip
@pass_cli
def prepare_command(cli: Cli, label: str, device: Path, erase: str, like: str) -> int:
    """Root's own: the daemon may not mount."""
    from vaultd.evacuate.preparing import Wish, prepare

    _require_root()
    with common.opened(cli) as register:
        ready = prepare(register, Wish(label, device, erase, like), cli.note)
    return _tell_ready(cli, ready)


def _tell_ready(cli: Cli, ready: Ready) -> int:
    from vaultd.cli.format import size

    target = ready.target
    cli.emit({
        "version": 1, "label": target.name, "repository": ready.repository, "folder": target.path,
        "made": ready.made, "formatted": ready.formatted, "free": ready.free, "like": ready.like or None,
    })  # fmt: skip
    cli.say(_("Medium {label} is a target now: {size} free, at {folder}.").format(
        label=target.name, size=size(ready.free), folder=display(target.path)))  # fmt: skip
    if ready.like:
        cli.say(_("It opens with every key of target {name}, recovery kits included.").format(name=ready.like))
    cli.say(_("To copy to it: vaultd evacuate start --to-medium {label}. Do not unplug it before: "
              "vaultd evacuate medium finish {label} --by NAME").format(label=target.name))  # fmt: skip
    return EXIT_DONE


@medium_group.command_of(
    "finish",
    help=N_(
        "Let a medium go when it has what it is to have: write out, unmount, mount it once more so that nothing can "
        "change and let restic look through it, unmount, and see that the kernel gives the disk to nobody else. Only "
        "then it says that it may be unplugged, and makes the custody entry. --read-all reads every file back."
    ),
    examples=["vaultd evacuate medium finish SH1-2026-00009 --by 张伟"],
)
@click.argument("label")
@click.option("--by", "by", required=True, metavar="NAME", help=N_("Who takes it out (移交人)."))
@click.option("--read-all", is_flag=True, help=N_("Read every pack back, and compare it with its SHA-256."))
@click.option("--evacuation", default="", metavar="ID", help=N_("Of which evacuation [default: the one under way]"))
@pass_cli
def finish_command(cli: Cli, label: str, by: str, read_all: bool, evacuation: str) -> int:
    """Root's own."""
    from vaultd.evacuate.current import checked
    from vaultd.evacuate.finishing import finish

    _require_root()
    checked(evacuation)
    with common.opened(cli) as register:
        found = register.find(label)
        done = asyncio.run(finish(register.config, register.store, found.label, everything=read_all, tell=cli.note))
        event = _signed_for(cli, register, found.label, by, evacuation)
    return _tell_finished(cli, done, event)


def _signed_for(cli: Cli, register: Register, label: str, by: str, evacuation: str) -> dict[str, Any]:
    from vaultd.evacuate import medium, signoff
    from vaultd.pull import kept

    made = signoff.unplugged(register, label, by, evacuation, kept.read(cli.places().state))
    medium.forget(register.store, label)
    medium.disown(register.store, label)
    return {"event": made.event or None, "evacuation": made.evacuation or None}


def _tell_finished(cli: Cli, done: Finished, event: dict[str, Any]) -> int:
    from vaultd.cli.format import number, size

    cli.emit({
        "version": 1, "label": done.label, "device": done.device, "may_be_unplugged": True,
        "snapshots": done.snapshots, "packs": done.packs, "bytes": done.bytes, "read_all": done.everything, **event,
    })  # fmt: skip
    cli.say(_("Medium {label} MAY BE UNPLUGGED: {count} snapshots, {size}, written out and looked at; "
              "nothing holds {device}.").format(label=done.label, count=number(done.snapshots), size=size(done.bytes),
                                               device=done.device))  # fmt: skip
    cli.say(_("When it leaves: vaultd evacuate sign-off {label} --by NAME --to NAME --seal NUMBER").format(
        label=done.label))  # fmt: skip
    return EXIT_DONE

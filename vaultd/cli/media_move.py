"""``vaultd media transfer|check-out|check-in``: custody events with two sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _, ngettext

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultd.media.moves import Safety
    from vaultd.media.register import Register

TRANSFERS = ("remove", "send", "deposit", "return", "install", "hand-over")


def _both_sides(function: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--by", "released_by", required=True, metavar="NAME", help=N_("Who releases it (移交人).")),
        click.option("--to", "received_by", required=True, metavar="NAME", help=N_("Who receives it (接收人).")),
        click.option("--witness", default="", metavar="NAME", help=N_("Who witnesses it (监交人).")),
        click.option("--purpose", default="", metavar="TEXT", help=N_("What for, or by which authority.")),
        click.option("--seal", default="", metavar="NUMBER", help=N_("Number of the seal on it.")),
        click.option("--seal-condition", default="", help=N_("The seal as it was found."),
                     type=click.Choice(("", "intact", "broken", "none"))),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _approval(function: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--approved-by", "approver", default="", metavar="NAME", help=N_("Who approves it.")),
        click.option("--ask", is_flag=True,
                     help=N_("Who approves it is not here: ask for it, and run this again when they have signed.")),
        click.option("--emergency", default="", metavar="REASON",
                     help=N_("There is no time to ask: whoever is there releases, and the approval is signed later.")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@command(
    "transfer",
    help=N_(
        "Hand media over: remove (out of a machine), send, deposit, return, install (into service again), hand-over "
        "(another custodian). Either all of the labels move or none; impossible moves are refused. Both sides, the "
        "witness and the approver sign: with their SSH keys (--sign), else on paper (--sheet); what cannot be signed "
        "now is open until it is.\n\n"
        "A disk whose data is not safe off-site is removed only with --override REASON, which goes on record."
    ),
    examples=[
        "vaultd media transfer M-2026-00017 --action remove --by 张伟 --to 张伟 --approved-by 王芳 --sheet 2026-41",
        "vaultd media transfer M-2026-00017 M-2026-00018 --action send --by 张伟 --to 李娜 --place-to 档案馆 \\",
        "    --seal 88412 --emergency 机房漏水 --approved-by 王芳 --sign 张伟=/root/zhang.pub",
        "vaultd media transfer M-2026-00017 --action deposit --by 李娜 --to 赵敏 --seal-condition intact",
    ],
)
@click.argument("labels", metavar="LABEL...", nargs=-1, required=True)
@click.option("--action", required=True, type=click.Choice(TRANSFERS), help=N_("What is done."))
@_both_sides
@click.option("--place-from", default="", metavar="PLACE", help=N_("Where they are [default: where the register says]"))
@click.option("--place-to", default="", metavar="PLACE", help=N_("Where they go."))
@_approval
@click.option("--override", default="", metavar="REASON",
              help=N_("Remove a disk although its data is not safe off-site."))  # fmt: skip
@common.time_option
@common.signing_options
@pass_cli
def transfer_command(
    cli: Cli, labels: tuple[str, ...], action: str, time_text: str | None, keys: tuple[str, ...], sheet: str,
    **values: Any,
) -> int:  # fmt: skip
    """Carry it out."""
    return _hand(cli, action, labels, time_text, keys, sheet, **values)


@command(
    "check-out",
    help=N_("Lend media to somebody until a day. It is overdue after that, which raises an alert."),
    examples=[
        "vaultd media check-out M-2026-00017 --by 赵敏 --to 陈医生 --due 2026-12-15 --approved-by 王芳 --sheet 41"
    ],
)
@click.argument("labels", metavar="LABEL...", nargs=-1, required=True)
@click.option("--due", required=True, metavar="DATE", help=N_("The last day, such as 2026-12-15."))
@_both_sides
@_approval
@common.time_option
@common.signing_options
@pass_cli
def check_out_command(
    cli: Cli, labels: tuple[str, ...], due: str, time_text: str | None, keys: tuple[str, ...], sheet: str, **values: Any
) -> int:
    """Lend it."""
    return _hand(cli, "check-out", labels, time_text, keys, sheet, due=common.day_of("--due", due), **values)


@command(
    "check-in",
    help=N_("Take back what was lent."),
    examples=["vaultd media check-in M-2026-00017 --by 陈医生 --to 赵敏 --seal-condition intact --sheet 42"],
)
@click.argument("labels", metavar="LABEL...", nargs=-1, required=True)
@_both_sides
@click.option("--place-to", default="", metavar="PLACE", help=N_("Where it is put [default: where it was]"))
@common.time_option
@common.signing_options
@pass_cli
def check_in_command(
    cli: Cli, labels: tuple[str, ...], time_text: str | None, keys: tuple[str, ...], sheet: str, **values: str
) -> int:
    """Take it back."""
    return _hand(cli, "check-in", labels, time_text, keys, sheet, **values)


def _hand(
    cli: Cli, action: str, labels: tuple[str, ...], time_text: str | None, keys: tuple[str, ...], sheet: str,
    **values: Any,
) -> int:  # fmt: skip
    from vaultd.media import moves

    wish = moves.Handing(
        action, labels, moment=common.moment_of(time_text), means=common.means(keys, sheet), **values
    )  # fmt: skip
    with common.opened(cli) as register:
        done = moves.hand(register, wish, _safety(cli, register) if action == "remove" else lambda _medium: [])
    cli.emit({
        "version": 1, "event": done.event, "action": action,
        "media": [common.medium_json(one) for one in done.media],
        "signatures": [common.signature_json(row) for row in done.signatures],
    })  # fmt: skip
    count = len(done.media)
    text = ngettext("{count} medium {action}: event {event}", "{count} media {action}: event {event}", count)
    common.say_event(
        cli, done.event, text.format(count=count, action=_(common.ACTIONS[action]), event=done.event), done.signatures
    )
    return EXIT_DONE


def _safety(cli: Cli, register: Register) -> Safety:
    """Whether what is on a medium is safe: by the vaults that the register and the map of disks know."""
    from vaultd.media import items, safety

    on_disk, watched = items.on_disk(common.inventory(cli), register.store), common.daemon_runs(cli)
    return lambda medium: safety.unsafe(register.store, register.config, on_disk(medium), watched=watched)

"""``vaultd evacuate``: the emergency, from one word on.

``start`` is the whole order. It prints the kept pull list first of all, and does not wait for a daemon: an order that
no daemon takes is kept in the state folder, and one is started.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, Group, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError, NotRunningError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultd.pull.model import PullList

ORDER_SECONDS = 3.0
"""A daemon that has not taken the order by then hangs: it is left in the state folder."""

LEVELS = ("I", "II", "III")
CATEGORIES = ("unspecified", "fire", "flood", "theft", "power-cut", "leak-or-loss", "other")


@click.group(
    "evacuate",
    cls=Group,
    lazy={
        "start": ("vaultd.cli.evacuate:start_command", N_("Order an evacuation: this word is the whole order.")),
        "status": ("vaultd.cli.evacuate_show:status_command", N_("Show how far the evacuation is.")),
        "watch": ("vaultd.cli.evacuate_show:watch_command", N_("Show it all the time, for the duty room.")),
        "judge": ("vaultd.cli.evacuate:judge_command", N_("Fill in what was left out of the order.")),
        "end": ("vaultd.cli.evacuate:end_command", N_("End the evacuation.")),
        "list": ("vaultd.cli.evacuate_show:list_command", N_("List the evacuations and drills there were.")),
        "tick": ("vaultd.cli.evacuate_tick:evacuate_command", N_("Tick a step of the playbook off.")),
        "sign-off": ("vaultd.cli.evacuate_signoff:sign_off_command", N_("Sign for a disk that leaves.")),
        "receive": ("vaultd.cli.evacuate_signoff:receive_command", N_("Sign for what has arrived at the other end.")),
        "medium": ("vaultd.cli.evacuate_medium:medium_group", N_("A removable disk as a target.")),
        "package": (
            "vaultd.cli.evacuate_package:package_command",
            N_("A bag to carry, with manifest and proofs."),
        ),
    },
    help=N_(
        "The emergency. `vaultd evacuate start` is the whole order: everything that is not off-site yet goes to every "
        "target that can be reached, the most important vaults first, and the list of disks to pull is on the screen. "
        "All else can be filled in later."
    ),
    examples=["vaultd evacuate start", "vaultd evacuate watch", "vaultd evacuate end"],
)
def evacuate_group() -> None:
    """Only a name for its commands."""


def _said(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what can be said of an evacuation."""
    for option in (
        click.option("--note", metavar="TEXT", help=N_("What else is to be on record.")),
        click.option("--playbook", metavar="NAME", help=N_("The playbook that is followed.")),
        click.option("--warning", metavar="ID", help=N_("The warning that led to it.")),
        click.option("--director", metavar="NAME", help=N_("Who directs it.")),
        click.option("--on-duty", metavar="NAME", help=N_("Who has duty.")),
        click.option("--reported-by", "report", metavar="NAME", help=N_("Who reported the emergency.")),
        click.option("--category", type=click.Choice(CATEGORIES), help=N_("What has happened [default: unspecified]")),
        click.option("--level", type=click.Choice(LEVELS), help=N_("How serious it is; I is the worst [default: I]")),
    ):
        function = option(function)
    return function


@evacuate_group.command_of(
    "start",
    help=N_(
        "Order an evacuation. The kept list of disks to pull is printed first. Within a second verification and "
        "maintenance stop, no limit of bandwidth holds, and what is not off-site yet goes there: by the vaults' "
        "priority, then by their own `first` patterns, then the smallest files first. Where one goes on already, it "
        "is joined.\n\n"
        "The order outlives this terminal, the daemon and a reboot: it goes on until somebody ends it. Where no daemon "
        "runs, one is started. --drill practises all of it in a repository of its own."
    ),
    examples=[
        "vaultd evacuate start",
        "vaultd evacuate start --level I --category fire --reported-by 保安",
        "vaultd evacuate start --drill",
    ],
)
@_said
@click.option("--drill", is_flag=True, help=N_("Practise it: a payload and a repository of its own, then measured."))
@click.option("--drill-size", "size", default=64, type=click.IntRange(1, 1 << 20), metavar="MIB",
              help=N_("How much a drill sends [default: 64 MiB]"))  # fmt: skip
@click.option("--drill-limit", "limit", default=30, type=click.IntRange(1, 24 * 60), metavar="MINUTES",
              help=N_("How long a drill may take [default: 30]"))  # fmt: skip
@pass_cli
def start_command(cli: Cli, drill: bool, size: int, limit: int, **said: str | None) -> int:
    """The order goes out while the list is printed: neither waits for the other."""
    given = {name: value for name, value in said.items() if value is not None}
    if drill:
        from vaultd.cli import evacuate_drill

        return evacuate_drill.run(cli, given, size << 20, limit * 60.0)
    with ThreadPoolExecutor(1) as beside:
        ordering = beside.submit(_order, cli, given)
        _print_list(cli)
        document, joined, started = ordering.result()
    found = document["evacuation"]
    cli.emit({"version": 1, "joined": joined, "daemon": started, **document})
    text = (
        _("Evacuation {id} goes on already, since {time}: you have joined it.")
        if joined
        else _("EVACUATION {id} is ordered: level {level}, {category}.")
    )
    from vaultd.cli.render_evacuation import category, local_time, tiers

    cli.say(
        text.format(
            id=found["id"],
            level=found["level"],
            category=category(found["category"]),
            time=local_time(found["ordered"]),
        )
    )
    if started == "started":
        cli.say(_("No daemon was running: one is started, and carries it out."))
    lines = tiers(document)
    if lines:
        cli.say(lines)
    cli.say(_("See how far it is: vaultd evacuate watch. It goes on until somebody types: vaultd evacuate end"))
    if started == "here":
        return _go_on_here(cli)
    return EXIT_DONE


@evacuate_group.command_of(
    "judge",
    help=N_("Fill in, or change, what was left out of the order: its level, what has happened, who directs it."),
    examples=["vaultd evacuate judge --category flood --director 王芳"],
)
@_said
@pass_cli
def judge_command(cli: Cli, **said: str | None) -> int:
    """As an order that joins; but there must be one."""
    from vaultd.cli import evacuate_state as state

    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise ConfigError(_("the evacuation"), _("nothing is said of it"), _("see vaultd evacuate judge --help"))
    if state.document(cli) is None:
        raise state.none_goes_on()
    document, _joined = state.order(cli, given)
    from vaultd.cli.render_evacuation import head

    cli.emit({"version": 1, **document})
    cli.say(head(document))
    return EXIT_DONE


@evacuate_group.command_of(
    "end",
    help=N_(
        "End the evacuation: verification and maintenance go on again. What is not safe yet stays pending, and is "
        "protected as on any other day. A batch that is on its way is finished."
    ),
    examples=['vaultd evacuate end --note "fire brigade has left"'],
)
@click.option("--note", default="", metavar="TEXT", help=N_("What else is to be on record."))
@pass_cli
def end_command(cli: Cli, note: str) -> int:
    """By the daemon, or in the state."""
    from vaultd.cli import evacuate_state as state
    from vaultd.cli.render_evacuation import head, tiers

    document = state.end(cli, note)
    if document is None:
        raise state.none_goes_on()
    cli.emit({"version": 1, **document})
    cli.say(head(document))
    cli.say(tiers(document))
    return EXIT_DONE


def _order(cli: Cli, said: dict[str, str]) -> tuple[dict[str, Any], bool, str]:
    """The document, whether one went on already, and what carries it out: "running", "started" or "here"."""
    from vaultd.cli import evacuate_state as state

    try:
        document, joined = cli.client().evacuate(said, seconds=ORDER_SECONDS)
        return document, joined, "running"
    except NotRunningError:
        document, joined = state.order_in_store(cli, said)
        return document, joined, state.start_daemon(cli)


def _print_list(cli: Cli) -> None:
    made = _kept_list(cli)
    if made is None:
        cli.note(_("No list of disks is kept: vaultd disks pull-list --fresh makes one."))
    elif not cli.json:
        from vaultd.cli.render_pull import pull_list

        cli.say(pull_list(made, time.time_ns()) + "\n")


def _kept_list(cli: Cli) -> PullList | None:
    """From the state folder, or by the daemon for those who may not read that. Never probes anything."""
    from vaultd.pull import kept

    try:
        return kept.read(cli.places().state)
    except VaultdError as error:
        cli_error = error
    try:
        found = cli.client().pull_list(seconds=ORDER_SECONDS)
        return None if found is None else kept.parse(found)
    except VaultdError:
        cli.note(str(cli_error))
        return None


def _go_on_here(cli: Cli) -> int:
    """No daemon could be started: this process is it, until it is ended."""
    from vaultd.daemon.main import main

    cli.note(_("No daemon could be started: the evacuation goes on in this terminal. Do not close it."))
    return main(cli.config())

"""``vaultd approvals list|show|withdraw``: what waits for approval, and what is owed."""

from __future__ import annotations

import time
from typing import Any

import click

from vaultd.cli import approvals_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import ago, parse_rfc3339, table
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _


@group(
    "approvals",
    help=N_(
        "What waits for somebody's approval, and what was done and is still to be approved. To approve: vaultd approve."
    ),
    examples=["vaultd approvals list", "vaultd approvals show 17"],
)
def approvals_group() -> None:
    """Only a name for its commands."""


@approvals_group.command_of(
    "list",
    help=N_("List the requests that wait, and the approvals that are owed."),
    examples=["vaultd approvals list", "vaultd --json approvals list --all"],
)
@click.option("--all", "everything", is_flag=True, help=N_("Those that are over, too."))
@pass_cli
def list_command(cli: Cli, everything: bool) -> int:
    """From the state database."""
    now, found = time.time_ns(), _requests(cli, everything)
    if not everything:
        found = [one for one in found if one["late"] or now < parse_rfc3339(one["expires"])]
    cli.emit({"version": 1, "requests": found})
    rows = [
        (
            str(one["request"]), _(common.ACTIONS.get(one["action"], one["action"])),
            _("owed") if one["late"] and one["state"] == "open" else _(common.STATES.get(one["state"], one["state"])),
            one["requester"], ago(parse_rfc3339(one["made"]), now), ", ".join(one["missing"]),
        )
        for one in found
    ]  # fmt: skip
    head = (_("request"), _("action"), _("state"), _("asked for by"), _("when"), _("lacks"))
    cli.say(table(head, rows) if rows else _("Nothing waits for approval."))
    return EXIT_DONE


def _requests(cli: Cli, everything: bool) -> list[dict[str, Any]]:
    from vaultd.approvals import requests

    client = common.by_socket(cli)
    if client is not None:
        return client.approvals(everything=everything)
    with common.reading(cli) as store:
        return [one.as_json() for one in requests.all_of(store, open_only=not everything)]


@approvals_group.command_of(
    "show",
    help=N_("Show a request: what exactly it is for, who has asked, who has approved."),
    examples=["vaultd approvals show 17", "vaultd --json approvals show 17"],
)
@click.argument("number", metavar="REQUEST", type=int)
@pass_cli
def show_command(cli: Cli, number: int) -> int:
    """From the state database, or by the daemon."""
    one = common.found(cli, number)
    cli.emit({"version": 1, "request": one})
    cli.say("\n".join(common.request_lines(one)))
    return EXIT_DONE


@approvals_group.command_of(
    "withdraw",
    help=N_("Take a request back: its approvals count no more. What is owed cannot be taken back."),
    examples=["vaultd approvals withdraw 17"],
)
@click.argument("number", metavar="REQUEST", type=int)
@pass_cli
def withdraw_command(cli: Cli, number: int) -> int:
    """Put it on record."""
    from vaultd import approvals
    from vaultd.custody import caller

    with common.opened(cli) as store:
        one = approvals.withdraw(cli.config(), store, number, caller()).as_json()
    cli.emit({"version": 1, "request": one})
    cli.say("\n".join(common.request_lines(one)))
    return EXIT_DONE

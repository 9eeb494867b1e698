"""``vaultd improvement``: what is to be better after an evacuation or a drill, with an owner and a date."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, group, pass_cli
from vaultd.errors import EXIT_DONE, StateError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.report.improving import Improvements


@group(
    "improvement",
    help=N_(
        "What is to be better after an evacuation or a drill: each item has an owner and a date, is on record in the "
        "ledger, and is followed up by every later report until it is done."
    ),
    examples=[
        "vaultd improvement add E-2026-001 'A second ladder for rack 4' --owner 张伟 --due 2026-12-31",
        "vaultd improvement list",
        "vaultd improvement done IMP-2026-003",
    ],
)
def improvement_group() -> None:
    """Only a name for its commands."""


@contextlib.contextmanager
def _opened(cli: Cli, *, read_only: bool = False) -> Iterator[Improvements]:
    from vaultd.cli.ledger import ledger_folder
    from vaultd.report.improving import Improvements
    from vaultd.store import Store

    places = cli.places()
    if not places.database.exists():
        raise StateError(
            _("there is no list of improvements"), _("this host has no state in {folder}").format(
                folder=display(places.state)),
            _("was vaultd set up here? vaultd init"),
        )  # fmt: skip
    store = Store(places.database, read_only=read_only)
    try:
        yield Improvements(ledger_folder(cli, None), store)
    finally:
        store.close()


@improvement_group.command_of(
    "add",
    help=N_("Note an item for an evacuation or a drill that is on record."),
    examples=["vaultd improvement add E-2026-001 'Annex needs twice the space' --owner 李娜 --due 2026-12-31"],
)
@click.argument("evacuation", metavar="EVACUATION")
@click.argument("text", metavar="TEXT")
@click.option("--owner", required=True, metavar="NAME", help=N_("Who sees to it."))
@click.option("--due", required=True, metavar="DATE", help=N_("By which day, such as 2026-12-31."))
@pass_cli
def add_command(cli: Cli, evacuation: str, text: str, owner: str, due: str) -> int:
    """Note it."""
    from vaultd.cli.places import require_owner
    from vaultd.custody import caller

    require_owner(cli)
    with _opened(cli) as known:
        row = known.add(evacuation, text, owner, due, caller(), cli.places().state)
    cli.emit({"version": 1, "item": _shown(row)})
    cli.say(_("{item} noted: {owner}, until {due}").format(**row))
    return EXIT_DONE


@improvement_group.command_of(
    "list",
    help=N_("List what is open, overdue items first."),
    examples=["vaultd improvement list", "vaultd improvement list --all --json"],
)
@click.option("--all", "everything", is_flag=True, help=N_("Also what is done or dropped."))
@pass_cli
def list_command(cli: Cli, everything: bool) -> int:
    """Read the ledger, and what it lacks yet."""
    from vaultd.cli.format import table

    with _opened(cli, read_only=True) as known:
        rows = [_shown(one) for one in known.rows() if everything or one["state"] == "open"]
    rows.sort(key=lambda one: (not one["overdue"], one["due"], one["item"]))
    cli.emit({"version": 1, "items": rows})
    if not rows:
        cli.say(_("No item is open."))
        return EXIT_DONE
    heads = [_("ITEM"), _("STATE"), _("DUE"), _("OWNER"), _("FROM"), _("TEXT")]
    cells = [
        [one["item"], _("overdue") if one["overdue"] else _word(one["state"]), one["due"], display(one["owner"]),
         display(one["evacuation"]), display(one["text"])]
        for one in rows
    ]  # fmt: skip
    cli.say(table(heads, cells))
    return EXIT_DONE


@improvement_group.command_of(
    "done", help=N_("An item is done."), examples=["vaultd improvement done IMP-2026-003"],
)  # fmt: skip
@click.argument("item", metavar="ITEM")
@pass_cli
def done_command(cli: Cli, item: str) -> int:
    """Close it."""
    return _close(cli, item, "done")


@improvement_group.command_of(
    "drop", help=N_("An item will not be done."), examples=["vaultd improvement drop IMP-2026-003"],
)  # fmt: skip
@click.argument("item", metavar="ITEM")
@pass_cli
def drop_command(cli: Cli, item: str) -> int:
    """Close it."""
    return _close(cli, item, "dropped")


def _close(cli: Cli, item: str, how: str) -> int:
    from vaultd.cli.places import require_owner
    from vaultd.custody import caller

    require_owner(cli)
    with _opened(cli) as known:
        row = known.close(item, how, caller(), cli.places().state)
    cli.emit({"version": 1, "item": _shown(row)})
    cli.say(f"{row['item']}: {_word(how)}")
    return EXIT_DONE


def _word(state: str) -> str:
    from vaultd.report.evacuation_words import state as word

    return word(state)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    from vaultd.report.evacuation_improvements import is_before

    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    return {**row, "overdue": row["state"] == "open" and is_before(row["due"], today)}

"""``vaultd media stock``: emergency supplies and their check dates."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import table
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.store.mediarows import StockRow

KINDS = ("seal", "case", "label", "disk", "bag", "tool", "other")


@group(
    "stock",
    help=N_("Emergency supplies: seals, cases, labels, spare disks; how many there are, and when they are checked."),
    examples=[
        "vaultd media stock set 封条 --kind seal --quantity 200 --least 50 --place 值班室 --every 90",
        "vaultd media stock list",
    ],
)
def stock_group() -> None:
    """Only a name for its commands."""


@stock_group.command_of(
    "set",
    help=N_("Keep an item, a new one or with other values. What is not given stays."),
    examples=["vaultd media stock set 封条 --kind seal --quantity 200 --least 50 --place 值班室 --every 90"],
)
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), help=N_("What it is."))
@click.option("--quantity", type=click.IntRange(min=0), help=N_("How many there are."))
@click.option("--least", type=click.IntRange(min=0), help=N_("How many there should be at least."))
@click.option("--place", metavar="PLACE", help=N_("Where they are."))
@click.option("--every", "every_days", type=click.IntRange(min=0), metavar="DAYS",
              help=N_("They are to be checked every so many days; 0: never."))  # fmt: skip
@click.option("--note", metavar="TEXT", help=N_("Anything else."))
@pass_cli
def set_command(cli: Cli, name: str, **values: Any) -> int:
    """Keep it."""
    from vaultd.media import supplies
    from vaultd.media.faults import NoMediumError
    from vaultd.store.mediarows import StockRow

    given = {key: value for key, value in values.items() if value is not None}
    with common.opened(cli) as register:
        try:
            known = supplies.find(register, name)
        except NoMediumError:
            known = StockRow(name, "other", 0, 0, "", 0, "", "", "")
        row = supplies.put(register, known._replace(**given))
    return _told(cli, row)


@stock_group.command_of(
    "take", help=N_("Use some up; with a negative count put some back."),
    examples=["vaultd media stock take 封条 4"],
)  # fmt: skip
@click.argument("name")
@click.argument("count", type=int)
@pass_cli
def take_command(cli: Cli, name: str, count: int) -> int:
    """Take them."""
    from vaultd.media import supplies

    with common.opened(cli) as register:
        row = supplies.take(register, name, count)
    return _told(cli, row)


@stock_group.command_of(
    "check",
    help=N_("Somebody has counted them, and looked whether they are in order."),
    examples=["vaultd media stock check 封条 --by 张伟 --quantity 187"],
)
@click.argument("name")
@click.option("--by", required=True, metavar="NAME", help=N_("Who has looked."))
@click.option("--quantity", type=click.IntRange(min=0), help=N_("How many there are [default: as many as before]"))
@click.option("--on", metavar="DATE", help=N_("The day [default: today]"))
@pass_cli
def check_command(cli: Cli, name: str, by: str, quantity: int | None, on: str | None) -> int:
    """Keep the day."""
    from vaultd.media import supplies
    from vaultd.media.faults import MediaError
    from vaultd.media.register import clean

    day = _today() if on is None else common.day_of("--on", on)
    if day > _today():
        raise MediaError(_("stock of {name}").format(name=name), _("{day} is in the future").format(day=day))
    with common.opened(cli) as register:
        known = supplies.find(register, name)
        row = supplies.put(register, known._replace(
            checked=day.isoformat(), checked_by=clean(by, "by"),
            quantity=known.quantity if quantity is None else quantity,
        ))  # fmt: skip
    return _told(cli, row)


@stock_group.command_of(
    "list", help=N_("List the supplies, and what is short or was not checked in time."),
    examples=["vaultd media stock list"],
)  # fmt: skip
@pass_cli
def list_command(cli: Cli) -> int:
    """From the state database."""
    rows: list[StockRow] = []
    with common.reading(cli) as store:
        if store is not None:
            rows = list(store.stock())
    cli.emit({"version": 1, "stock": [_json(row) for row in rows]})
    head = (_("item"), _("kind"), _("there"), _("least"), _("place"), _("checked"), _("next"), _("problem"))
    cli.say(table(head, [_cells(row) for row in rows], right=(2, 3)) if rows else _("There is no stock yet."))
    return EXIT_DONE


def _today() -> date:
    return datetime.now().astimezone().date()


def _problem_words() -> dict[str, str]:
    return {"short": _("short"), "unchecked": _("not checked in time")}


def _cells(row: StockRow) -> tuple[str, ...]:
    from vaultd.media import supplies

    words = _problem_words()
    due = supplies.next_check(row)
    problems = ", ".join(words[one] for one in supplies.problems(row, _today()))
    following = "" if due is None else _("now") if due == date.min else due.isoformat()
    return row.name, row.kind, str(row.quantity), str(row.least), row.place, row.checked, following, problems


def _json(row: StockRow) -> dict[str, Any]:
    from vaultd.media import supplies

    due = supplies.next_check(row)
    return {
        "name": row.name, "kind": row.kind, "quantity": row.quantity, "least": row.least, "place": row.place,
        "every_days": row.every_days, "checked": row.checked or None, "checked_by": row.checked_by or None,
        "next_check": None if due is None or due == date.min else due.isoformat(), "note": row.note,
        "problems": supplies.problems(row, _today()),
    }  # fmt: skip


def _told(cli: Cli, row: StockRow) -> int:
    cli.emit({"version": 1, "item": _json(row)})
    cli.say(_("{name}: {count} at {place}").format(name=row.name, count=row.quantity, place=row.place or "-"))
    return EXIT_DONE

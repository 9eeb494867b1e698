"""``vaultd evacuate status|watch|list``: how far it is, once or all the time, and what there was before."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import Any

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import local, table
from vaultd.cli.render_evacuation import category, page
from vaultd.errors import EXIT_DONE, VaultdError
from vaultd.i18n import N_, _

HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"


@command(
    "status",
    help=N_("Show how far the evacuation is: for each tier and target what is safe, what is left, and how long."),
    examples=["vaultd evacuate status", "vaultd --json evacuate status"],
)
@pass_cli
def status_command(cli: Cli) -> int:
    """Once."""
    from vaultd.cli import evacuate_state as state

    found = state.document(cli)
    cli.emit({"version": 1, "evacuation": None} if found is None else {"version": 1, **found})
    cli.say(_("No evacuation goes on.") if found is None else page(found))
    return EXIT_DONE


@command(
    "watch",
    help=N_(
        "Show the evacuation all the time, on one page for the duty room. It only looks: a terminal that is closed "
        "ends nothing. Ctrl-C ends the page. With --json one object on each line."
    ),
    examples=["vaultd evacuate watch", "vaultd --json evacuate watch"],
)
@click.option("--every", default=1.0, type=click.FloatRange(0.2, 3600), metavar="SECONDS",
              help=N_("How often it is looked at."))  # fmt: skip
@pass_cli
def watch_command(cli: Cli, every: float) -> int:
    """Until it has ended, or Ctrl-C."""
    from vaultd.cli import evacuate_state as state

    shown, known = "", False
    while True:
        try:
            found = state.document(cli)
            text = page(found) if found is not None else _("No evacuation goes on.")
        except VaultdError as error:  # a daemon that is started again is there in a moment
            found, text = None, str(error)
            known = True
        if cli.json:
            line: dict[str, Any] = {"version": 1, "evacuation": None} if found is None else {"version": 1, **found}
            click.echo(json.dumps(line, ensure_ascii=False))
            cli.emitted = True
        else:
            _show(text, again=text != shown)
        shown = text
        if found is None and known and text == _("No evacuation goes on."):
            return EXIT_DONE
        if found is None and not known:
            return EXIT_DONE
        known = True
        time.sleep(every)


def _show(text: str, *, again: bool) -> None:
    """On a terminal in place, cut to its size as it is now; elsewhere only what is new."""
    if not sys.stdout.isatty():
        if again:
            click.echo(text + "\n")
        return
    room = shutil.get_terminal_size()
    lines = [line[: room.columns] for line in text.splitlines()][: max(1, room.lines - 1)]
    click.echo(HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_REST, nl=False)


@command(
    "list",
    help=N_("List the evacuations and drills that there were, the newest first."),
    examples=["vaultd evacuate list"],
)
@pass_cli
def list_command(cli: Cli) -> int:
    """From the state."""
    from vaultd.store import Store
    from vaultd.units import rfc3339

    store = Store(cli.places().database, read_only=True)
    try:
        found = store.evacuations()
    finally:
        store.close()
    rows = [
        {
            "id": one.id, "drill": one.drill, "state": one.state, "level": one.level, "category": one.category,
            "ordered": rfc3339(one.ordered), "ended": None if one.ended is None else rfc3339(one.ended),
            "who": one.who,
        }
        for one in found
    ]  # fmt: skip
    cli.emit({"version": 1, "evacuations": rows})
    heads = (_("number"), _("level"), _("category"), _("ordered"), _("ended"), _("by"))
    lines = [
        (one.id, one.level, category(one.category), local(one.ordered),
         _("goes on") if one.ended is None else local(one.ended), one.who)
        for one in found
    ]  # fmt: skip
    cli.say(table(heads, lines) if lines else _("There was none."))
    return EXIT_DONE

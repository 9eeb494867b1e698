"""``vaultd playbook list|show``: checklists, and what of them was ticked off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import warning_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.evacuate_tick import step_json, tick_command
from vaultd.cli.format import columns, local, table, width
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.store.warningrows import StepRow
    from vaultd.warning.playbook import Playbook, Text


@group(
    "playbook",
    help=N_("Checklists for fire, flood, theft, power cut, leak or loss (处置清单), with the numbers to ring."),
    examples=[
        "vaultd playbook show fire",
        "vaultd playbook tick people-first --of W-2026-007 --playbook fire --by 张伟",
    ],
)
def playbook_group() -> None:
    """Only a name for its commands."""


playbook_group.add_command(tick_command)


@playbook_group.command_of("list", help=N_("List the playbooks."), examples=["vaultd playbook list"])
@pass_cli
def list_command(cli: Cli) -> int:
    """Those of vaultd, and those of the house."""
    from vaultd.warning import playbook

    own = common.own_playbooks(cli)
    books = [playbook.load(name, own) for name in playbook.names(own)]
    cli.emit({"version": 1, "playbooks": [{**_head(one), "steps": len(one.steps)} for one in books]})
    rows = [(one.name, str(one.title), str(len(one.steps)), ", ".join(number for number, _who in one.call))
            for one in books]  # fmt: skip
    cli.say(table((_("name"), _("playbook"), _("steps"), _("ring")), rows, right=(2,)))
    return EXIT_DONE


@playbook_group.command_of(
    "show",
    help=N_("Show a playbook: the numbers to ring first, then its steps; with --of also what was ticked off."),
    examples=["vaultd playbook show fire", "vaultd playbook show fire --of W-2026-007"],
)
@click.argument("name")
@click.option("--of", metavar="ID", help=N_("A warning or an evacuation."))
@pass_cli
def show_command(cli: Cli, name: str, of: str | None) -> int:
    """From its file and the state."""
    from vaultd.warning import playbook

    book = playbook.load(name, common.own_playbooks(cli))
    ticks: dict[str, StepRow] = {}
    if of is not None:
        with common.reading(cli) as store:
            ticks = playbook.ticked(store.steps(of.strip().upper()), name) if store is not None else {}
    steps = [
        {
            "step": one.id, "text": _both(one.text), "role": _both(one.role),
            "minutes": one.minutes, "items": one.items, "tick": step_json(ticks[one.id]) if one.id in ticks else None,
        }
        for one in book.steps
    ]  # fmt: skip
    cli.emit({"version": 1, "of": of, **_head(book), "steps": steps})
    cli.say("\n".join(_lines(book, ticks)))
    return EXIT_DONE


def _head(book: Playbook) -> dict[str, Any]:
    return {
        "name": book.name, "title": _both(book.title),
        "call": [{"number": number, "who": _both(who)} for number, who in book.call],
    }  # fmt: skip


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


def _lines(book: Playbook, ticks: dict[str, StepRow]) -> list[str]:
    lines = [str(book.title)]
    lines += ["  " + _("RING {number}: {who}").format(number=number, who=who) for number, who in book.call]
    room = max(width(one.id) for one in book.steps)
    for one in book.steps:
        tick = ticks.get(one.id)
        box = {"done": "[x]", "skipped": "[-]"}.get(tick.state if tick else "", "[ ]")
        limit = _("within {minutes} min").format(minutes=one.minutes) if one.minutes else ""
        who = ", ".join(part for part in (str(one.role), limit) if part)
        lines.append(f"{box} {columns(one.id, room)}  {one.text} ({who})")
        if tick is not None and tick.state != "undone":
            lines.append("    " + _("{name}, {moment}").format(name=tick.person, moment=local(tick.at)))
    return lines

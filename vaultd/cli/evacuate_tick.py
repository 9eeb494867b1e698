"""``vaultd playbook tick`` and ``vaultd evacuate tick``: a step of a playbook is done."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import warning_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import local, rfc3339
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.store.warningrows import StepRow
    from vaultd.warning.desk import Desk


@command(
    "tick",
    help=N_(
        "Tick a step of a playbook off, for a warning (W-...) or an evacuation (E-..., DRILL-...): who has done it, "
        "and when. What was ticked on paper is written down later with --time. Where things are gone, --item names "
        "each with its value."
    ),
    examples=[
        "vaultd playbook tick people-first --of W-2026-007 --playbook fire --by 张伟",
        "vaultd playbook tick items --of W-2026-008 --playbook theft --by 李娜 --item '硬盘 M-2026-00017=约800元' \\",
        "    --time '2026-11-28 03:40'",
    ],
)
@click.argument("step")
@click.option("--of", required=True, metavar="ID", help=N_("The warning or the evacuation."))
@click.option("--playbook", metavar="NAME", help=N_("The playbook [default: that of the warning]"))
@click.option("--by", required=True, metavar="NAME", help=N_("Who has done it."))
@click.option("--time", "time_text", metavar="TIME", help=N_("When it was done, as written on paper [default: now]"))
@click.option("--item", "items", metavar="NAME=VALUE", multiple=True,
              help=N_("A thing that is gone, and what it is worth; may be repeated."))  # fmt: skip
@click.option("--note", default="", metavar="TEXT", help=N_("Anything else."))
@click.option("--skip", is_flag=True, help=N_("It was left out on purpose."))
@click.option("--undo", is_flag=True, help=N_("It was ticked by mistake."))
@pass_cli
def tick_command(
    cli: Cli, step: str, of: str, playbook: str | None, by: str, time_text: str | None, items: tuple[str, ...],
    note: str, skip: bool, undo: bool,
) -> int:  # fmt: skip
    """Tick it off."""
    from vaultd.warning import playbook as playbooks

    if skip and undo:
        raise ConfigError("--skip --undo", _("only one of them"))
    state = "skipped" if skip else "undone" if undo else "done"
    moment = common.time_of(time_text)
    with common.opened(cli) as desk:
        name = playbook or _of_warning(desk, of)
        row = playbooks.tick(desk, of, name, step, by, state=state, moment=moment, note=note, items=items)
    cli.emit({"version": 1, "of": row.subject, "playbook": row.playbook, "step": row.step, "tick": step_json(row)})
    text = _("{id}: {step} is {state} ({name}, {moment})")
    word = playbooks.state_word(row.state)
    cli.say(text.format(id=row.subject, step=row.step, state=word, name=row.person, moment=local(row.at)))
    return EXIT_DONE


def _of_warning(desk: Desk, of: str) -> str:
    from vaultd.warning.response import playbook_of

    found = playbook_of(desk.config, desk.find(of)) if of.strip().upper().startswith("W-") else ""
    if not found:
        raise ConfigError("--playbook", _("it is not known which playbook is meant"), _("see: vaultd playbook list"))
    return found


def step_json(row: StepRow) -> dict[str, Any]:
    """A tick as ``--json`` has it."""
    return {
        "state": row.state, "person": row.person, "time": rfc3339(row.at), "time_source": row.time_source,
        "note": row.note, "items": json.loads(row.items), "who": row.who,
    }  # fmt: skip


evacuate_command = copy.copy(tick_command)
"""The same for an evacuation."""
evacuate_command.examples = ["vaultd evacuate tick people-first --of E-2026-001 --playbook fire --by 张伟"]

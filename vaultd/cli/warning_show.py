"""``vaultd warning list|show|ring``."""

from __future__ import annotations

from typing import Any

import click

from vaultd.cli import warning_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import local, parse_rfc3339, table
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _

SHOWN = 200


@command(
    "list",
    help=N_("List what is proposed and what stands, the newest first."),
    examples=["vaultd warning list", "vaultd --json warning list --all"],
)
@click.option("--all", "everything", is_flag=True, help=N_("What was lifted and declined too."))
@pass_cli
def list_command(cli: Cli, everything: bool) -> int:
    """From the state database."""
    from vaultd.cli.warning import listed
    from vaultd.warning.view import warning_json

    found: list[dict[str, Any]] = []
    with common.reading(cli) as store:
        if store is not None:
            rows = store.warnings(open_only=not everything, limit=-1 if cli.json else SHOWN)
            found = [warning_json(store, row) for row in rows]
    cli.emit({"version": 1, "warnings": found})
    cli.say(listed(found) if found else _("No warning."))
    return EXIT_DONE


@command(
    "show",
    help=N_("Show a warning: its fields, who has answered, the numbers to ring, what it set in motion, its history."),
    examples=["vaultd warning show W-2026-007"],
)
@click.argument("warning")
@pass_cli
def show_command(cli: Cli, warning: str) -> int:
    """From the state database."""
    from vaultd.warning import answering, view, words
    from vaultd.warning.response import playbook_of

    with common.looking(cli, warning) as (desk, row):
        found = view.warning_json(desk.store, row)
        ring = answering.ring_list(desk, row)
        rings = desk.store.rings(row.id)
        actions = [view.action_json(one) for one in desk.store.warning_actions(row.id)]
        history = view.history_json(desk.store, row)
        playbook = playbook_of(desk.config, row)
    cli.emit({
        "version": 1, "warning": found, "ring": [{"person": name, "telephone": phone} for name, phone in ring],
        "rung": [view.ring_json(one) for one in rings], "playbook": playbook or None, "actions": actions,
        "history": history,
    })  # fmt: skip
    cli.say("\n".join(common.shown(found)))
    if ring:
        cli.say("\n" + _ring_table(ring, [view.ring_json(one) for one in rings]))
    for one in actions:
        cli.say(f"  {words.action(one['action'])}: {_action_state(one)}")
    if playbook:
        cli.say(_("Checklist: vaultd playbook show {name} --of {id}").format(name=playbook, id=row.id))
    cli.say("\n" + _("History"))
    for entry in history:
        cli.say("  " + _history_line(entry))
    return EXIT_DONE


@command(
    "ring",
    help=N_(
        "The list of whom to ring (电话通知), with their numbers. With NAME it is a tick: somebody was rung. Who "
        "answers acknowledges the warning with that, where they are a recipient."
    ),
    examples=["vaultd warning ring W-2026-007", "vaultd warning ring W-2026-007 王芳",
              "vaultd warning ring W-2026-007 王芳 --no-answer"],
)  # fmt: skip
@click.argument("warning")
@click.argument("name", required=False)
@click.option("--no-answer", is_flag=True, help=N_("They did not answer the telephone."))
@pass_cli
def ring_command(cli: Cli, warning: str, name: str | None, no_answer: bool) -> int:
    """List it, or tick somebody."""
    from vaultd.warning import answering, view

    if name is not None:
        with common.opened(cli) as desk, desk.store.database.write():
            row = desk.find(warning)
            answering.rung(desk, row.id, name, reached=not no_answer)
            asked = {one.person for one in answering.of(desk, row).rows}
            if row.standing and not no_answer and name in asked:
                answering.acknowledge(desk, row.id, name, "telephone")
    with common.looking(cli, warning) as (desk, row):
        ring, rings = answering.ring_list(desk, row), [view.ring_json(one) for one in desk.store.rings(row.id)]
    cli.emit({
        "version": 1, "warning": row.id, "ring": [{"person": one, "telephone": phone} for one, phone in ring],
        "rung": rings,
    })  # fmt: skip
    cli.say(_ring_table(ring, rings) if ring else _("Nobody to ring: no [[person]] of it has a telephone."))
    return EXIT_DONE


def _ring_table(ring: list[tuple[str, str]], rings: list[dict[str, Any]]) -> str:
    rows = []
    for name, phone in ring:
        ticks = [one for one in rings if one["person"] == name]
        box = "[x]" if any(one["reached"] for one in ticks) else "[ ]"
        last = local(parse_rfc3339(ticks[-1]["at"])) if ticks else ""
        rows.append((box, name, phone, last))
    return table(("", _("ring"), _("telephone"), _("rung")), rows)


def _action_state(one: dict[str, Any]) -> str:
    states = {"wanted": _("is to begin"), "begun": _("has begun"), "done": _("done"), "failed": _("failed")}
    state = states[one["state"]]
    return f"{state}: {one['error']}" if one["error"] else state


def _history_line(entry: dict[str, Any]) -> str:
    from vaultd.warning import words

    text = _("{moment}  {revision}. {state}, level {level}, by {who}").format(
        moment=local(parse_rfc3339(entry["at"])), revision=entry["revision"], state=words.state(entry["state"]),
        level=entry["level"], who=entry["who"],
    )  # fmt: skip
    if entry.get("on_duty"):
        text += ", " + _("on duty: {name}").format(name=entry["on_duty"])
    if entry.get("count", 0) > 1:
        text += ", " + _("{count} times").format(count=entry["count"])
    return text

"""``vaultd warning``: warnings of level I, II and III. They go by the state, so the daemon may run or be dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import warning_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import table
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _, ngettext

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultd.store.warningrows import WarningRow
    from vaultd.warning.desk import Desk

HOW = {"command": "command", "telephone": "telephone", "in-person": "in person"}


@group(
    "warning",
    help=N_("Warnings (预警) of level I (the most severe), II and III: issue, adjust and lift them; who has answered."),
    examples=[
        "vaultd warning issue I --category fire --scope 三楼机房",
        "vaultd warning ack W-2026-007 --by 张伟",
        "vaultd warning list",
    ],
)
def warning_group() -> None:
    """Only a name for its commands."""


warning_group.lazy = {
    "show": ("vaultd.cli.warning_show:show_command", N_("Show a warning: fields, answers, numbers to ring, history.")),
    "list": ("vaultd.cli.warning_show:list_command", N_("List what is proposed and what stands.")),
    "ring": ("vaultd.cli.warning_show:ring_command", N_("The list to ring by telephone, and its ticks.")),
}


@warning_group.command_of(
    "issue",
    help=N_(
        "Issue a warning. Only the level is needed; everything else can be filled in later with adjust. --from makes a "
        "proposal of a signal a warning. What the policy of the level ([response.I]) sets in motion begins at once."
    ),
    examples=[
        "vaultd warning issue I --category fire",
        "vaultd warning issue II --category flood --to 值班组 --scope 一楼档案室 --measures 转移纸质档案 --start 03:10",
        "vaultd warning issue --from W-2026-007",
    ],
)
@click.argument("level", required=False)
@click.option("--from", "proposal", metavar="WARNING", help=N_("A proposal that becomes this warning."))
@click.option("--drill", is_flag=True, help=N_("For practice: everything says so, and nothing is set in motion."))
@common.fields
@pass_cli
def issue_command(cli: Cli, level: str | None, proposal: str | None, drill: bool, **values: Any) -> int:
    """Issue it."""
    given = common.given(common.level_of(level), **values)
    if proposal is None and level is None:
        raise ConfigError(
            "vaultd warning issue", _("LEVEL is missing"), _("I (very serious), II (serious) or III (ordinary)")
        )  # fmt: skip
    if proposal is not None and drill:
        raise ConfigError("--drill", _("a proposal of a real signal is no drill"))

    def change(desk: Desk) -> WarningRow:
        return desk.issue(given, drill=drill) if proposal is None else desk.issue_proposed(proposal, given)

    return _changed(cli, change)


@warning_group.command_of(
    "adjust",
    help=N_(
        "Change a warning that stands: another level, or other fields. Its recipients are told, and are to acknowledge "
        "it again. Making less of level I needs the approvals that lifting it needs."
    ),
    examples=["vaultd warning adjust W-2026-007 --level I --scope 整栋楼"],
)
@click.argument("warning")
@click.option("--level", metavar="LEVEL", help=N_("I, II or III."))
@common.fields
@pass_cli
def adjust_command(cli: Cli, warning: str, level: str | None, **values: Any) -> int:
    """Adjust it."""
    given = common.given(common.level_of(level), **values)
    return _changed(cli, lambda desk: desk.adjust(warning, given))


@warning_group.command_of(
    "lift",
    help=N_("Lift a warning: it is over. Level I needs the approvals that the policy names."),
    examples=["vaultd warning lift W-2026-007"],
)
@click.argument("warning")
@pass_cli
def lift_command(cli: Cli, warning: str) -> int:
    """Lift it."""
    return _changed(cli, lambda desk: desk.lift(warning))


@warning_group.command_of(
    "decline",
    help=N_("Decline a proposal: it is nothing. Its signal proposes nothing for a while ([response] quiet)."),
    examples=["vaultd warning decline W-2026-007"],
)
@click.argument("warning")
@pass_cli
def decline_command(cli: Cli, warning: str) -> int:
    """Decline it."""
    return _changed(cli, lambda desk: desk.decline(warning))


@warning_group.command_of(
    "ack",
    help=N_("Acknowledge a warning, for a recipient: they know of it. Each recipient is told again until they have."),
    examples=["vaultd warning ack W-2026-007 --by 张伟", "vaultd warning ack W-2026-007 --by 王芳 --how telephone"],
)
@click.argument("warning")
@click.option("--by", required=True, metavar="NAME", help=N_("Who has acknowledged."))
@click.option("--how", type=click.Choice(tuple(HOW)), default="command", show_default=True, help=N_("In which way."))
@pass_cli
def ack_command(cli: Cli, warning: str, by: str, how: str) -> int:
    """Acknowledge it."""
    from vaultd.warning import answering
    from vaultd.warning.view import answer_json

    with common.opened(cli) as desk:
        row, answer, new = answering.acknowledge(desk, warning, by, HOW[how])
        left = list(answering.of(desk, row).open)
    cli.emit({"version": 1, "warning": row.id, "answer": answer_json(answer), "new": new, "unanswered": left})
    text = _("{name} has acknowledged {id}.") if new else _("{name} had acknowledged {id} before.")
    cli.say(text.format(name=by, id=row.id))
    if left:
        cli.say(_("Not answered yet: {names}").format(names=", ".join(left)))
    return EXIT_DONE


def _changed(cli: Cli, change: Callable[[Desk], WarningRow]) -> int:
    from vaultd.warning import answering
    from vaultd.warning.response import playbook_of
    from vaultd.warning.view import action_json

    with common.opened(cli) as desk:
        row = change(desk)
        found, ring = common.described(desk.store, row), answering.ring_list(desk, row)
        actions = desk.store.warning_actions(row.id)
        playbook = playbook_of(desk.config, row)
        waiting = len(desk.store.waiting_notices()) if common.tell(cli) is None else 0
    ringing = [{"person": name, "telephone": phone} for name, phone in ring]
    cli.emit({
        "version": 1, "warning": found, "ring": ringing, "playbook": playbook or None,
        "actions": [action_json(one) for one in actions],
    })  # fmt: skip
    cli.say("\n".join(common.shown(found)))
    if not row.standing:
        return EXIT_DONE
    if not found["answers"]:
        cli.note(_("Nobody is told: no recipient of it is a [[person]] of the configuration."))
    if ring:
        cli.say(table((_("ring"), _("telephone")), ring))
    if actions:
        _say_actions(cli, [one.action for one in actions if one.state in ("wanted", "begun")])
    if playbook:
        cli.say(_("Checklist: vaultd playbook show {name} --of {id}").format(name=playbook, id=row.id))
    if waiting:
        text = ngettext(
            "{count} notice is kept until it can be sent.", "{count} notices are kept until they can be sent.", waiting
        )
        cli.note(text.format(count=waiting))
    return EXIT_DONE


def _say_actions(cli: Cli, wanted: list[str]) -> None:
    from vaultd.cli.media_common import daemon_runs
    from vaultd.warning import words

    if not wanted:
        return
    actions = "; ".join(map(words.action, wanted))
    if daemon_runs(cli):
        cli.say(_("Begins now: {actions}").format(actions=actions))
    else:
        text = _("The daemon is not running. When it does (vaultd run; or now: vaultd backup): {actions}")
        cli.note(text.format(actions=actions))


def listed(rows: list[dict[str, Any]]) -> str:
    """Warnings as a table."""
    from vaultd.cli.format import local, number, parse_rfc3339
    from vaultd.warning import words

    head = (_("warning"), _("level"), _("state"), _("category"), _("since"), _("scope"), _("count"), _("not answered"))
    return table(head, [
        (
            one["id"] + (" " + _("DRILL") if one["drill"] else ""), one["level"], words.state(one["state"]),
            words.category(one["category"]), local(parse_rfc3339(one["start"])), one["scope"][:40],
            number(one["count"]) if one["signal"] else "", ", ".join(one["unanswered"]),
        )
        for one in rows
    ], right=(6,))  # fmt: skip

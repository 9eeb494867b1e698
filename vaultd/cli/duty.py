"""``vaultd duty``: who has duty."""

from __future__ import annotations

import time
from datetime import datetime

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import local, rfc3339, table
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _


@command(
    "duty",
    help=N_("Who has duty now (值班), by the roster in the configuration ([[duty]]), and who comes after them."),
    examples=["vaultd duty", "vaultd duty --at '2026-12-31 23:00'"],
)
@click.option("--at", metavar="TIME", help=N_("At another moment than now."))
@pass_cli
def duty_command(cli: Cli, at: str | None) -> int:
    """From the configuration."""
    from vaultd.restore import moment
    from vaultd.warning import people

    config = cli.config()
    when = time.time_ns() if at is None else moment.begin(at, "--at")
    found = people.duty(config, when)
    gaps = people.uncovered(config, people.local_time(when).date()) if config.duty else []
    phones = {one.name: one.telephone for one in config.person}
    cli.emit({
        "version": 1, "at": rfc3339(when), "on_duty": found.person or None,
        "telephone": phones.get(found.person) or None, "also": list(found.also), "then": list(found.then),
        "gaps": [{"day": day, "from": _clock(begin), "to": _clock(end)} for day, begin, end in gaps],
    })  # fmt: skip
    if not config.duty:
        cli.say(_("There is no roster: the configuration has no [[duty]]."))
        return EXIT_DONE
    if found.person:
        cli.say(_("On duty {moment}: {name} {telephone}").format(
            moment=local(when), name=found.person, telephone=phones.get(found.person, "")).rstrip())  # fmt: skip
    else:
        cli.say(_("On duty {moment}: nobody").format(moment=local(when)))
    after = [*found.also, *(one for one in found.then if one not in found.also)]
    if after:
        cli.say(table((_("after them"), _("telephone")), [(one, phones.get(one, "")) for one in after]))
    for day, begin, end in gaps:
        cli.note(_("Nobody has duty on {day} from {begin} to {end}.").format(
            day=datetime.fromisoformat(day).date().isoformat(), begin=_clock(begin), end=_clock(end)))  # fmt: skip
    return EXIT_DONE


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"

"""What the commands of warnings, the roster and playbooks share: the desk, handing notices over, and how they look."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.format import ago, local, number, parse_rfc3339
from vaultd.errors import ConfigError, StateError
from vaultd.i18n import N_, _, ngettext

if TYPE_CHECKING:
    from vaultd.cli.base import Cli
    from vaultd.notices.model import Tell
    from vaultd.store import Store
    from vaultd.store.warningrows import WarningRow
    from vaultd.warning.desk import Desk, Require

LEVELS = ("I", "II", "III")


def tell(cli: Cli) -> Tell:
    """Who takes notices: the courier's outbox."""
    from vaultd.notices.telling import teller

    return teller(cli.config())


def require(cli: Cli, store: Store) -> Require:
    """Who asks for approvals: in the same store, so that what they allow and that they are used up is one thing. Where
    nobody approves here yet, root decides."""
    from vaultd import approvals
    from vaultd.warning.desk import root_only

    config = cli.config()

    def needed(action: str, parameters: Mapping[str, object]) -> str | None:
        found = approvals.require(config, store, action, parameters, approvals.caller(config))
        return root_only(action, parameters) if found is None else str(found.number)

    return needed


@contextlib.contextmanager
def opened(cli: Cli) -> Iterator[Desk]:
    """The desk, for root and the daemon's user; whether the daemon runs or not. At its end notices are handed over."""
    from vaultd.cli.places import own_store
    from vaultd.custody import caller
    from vaultd.warning import telling
    from vaultd.warning.desk import Desk

    config = cli.config()
    with own_store(cli) as store:
        yield Desk(config, store, caller(), require(cli, store))
        try:
            telling.hand_over(store, tell(cli))
        except StateError as error:  # what was ordered is done; the daemon hands the notice over later
            cli.note(_("Nobody was told yet: {error}").format(error=error))


@contextlib.contextmanager
def reading(cli: Cli) -> Iterator[Store | None]:
    """The store, to be read; None where there was never a warning."""
    from vaultd.store import Store

    database = cli.places().database
    if not database.exists():
        yield None
        return
    store = Store(database, read_only=True)
    try:
        yield store if store.has_warnings() else None
    finally:
        store.close()


@contextlib.contextmanager
def looking(cli: Cli, number: str) -> Iterator[tuple[Desk, WarningRow]]:
    """The desk and a warning, to be read: nothing is made or changed. Raises NoWarningError."""
    from vaultd.store import Store
    from vaultd.warning.desk import Desk
    from vaultd.warning.faults import NoWarningError

    with reading(cli) as store:
        if not isinstance(store, Store):
            raise NoWarningError(_("warning {number}").format(number=number), _("there is no such warning"))
        desk = Desk(cli.config(), store, "")
        yield desk, desk.find(number)


def fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a warning is."""
    options = [
        click.option("--category", metavar="TEXT",
                     help=N_("What it is (事件类别): fire, flood, theft, power-cut, leak-or-loss, or any words.")),
        click.option("--to", "recipients", metavar="NAME", multiple=True,
                     help=N_("A [[person]] or [[group]] to be told (接收对象); may be repeated "
                             "[default: whom the policy names, and who has duty]")),
        click.option("--start", metavar="TIME", help=N_("Since when (起始时间) [default: now]")),
        click.option("--scope", metavar="TEXT", help=N_("What may be hit (可能影响范围).")),
        click.option("--cautions", metavar="TEXT", help=N_("What to take care of (警示事项).")),
        click.option("--measures", metavar="TEXT", help=N_("What to do (应采取的措施).")),
        click.option("--unit", metavar="TEXT", help=N_("Who issues it (发布单位) [default: [response] unit]")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def given(level: str | None, recipients: tuple[str, ...], start: str | None, **texts: str | None) -> Any:
    """What the options say. Raises ConfigError."""
    from vaultd.restore import moment
    from vaultd.warning.fields import Fields

    at = None if start is None else moment.begin(start, "--start")
    return Fields(level, recipients=list(recipients) or None, start=at, **texts)


def level_of(text: str | None) -> str | None:
    """A level as it was typed: "i" and "1" are "I". Raises ConfigError."""
    if text is None:
        return None
    found = {"1": "I", "2": "II", "3": "III"}.get(text, text.upper())
    if found not in LEVELS:
        raise ConfigError(
            _("level {level}").format(level=text), _("there is no such level"),
            _("one of: {names}").format(names=", ".join(LEVELS)),
        )  # fmt: skip
    return found


def shown(found: dict[str, Any]) -> list[str]:
    """A warning for people, the most important first."""
    from vaultd.warning import words

    drill = _("DRILL: ") if found["drill"] else ""
    head = f"{drill}{found['id']}  {words.level(found['level'])}  {words.category(found['category'])}"
    lines = [f"{head}  [{words.state(found['state'])}]"]
    rows = (
        (_("what"), words.signal(found["signal"]) if found["signal"] else ""),
        (_("scope"), found["scope"]), (_("take care"), words.shown(found["cautions"])),
        (_("do"), words.shown(found["measures"])), (_("since"), local(parse_rfc3339(found["start"]))),
        (_("told"), ", ".join(found["recipients"])), (_("issued by"), found["unit"]), (_("on duty"), found["on_duty"]),
    )  # fmt: skip
    lines += [f"  {name}: {text}" for name, text in rows if text]
    if found["count"] > 1:
        last = ago(parse_rfc3339(found["seen"]), time.time_ns())
        lines.append("  " + _("came {count} times, last {moment}").format(count=number(found["count"]), moment=last))
    lines += [f"  {answer_line(one)}" for one in found["answers"]]
    return lines


def answer_line(one: dict[str, Any]) -> str:
    """A recipient for people."""
    from vaultd.warning.words import HOW_WORDS

    if one["state"] == "acknowledged":
        text, moment = _("[x] {name}, {how}, {moment}"), local(parse_rfc3339(one["at"]))
        return text.format(name=one["person"], how=_(HOW_WORDS.get(one["how"], one["how"])), moment=moment)
    texts = {
        "asked": _("[ ] {name}, {told}, last {moment}"), "escalated": _("[ ] {name}, {told}; passed on to {other}"),
        "unheard": _("[ ] {name}, {told}; nobody is left to turn to: ring"),
    }  # fmt: skip
    told = ngettext("told once", "told {count} times", one["times"]).format(count=one["times"])
    return texts[one["state"]].format(
        name=one["person"], told=told, moment=local(parse_rfc3339(one["told"])), other=one["escalated_to"]
    )


def time_of(text: str | None) -> Any:
    """What ``--time`` says, None without it. Raises ConfigError."""
    from vaultd.media import record

    return None if text is None else record.stated(text)


def own_playbooks(cli: Cli) -> Path | None:
    """The folder with the house's own."""
    return cli.config().response.playbooks if cli.file.exists() else None


def described(store: Store, row: WarningRow) -> dict[str, Any]:
    """A warning as ``--json`` has it."""
    from vaultd.warning.view import warning_json

    return warning_json(store, row)

"""``vaultd notify list|test|calls|called``: who is told what, and whom to ring."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import render_notices
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.places import require_owner
from vaultd.errors import EXIT_DONE, EXIT_FAILED, EXIT_PARTIAL, ConfigError
from vaultd.i18n import N_, _, speaking

if TYPE_CHECKING:
    from vaultd.notices.record import Standing
    from vaultd.store import Store

POLL_SECONDS = 0.2
MORE_SECONDS = 15.0
"""What a test waits beyond the time of one try: for the courier to take it, and for others before it."""


@group(
    "notify",
    help=N_(
        "Who is told what: the queue of notices, the list of those to be rung, and a test. Another process sends them, "
        "vaultd-courier."
    ),
    examples=["vaultd notify list", "vaultd notify test", "vaultd notify calls"],
)
def notify_group() -> None:
    """Only a name for its commands."""


@contextlib.contextmanager
def _opened(cli: Cli) -> Iterator[Store]:
    """The state of this host, for its owner and root."""
    from vaultd.store import Store

    require_owner(cli)
    Store(cli.places().database, read_only=True).close()  # never makes a database
    store = Store(cli.places().database)
    try:
        yield store
    finally:
        store.close()


@notify_group.command_of(
    "list",
    help=N_("Show the notices that are not over, and what became of them at each channel."),
    examples=["vaultd notify list", "vaultd --json notify list --all"],
)
@click.option("--all", "everything", is_flag=True, help=N_("Also what is on record of those that are over."))
@pass_cli
def list_command(cli: Cli, everything: bool) -> int:
    """From the outbox, and the state."""
    from vaultd.notices import folders, lock, outbox

    state = cli.places().state
    with _opened(cli) as store:
        found: list[dict[str, Any]] = []
        for kept in outbox.all_kept(state):
            if store.notice_over(kept.id):
                continue  # an urgent one whose calls are open
            there = outbox.find(state, kept.id)
            found.append(render_notices.notice_json(kept, there[0] if there else "new", there[1] if there else kept))
        past = [render_notices.result_json(row) for row in (store.notice_results() if everything else [])]
    runs = folders.root(state).exists() and lock.held(state)
    cli.emit({"version": 1, "courier": runs, "notices": found, "results": past})
    cli.say(render_notices.queue(found, past, time.time_ns(), runs=runs))
    return EXIT_DONE


@notify_group.command_of(
    "test",
    help=N_(
        "Send a test to every channel that is for everybody, to one channel, or to one person, and wait until it has "
        "arrived. Exit code 3 when it was sent by some channels only, 1 when by none."
    ),
    examples=["vaultd notify test", "vaultd notify test --channel duty-chat", "vaultd notify test --person 张伟"],
)
@click.option("--channel", metavar="NAME", help=N_("To this channel alone."))
@click.option("--person", metavar="NAME", help=N_("To this person, by their own channels."))
@click.option("--wait", type=click.FloatRange(min=0), metavar="SECONDS", help=N_("How long to wait for it."))
@pass_cli
def test_command(cli: Cli, channel: str | None, person: str | None, wait: float | None) -> int:
    """Through the outbox and the courier, as every notice."""
    from vaultd.notices import folders, lock, outbox
    from vaultd.notices.faults import NoticeError
    from vaultd.notices.model import Notice

    config = cli.config()
    if channel is not None and config.notify.channel_named(channel) is None:
        names = ", ".join(one.name for one in config.notify.channel) or "-"
        raise ConfigError(_("channel {name}").format(name=channel), _("the configuration has no such channel"),
                          _("the channels are: {names}").format(names=names))  # fmt: skip
    if person is not None and config.person_named(person) is None:
        names = ", ".join(one.name for one in config.person) or "-"
        raise ConfigError(_("person {name}").format(name=person), _("the configuration has no such [[person]]"),
                          _("the persons are: {names}").format(names=names))  # fmt: skip
    state = config.host.state
    with _opened(cli) as store:
        if not folders.root(state).exists() or not lock.held(state):
            raise NoticeError(_("no test was sent"), _("the courier does not run"),
                              _("start it: systemctl start vaultd-courier"))  # fmt: skip
        with speaking(config.notify.lang):
            notice = Notice(
                "test", "test", _("{host}: a test").format(host=config.host.name),
                _("This is a test of how vaultd tells people. Nothing has happened."), (person,) if person else (),
            )  # fmt: skip
        number = outbox.put(state, notice, only=channel, attempts=1)
        standing = _waited(cli, store, number, config.notify.timeout + MORE_SECONDS if wait is None else wait)
    sent = sum(one.state == "sent" for one in standing.deliveries)
    cli.emit({
        "version": 1, "notice": number, "over": standing.over, "sent": sent,
        "deliveries": [render_notices.delivery_json(one) for one in standing.deliveries],
    })  # fmt: skip
    cli.say(render_notices.tested(standing))
    if sent and sent == len(standing.deliveries):
        return EXIT_DONE
    return EXIT_PARTIAL if sent else EXIT_FAILED


def _waited(cli: Cli, store: Store, number: str, seconds: float) -> Standing:
    from vaultd.notices import record

    until = time.monotonic() + seconds
    while True:
        found = record.standing(cli.places().state, store, number)
        if found.over or time.monotonic() > until:
            return found
        time.sleep(POLL_SECONDS)


@notify_group.command_of(
    "calls",
    help=N_("Show whom to ring, by which number, about what, and since when. No daemon is needed."),
    examples=["vaultd notify calls"],
)
@pass_cli
def calls_command(cli: Cli) -> int:
    """The list, those that wait longest first."""
    from vaultd.notices import calls

    config = cli.config()
    with _opened(cli) as store:
        found = calls.to_ring(config.host.state, store, calls.listed(config.person))
    cli.emit({"version": 1, "calls": [render_notices.call_json(one) for one in found]})
    cli.say(render_notices.calls(found, time.time_ns()))
    return EXIT_DONE


@notify_group.command_of(
    "called",
    help=N_(
        "Somebody was rung: ticked off the list when they have answered (the default), kept on it when not. It goes on "
        "record."
    ),
    examples=["vaultd notify called 3f9a0c-51d2 --by 王芳", "vaultd notify called 3f9a0c-51d2 --by 王芳 --no-answer"],
)
@click.argument("call", metavar="ID")
@click.option("--by", required=True, metavar="NAME", help=N_("Who has rung."))
@click.option("--answered/--no-answer", default=True, help=N_("Whether they have answered."))
@pass_cli
def called_command(cli: Cli, call: str, by: str, answered: bool) -> int:
    """A tick."""
    from vaultd.notices import calls

    if not by.strip() or not by.isprintable() or len(by) > 200:
        raise ConfigError("--by", _("a name is needed"))
    config = cli.config()
    with _opened(cli) as store:
        done = calls.tick(config.host.state, store, calls.listed(config.person), call, by.strip(), answered=answered)
    cli.emit({"version": 1, "call": render_notices.call_json(done)})
    text = _("{name} has answered.") if answered else _("{name} has not answered, and stays on the list.")
    cli.say(text.format(name=done.person))
    return EXIT_DONE

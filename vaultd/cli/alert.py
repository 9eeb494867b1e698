"""``vaultd alert list|ack``."""

from __future__ import annotations

import time
from typing import Any

import click

from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.render_status import alert as render_alert
from vaultd.errors import EXIT_DONE, ConfigError, NotRunningError
from vaultd.i18n import N_, _


@group(
    "alert",
    help=N_("List and acknowledge alerts: what stops or endangers protection."),
    examples=["vaultd alert list", "vaultd alert ack 7"],
)
def alert_group() -> None:
    """Only a name for its commands."""


@alert_group.command_of(
    "list",
    help=N_("List the open alerts, newest first."),
    examples=["vaultd alert list", "vaultd --json alert list --all"],
)
@click.option("--all", "everything", is_flag=True, help=N_("Past alerts too."))
@pass_cli
def list_command(cli: Cli, everything: bool) -> int:
    """Ask the daemon, or read the state."""
    try:
        found = cli.client().alerts(everything=everything)
    except NotRunningError:
        found = _from_store(cli, everything)
    cli.emit({"version": 1, "alerts": found})
    now = time.time_ns()
    cli.say("\n".join(render_alert(one, now) for one in found) or _("No alert."))
    return EXIT_DONE


@alert_group.command_of(
    "ack",
    help=N_(
        "Acknowledge an alert: somebody has seen it. A mass change is over with that, every other alert when its "
        "cause is gone."
    ),
    examples=["vaultd alert ack 7"],
)
@click.argument("number", type=int)
@pass_cli
def ack_command(cli: Cli, number: int) -> int:
    """Acknowledge by the daemon, or in the state."""
    try:
        done = cli.client().acknowledge(number)
    except NotRunningError:
        done = _acknowledge_in_store(cli, number)
    if not done:
        raise ConfigError(
            _("alert {number}").format(number=number), _("there is none that is not acknowledged"),
            _("see `vaultd alert list --all`"),
        )  # fmt: skip
    cli.emit({"version": 1, "alert": number, "acknowledged": True})
    cli.say(_("Alert {number} is acknowledged.").format(number=number))
    return EXIT_DONE


def _from_store(cli: Cli, everything: bool) -> list[dict[str, Any]]:
    from vaultd.status import alert_json
    from vaultd.store import Store

    store = Store(cli.places().database, read_only=True)
    try:
        return [alert_json(one) for one in store.alerts.list(open_only=not everything)]
    finally:
        store.close()


def _acknowledge_in_store(cli: Cli, number: int) -> bool:
    import os

    from vaultd.store import Store

    # Without a daemon the file's owner decides, as for everything else in the state folder.
    Store(cli.places().database, read_only=True).close()  # never makes a database
    store = Store(cli.places().database)
    try:
        return store.alerts.acknowledge(number, f"uid {os.geteuid()}")
    finally:
        store.close()

"""``vaultd status``: asks the daemon; without one, reads the state, and says that nobody watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.render_status import render
from vaultd.errors import EXIT_DONE, EXIT_NOT_RUNNING, EXIT_PARTIAL, ConfigError, NotRunningError, StateError
from vaultd.i18n import N_, _

ANSWER_SECONDS = 5.0


@command(
    "status",
    help=N_(
        "Show how far every vault is protected at every target: state, what is pending, lag, last snapshots, alerts."
        "\n\nWithout a daemon the state folder is read: the answer is as old as its last write and the exit code is 7. "
        "With --check the exit code is 3 when a vault is not as its objective asks."
    ),
    examples=["vaultd status", "vaultd status patients", "vaultd --json status", "vaultd status --check"],
)
@click.argument("vaults", metavar="[VAULT]...", nargs=-1)
@click.option("--check", is_flag=True, help=N_("Exit with 3 when something is not protected: for monitoring."))
@pass_cli
def status_command(cli: Cli, vaults: Sequence[str], check: bool) -> int:
    """Show the status document."""
    missing: NotRunningError | None = None
    try:
        found = cli.client().status(ANSWER_SECONDS)
    except NotRunningError as error:
        found, missing = _from_store(cli, error), error
    found = _chosen(found, vaults)
    cli.emit(found)
    cli.say(render(found))
    _say_plugged(cli)
    if missing is not None:
        cli.note(f"vaultd: {missing}")
        cli.note(_("hint: {hint}").format(hint=missing.hint))
        return EXIT_NOT_RUNNING
    if not check:
        return EXIT_DONE
    from vaultd.status import GOOD  # it brings the store along, which this answer did not need

    return EXIT_DONE if found["state"] in GOOD else EXIT_PARTIAL


def _say_plugged(cli: Cli) -> None:
    """Registered media that are plugged in and no target yet: as the kept pull list has them, so no disk is asked."""
    from vaultd.pull import kept

    if cli.json:
        return
    try:
        made = kept.read(cli.places().state)
    except (StateError, OSError):
        return  # `vaultd disks pull-list` says what is wrong with it
    for one in made.media if made is not None else ():
        cli.say(_("Medium {label} is plugged in ({device}), and no target yet: {command}").format(
            label=one.label, device=one.device, command=one.command))  # fmt: skip


def _from_store(cli: Cli, error: NotRunningError) -> dict[str, Any]:
    """The document made from the state folder; when that cannot be read either, the daemon's absence is the error."""
    from vaultd import status
    from vaultd.store import Store

    places = cli.places()
    try:
        store = Store(places.database, read_only=True)
    except StateError as unreadable:
        raise NotRunningError(error.what, f"{error.why}; {unreadable}", error.hint) from None
    try:
        return status.document(store, places.host, status.plans(places.raw))
    finally:
        store.close()


def _chosen(found: dict[str, Any], vaults: Sequence[str]) -> dict[str, Any]:
    """The document with the named vaults only."""
    if not vaults:
        return found
    from vaultd.status import worst

    known = [vault["name"] for vault in found["vaults"]]
    for name in vaults:
        if name not in known:
            raise ConfigError(
                _("vault {name}").format(name=name), _("there is no such vault"),
                _("known vaults: {names}").format(names=", ".join(known)),
            )  # fmt: skip
    chosen = [vault for vault in found["vaults"] if vault["name"] in vaults]
    return {
        **found, "vaults": chosen, "state": worst(vault["state"] for vault in chosen),
        "alerts": [alert for alert in found["alerts"] if alert["vault"] in ("", *vaults)],
        "progress": [run for run in found["progress"] if run["vault"] in vaults],
    }  # fmt: skip

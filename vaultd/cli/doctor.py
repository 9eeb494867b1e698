"""``vaultd doctor``: everything that would stop vaultd from doing its job, each with its mend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from vaultd import alerts
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, EXIT_FAILED, NotRunningError, StateError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.config import Config
    from vaultd.doctor import Finding

MARKS = {"fine": N_("ok"), "advice": N_("advice"), "fault": N_("FAULT")}


@command(
    "doctor",
    help=N_(
        "Find everything that would stop vaultd from doing its job, each with its mend. Changes nothing.\n\n"
        "The exit code is 0 when there is no fault, else 1."
    ),
    examples=["vaultd doctor", "vaultd doctor --offline", "vaultd --json doctor"],
)
@click.option("--offline", is_flag=True, help=N_("Do not connect to the targets."))
@pass_cli
def doctor_command(cli: Cli, offline: bool) -> int:
    """Look at everything, and show what was found."""
    found = []
    for finding in _findings(cli, offline):
        found.append(finding)
        show(cli, finding)
    faults = sum(finding.level == "fault" for finding in found)
    cli.emit({"version": 1, "faults": faults, "findings": [finding.as_json() for finding in found]})
    cli.say()
    cli.say(_("Faults: {count}").format(count=faults) if faults else _("No fault was found."))
    return EXIT_FAILED if faults else EXIT_DONE


def show(cli: Cli, finding: Finding) -> None:
    """A finding and its mend for people."""
    mark = click.style(_(MARKS[finding.level]), fg={"fault": "red", "advice": "yellow"}.get(finding.level))
    cli.say(f"{mark}: {finding.text}")
    if finding.mend:
        cli.say("    " + _("hint: {hint}").format(hint=finding.mend))


def _findings(cli: Cli, offline: bool) -> Iterator[Finding]:
    from vaultd import doctor

    try:
        config = cli.config()
    except VaultdError as error:
        yield doctor.Finding.of("configuration", error)
        return
    yield doctor.Finding(doctor.FINE, "configuration", _("the configuration is right"))
    yield from doctor.check_places(config)
    yield from doctor.check_host(config, _folders(config))
    yield from doctor.check_ledger(config)
    yield from doctor.check_kits(config)
    yield from doctor.check_notices(config)
    yield from doctor.check_persons(config)
    yield _daemon(cli)
    yield from _alerts(cli)
    if not offline:
        yield from doctor.check_targets(config)


def _folders(config: Config) -> int:
    """How many folders the catalog knows in all vaults; 0 when there is no state yet."""
    from vaultd import places
    from vaultd.store import Store

    try:
        store = Store(places.database(config.host.state), read_only=True)
    except StateError:
        return 0
    try:
        return int(store.database.reader().execute("SELECT count(*) FROM dir").fetchone()[0])
    finally:
        store.close()


def _daemon(cli: Cli) -> Finding:
    from vaultd.doctor import FAULT, FINE, Finding
    from vaultd.status import GOOD

    try:
        found = cli.client().status()
    except VaultdError as error:
        return Finding.of("daemon", error)
    if found["state"] in GOOD:
        return Finding(FINE, "daemon", _("the daemon is running and keeps every objective"))
    return Finding(FAULT, "daemon", _("the daemon is running, but not everything is protected"), _("see vaultd status"))


def _alerts(cli: Cli) -> Iterator[Finding]:
    from vaultd.doctor import ADVICE, FAULT, Finding

    try:
        found = cli.client().alerts()
    except NotRunningError:
        return  # _daemon has said so
    for one in found:
        what = (one["code"], one["vault"], one["target"], one["detail"])
        level = FAULT if one["severity"] == "critical" else ADVICE
        yield Finding(level, f"alert {one['id']}", alerts.text(*what), alerts.hint(*what))

"""The entry point: global options, lazily loaded commands, and what people see when something goes wrong.

A stack trace is shown with ``--debug`` only.
"""

from __future__ import annotations

import gettext
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

from vaultd import i18n
from vaultd.cli import failure
from vaultd.cli.base import Cli, Group, json_option
from vaultd.i18n import N_

LANGUAGES = ("en", "zh_CN")

COMMANDS = {
    "init": ("vaultd.cli.init:init_command", N_("Set up this host: configuration, keys, repositories.")),
    "run": ("vaultd.cli.run:run_command", N_("Run the daemon in the foreground.")),
    "status": ("vaultd.cli.status:status_command", N_("Show how far every vault is protected.")),
    "backup": ("vaultd.cli.backup:backup_command", N_("Protect what is pending now.")),
    "snapshots": ("vaultd.cli.snapshots:snapshots_command", N_("List the snapshots of a vault.")),
    "restore": ("vaultd.cli.restore:restore_command", N_("Bring a vault back.")),
    "forget": ("vaultd.cli.forget:forget_command", N_("Remove old snapshots by a policy, or destroy records.")),
    "repair": ("vaultd.cli.repair:repair_command", N_("Mend a damaged repository from what else there is.")),
    "verify": ("vaultd.cli.verify:verify_command", N_("Read back what the targets store, and compare it.")),
    "manifest": ("vaultd.cli.manifest:manifest_command", N_("Make a restored folder a bag that outsiders can check.")),
    "target": ("vaultd.cli.target:target_group", N_("Manage the off-site targets.")),
    "alert": ("vaultd.cli.alert:alert_group", N_("List and acknowledge alerts.")),
    "ledger": ("vaultd.cli.ledger:ledger_group", N_("The record that outsiders can check.")),
    "report": ("vaultd.cli.report:report_group", N_("Make reports from the ledger: HTML and PDF.")),
    "kit": ("vaultd.cli.kit:kit_group", N_("The recovery kit for the day the building is gone.")),
    "media": ("vaultd.cli.media:media_group", N_("The register of classified media: who has which one.")),
    "drill": ("vaultd.cli.drill:drill_group", N_("Practise a restore, and measure it.")),
    "evacuate": ("vaultd.cli.evacuate:evacuate_group", N_("Copy what matters first; carry out the rest.")),
    "disks": ("vaultd.cli.disks:disks_group", N_("The physical disks, and which of them carry which vault.")),
    "doctor": ("vaultd.cli.doctor:doctor_command", N_("Find everything that would stop vaultd from doing its job.")),
    "demo": ("vaultd.cli.demo:demo_command", N_("Show the main job on an embedded default.")),
}


def _language(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value:
        os.environ["LANGUAGE"] = value  # click's own messages follow it, and so does a child vaultd
    i18n.choose(value)
    return value


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from vaultd import __version__

        click.echo(f"vaultd {__version__}")
        ctx.exit()


@click.group(
    "vaultd",
    cls=Group,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=N_(
        "Encrypted off-site backup of classified folders: every change is at every target within seconds, "
        "and comes back on another machine."
    ),
    examples=["vaultd status", "vaultd --json status", "vaultd --config /srv/demo/vaultd.toml backup patients"],
)
@click.option("--lang", type=click.Choice(LANGUAGES), is_eager=True, callback=_language, expose_value=False,
              help=N_("Language of the output; otherwise that of the locale."))  # fmt: skip
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, readable=False),
              help=N_("Configuration file [default: $VAULTD_CONFIG or /etc/vaultd/vaultd.toml]"))  # fmt: skip
@click.option("--debug", is_flag=True, help=N_("Show log messages and stack traces."))
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help=N_("Show the version."))  # fmt: skip
@click.pass_context
def vaultd(ctx: click.Context, file: Path | None, debug: bool) -> None:
    """The group itself only notes what the global options say."""
    cli = ctx.ensure_object(Cli)
    if file is not None:
        cli.file = file
    if debug:
        import logging

        cli.debug = True
        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


vaultd.params.insert(2, json_option())


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. A bug raises, and shows by ``failure.internal_error``."""
    cli = Cli()
    gettext.bindtextdomain(i18n.DOMAIN, str(i18n.LOCALE_DIR))  # click's own messages are in our catalogue too
    gettext.textdomain(i18n.DOMAIN)
    i18n.choose()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal in another encoding must not stop a report
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _terminate)
    sys.excepthook = lambda kind, error, trace: failure.internal_error(cli, kind, error, trace)
    try:
        code = _run(cli, list(sys.argv[1:] if args is None else args))
        sys.stdout.flush()
    except failure.EXPECTED as error:
        return failure.report(cli, error)
    return code if isinstance(code, int) else 0


def _run(cli: Cli, args: list[str]) -> object:
    """What the command returns. Not click's own ``main``: that ends the process itself when a pipe is closed."""
    if "_VAULTD_COMPLETE" in os.environ:
        return vaultd.main(args, prog_name="vaultd")  # completion scripts of the shells
    try:
        with vaultd.make_context("vaultd", args, obj=cli) as context:
            return vaultd.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise failure.Terminated


if __name__ == "__main__":
    sys.exit(main())

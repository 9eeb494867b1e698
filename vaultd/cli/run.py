"""``vaultd run``: the daemon in the foreground."""

from __future__ import annotations

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.i18n import N_


@command(
    "run",
    help=N_("Run the daemon in the foreground; systemd runs this. It ends in order on SIGTERM and Ctrl-C."),
    examples=["vaultd run", "vaultd --config /srv/demo/vaultd.toml --debug run"],
)
@pass_cli
def run_command(cli: Cli) -> int:
    """Hand over to the daemon."""
    from vaultd import daemon

    config = cli.config()
    if not cli.debug:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return daemon.main(config)

"""``vaultd approve REQUEST``: sign a request with one's own SSH key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli import approvals_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.approvals import Request


@command(
    "approve",
    help=N_(
        "Approve a request that an action waits for, with your own SSH key. Look at what it is first: "
        "vaultd approvals show REQUEST. Who has asked for it cannot approve it.\n\n"
        "To sign on another machine: --print there or here gives the text, and --signature takes what ssh-keygen wrote:"
        "\n\nvaultd approve 17 --print > request; ssh-keygen -Y sign -n vaultd-approval -f KEY request"
    ),
    examples=[
        "vaultd approve 17 --key ~/.ssh/id_ed25519",
        "vaultd approve 17 --key /root/wang.pub --as 王芳",
        "vaultd approve 17 --print > request",
        "vaultd approve 17 --signature request.sig",
    ],
)
@click.argument("number", metavar="REQUEST", type=int)
@common.signing_options
@pass_cli
def approve_command(
    cli: Cli, number: int, key: Path | None, signature: Path | None, name: str, only_print: bool
) -> int:  # fmt: skip
    """Sign it, or say what is to be signed."""
    from vaultd import approvals
    from vaultd.custody import caller

    if only_print:
        with common.reading(cli) as store:
            common.print_statement(cli, approvals.find(store, number))
        return EXIT_DONE
    sign = common.signer(key, signature)
    with common.opened(cli) as store:
        done = approvals.approve(cli.config(), store, number, sign, caller(), name)
    tell(cli, done)
    return EXIT_DONE


def tell(cli: Cli, done: Request) -> None:
    """A request after an approval."""
    cli.emit({"version": 1, "request": common.request_json(done)})
    cli.say("\n".join(common.request_lines(done)))
    if done.row.state == "open" and not done.missing():
        cli.say(_("Every approval is there: run the command again that needs it."))

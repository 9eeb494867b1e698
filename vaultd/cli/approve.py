"""``vaultd approve REQUEST``: sign a request with one's own SSH key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import approvals_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.approvals.signing import Sign
    from vaultd.control.client import Client


@command(
    "approve",
    help=N_(
        "Approve a request that an action waits for, with your own SSH key. Look at what it is first: "
        "vaultd approvals show REQUEST. Who has asked for it cannot approve it. Who is not root asks the daemon.\n\n"
        "To sign on another machine: --print there or here gives the text, and --signature takes what ssh-keygen wrote:"
        "\n\nvaultd approve 17 --print > request; ssh-keygen -Y sign -n vaultd-approval -f KEY request"
    ),
    examples=[
        "vaultd approve 17",
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
    if only_print:
        common.print_statement(cli, common.found(cli, number))
        return EXIT_DONE
    sign, client = common.signer(cli, key, signature, name), common.by_socket(cli)
    tell(cli, _here(cli, number, sign, name) if client is None else by_socket(client, number, sign, name))
    return EXIT_DONE


def _here(cli: Cli, number: int, sign: Sign, name: str) -> dict[str, Any]:
    from vaultd import approvals
    from vaultd.custody import caller

    with common.opened(cli) as store:
        return approvals.approve(cli.config(), store, number, sign, caller(), name).as_json()


def by_socket(client: Client, number: int, sign: Sign, name: str) -> dict[str, Any]:
    """Approve through the daemon. What is signed must be of the parameters that are shown, whatever answers at the
    socket. Raises VaultdError when it is not, and what the daemon refuses."""
    import hashlib
    import json

    from vaultd.ledger import canonical

    one = client.approval(number)
    said = json.loads(one["statement"])
    digest = hashlib.sha256(canonical.encode(one["parameters"])).hexdigest()
    if (said["request"], said["action"], said["parameters"]) != (str(number), one["action"], digest):
        raise VaultdError(
            _("request {number}").format(number=number), _("what is to be signed is not what is shown"),
            _("do not sign it; find out what answers at the control socket"),
        )  # fmt: skip
    return client.approve(number, sign(one["statement"].encode()), name)


def tell(cli: Cli, done: dict[str, Any]) -> None:
    """A request after an approval."""
    cli.emit({"version": 1, "request": done})
    cli.say("\n".join(common.request_lines(done)))
    if done["state"] == "open" and not done["missing"] and not done["late"]:
        cli.say(_("Every approval is there: run the command again that needs it."))

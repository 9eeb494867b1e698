"""``vaultd ledger init|rotate|continue``: whose key signs. The root key comes from paper and goes onto it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli import root_key
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, BusyError, ConfigError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.config import Config

_ROOT_FILE = click.option(
    "--root-key-file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help=N_("Keep the root key in this file (mode 0600) too: on a medium that leaves this machine."),
)  # fmt: skip


@command(
    "init",
    help=N_(
        "Make the ledger of this host, and show its root key, which is kept nowhere else: it belongs on paper, into "
        "the safe. `vaultd init` does so too; this is for a host that was set up before."
    ),
    examples=["vaultd ledger init", "vaultd ledger init --root-key-file /media/stick/root.key"],
)
@_ROOT_FILE
@pass_cli
def init_command(cli: Cli, root_key_file: Path | None) -> int:
    """Make it, and show what belongs on paper."""
    from vaultd.ledger import create

    config = cli.config()
    root_key.check(root_key_file)
    root_key.show(cli, create.make(config.ledger_folder, config.ledger_key, config.host.name), root_key_file)
    return EXIT_DONE


@command(
    "rotate",
    help=N_(
        "Change the key that signs: the old one signs that over and is erased. Needs the root key from the safe, and "
        "the daemon stopped."
    ),
    examples=["vaultd ledger rotate", "vaultd ledger rotate --root-key-file /media/stick/root.key"],
)
@click.option("--root-key-file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("Read the root key from this file instead of asking for it."))  # fmt: skip
@pass_cli
def rotate_command(cli: Cli, root_key_file: Path | None) -> int:
    """Ask for the root key, and hand over."""
    from vaultd.ledger import create, epochs, private

    config = cli.config()
    if root_key_file is not None:
        words = root_key_file.read_text("utf-8")
    elif cli.json:
        raise ConfigError(_("the key is not changed"), _("--json never asks"), _("name it: --root-key-file FILE"))
    else:
        words = click.prompt(_("Root key, from paper"), hide_input=True, err=True)
    with _alone(config):
        _check_not_set_back(cli, config)
        origin = create.finish_rotation(config.ledger_folder, config.ledger_key).origin
        root = private.from_words(words, epochs.root_name(origin))
        epoch = create.rotate(config.ledger_folder, config.ledger_key, root, f"uid {os.geteuid()}")
    cli.emit({"version": 1, "epoch": epoch.number, "key": epoch.key.encoded()})
    cli.say(_("Epoch {number}: sizes from {first} on are signed by {key}").format(
        number=epoch.number, first=epoch.first, key=epoch.key.encoded()))  # fmt: skip
    return EXIT_DONE


@command(
    "continue",
    help=N_(
        "Begin a new ledger under a new name, whose first entry names the newest checkpoint of the old one. For an old "
        "one that was damaged, set back or lost its key. The old folder is kept beside the new one. Needs the daemon "
        "stopped."
    ),
    examples=["vaultd ledger continue --reason 'disk failed, folder from the copy of 2 May'"],
)
@click.option("--reason", required=True, metavar="TEXT", help=N_("Why; it is on record in the first entry."))
@_ROOT_FILE
@pass_cli
def continue_command(cli: Cli, reason: str, root_key_file: Path | None) -> int:
    """Set the old one aside, make a new one that names it."""
    from vaultd.ledger import create

    config = cli.config()
    root_key.check(root_key_file)
    with _alone(config):
        previous = create.set_aside(config.ledger_folder, config.ledger_key)
        root = create.make(
            config.ledger_folder, config.ledger_key, config.host.name, previous=previous or None, reason=reason
        )
    root_key.show(cli, root, root_key_file)
    return EXIT_DONE


@contextlib.contextmanager
def _alone(config: Config) -> Iterator[None]:
    """No daemon and no other command at work. Raises BusyError."""
    from vaultd.daemon.lock import exclusive

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(config.host.state))
        except BusyError as error:
            hint = _("stop the daemon first: systemctl stop vaultd; start it again afterwards")
            raise BusyError(error.what, error.why, hint) from error
        yield


def _check_not_set_back(cli: Cli, config: Config) -> None:
    """Nothing is signed by a ledger that is older than what was signed, or than what a target has seen of it. Raises
    LedgerStoppedError, InconsistentError; a target that does not answer is said and has no say."""
    from vaultd import places
    from vaultd.anchor import mirror
    from vaultd.anchor.faults import InconsistentError
    from vaultd.ledger import create
    from vaultd.ledger.checkpoint import Checkpoint
    from vaultd.ledger.folder import LogFolder
    from vaultd.store import Store

    database = places.database(config.host.state)
    if database.exists():
        with contextlib.closing(Store(database, read_only=True)) as store:
            known = store.signed()
        if known is not None:
            create.check_seen(
                config.ledger_folder, config.ledger_key, Checkpoint(known.origin, known.size, known.root)
            )  # fmt: skip
    folder = LogFolder(config.ledger_folder)
    for target in config.target:
        try:
            mirror.look(config, target, folder)
        except InconsistentError:
            raise
        except VaultdError as error:
            cli.note(_("what target {name} has seen of the ledger is not known: {error}").format(
                name=target.name, error=error))  # fmt: skip

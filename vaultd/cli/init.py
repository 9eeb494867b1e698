"""``vaultd init``: from nothing to a repository off-site, in steps that a second run takes up where the first stopped.

Configuration, keys, host key, login, repository: each step looks first whether it is done. The usual stop is before the
login, until somebody has put the public key on the server.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.init_paper import TargetState, on_paper
from vaultd.errors import ConfigError
from vaultd.files import create_exclusive, make_private_directory
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.config import Config
    from vaultd.config.faults import Key
    from vaultd.ledger.note import SignerKey


@command(
    "init",
    help=N_(
        "Set up this host: write vaultd.toml, make an SSH key and a repository password, pin the server's host key, "
        "make the repository, and say what belongs on paper.\n\n"
        "Asks for what no option gives. Run it again after the public key was put on the server: it goes on from "
        "there. An existing configuration is never overwritten."
    ),
    examples=[
        "vaultd init",
        "vaultd init --server backup.example.org --folder /srv/records",
        "vaultd init --batch --server backup.example.org --folder /srv/records --host-key SHA256:...",
        "vaultd init --restore-only --enter-password    # on a new machine, after the old one was lost",
    ],
)
@click.option("--host-name", metavar="NAME", help=N_("Name of this machine; the lost one's, if this takes its place."))
@click.option("--state", metavar="DIR", help=N_("vaultd's state folder [default: /var/lib/vaultd]"))
@click.option("--cache", metavar="DIR", help=N_("restic's cache [default: /var/cache/vaultd]"))
@click.option("--socket", metavar="FILE", help=N_("The daemon's socket [default: /run/vaultd/vaultd.sock]"))
@click.option("--target", metavar="NAME", help=N_("Name of the off-site target [default: offsite]"))
@click.option("--server", metavar="HOST", help=N_("Host name or IP address of the SFTP server."))
@click.option("--port", type=int, help=N_("SSH port of the server [default: 22]"))
@click.option("--user", metavar="NAME", help=N_("Account on the server [default: vaultd]"))
@click.option("--path", metavar="DIR", help=N_("The repository's folder, as the server sees it."))
@click.option("--identity", metavar="FILE", help=N_("Private SSH key; made if it is not there."))
@click.option("--password-file", metavar="FILE", help=N_("File of the repository's password; made if it is not there."))
@click.option("--folder", metavar="DIR", help=N_("The folder to protect."))
@click.option("--vault", metavar="NAME", help=N_("Name of this vault [default: the folder's name]"))
@click.option("--classification", metavar="CLASS", help=N_("top-secret, secret, confidential or internal."))
@click.option("--custodian", metavar="NAME", help=N_("Who answers for the folder."))
@click.option("--priority", type=int, help=N_("Which vault goes first: 1 before 2, down to 99."))
@click.option("--objective", metavar="TIME", help=N_("How old an unprotected change may become [default: 15m]"))
@click.option("--host-key", "host_keys", multiple=True, metavar="FINGERPRINT",
              help=N_("The server's host key, as SHA256:... or as a line of known_hosts: confirmed without asking."),
)  # fmt: skip
@click.option("--restore-only", is_flag=True, help=N_("No vault: this machine only gets data back."))
@click.option("--enter-password", is_flag=True, help=N_("Ask for the password of a repository that exists already."))
@click.option("--show-password", is_flag=True, help=N_("Show the repository's password at the end."))
@click.option("--root-key-file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("Keep the ledger's root key in this file (mode 0600) instead of showing it."))  # fmt: skip
@click.option("--batch", is_flag=True, help=N_("Never ask; what is missing is an error."))
@pass_cli
def init_command(
    cli: Cli,
    /,
    host_keys: tuple[str, ...],
    restore_only: bool,
    enter_password: bool,
    show_password: bool,
    root_key_file: Path | None,
    batch: bool,
    **given: Any,
) -> None:
    """Take the steps, and show where they led."""
    from vaultd.cli import init_steps, root_key

    ask = not (batch or cli.json)
    config, written = _configuration(cli, given, ask=ask, restore_only=restore_only)
    if not config.ledger_folder.exists():
        root_key.check(root_key_file)
    make_private_directory(config.host.state)
    root: SignerKey | None = None
    states: list[TargetState] = []
    try:
        for target in config.target:
            states.append(init_steps.secrets(cli, config, target, ask=ask, enter_password=enter_password))
        for state in states:
            init_steps.off_site(cli, config, state, host_keys, ask=ask)
        root = _ledger(config) if config.vault else None  # last: its key is shown once, and must not be scrolled away
    finally:
        kept = None if root is None else root_key.keep(cli, root, root_key_file)
        cli.emit(
            {
                "version": 1, "config": str(config.file), "config_written": written, "host": config.host.name,
                "state": str(config.host.state), "targets": [state.as_json(show_password) for state in states],
                "ledger": None if root is None else root_key.as_json(root, kept),
                "ready": len(states) == len(config.target) and all(state.repository for state in states),
            }
        )  # fmt: skip
        if root is not None:
            root_key.say(cli, root, kept)
    for state in states:
        on_paper(cli, state, show_password)
    _next(cli, config)


def _ledger(config: Config) -> SignerKey | None:
    """Make the ledger unless it is there; its root key, to be shown in any case, is kept nowhere."""
    from vaultd.ledger import create

    if config.ledger_folder.exists():
        return None
    return create.make(config.ledger_folder, config.ledger_key, config.host.name)


# -- configuration -----------------------------------------------------------------------------------------------------


def _configuration(cli: Cli, given: dict[str, Any], *, ask: bool, restore_only: bool) -> tuple[Config, bool]:
    """The configuration, and whether this run wrote it."""
    from vaultd import config as config_module

    file = Path(cli.file).absolute()
    if file.exists() or file.is_symlink():
        config = config_module.load(file)
        _refuse_other_answers(config, given)
        cli.note(_("{file} is there and is used as it is").format(file=display(file)))
        return config, False
    text, config = _new_text(file, given, ask=ask, restore_only=restore_only)
    make_private_directory(file.parent, 0o755)
    try:
        create_exclusive(file, text.encode(), 0o640)
    except FileExistsError:
        raise ConfigError(
            _("{file} is not overwritten").format(file=display(file)), _("it has just been made by someone else")
        ) from None
    cli.say(_("wrote {file}").format(file=display(file)))
    return config, True


def _new_text(file: Path, given: dict[str, Any], *, ask: bool, restore_only: bool) -> tuple[str, Config]:
    """The example with the answers in it, checked as a whole before anything is written."""
    from vaultd.cli import init_answers
    from vaultd.config import ConfigFaults, check_folders, writing
    from vaultd.config.reading import parse

    answers = init_answers.collect(given, file, ask=ask, without_vault=restore_only)
    text = writing.example()
    try:
        text = writing.with_values(text, init_answers.as_values(answers))
    except UnicodeEncodeError as error:
        raise ConfigError(
            _("{found} cannot be written into {file}").format(found=display(str(error.object)), file=display(file)),
            _("the configuration is UTF-8, and this name is not"),
            _("mount the folder with --bind under a name that is"),
        ) from None
    if restore_only:
        text = writing.without_table(text, ("vault", 0))
    try:
        config = parse(text, file)
        check_folders(config)
    except ConfigFaults as faults:
        why = "; ".join(f"{fault.name}: {fault.reason()}" for fault in faults.faults)
        raise ConfigError(_("the answers do not go together"), why, _("nothing was written; run it again")) from None
    return text, config


def _refuse_other_answers(config: Config, given: dict[str, Any]) -> None:
    """An option that says something else than the existing file: the file is not overwritten."""
    from vaultd.cli import init_answers

    asked = {name: value for name, value in given.items() if value is not None}
    differing = []
    for question in (*init_answers.HOST, *init_answers.TARGET, *init_answers.VAULT):
        if question.flag in asked:
            found = _value_at(config, question.key)
            if not _same(found, asked[question.flag]):
                differing.append(f"{init_answers.flag_of(question)} {asked[question.flag]}")
    if differing:
        raise ConfigError(
            _("{file} is not overwritten").format(file=display(config.file)),
            _("it says something else than {flags}").format(flags=", ".join(differing)),
            _("edit the file, or name another one with --config; without these options init goes on with it as it is"),
        )


def _value_at(config: Config, key: Key) -> Any:
    """A value of the configuration by its key; None where it has no such table."""
    found: Any = config
    try:
        for part in key:
            found = found[part] if isinstance(part, int) else getattr(found, part)
    except IndexError:
        return None
    return found


def _same(found: Any, asked: Any) -> bool:
    if isinstance(found, float):
        from vaultd.config.duration import seconds

        try:
            return found == seconds(asked)
        except ValueError:
            return False
    return str(found) == str(asked).rstrip("/")


# -- the end -----------------------------------------------------------------------------------------------------------


def _next(cli: Cli, config: Config) -> None:
    """The next command to type."""
    from vaultd.cli.base import default_config

    option = "" if config.file == default_config() else f" --config {shlex.quote(str(config.file))}"
    cli.say()
    if config.vault:
        text = _("Next: `{command}`, or as a service `{service}`; then `{status}`.")
        service = "systemctl enable --now vaultd"
        cli.say(text.format(command=f"vaultd{option} run", service=service, status=f"vaultd{option} status"))
    else:
        cli.say(_("Next: `{command}` shows what can be restored.").format(command=f"vaultd{option} snapshots"))

"""``vaultd target list|add|trust|check``: the off-site targets, and the confirmation of their host keys."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import table
from vaultd.errors import EXIT_DONE, EXIT_FAILED, ConfigError, HostKeyError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.anchor.probe import Probed
    from vaultd.config import Config, TargetConfig


@group(
    "target",
    help=N_("Manage the off-site targets: restic repositories on SFTP servers, each with a pinned host key."),
    examples=["vaultd target list", "vaultd target check offsite", "vaultd target trust offsite"],
)
def target_group() -> None:
    """Only a name for its commands."""


@target_group.command_of(
    "list", help=N_("List the targets with their pinned host keys."), examples=["vaultd target list"]
)
@pass_cli
def list_command(cli: Cli) -> int:
    """From the configuration; nothing is connected to."""
    config = cli.config()
    found = [_facts(config, target) for target in config.target]
    cli.emit({"version": 1, "targets": found})
    head = (_("target"), _("server"), _("path"), _("vaults"), _("host keys"))
    rows = [
        (
            one["name"], f"{one['user']}@{one['host']}:{one['port']}", one["path"], ", ".join(one["vaults"]),
            ", ".join(key["fingerprint"] for key in one["host_keys"]) or _("none confirmed"),
        )
        for one in found
    ]  # fmt: skip
    cli.say(table(head, rows))
    return EXIT_DONE


@target_group.command_of(
    "add",
    help=N_(
        "Add a target to the configuration, whose comments stay, and to the vaults that are named (otherwise to all). "
        "Then `vaultd init` makes its keys and its repository, and the daemon is restarted."
    ),
    examples=["vaultd target add west --server backup-west.example.org --user vaultd --path /srv/vaultd/archive-1"],
)
@click.argument("name")
@click.option("--server", required=True, metavar="HOST", help=N_("Host name or IP address of the SFTP server."))
@click.option("--port", type=int, default=22, show_default=True, help=N_("SSH port of the server."))
@click.option("--user", default="vaultd", show_default=True, metavar="NAME", help=N_("Account on the server."))
@click.option("--path", required=True, metavar="DIR", help=N_("The repository's folder, as the server sees it."))
@click.option("--identity", metavar="FILE", help=N_("Private SSH key [default: beside the configuration]"))
@click.option(
    "--password-file", metavar="FILE", help=N_("The repository's password [default: beside the configuration]")
)
@click.option("--vault", "vaults", multiple=True, metavar="NAME", help=N_("A vault that goes there; may be repeated."))
@pass_cli
def add_command(cli: Cli, name: str, vaults: tuple[str, ...], **given: Any) -> int:
    """Edit the file: a new table, and the name in the vaults' lists; the result is checked before it is written."""
    from vaultd import files
    from vaultd.config import reading, writing

    config = cli.config()
    for vault in vaults:
        config.vault_named(vault)
    if any(target.name == name for target in config.target):
        raise ConfigError(
            _("target {name}").format(name=name), _("there is one of this name already"), _("see `vaultd target list`")
        )  # fmt: skip
    beside = config.file.parent
    values = {
        "name": name, "host": given["server"], "port": given["port"], "user": given["user"], "path": given["path"],
        "identity": given["identity"] or str(beside / f"{name}.key"),
        "password_file": given["password_file"] or str(beside / f"{name}.password"),
    }  # fmt: skip
    text = writing.with_table(config.file.read_text("utf-8-sig"), "target", values)
    chosen = [number for number, vault in enumerate(config.vault) if not vaults or vault.name in vaults]
    text = writing.with_values(
        text, {("vault", number, "targets"): [*config.vault[number].targets, name] for number in chosen}
    )
    changed = reading.parse(text, config.file)
    files.replace(config.file, text.encode(), config.file.stat().st_mode & 0o777)
    cli.emit({"version": 1, "target": _facts(changed, changed.target_named(name))})
    cli.say(_("Target {name} is in {file}.").format(name=name, file=config.file))
    cli.say(_("Next: vaultd init (keys, host key, repository), then: systemctl restart vaultd"))
    return EXIT_DONE


@target_group.command_of(
    "trust",
    help=N_(
        "Confirm the host key of a target's server. The fingerprint is shown: compare it with what the server's "
        "administrator says. With --fingerprint nothing is asked, and only that key is trusted.\n\n"
        "With --repository it is the repository that is confirmed: the one that is there now is meant, although "
        "another one was there before."
    ),
    examples=[
        "vaultd target trust offsite",
        "vaultd target trust offsite --fingerprint SHA256:...",
        "vaultd target trust offsite --repository",
    ],
)
@click.argument("name")
@click.option("--fingerprint", metavar="SHA256:...", help=N_("What the administrator of the server said."))
@click.option("--repository", is_flag=True, help=N_("Confirm the repository instead of the host key."))
@pass_cli
def trust_command(cli: Cli, name: str, fingerprint: str | None, repository: bool) -> int:
    """Confirm what is there now, and wake the daemon's worker."""
    config = cli.config()
    target = config.target_named(name)
    if repository:
        _trust_repository(cli, config, target)
    else:
        _trust_host_key(cli, config, target, fingerprint)
    with contextlib.suppress(VaultdError):  # no daemon, or not ours to wake: it comes round by itself
        cli.client().retry(name)
    cli.emit({"version": 1, "target": _facts(config, target)})
    return EXIT_DONE


def _trust_repository(cli: Cli, config: Config, target: TargetConfig) -> None:
    """Keep the id of the repository that opens there now."""
    import asyncio

    from vaultd import files, places, targets
    from vaultd.custody import caller
    from vaultd.ledger import entry
    from vaultd.ledger.events import TargetTrusted
    from vaultd.restic import commands
    from vaultd.store import Store

    found = asyncio.run(commands.repository_id(targets.repository(config=config, target=target)))
    files.make_private_directory(config.host.state)
    store = Store(places.database(config.host.state))
    try:
        store.pin_repository(target.name, found)
        body = TargetTrusted(target.name, [], caller(), repository=found)
        store.add_event(body.TYPE, entry.fields_of(body))
    finally:
        store.close()
    cli.say(_("The repository {id} of target {name} is trusted.").format(id=found[:8], name=target.name))


def _trust_host_key(cli: Cli, config: Config, target: TargetConfig, fingerprint: str | None) -> None:
    """Fetch the keys without authenticating, have one confirmed, and pin it."""
    from vaultd import sftp
    from vaultd.custody import caller
    from vaultd.ledger.events import TargetTrusted

    known_hosts = config.known_hosts(target)
    before = {key.fingerprint for key in sftp.pinned_keys(known_hosts, target.host, target.port)}
    found = sftp.fetch_host_key(target.host, target.port)
    what = _("the host key of {host} is not trusted").format(host=target.host)
    if fingerprint is not None:
        found = [key for key in found if key.fingerprint == fingerprint.strip().rstrip("=")]
        if not found:
            raise HostKeyError(
                what, _("the server shows no key with this fingerprint"),
                _("somebody may be in between: ask the server's administrator"),
            )  # fmt: skip
    elif {key.fingerprint for key in found} != before:
        _confirm(cli, target, [f"{key.type} {key.fingerprint}" for key in found], before, what)
    sftp.trust(known_hosts, target.host, target.port, found)
    cli.record(TargetTrusted(target.name, [key.fingerprint for key in found], caller()))
    cli.say(_("The host key of target {name} is trusted.").format(name=target.name))


def _confirm(cli: Cli, target: TargetConfig, shown: list[str], before: set[str], what: str) -> None:
    if cli.json:
        raise HostKeyError(what, _("--json never asks"), _("name it: --fingerprint SHA256:..."))
    cli.note(_("The server {host} shows this host key:").format(host=target.host))
    for line in shown:
        cli.note(f"  {line}")
    if before:
        cli.note(_("It is NOT the one that was trusted:"))
        for line in sorted(before):
            cli.note(f"  {line}")
    if not click.confirm(_("Is it what the server's administrator says?"), default=False, err=True):
        raise HostKeyError(what, _("its fingerprint was not confirmed"), _("ask the server's administrator for it"))


@target_group.command_of(
    "check",
    help=N_("Connect to a target (otherwise to all) and look: host key, login, right to write, room, repository."),
    examples=["vaultd target check", "vaultd target check offsite"],
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@pass_cli
def check_command(cli: Cli, names: tuple[str, ...]) -> int:
    """Show the findings; a fault gives exit code 1, or the error's own when it is the only one."""
    from vaultd.cli.doctor import show
    from vaultd.doctor import check_target

    config = cli.config()
    chosen = [config.target_named(name) for name in names] or config.target
    findings = [
        finding
        for target in chosen
        for finding in check_target(
            config,
            target,
            _pinned_repository(cli, target.name),
            lambda found: _note_probed(cli, found),
            on_refused=cli.record,
        )
    ]
    faults = [finding for finding in findings if finding.level == "fault"]
    for finding in findings:
        show(cli, finding)
    cli.emit({"version": 1, "faults": len(faults), "findings": [finding.as_json() for finding in findings]})
    codes = {finding.exit_code for finding in faults}
    return EXIT_DONE if not faults else codes.pop() if len(codes) == 1 else EXIT_FAILED


def _note_probed(cli: Cli, found: Probed) -> None:
    """Keep what the probe has found, for ``status``."""
    from vaultd.store import Store

    database = cli.places().database
    if not database.exists():
        return
    try:
        store = Store(database)
    except VaultdError as error:
        cli.note(_("This is not on record: {error}").format(error=error))
        return
    try:
        store.note_probed(found.target, found.is_anchor)
    finally:
        store.close()


def _pinned_repository(cli: Cli, name: str) -> str | None:
    from vaultd.store import Store

    database = cli.places().database
    if not database.exists():
        return None
    store = Store(database, read_only=True)
    try:
        return store.target_repository(name)
    finally:
        store.close()


def _facts(config: Config, target: TargetConfig) -> dict[str, Any]:
    from vaultd import sftp

    keys = sftp.pinned_keys(config.known_hosts(target), target.host, target.port)
    return {
        "name": target.name, "host": target.host, "port": target.port, "user": target.user, "path": target.path,
        "vaults": [vault.name for vault in config.vault if target.name in vault.targets],
        "host_keys": [{"type": key.type, "fingerprint": key.fingerprint} for key in keys],
    }  # fmt: skip

"""Where ``forget`` and ``repair`` work: a vault at its targets, with the daemon's credentials or others, while the
daemon's worker waits."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.errors import BusyError, ConfigError, NotAuthorisedError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.cli.base import Cli
    from vaultd.config import Config, TargetConfig
    from vaultd.retain.place import Place
    from vaultd.store import Store


def credential_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--identity`` and ``--password-file``: credentials that the daemon does not have."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)
    options = [
        click.option("--identity", metavar="FILE", type=file,
                     help=N_("Another private SSH key than the daemon's, whose account may remove.")),
        click.option("--password-file", metavar="FILE", type=file,
                     help=N_("File with another password of the repository than the daemon's.")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def require_owner(cli: Cli) -> None:
    """Only root and the daemon's own user may remove; on a host without a state the credentials decide."""
    state = cli.places().state
    if not state.exists() or os.geteuid() in (0, state.stat().st_uid):
        return
    raise NotAuthorisedError(
        _("not allowed"), _("user {uid} may not do this").format(uid=os.geteuid()), _("run it as root")
    )


@contextlib.contextmanager
def own_store(cli: Cli) -> Iterator[Store]:
    """The state database, to be changed by root or the daemon's user; made where there is none yet."""
    from vaultd import files
    from vaultd.custody import give_to_owner
    from vaultd.store import Store

    require_owner(cli)
    state, database = cli.places().state, cli.places().database
    files.make_private_directory(state)
    if not database.exists():  # the daemon may be another user than who comes first
        database.touch(mode=0o600)
        give_to_owner(state, database)
    store = Store(database)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def opened(cli: Cli) -> Iterator[Store | None]:
    """The state of this host, None where it has none. What a dead daemon left running is ended."""
    from vaultd.daemon.lock import exclusive
    from vaultd.protect import recover
    from vaultd.protect.hold import held
    from vaultd.store import Store
    from vaultd.verify.coverage import leaver

    config = cli.config()
    database = cli.places().database
    if not database.exists():
        yield None
        return
    store = Store(database)
    store.alerts.on_change = leaver(config.host.state)
    try:
        with contextlib.suppress(BusyError), exclusive(config.host.state):  # busy: the daemon has done it
            folders = {target.name: config.target_folder(target) for target in config.target}
            recover.end_runs(store, config.host.cache, lambda name: name in folders and held(folders[name]))
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def places(
    cli: Cli, vault: str, target: str | None, store: Store | None, identity: Path | None, password_file: Path | None
) -> Iterator[list[Place]]:
    """The vault at its targets, or at one. Raises ConfigError."""
    from vaultd import targets
    from vaultd.config.retention import RetentionConfig
    from vaultd.custody import caller
    from vaultd.protect.recorded import STATE_VAULT
    from vaultd.retain.place import Place

    config = cli.config()
    # Of vaultd's own state nothing is on record.
    ledger = config.ledger_folder if vault != STATE_VAULT and store is not None else None
    if vault == STATE_VAULT:
        names, root, policy = [one.name for one in config.target], b"", RetentionConfig()
    else:
        found = config.vault_named(vault)
        names, root, policy = found.targets, os.fsencode(found.path), found.retention
    if target is not None:
        config.target_named(target)
        if target not in names:
            raise ConfigError(
                _("vault {vault} at target {target}").format(vault=vault, target=target), _("it is not kept there"),
                _("the targets are: {names}").format(names=", ".join(names)),
            )  # fmt: skip
        names = [target]
    with contextlib.ExitStack() as stack:
        made = []
        for name in names:
            reached, one = config, config.target_named(name)
            if identity is not None or password_file is not None:
                reached, one = stack.enter_context(_other(config, one, identity, password_file))
            made.append(
                Place(
                    reached, one, targets.repository(reached, one), config.host.name, vault, root, policy, caller(),
                    cli.record, store, ledger,
                )
            )  # fmt: skip
        yield made


@contextlib.contextmanager
def _other(
    config: Config, target: TargetConfig, identity: Path | None, password_file: Path | None
) -> Iterator[tuple[Config, TargetConfig]]:
    """The target with other credentials, in a folder of its own: the daemon's ssh files must not change."""
    folder = Path(tempfile.mkdtemp(prefix="vaultd-"))
    try:
        changed = target.model_copy(
            update={
                "known_hosts": config.known_hosts(target),
                "identity": identity or target.identity,
                "password_file": password_file or target.password_file,
            }
        )
        host = config.host.model_copy(update={"state": folder, "cache": folder / "cache"})
        yield config.model_copy(update={"host": host, "target": [changed]}), changed
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def confirmed(cli: Cli, word: str, question: str) -> bool:
    """Whether a person at a terminal types a word; False where nobody can be asked."""
    import sys

    if cli.json or not sys.stdin.isatty():
        return False
    cli.note(question)
    return str(click.prompt(_("Type {word} to go on").format(word=word), default="", err=True)).strip() == word


def tell(cli: Cli, errors: Mapping[str, VaultdError]) -> None:
    """What failed at which target, beside the result."""
    for name, error in errors.items():
        cli.note(_("Target {name}: {error}").format(name=name, error=error))
        if error.hint:
            cli.note(_("hint: {hint}").format(hint=error.hint))

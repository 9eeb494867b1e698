"""The state of a lost host on a new one: database, ledger and configuration, from the vault ``vaultd-state``.

Keys of the lost host are gone with it. The configuration that is written names the kit's own, which read; what the new
host needs to protect again is said by the command. The ledger comes back as a copy that nobody signs, unless it is to
go on under its name, the kit has its key, and no target has seen more of it than came back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vaultd import files, targets
from vaultd.anchor import mirror
from vaultd.anchor.faults import InconsistentError
from vaultd.config import Config, HostConfig, writing
from vaultd.config.faults import Key
from vaultd.config.reading import parse
from vaultd.custody import DOCUMENTS
from vaultd.errors import ConfigError, LedgerStoppedError, StateError, VaultdError
from vaultd.i18n import _
from vaultd.kit import access
from vaultd.kit.content import Content
from vaultd.kit.faults import KitError
from vaultd.ledger import epochs, private
from vaultd.ledger.folder import LogFolder
from vaultd.model import StoredSnapshot
from vaultd.names import display
from vaultd.protect.recorded import STATE_VAULT
from vaultd.restic.process import Repository
from vaultd.restore import workplace
from vaultd.restore.choice import plan_restore
from vaultd.restore.plan import Request
from vaultd.restore.run import Restore

RETURNED = "returned"
"""In the new state folder, while it is being filled: the state as it was stored."""


@dataclass(frozen=True, slots=True)
class State:
    """What came back: from which target and snapshot, of which moment (nanoseconds)."""

    target: str
    snapshot: str
    time: int
    config_text: str


def reach(content: Content, state: Path) -> Config:
    """A configuration with the kit's targets and the new state folder, in which the kit's keys now are. Raises
    StateError when that folder is not new."""
    # What an interrupted opening of this kit has left is gone on with, as long as there is no state in it.
    ours = {keys_folder(state, content).name, "targets", "cache", RETURNED}
    if state.exists() and (not state.is_dir() or {one.name for one in state.iterdir()} - ours):
        raise StateError(
            _("the state folder {path} cannot be filled").format(path=display(state)), _("it is not empty"),
            _("a kit is opened on a machine that has no state yet: name another folder with --state"),
        )  # fmt: skip
    files.make_private_directory(state)
    kept = access.write(content, keys_folder(state, content))
    config = Config(host=HostConfig(name=content.host, state=state), target=kept)
    access.pin(config, content)
    return config


def keys_folder(state: Path, content: Content) -> Path:
    """Where the kit's keys are on the new host."""
    return state / f"kit-{content.kit}"


def forget(state: Path, content: Content) -> None:
    """Erase the kit's keys again: it was not opened to its end."""
    folder = keys_folder(state, content)
    for file in folder.iterdir() if folder.is_dir() else ():
        private.erase(file)
    workplace.remove(folder)


def repositories(config: Config) -> dict[str, Repository]:
    """Every target's repository, as the kit reaches it."""
    return {one.name: targets.repository(config, one) for one in config.target}


def bring_state(
    config: Config, content: Content, found: Mapping[str, Repository], listed: Mapping[str, list[StoredSnapshot]],
    tell: Callable[[str], None],
) -> State:  # fmt: skip
    """Restore the newest copy of the state into the state folder. A target whose copy is not whole is left for the
    next. Raises VaultdError when no target has a whole one."""
    left = {
        name: [one for one in snapshots if one.vault == STATE_VAULT and one.host == content.host]
        for name, snapshots in listed.items()
    }
    left = {name: snapshots for name, snapshots in left.items() if snapshots}
    if not left:
        raise KitError(
            _("the state of host {host}").format(host=content.host), _("no target that can be read has a copy of it"),
            _("the vaults can be restored without it: `vaultd kit open --no-state`"),
        )  # fmt: skip
    returned = config.host.state / RETURNED
    request = Request(STATE_VAULT, latest=False, host=content.host)
    while True:
        # From one target alone: each of these files changes all the time, and another target's is of another moment.
        plan = plan_restore(left, request, returned)
        name = plan.target
        problem: VaultdError
        try:
            result = asyncio.run(Restore(found[name], plan, returned, on_note=tell).run())
            if not result.problems:
                base = result.plan.base
                return _in_place(config.host.state, returned, State(name, base.id, base.time, ""))
            problem = KitError(
                _("the state of host {host}").format(host=content.host),
                _("the copy at target {name} is damaged: {path}: {why}").format(
                    name=name, path=result.problems[0].path, why=result.problems[0].message),
            )  # fmt: skip
        except VaultdError as error:
            problem = error
        workplace.remove(returned)
        del left[name]
        if not left:
            raise problem
        tell(_("{error}; trying the next target").format(error=problem))


def _in_place(state: Path, returned: Path, found: State) -> State:
    for name in ("state.db", "ledger", DOCUMENTS):
        if (returned / name).exists():
            (returned / name).rename(state / name)
    text = (returned / "vaultd.toml").read_text("utf-8-sig")
    workplace.remove(returned)
    files.fsync_directory(state)
    return State(found.target, found.snapshot, found.time, text)


def configuration(text: str, file: Path, state: Path, content: Content) -> tuple[str, Config]:
    """The lost host's configuration for the new one: same vaults and policies, this state folder, the kit's keys.
    Targets that the kit does not know stay as they are. Raises ConfigFaults."""
    config = parse(text, file)
    if config.host.name != content.host:
        raise ConfigError(
            _("the configuration that came back"), _("it is of host {other}, the kit is of {host}").format(
                other=config.host.name, host=content.host),
        )  # fmt: skip
    values: dict[Key, writing.Value] = {}
    if config.host.state != state:
        text = writing.with_key(text, "host", "state", state)
    folder = keys_folder(state, content)
    for place, target in enumerate(config.target):
        if any(one.name == target.name for one in content.targets):
            values["target", place, "identity"] = folder / access.IDENTITY.format(name=target.name)
            values["target", place, "password_file"] = folder / access.PASSWORD.format(name=target.name)
            if target.known_hosts is not None:
                values["target", place, "known_hosts"] = state / "targets" / target.name / "known_hosts"
    text = writing.with_values(text, values)
    return text, parse(text, file)


def bare_configuration(file: Path, state: Path, content: Content) -> tuple[str, Config]:
    """A configuration of what the kit itself knows, where no state came back: host, targets, vaults; everything else
    as it is by default. Raises ConfigFaults."""
    rows = {"name": content.host, "state": str(state)}
    text = "[host]\n" + "".join(f"{key} = {writing.toml_value(value)}\n" for key, value in rows.items())
    folder = keys_folder(state, content)
    for target in content.targets:
        values: dict[str, writing.Value] = {
            "name": target.name, "host": target.host, "port": target.port, "user": target.user, "path": target.path,
            "identity": folder / access.IDENTITY.format(name=target.name),
            "password_file": folder / access.PASSWORD.format(name=target.name),
        }  # fmt: skip
        text = writing.with_table(text, "target", values)
    for vault in content.vaults:
        values = {
            "name": vault.name, "path": vault.path, "classification": vault.classification, "targets": vault.targets,
        }  # fmt: skip
        text = writing.with_table(text, "vault", values)
    return text, parse(text, file)


def go_on_with_ledger(config: Config, content: Content, tell: Callable[[str], None]) -> None:
    """Put the key that signs back in place: the log goes on under its name. Refused with KitError where the kit does
    not have it, and with LedgerStoppedError where a target has seen more of the log than came back."""
    what = _("the ledger does not go on under its name")
    new = _("begin a new one that names this one: `vaultd ledger continue --reason TEXT`")
    known = content.ledger
    if known is None or known.signing_key is None:
        raise KitError(what, _("kit {kit} does not have the key that signs it").format(kit=content.kit), new)
    folder = config.ledger_folder
    keys = epochs.read(folder)
    files.create_exclusive(config.ledger_key, known.signing_key.encode())
    try:
        if private.read(config.ledger_key, keys.origin).verifier != keys.newest.key:
            raise KitError(what, _("its key was changed since kit {kit} was made").format(kit=content.kit), new)
        for target in config.target:
            try:
                mirror.look(config, target, LogFolder(folder))
            except InconsistentError as error:
                raise LedgerStoppedError(what, f"{error.what}: {error.why}", new) from error
            except VaultdError as error:
                tell(_("Target {name} could not be asked what it has seen of the ledger: {error}").format(
                    name=target.name, error=error))  # fmt: skip
    except BaseException:
        os.unlink(config.ledger_key)
        raise

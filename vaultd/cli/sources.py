"""Where ``restore`` and ``snapshots`` read from: the configured targets, or a repository named on the command line.

The second way needs nothing on this machine: no configuration, no state. It has a private temporary folder for the ssh
files and restic's cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import click

from vaultd.errors import ConfigError, HostKeyError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vaultd.cli.base import Cli
    from vaultd.config import AnyTarget, Config, MediumTarget, TargetConfig
    from vaultd.model import StoredSnapshot
    from vaultd.restic.process import Repository

DIRECT = "repository"
"""The name that stands for the target when the command line names a repository."""

_URL = re.compile(r"sftp://(?P<user>[^@/]+)@(?P<host>\[[^]/]+\]|[^:/\[\]]+)(?::(?P<port>\d+))?/(?P<path>.+)")
_SHORT = re.compile(r"(?:sftp:)?(?P<user>[^@/:]+)@(?P<host>\[[^]/]+\]|[^:/\[\]]+):(?P<path>.+)")


@dataclass(frozen=True, slots=True)
class Direct:
    """The options that name a repository directly; all empty when none is given."""

    repository: str | None
    host_key: str | None
    identity: Path | None
    password_file: Path | None


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--target`` and the four options that stand in for a configuration."""
    options = [
        click.option("--target", metavar="NAME", help=N_("Only this target [default: all it may be at]")),
        click.option(
            "--repository", metavar="sftp://USER@HOST[:PORT]/PATH",
            help=N_("Without any configuration: this repository. PATH is relative to the account's start folder, "
                    "//PATH absolute. Needs the three options that follow. Or a folder of this machine, such as that "
                    "of a medium, with --password-file alone."),
        ),
        click.option("--host-key", metavar="KEY",
                     help=N_("Host key of the server: its public key, or its fingerprint, SHA256:...")),
        click.option("--identity", metavar="FILE", type=_path(), help=N_("Private SSH key for the server.")),
        click.option("--password-file", metavar="FILE", type=_path(), help=N_("File with the repository's password.")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _path() -> click.Path:
    return click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)


@contextlib.contextmanager
def sources(cli: Cli, direct: Direct, target: str | None, vault: str | None) -> Iterator[dict[str, Repository]]:
    """The repositories to look at, by the name of the target. Raises ConfigError."""
    given = [direct.repository, direct.host_key, direct.identity, direct.password_file]
    if not any(given):
        config = _configured(cli)
        found = medium_of(cli, config, target) if target is not None else None
        chosen = [found] if found is not None else _chosen(config, target, vault)
        yield {one.name: _repository(config, one) for one in chosen}
        return
    if direct.repository is not None and direct.repository.startswith("/"):
        with _in_folder(direct, Path(direct.repository), target) as repository:
            yield {DIRECT: repository}
        return
    if not all(given) or target is not None:
        raise ConfigError(
            _("a repository without configuration"), _("not all of it is given"),
            _("give all four: --repository, --host-key, --identity, --password-file; and no --target"),
        )  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="vaultd-"))
    try:
        config = _config_of(direct, folder)
        yield {DIRECT: _repository(config, config.target[0])}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configured(cli: Cli) -> Config:
    try:
        return cli.config()
    except ConfigError as error:
        if cli.file.exists():
            raise
        error.hint = _("name it with --config FILE; or restore without any: --repository, see --help")
        raise


def _chosen(config: Config, target: str | None, vault: str | None) -> Sequence[AnyTarget]:
    if target is not None:
        return [config.target_named(target)]
    for one in config.vault:
        if one.name == vault:
            return [config.target_named(name) for name in one.targets]
    # A vault that this machine does not know: another one's, or ours from before. Every target may have it.
    if not config.target:
        raise ConfigError(
            _("configuration {file}").format(file=config.file), _("it has no target"), _("add one: `vaultd target add`")
        )  # fmt: skip
    return list(config.target)


def medium_of(cli: Cli, config: Config, target: str) -> MediumTarget | None:
    """The medium of that label, where it was prepared as a target."""
    from vaultd.evacuate import medium
    from vaultd.store import Store

    if not cli.places().database.exists() or any(one.name == target for one in config.target):
        return None
    store = Store(cli.places().database, read_only=True)
    try:
        found = medium.known(store, target.upper())
    finally:
        store.close()
    return None if found is None else medium.target_of(config, found.label)


@contextlib.contextmanager
def _in_folder(direct: Direct, folder: Path, target: str | None) -> Iterator[Repository]:
    """A repository on this machine: of a medium, or of a bag."""
    from vaultd import targets
    from vaultd.config import Config, HostConfig, MediumTarget

    if direct.password_file is None or direct.host_key or direct.identity or target is not None:
        raise ConfigError(
            _("--repository {text}").format(text=folder), _("a folder of this machine needs its password alone"),
            _("give --password-file, and no --host-key, --identity, --target"),
        )  # fmt: skip
    own = Path(tempfile.mkdtemp(prefix="vaultd-"))
    try:
        config = Config(host=HostConfig(state=own))
        yield targets.repository(config, MediumTarget(DIRECT, str(folder), direct.password_file, folder.parent))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _repository(config: Config, target: AnyTarget) -> Repository:
    from vaultd import targets

    return targets.repository(config, target)


def _config_of(direct: Direct, folder: Path) -> Config:
    from pydantic import ValidationError

    from vaultd import sftp
    from vaultd.config import Config, HostConfig, TargetConfig

    text = direct.repository or ""
    match = _URL.fullmatch(text) or _SHORT.fullmatch(text)
    what = _("--repository {text}").format(text=text)
    hint = _("write it as sftp://USER@HOST:PORT/PATH, or sftp:USER@HOST:PATH")
    if match is None:
        raise ConfigError(what, _("this is no repository on an SFTP server"), hint)
    parts = match.groupdict()
    is_url = match.re is _URL
    try:
        target = TargetConfig(
            name=DIRECT, host=parts["host"].strip("[]"), port=int(parts.get("port") or 22), user=parts["user"],
            path=unquote(parts["path"]) if is_url else parts["path"],
            identity=direct.identity or Path(), password_file=direct.password_file or Path(),
        )  # fmt: skip
        config = Config(host=HostConfig(state=folder), target=[target])
    except ValidationError as error:
        raise ConfigError(what, "; ".join(one["msg"] for one in error.errors()), hint) from None
    text = (direct.host_key or "").strip()
    key = _shown_key(target, text) if text.startswith("SHA256:") else _host_key(text)
    sftp.trust(config.known_hosts(target), target.host, target.port, [key])
    return config


def _shown_key(target: TargetConfig, fingerprint: str) -> Any:
    """The key that the server shows, if it is the one that is on paper."""
    from vaultd import sftp

    found = sftp.fetch_host_key(target.host, target.port)
    for key in found:
        if key.fingerprint == fingerprint.rstrip("="):
            return key
    raise HostKeyError(
        _("the host key of {host} is not trusted").format(host=target.host),
        _("the server shows {found}, not {wanted}").format(
            found=", ".join(key.fingerprint for key in found), wanted=fingerprint
        ),
        _("somebody may be in between: ask the server's owner"),
    )


def _host_key(text: str) -> Any:
    import base64
    import binascii

    from vaultd import sftp

    # As in a .pub file, or as a line of known_hosts, with the server's name first.
    words = text.split()
    for kind, blob in pairwise(words):
        with contextlib.suppress(binascii.Error, ValueError):
            raw = base64.b64decode(blob, validate=True)
            if raw[4 : 4 + int.from_bytes(raw[:4], "big")] == kind.encode():
                return sftp.HostKey(kind, blob)
    raise ConfigError(
        _("--host-key {text}").format(text=text), _("this is no public host key"),
        _("give it in one argument, as the server's ssh_host_ed25519_key.pub has it: 'ssh-ed25519 AAAA...', "
          "or its fingerprint: SHA256:..."),
    )  # fmt: skip


async def list_all(
    repositories: dict[str, Repository], vault: str | None
) -> tuple[dict[str, list[StoredSnapshot]], dict[str, VaultdError]]:
    """The snapshots of every repository that can be read, and why the others cannot. Raises when none can be read."""
    from vaultd.restic import commands

    tags = [f"vault={vault}"] if vault else []
    answers = await asyncio.gather(
        *(commands.snapshots(one, tags) for one in repositories.values()), return_exceptions=True
    )
    listed: dict[str, list[StoredSnapshot]] = {}
    unread: dict[str, VaultdError] = {}
    for name, answer in zip(repositories, answers, strict=True):
        match answer:
            case VaultdError():
                unread[name] = answer
            case BaseException():
                raise answer
            case _:
                listed[name] = answer
    if unread and not listed:
        raise next(iter(unread.values()))
    return listed, unread

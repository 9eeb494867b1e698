"""The tables of vaultd.toml. Unknown keys and wrong types are faults; ``load`` tells where they are.

Durations are seconds, paths absolute. Names match ``[a-z0-9][a-z0-9-]{0,31}``: they go into snapshot tags, folder names
and commands.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import Field, ValidationInfo, field_validator

from vaultd.config.duration import text
from vaultd.config.endpoint import DEFAULT_STATE, default_socket
from vaultd.config.ledger import LedgerConfig
from vaultd.config.media import MediaConfig
from vaultd.config.medium import MediumTarget, folder_name
from vaultd.config.notify import NotifyConfig
from vaultd.config.persons import ApprovalsConfig, PersonConfig
from vaultd.config.response import DutyConfig, GroupConfig, ResponseConfig
from vaultd.config.retention import MaintenanceConfig, RetentionConfig
from vaultd.config.values import (
    AbsolutePath,
    Command,
    Duration,
    FileName,
    Host,
    Name,
    NonEmpty,
    PositiveDuration,
    Share,
    Table,
    Text,
    User,
    refuse,
)
from vaultd.config.verify import VerifyConfig
from vaultd.errors import ConfigError
from vaultd.i18n import _

Classification = Literal["top-secret", "secret", "confidential", "internal"]
CLASSIFICATIONS: tuple[str, ...] = get_args(Classification)


def default_host_name() -> str:
    """The machine's name in the shape of a name: what ``init`` proposes, and what stands in for a missing one."""
    wanted = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower().partition(".")[0]).strip("-")[:32].strip("-")
    return wanted or "host"


class HostConfig(Table):
    """[host]: this machine, vaultd's own folders, and how hard it works. Times are seconds."""

    name: Name = Field(default_factory=default_host_name)
    state: AbsolutePath = DEFAULT_STATE
    cache: AbsolutePath = Field(default_factory=lambda data: data.get("state", DEFAULT_STATE) / "cache")
    restic: NonEmpty = "restic"
    full_seconds: Duration = 5
    full_share: Share = 0.25
    batch_seconds: PositiveDuration = 300
    stall_seconds: PositiveDuration = 120


class TargetConfig(Table):
    """[[target]]: a restic repository on an SFTP server.

    ``path`` is as the server sees it; a relative one starts at the account's start folder. ``limit_upload`` is KiB/s.
    ``known_hosts`` may be None: ask ``Config.known_hosts`` for the file that holds.
    """

    name: Name
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    user: User
    path: NonEmpty
    identity: AbsolutePath
    password_file: AbsolutePath
    known_hosts: AbsolutePath | None = None
    limit_upload: Annotated[int, Field(ge=1)] | None = None


AnyTarget = TargetConfig | MediumTarget
"""What holds a repository: a server of the configuration, or a medium that was prepared on the spot."""


class DumpConfig(Table):
    """[[vault.dump]]: a command (argv, no shell) whose output is stored with the vault ``every`` so many seconds.

    ``silence``: one that prints nothing for so many seconds hangs, and is ended.
    """

    name: Name
    command: Command
    every: PositiveDuration = 86400
    silence: PositiveDuration = 600
    filename: FileName = Field(default_factory=lambda data: f"{data.get('name', '')}.dump")


class VaultConfig(Table):
    """[[vault]]: a folder to protect. ``priority`` 1 is protected first; durations are seconds.

    ``poll`` None: the folder is polled when it is on a network file system. ``first``: patterns of the paths in it that
    an evacuation sends before the others (``*`` passes slashes), in this order.
    """

    name: Name
    path: AbsolutePath
    classification: Classification
    priority: Annotated[int, Field(ge=1, le=99)] = 5
    custodian: Text = ""
    targets: Annotated[list[Name], Field(min_length=1)]
    objective: PositiveDuration = 900
    settle: Duration = 2
    max_delay: PositiveDuration = Field(default=10, validate_default=True)
    reconcile: PositiveDuration = 3600
    poll: bool | None = None
    mass_change_share: Share = 0.3
    mass_change_files: Annotated[int, Field(ge=1)] = 200
    retention: RetentionConfig = Field(default_factory=RetentionConfig)
    first: list[NonEmpty] = Field(default_factory=list)
    dump: list[DumpConfig] = Field(default_factory=list)

    @field_validator("max_delay")
    @classmethod
    def _not_before_settled(cls, max_delay: float, info: ValidationInfo) -> float:
        settle = info.data.get("settle", 0)
        if max_delay < settle:
            refuse(_("a duration not shorter than settle, {settle}").format(settle=text(settle)))
        return max_delay


class ControlConfig(Table):
    """[control]: the daemon's socket, and the group whose members may read the status and ask for a backup.

    In a ``Config`` the socket is always set: without one it is ``run/vaultd.sock`` in the state folder.
    """

    socket: AbsolutePath = Path()
    group: NonEmpty | None = None

    @field_validator("socket")
    @classmethod
    def _length(cls, socket_path: Path) -> Path:
        if len(os.fsencode(socket_path)) > 107:
            refuse(_("a path of at most 107 bytes: the kernel takes no longer one for a socket"))
        return socket_path


_Named = TypeVar("_Named", TargetConfig, VaultConfig)


class Config(Table):
    """The whole file. ``file`` is where it was read from."""

    host: HostConfig = Field(default_factory=HostConfig)
    target: list[TargetConfig] = Field(default_factory=list)
    vault: list[VaultConfig] = Field(default_factory=list)
    ledger: LedgerConfig = Field(default_factory=LedgerConfig, validate_default=True)
    maintenance: MaintenanceConfig = Field(default_factory=MaintenanceConfig)
    verify: VerifyConfig = Field(default_factory=VerifyConfig)
    media: MediaConfig = Field(default_factory=MediaConfig)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    control: ControlConfig = Field(default_factory=ControlConfig, validate_default=True)
    person: list[PersonConfig] = Field(default_factory=list)
    approvals: ApprovalsConfig = Field(default_factory=ApprovalsConfig)
    group: list[GroupConfig] = Field(default_factory=list)
    duty: list[DutyConfig] = Field(default_factory=list)
    response: ResponseConfig = Field(default_factory=ResponseConfig)
    file: AbsolutePath = Path("/etc/vaultd/vaultd.toml")

    @field_validator("control")
    @classmethod
    def _default_socket(cls, control: ControlConfig, info: ValidationInfo) -> ControlConfig:
        host = info.data.get("host")
        if control.socket != Path() or not isinstance(host, HostConfig):
            return control
        found = default_socket(host.state)
        return control.model_copy(update={"socket": found})

    def target_named(self, name: str) -> TargetConfig:
        """The target of that name. Raises ConfigError that tells the known names."""
        return _named(self.target, name, _("no target has this name: {name}"), _("the targets are: {names}"))

    def person_named(self, name: str) -> PersonConfig | None:
        """The person of that name, None for somebody who is not in the configuration."""
        return next((one for one in self.person if one.name == name), None)

    def vault_named(self, name: str) -> VaultConfig:
        """The vault of that name. Raises ConfigError that tells the known names."""
        return _named(self.vault, name, _("no vault has this name: {name}"), _("the vaults are: {names}"))

    @property
    def ledger_folder(self) -> Path:
        """The ledger."""
        return self.host.state / "ledger"

    @property
    def ledger_key(self) -> Path:
        """The file of the private key that signs the ledger's checkpoints."""
        return self.ledger.key or self.host.state / "ledger.key"

    def target_folder(self, target: AnyTarget) -> Path:
        """The folder below the state folder for what vaultd keeps about a target."""
        name = folder_name(target.name) if isinstance(target, MediumTarget) else target.name
        return self.host.state / "targets" / name

    def known_hosts(self, target: TargetConfig) -> Path:
        """The file with the pinned host keys of a target."""
        return target.known_hosts or self.target_folder(target) / "known_hosts"


def _named(tables: list[_Named], name: str, what: str, hint: str) -> _Named:
    for table in tables:
        if table.name == name:
            return table
    names = ", ".join(table.name for table in tables) or "-"
    raise ConfigError(what.format(name=name), "", hint.format(names=names))

"""A kit's keys as files, in a private folder, for as long as they are needed: restic and ssh read nothing else."""

from __future__ import annotations

from pathlib import Path

from vaultd import files, sftp
from vaultd.config import Config, HostConfig, TargetConfig
from vaultd.kit.content import Content, KitTarget

IDENTITY, PASSWORD = "{name}.key", "{name}.password"


def write(content: Content, folder: Path) -> list[TargetConfig]:
    """Write each target's identity and password into a folder (0700, files 0600); the targets that name them. Files
    that are there already are replaced."""
    files.make_private_directory(folder)
    found = []
    for target in content.targets:
        identity, password = folder / IDENTITY.format(name=target.name), folder / PASSWORD.format(name=target.name)
        files.replace(identity, target.identity.encode())
        files.replace(password, f"{target.password}\n".encode())
        found.append(target.config(identity, password))
    return found


def pin(config: Config, content: Content) -> None:
    """Pin each target's host keys as the kit has them."""
    for target in content.targets:
        sftp.trust(config.known_hosts(config.target_named(target.name)), target.host, target.port, _host_keys(target))


def _host_keys(target: KitTarget) -> list[sftp.HostKey]:
    return [sftp.HostKey(*line.split(" ", 1)) for line in target.host_keys]


def temporary(content: Content, folder: Path) -> Config:
    """A configuration with a kit's targets and no vault, whose every file is below ``folder``."""
    targets = write(content, folder / "keys")
    config = Config(host=HostConfig(name=content.host, state=folder / "state"), target=targets)
    pin(config, content)
    return config

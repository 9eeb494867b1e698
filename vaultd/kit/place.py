"""Where a target keeps kits: ``.vaultd/kit/<kit>.kit``, beside the repository's folder."""

from __future__ import annotations

import posixpath

from vaultd import sftp
from vaultd.anchor import place
from vaultd.config import Config, TargetConfig


def folder(target: TargetConfig) -> str:
    """The folder, as the server sees it."""
    return posixpath.join(place.base(target), place.FOLDER, "kit")


def file_of(path: str, kit: str) -> str:
    """The file of one kit, beside a repository's folder."""
    return posixpath.join(place.base_of(path), place.FOLDER, "kit", f"{kit}.kit")


def file(target: TargetConfig, kit: str) -> str:
    """The file of one kit."""
    return file_of(target.path, kit)


def put(config: Config, target: TargetConfig, kit: str, encoded: bytes) -> None:
    """Store a kit's file at a target. Raises TargetError."""
    with sftp.connect(target, config.known_hosts(target)) as session:
        session.make_folders(folder(target))
        session.create(file(target, kit), encoded)


def remove(config: Config, target: TargetConfig, kit: str) -> None:
    """Remove a kit's file; one that is gone is fine. Raises TargetError."""
    with sftp.connect(target, config.known_hosts(target)) as session:
        session.remove(file(target, kit))

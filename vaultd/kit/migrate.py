"""A new repository for a target, under a new master key: what a leaked kit makes necessary.

The same chunker parameters, so that what is protected later is found to be there; then every snapshot is copied, and
the two lists are compared. Only then does the configuration name the new one. restic gives the copies ids of their own;
their tags, so vaultd's change sets, stay: by those the state learns the new ids, and misses nothing. The old repository
is left alone.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vaultd import files, keys, places, sftp, targets
from vaultd.config import Config, TargetConfig, writing
from vaultd.config.reading import parse
from vaultd.errors import ConfigError, MissingRepositoryError, TargetFullError, VaultdError
from vaultd.i18n import _
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.sftp import stored
from vaultd.store import Store
from vaultd.units import size


@dataclass(frozen=True, slots=True)
class Moved:
    """The ids of both repositories, the new one's folder and password file, and how many snapshots it has."""

    old: str
    new: str
    path: str
    password_file: Path
    snapshots: int


def migrate(config: Config, target: TargetConfig, path: str | None, tell: Callable[[str], None]) -> Moved:
    """Make the new repository, and switch to it. Interrupted, the same call goes on. Raises TargetError or
    ConfigError."""
    new = _new(target, path)
    source, into = targets.repository(config, target), targets.repository(config, new)
    _check_room(config, target, new)
    keys.ensure_password(new.password_file)
    old_id = asyncio.run(commands.repository_id(source))
    new_id = _made(source, into, tell)
    if new_id == old_id:
        raise ConfigError(
            _("a new repository for target {name}").format(name=target.name), _("{path} is the old one").format(
                path=new.path),
            _("give another --path"),
        )  # fmt: skip
    tell(_("target {name}: copying every snapshot; this reads and sends everything").format(name=target.name))
    asyncio.run(commands.copy(source, into))
    copies, snapshots = _compared(source, into)
    key = asyncio.run(commands.key_id(into)) or ""
    store = Store(places.database(config.host.state))
    try:
        store.pin_repository(target.name, new_id)
        store.set_meta(f"key:{target.name}", key)
        store.note_rewritten(store.target_id(target.name), copies)
    finally:
        store.close()
    _switch(config, target, new)  # last of all: until then the same call goes on
    return Moved(old_id, new_id, new.path, new.password_file, snapshots)


def _check_room(config: Config, target: TargetConfig, new: TargetConfig) -> None:
    """Raise TargetFullError where the copy does not fit, before anything is made; what is there of it already counts.
    A server that does not tell its free space is tried."""
    with sftp.connect(target, config.known_hosts(target)) as session:
        needed = max(0, stored.data_bytes(session, target.path) - stored.data_bytes(session, new.path))
        space = session.space(new.path)
    if space is not None and needed > space.free:
        raise TargetFullError(
            _("a new repository for target {name}").format(name=target.name),
            _("the copy needs {needed}, and {path} has {free} free").format(
                needed=size(needed), path=new.path, free=size(space.free)
            ),
            _("make room there, or name a folder on another disk: --path; nothing was changed"),
        )


def _new(target: TargetConfig, path: str | None) -> TargetConfig:
    """The target as it will be: another folder beside the old one, another password file."""
    stem, number = target.path.rstrip("/"), 2
    head, dash, tail = stem.rpartition("-")
    if dash and tail.isdigit():
        stem, number = head, int(tail) + 1
    folder = path or f"{stem}-{number}"
    if posixpath.normpath(folder) == posixpath.normpath(target.path):
        raise ConfigError(f"--path {folder}", _("this is the old repository"), _("give another folder"))
    name = posixpath.basename(folder.rstrip("/")) or str(number)
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    password = target.password_file.with_name(f"{target.password_file.name}.{safe}")
    return target.model_copy(update={"path": folder, "password_file": password})


def _made(source: Repository, into: Repository, tell: Callable[[str], None]) -> str:
    try:
        return asyncio.run(commands.repository_id(into))
    except MissingRepositoryError:
        tell(_("making the new repository"))
        return asyncio.run(commands.init_like(source, into))


def _compared(source: Repository, into: Repository) -> tuple[dict[str, str], int]:
    """The ids of the copies by those of what they are copies of, and how many snapshots the new repository has. Raises
    VaultdError when one of the old ones has no copy."""
    old, new = asyncio.run(commands.snapshots(source)), asyncio.run(commands.snapshots(into))
    there = {(one.change_set, one.kind, one.tree): one.id for one in new}
    missing = [one.id[:8] for one in old if (one.change_set, one.kind, one.tree) not in there]
    if missing:
        raise VaultdError(
            _("the new repository"), _("it lacks the snapshots {ids}").format(ids=", ".join(missing[:5])),
            _("run the same command again; nothing was switched"),
        )  # fmt: skip
    return {one.id: there[one.change_set, one.kind, one.tree] for one in old}, len(new)


def _switch(config: Config, target: TargetConfig, new: TargetConfig) -> None:
    place = config.target.index(target)
    text = writing.with_values(
        config.file.read_text("utf-8-sig"),
        {("target", place, "path"): new.path, ("target", place, "password_file"): new.password_file},
    )
    parse(text, config.file)
    files.replace(config.file, text.encode(), config.file.stat().st_mode & 0o777)

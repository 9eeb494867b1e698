"""A target as restic reaches it, and the locks that a dead run of this vaultd has left there.

The other questions about a target have their own places: ``sftp`` for host keys and a look at the server, ``reach`` for
its files, whether on a server or on a medium, ``doctor``
for the findings of ``target check``, ``protect.recover`` for whether the repository is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import posixpath
import socket
from pathlib import Path

from vaultd import fetch, reach, ssh
from vaultd.config import AnyTarget, Config, MediumTarget
from vaultd.files import make_private_directory
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.store import Store

log = logging.getLogger(__name__)

_ID_LENGTH = 64


def repository(config: Config, target: AnyTarget) -> Repository:
    """What restic needs to reach a target; writes its ssh_config and makes the folders. Nothing is connected to.

    Raises ConfigError for a path that ssh or restic cannot take.
    """
    if isinstance(target, MediumTarget):
        url, options = target.path, tuple[str, ...]()
    else:
        files = ssh.write_ssh_files(target, config.target_folder(target), config.known_hosts(target))
        url, options = files.url, files.options_for_restic
    temporary = config.host.cache / "tmp"
    make_private_directory(config.host.cache)
    make_private_directory(temporary)
    return Repository(
        url,
        target.password_file,
        config.host.cache,
        config.host.restic,
        options,
        limit_upload=target.limit_upload,
        temp=temporary,
        files=fetch.of_target(config, target),
    )


async def locks(config: Config, target: AnyTarget) -> list[commands.Lock]:
    """The locks in a target's repository; restic is asked only if there are any, which a look at the folder tells."""
    names = await asyncio.to_thread(_lock_names, config, target)
    return await commands.list_locks(repository(config, target)) if names else []


async def lift_own_dead_locks(config: Config, target: AnyTarget, store: Store) -> list[str]:
    """Remove the locks of runs of this vaultd that are over, and no others; the ids of those removed.

    A lock is ours if this host made it, and its process number and time are those of a run in ``store`` that has ended
    (``protect.recover.end_runs`` comes first). Locks of other hosts and of people's own restic stay.
    """
    dead = [lock.id for lock in await locks(config, target) if _is_dead_and_ours(lock, store)]
    if dead:
        await asyncio.to_thread(_remove_locks, config, target, dead)
        log.info("target %s: lifted %d lock(s) of dead runs of this vaultd", target.name, len(dead))
    return dead


def _is_dead_and_ours(lock: commands.Lock, store: Store) -> bool:
    if lock.hostname != socket.gethostname() or not store.is_our_dead_run(lock.pid, lock.time):
        return False
    # A number comes round again: a restic that runs under it now may be a person's own.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{lock.pid}/comm").read_text().strip() != "restic"
    return True


def _lock_names(config: Config, target: AnyTarget) -> list[str]:
    with reach.connect(config, target) as session:
        found = session.names(posixpath.join(target.path, "locks"))
    return [name for name in found if len(name) == _ID_LENGTH]  # not what an upload left half-written


def _remove_locks(config: Config, target: AnyTarget, ids: list[str]) -> None:
    with reach.connect(config, target) as session:
        for lock in ids:
            session.remove(posixpath.join(target.path, "locks", lock))

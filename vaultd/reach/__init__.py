"""The files of a target beside restic: over SFTP where it is a server, in a folder where it is a medium.

``connect`` gives the one or the other; ``check`` says before restic runs why it could not; ``explained`` says of what
restic could not do on a medium whether the medium is still there. ``local`` is the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from vaultd import sftp
from vaultd.config import AnyTarget, Config, MediumTarget
from vaultd.errors import TargetFullError, VaultdError
from vaultd.reach.files import Files
from vaultd.reach.local import Folder, check_plugged

__all__ = ["Files", "check", "check_plugged", "connect", "explained"]


@contextlib.contextmanager
def connect(config: Config, target: AnyTarget) -> Iterator[Files]:
    """A look at the files of a target. Paths in its repository's folder begin with ``target.path``. Raises as
    ``sftp.connect`` does, and UnreachableError for a medium that is not plugged in."""
    if isinstance(target, MediumTarget):
        yield Folder(target)
        return
    with sftp.connect(target, config.known_hosts(target)) as session:
        yield session


def check(config: Config, target: AnyTarget) -> None:
    """What can be seen without restic: that a host key is pinned (nothing is connected to), or that the medium is
    there and takes what is written. Raises TargetError."""
    if isinstance(target, MediumTarget):
        check_plugged(target)
    else:
        sftp.require_pins(target, config.known_hosts(target))


@contextlib.asynccontextmanager
async def explained(target: AnyTarget) -> AsyncIterator[None]:
    """What fails while this is open, on a medium that is not there any more, is an UnreachableError that says so: of a
    disk that was pulled out restic has a dozen words. A full one is full."""
    try:
        yield
    except VaultdError as error:
        if isinstance(target, MediumTarget) and not isinstance(error, TargetFullError):
            try:
                await asyncio.to_thread(check_plugged, target)
            except VaultdError as gone:
                raise gone from error
        raise

"""A look at a target's server before it is relied on."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path

from vaultd.config import TargetConfig
from vaultd.errors import RepositoryError
from vaultd.sftp.login import TIMEOUT, connect
from vaultd.sftp.session import Space


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was seen after a login that worked.

    ``folder`` is the repository's, or the nearest one above it that is there; ``space`` is None when the server does
    not tell; ``write_error`` says why a probe file could not be written and removed in ``folder`` (None: it could);
    ``clock_skew`` is the server's clock minus ours in whole seconds (None: nothing could be written).
    """

    folder: str
    folder_exists: bool
    repository_exists: bool
    space: Space | None
    write_error: RepositoryError | None
    clock_skew: float | None

    @property
    def writable(self) -> bool:
        """Whether files can be made and removed there."""
        return self.write_error is None


def preflight(target: TargetConfig, known_hosts: Path, timeout: float = TIMEOUT) -> Preflight:
    """Log in and look. Raises HostKeyError, AuthenticationError or UnreachableError when that does not work."""
    with connect(target, known_hosts, timeout) as session:
        folder = session.nearest(target.path)
        write_error: RepositoryError | None = None
        clock_skew: float | None = None
        try:
            clock_skew = session.probe(folder)
        except RepositoryError as error:
            write_error = error
        return Preflight(
            folder,
            folder.rstrip("/") == target.path.rstrip("/"),
            session.exists(posixpath.join(target.path, "config")),
            session.space(folder),
            write_error,
            clock_skew,
        )

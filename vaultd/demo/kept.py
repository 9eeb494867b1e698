"""A kept demo goes on living: its server runs as long as a command or a daemon uses it, and no longer.

Every user holds a shared lock. Whoever ends and finds no other user stops the server; a user that was killed outright
holds none, so the next one makes good for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from vaultd.demo.layout import MARKER
from vaultd.demo.offsite import OffsiteServer
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.names import display


@contextlib.contextmanager
def running_server(config: Path) -> Iterator[None]:
    """Keep the server of the demo running to which this configuration belongs. Nothing happens for any other file.

    Raises VaultdError when it cannot start: another program may have taken its port.
    """
    marker = Path(os.path.realpath(config)).with_name(MARKER)
    try:
        found = json.loads(marker.read_bytes())
        server = OffsiteServer(marker.with_name(str(found["offsite"])), port=int(found["port"]))
    except (OSError, ValueError, KeyError, TypeError):
        yield
        return
    with _locked(server.files / "users.lock") as users:
        with _locked(server.files / "guard.lock") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            _start(server, marker)
        try:
            yield
        finally:
            with _locked(server.files / "guard.lock") as guard, contextlib.suppress(BlockingIOError):
                fcntl.flock(guard, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                server.stop()


def _start(server: OffsiteServer, marker: Path) -> None:
    try:
        server.start()
    except VaultdError as error:
        raise VaultdError(
            error.what, error.why,
            _("its port {port} must be free; or remove {folder} and make another demo").format(
                port=server.port, folder=display(marker.parent)
            ),
        ) from None  # fmt: skip


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """An open lock file; what is locked with it is free when it is closed."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)

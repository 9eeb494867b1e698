"""The daemon's end of the control socket: a Unix socket bound by ourselves, uvicorn on it, and no patience.

uvicorn would make the socket with mode 0666, would take the daemon's signals, and would wait for ever for a client that
sends half a request: each of these is put right here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import logging
import os
import secrets
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from vaultd.control.peer import Member, Policy, peer_of
from vaultd.control.routes import Api
from vaultd.control.service import Service
from vaultd.errors import BusyError, ConfigError, StateError
from vaultd.i18n import _
from vaultd.names import display

log = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
"""A connection that has not sent a whole request head by then is closed."""
CONNECTION_SECONDS = 120.0
"""No connection lives longer; the longest answer takes 30 s (routes.LONGEST_WAIT)."""
MOST_CONNECTIONS = 64
LONGEST_PATH = 107  # sun_path less its final zero
_ANSWER_SECONDS = 1.0


def group_number(name: str | None) -> int | None:
    """The number of the group that may use the socket. Raises ConfigError when there is no such group."""
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(
            _("[control] group {name}").format(name=name), _("there is no such group"),
            _("make it: groupadd --system {name}").format(name=name),
        ) from None  # fmt: skip


def bind(path: Path, group: int | None) -> socket.socket:
    """A listening socket at ``path``: mode 0660 in a directory of mode 0750, both of the group.

    A socket that nobody answers is replaced. Raises BusyError when somebody does, StateError when something else is
    there or the place is not safe.
    """
    what = _("control socket {path}").format(path=display(path))
    if len(os.fsencode(path)) > LONGEST_PATH:
        why = _("the path is longer than {limit} bytes").format(limit=LONGEST_PATH)
        raise ConfigError(what, why, _("name a shorter one: [control] socket"))
    try:
        _prepare_directory(path.parent, group, what)
        _check_stale(path, what)
        return _listen(path, group)
    except OSError as error:
        raise StateError(what, error.strerror or str(error)) from error


def _prepare_directory(folder: Path, group: int | None, what: str) -> None:
    try:
        folder.mkdir(mode=0o750, parents=True)
    except FileExistsError:
        found = folder.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise StateError(what, _("{path} is not a folder").format(path=display(folder))) from None
        if found.st_mode & stat.S_IWOTH:
            why = _("everybody may write to {path}").format(path=display(folder))
            raise StateError(what, why, _("name a socket in a folder of its own: [control] socket")) from None
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_IRWXO:
            return  # not ours alone (systemd made it, or others use it too): it stays as it is
    if group is not None:
        os.chown(folder, -1, group)
    folder.chmod(0o750)


def _check_stale(path: Path, what: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise StateError(what, _("there is a file that is not a socket"), _("move it away"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return  # left by a daemon that is dead; _listen renames its own over it
        except (TimeoutError, BlockingIOError):
            pass  # a full queue is somebody, too
    raise BusyError(what, _("another daemon answers there"), _("stop it first: systemctl stop vaultd"))


def _listen(path: Path, group: int | None) -> socket.socket:
    """Bind under a temporary name, set mode and group, and only then give it the name that clients know."""
    temporary = path.with_name(f".{secrets.token_hex(4)}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(temporary))
        temporary.chmod(0o600)
        if group is not None:
            os.chown(temporary, -1, group)
        temporary.chmod(0o660)
        listening.listen(MOST_CONNECTIONS)
        listening.setblocking(False)
        os.rename(temporary, path)
    except BaseException:
        listening.close()
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    return listening


class _Protocol(H11Protocol):
    """Knows the peer, and closes on clients that are slow."""

    _timers: tuple[asyncio.TimerHandle, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        try:
            peer = peer_of(transport.get_extra_info("socket"))
        except OSError as error:
            log.warning("a client of the control socket could not be identified: %s", error)
            transport.abort()
            return
        self.app_state = {**self.app_state, "peer": peer}
        self._timers = (
            self.loop.call_later(REQUEST_SECONDS, self._close_if_waiting),
            self.loop.call_later(CONNECTION_SECONDS, transport.abort),
        )

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        super().connection_lost(exc)

    def _close_if_waiting(self) -> None:
        # The body has its own limit in the routes; after the first answer uvicorn's keep-alive limit holds.
        if self.cycle is None and self.conn.their_state is h11.IDLE:
            self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers and without its ten wake-ups a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.end = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the default headers
        await self.end.wait()


@contextlib.asynccontextmanager
async def serve(
    service: Service, path: Path, group: str | None = None, members: Mapping[int, Member] | None = None
) -> AsyncIterator[None]:
    """Answer at ``path`` while the block runs. On leaving, requests get two seconds, and the socket is removed."""
    number = group_number(group)
    listening = bind(path, number)
    made = os.lstat(path)
    policy = Policy(os.getegid() if number is None else number, members or {})
    server = _Server(_config(Api(service, policy).app()))
    task = asyncio.create_task(server.serve([listening]), name="control")
    task.add_done_callback(_ended)
    try:
        await server.up.wait()
        log.info("control socket %s is open", path)
        yield
    finally:
        server.should_exit = True
        server.end.set()
        await asyncio.wait([task])
        listening.close()
        _remove(path, made)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("the control socket's server failed", exc_info=task.exception())


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="off", loop="none", proxy_headers=False,
        log_config=None, log_level="warning", access_log=False, server_header=False, date_header=False,
        limit_concurrency=MOST_CONNECTIONS, h11_max_incomplete_event_size=16 * 1024,
        timeout_keep_alive=5, timeout_graceful_shutdown=2,
    )  # fmt: skip


def _remove(path: Path, made: os.stat_result) -> None:
    """Take our socket away, unless another daemon has put its own there since."""
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
            path.unlink()
    except OSError as error:
        if error.errno != errno.ENOENT:
            log.warning("the control socket %s could not be removed: %s", path, error)

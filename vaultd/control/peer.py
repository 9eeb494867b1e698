"""Who is at the other end of a Unix socket, by the kernel alone, and what they may do.

No name service is asked: one that hangs (LDAP when the network is down) must not hang the daemon.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum

_SO_PEERGROUPS = 59  # not named by Python's socket module
_MOST_GROUPS = 65536  # NGROUPS_MAX
_PYTHON_LIMIT = 1024


class Role(StrEnum):
    """Operate: read everything that status shows, and ask for a backup. Admin: change targets, acknowledge alerts."""

    OPERATE = "operate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as it was when it connected. ``groups`` holds its primary group too."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]


def peer_of(connection: socket.socket) -> Peer:
    """Ask the kernel. Raises PermissionError when it is not a Unix socket, where the kernel answers nonsense."""
    if connection.family != socket.AF_UNIX:
        raise PermissionError("not a Unix socket")
    pid, uid, gid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _PYTHON_LIMIT)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        raw = _large_option(connection, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
    return Peer(pid, uid, gid, frozenset(struct.unpack(f"{len(raw) // 4}I", raw)) | {gid})


def _large_option(connection: socket.socket, option: int, room: int) -> bytes:
    """``getsockopt`` for what is larger than the 1,024 bytes (256 groups) that Python's own allows."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    buffer, size = ctypes.create_string_buffer(room), ctypes.c_uint32(room)
    if libc.getsockopt(connection.fileno(), socket.SOL_SOCKET, option, buffer, ctypes.byref(size)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw[: size.value]


@dataclass(frozen=True, slots=True)
class Policy:
    """``group``: its members may operate (None: nobody but the admins). Group numbers are resolved once, at start."""

    group: int | None

    def allows(self, peer: Peer, role: Role) -> bool:
        """Whether a peer has a role. Root and the daemon's own user have every one."""
        if peer.uid in (0, os.geteuid()):
            return True
        return role is Role.OPERATE and self.group is not None and self.group in peer.groups

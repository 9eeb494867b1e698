"""Who is at the other end of a Unix socket, by the kernel alone, and what they may do.

No name service is asked: one that hangs (LDAP when the network is down) must not hang the daemon.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_SO_PEERGROUPS = 59  # not named by Python's socket module
_MOST_GROUPS = 65536  # NGROUPS_MAX
_PYTHON_LIMIT = 1024


class Role(StrEnum):
    """View: read everything that status shows. Operate: ask for a backup, start an evacuation. Direct: end what was
    ordered. Admin: change targets, acknowledge alerts. Each may do what those before it may."""

    VIEW = "view"
    OPERATE = "operate"
    DIRECT = "direct"
    ADMIN = "admin"

    def includes(self, role: Role) -> bool:
        """Whether who has this one may do what needs another."""
        order = list(Role)
        return order.index(self) >= order.index(role)


def role_of(duties: Collection[str]) -> Role:
    """What a person's duties ([[person]] roles) allow on the socket."""
    if "director" in duties:
        return Role.DIRECT
    return Role.OPERATE if "operator" in duties else Role.VIEW


@dataclass(frozen=True, slots=True)
class Member:
    """A person with an account on this host: their name, the account's, and what they may do."""

    name: str
    account: str
    role: Role


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
    """``group``: its members may operate (None: nobody but the admins). ``members``: persons by the numbers of their
    accounts; what they may do is their role alone, whatever groups they are in. All numbers are resolved once, at
    start."""

    group: int | None
    members: Mapping[int, Member] = field(default_factory=dict)

    def allows(self, peer: Peer, role: Role) -> bool:
        """Whether a peer has a role. Root and the daemon's own user have every one."""
        if peer.uid in (0, os.geteuid()):
            return True
        member = self.members.get(peer.uid)
        if member is not None:
            return member.role.includes(role)
        return Role.OPERATE.includes(role) and self.group is not None and self.group in peer.groups

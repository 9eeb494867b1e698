"""Logging in with the target's identity, on a server that shows a pinned key; and asking for a key without logging in.

paramiko's Transport is used without its SSHClient, so that the order is plain to see: connect, negotiate only kinds of
key that are pinned, compare the key, and only then name a user.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vaultd.config import TargetConfig
from vaultd.errors import AuthenticationError, HostKeyError
from vaultd.i18n import _
from vaultd.sftp.failures import unreachable
from vaultd.sftp.hostkeys import HostKey, host_entry, pinned_keys
from vaultd.sftp.session import Session

if TYPE_CHECKING:
    import paramiko

TIMEOUT = 10.0
"""Seconds within which each answer of the server must come."""

# How a kind of host key is negotiated. Kinds that are absent (DSA, hardware keys) are not taken.
_NEGOTIATED = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}

# paramiko logs, with tracebacks, what it also raises; without a handler that would end up on the terminal.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


def fetch_host_key(host: str, port: int = 22, timeout: float = TIMEOUT) -> list[HostKey]:
    """Ask a server for its host keys, one of each kind that it has, without authenticating.

    What comes back proves nothing about who answered: compare the fingerprints. Raises UnreachableError, and
    HostKeyError when the server has no key of a kind that vaultd takes.
    """
    found = []
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"):
        with _transport(host, port, timeout, host_entry(host, port)) as transport:
            key = _negotiate(transport, [kind], timeout, host_entry(host, port))
            if key is not None:
                found.append(key)
    if not found:
        raise HostKeyError(
            _("{name}: no host key").format(name=host_entry(host, port)),
            _("the server offers no Ed25519, ECDSA or RSA key"),
            _("let the server's owner make one: ssh-keygen -A"),
        )
    return found


def require_pins(target: TargetConfig, known_hosts: Path) -> list[HostKey]:
    """The pinned keys of a target's server. Raises HostKeyError when there is none: it is not even connected to."""
    pins = pinned_keys(known_hosts, target.host, target.port)
    if not pins:
        raise HostKeyError(
            _("target {name} is not used").format(name=target.name),
            _("no host key of {host} is pinned").format(host=host_entry(target.host, target.port)),
            _("compare its fingerprint with the server's owner: vaultd target trust {name}").format(name=target.name),
        )
    return pins


@contextlib.contextmanager
def connect(target: TargetConfig, known_hosts: Path, timeout: float = TIMEOUT) -> Iterator[Session]:
    """An SFTP session on a target's server. ``timeout``: seconds for each answer.

    Raises HostKeyError (before a user is named), AuthenticationError or UnreachableError.
    """
    import paramiko

    pins = require_pins(target, known_hosts)
    identity = _identity(target)
    with _transport(target.host, target.port, timeout, target.name) as transport:
        shown = _negotiate(transport, [pin.type for pin in pins], timeout, target.name)
        if shown not in pins:
            raise _changed(target, pins, shown)
        _authenticate(transport, target, identity, timeout)
        try:
            # One wait inside of opening a subsystem has no time-out: closing the line ends it.
            with _closed_after(transport, 2 * timeout):
                channel = transport.open_session(timeout=timeout)
                channel.settimeout(timeout)
                channel.invoke_subsystem("sftp")
                sftp = paramiko.SFTPClient(channel)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise unreachable(target.name, error) from error
        yield Session(transport, sftp, target.name)


@contextlib.contextmanager
def _transport(host: str, port: int, timeout: float, name: str) -> Iterator[paramiko.Transport]:
    import paramiko

    try:
        line = socket.create_connection((host, port), timeout)
    except OSError as error:
        raise unreachable(name, error) from error
    transport = paramiko.Transport(line)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout
    try:
        yield transport
    finally:
        transport.close()
        line.close()


def _negotiate(transport: paramiko.Transport, kinds: Sequence[str], timeout: float, name: str) -> HostKey | None:
    """Agree on keys with the server; the host key that it proved to have, or None if it has none of these kinds."""
    import paramiko

    wanted = [algorithm for kind in kinds for algorithm in _NEGOTIATED.get(kind, ())]
    if not wanted:
        return None
    transport.get_security_options().key_types = wanted
    try:
        transport.start_client(timeout=timeout)
        key = transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        if "host key" in str(error):
            return None
        raise unreachable(name, error) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise unreachable(name, error) from error
    return HostKey(key.get_name(), key.get_base64())


def _authenticate(
    transport: paramiko.Transport, target: TargetConfig, identity: paramiko.PKey, timeout: float
) -> None:  # fmt: skip
    import paramiko

    begun = time.monotonic()
    try:
        transport.auth_publickey(target.user, identity)
    except paramiko.AuthenticationException as error:
        # paramiko calls a broken line, and silence, a failed authentication, too.
        if not transport.is_active() or time.monotonic() - begun >= timeout:
            raise unreachable(target.name, TimeoutError() if transport.is_active() else EOFError()) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise unreachable(target.name, error) from error
    if not transport.is_authenticated():
        raise AuthenticationError(
            _("target {name}: the login failed").format(name=target.name),
            _("the server refuses our key for the account {user}").format(user=target.user),
            _("add our public key to the server's authorized_keys, and check user and identity of the target"),
        )


def _identity(target: TargetConfig) -> paramiko.PKey:
    """The private key, refused where ssh (and so restic) would not take it either."""
    import paramiko

    what = _("target {name}: our private key {file} cannot be used").format(name=target.name, file=target.identity)
    hint = _("the target's identity must be a private key of mode 0600 without a passphrase")
    try:
        found = target.identity.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o077:
            raise AuthenticationError(what, _("others may read it"), f"chmod 600 {target.identity}")
        return paramiko.PKey.from_path(target.identity)
    except OSError as error:
        raise AuthenticationError(what, error.strerror or str(error), hint) from error
    except (paramiko.SSHException, ValueError, TypeError, paramiko.pkey.UnknownKeyType) as error:
        # cryptography says TypeError for a missing passphrase.
        raise AuthenticationError(what, _("it is damaged, of an unknown kind, or has a passphrase"), hint) from error


def _changed(target: TargetConfig, pins: Sequence[HostKey], shown: HostKey | None) -> HostKeyError:
    known = ", ".join(pin.fingerprint for pin in pins)
    if shown is None:
        why = _("it has none of the kind that is pinned ({pinned})").format(pinned=known)
    else:
        why = _("it shows {shown}, pinned is {pinned}").format(shown=shown.fingerprint, pinned=known)
    return HostKeyError(
        _("target {name}: the server's host key has changed").format(name=target.name),
        why,
        _("somebody may be in between: ask the server's owner for its fingerprint, then `vaultd target trust`"),
    )


@contextlib.contextmanager
def _closed_after(transport: paramiko.Transport, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

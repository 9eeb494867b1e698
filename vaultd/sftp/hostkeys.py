"""Pinned host keys: OpenSSH's known_hosts, read and written."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from vaultd.errors import TargetError
from vaultd.files import make_private_directory, replace
from vaultd.i18n import _


@dataclass(frozen=True, slots=True)
class HostKey:
    """A server's public key: ``type`` as in known_hosts ("ssh-ed25519"), ``base64`` its bytes."""

    type: str
    base64: str

    @property
    def fingerprint(self) -> str:
        """``SHA256:...``, as ssh and ssh-keygen show it."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def host_entry(host: str, port: int) -> str:
    """The name under which known_hosts keeps a server."""
    return host if port == 22 else f"[{host}]:{port}"


def pinned_keys(path: Path, host: str, port: int) -> list[HostKey]:
    """The keys that a known_hosts file holds for a server; none when there is no file. Hashed names are understood."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TargetError(_("{file} cannot be read").format(file=path), error.strerror or str(error)) from error
    return [key for line in lines if (key := _key_of(line, host_entry(host, port))) is not None]


def trust(path: Path, host: str, port: int, keys: list[HostKey]) -> None:
    """Pin these keys for a server, in place of those that were pinned; other servers' lines are kept."""
    entry = host_entry(host, port)
    old = path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []
    kept = [line for line in old if _key_of(line, entry) is None]
    lines = [*kept, *(f"{entry} {key.type} {key.base64}" for key in keys), ""]
    make_private_directory(path.parent)
    replace(path, "\n".join(lines).encode("utf-8", "surrogateescape"))


def _key_of(line: str, entry: str) -> HostKey | None:
    # Lines with a marker (@revoked, @cert-authority) pin nothing.
    names, _blank, rest = line.strip().partition(" ")
    parts = rest.split()
    if not parts[1:] or names[0] in "@#" or not any(_is_named(name, entry) for name in names.split(",")):
        return None
    with contextlib.suppress(binascii.Error, ValueError):
        blob = base64.b64decode(parts[1], validate=True)
        return HostKey(parts[0], base64.b64encode(blob).decode("ascii"))
    return None


def _is_named(name: str, entry: str) -> bool:
    if not name.startswith("|1|"):
        return name.lower() == entry.lower()
    with contextlib.suppress(binascii.Error, ValueError):
        salt, digest = (base64.b64decode(part) for part in name[3:].split("|"))
        return hmac.compare_digest(hmac.new(salt, entry.encode(), "sha1").digest(), digest)
    return False

"""The two secrets of a target, made once and never overwritten: the SSH identity and the repository's password."""

from __future__ import annotations

import secrets
from pathlib import Path

from vaultd.errors import ConfigError
from vaultd.files import create_exclusive, make_private_directory
from vaultd.i18n import _

# No letter or digit that handwriting or a poor printer could turn into another: the password is kept on paper.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_LENGTH = 6, 5


def public_path(identity: Path) -> Path:
    """The file of the public half: the private one's name with ``.pub``."""
    return identity.with_name(identity.name + ".pub")


def ensure_identity(identity: Path, comment: str) -> bool:
    """Make an Ed25519 key pair without a passphrase unless the private key is there; whether it was made.

    The private key has mode 0600; the public one, made anew if it is missing, 0644.
    """
    made = not identity.exists()
    if made:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        make_private_directory(identity.parent)
        public_path(identity).unlink(missing_ok=True)
        create_exclusive(identity, private, 0o600)
    if not public_path(identity).exists():
        create_exclusive(public_path(identity), f"{_public_of(identity)} {comment}\n".encode(), 0o644)
    return made


def public_line(identity: Path) -> str:
    """The public key as a line: type, base64, comment."""
    return public_path(identity).read_text("utf-8").strip()


def authorized_keys_line(identity: Path) -> str:
    """The line for authorized_keys on the server: SFTP, and nothing else, for whoever holds the key."""
    return f'restrict,command="internal-sftp" {public_line(identity)}'


def new_password() -> str:
    """A random password of 148 bits in groups that a person can copy from paper."""
    groups = ("".join(secrets.choice(_LETTERS) for _n in range(_GROUP_LENGTH)) for _g in range(_GROUPS))
    return "-".join(groups)


def ensure_password(file: Path, password: str | None = None) -> bool:
    """Write the password, or a new random one, unless the file is there (mode 0600); whether it was written."""
    if file.exists():
        return False
    make_private_directory(file.parent)
    create_exclusive(file, f"{password or new_password()}\n".encode(), 0o600)
    return True


def _public_of(identity: Path) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        private = serialization.load_ssh_private_key(identity.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(
            _("the SSH identity {file} cannot be used").format(file=identity),
            _("it is no private key in OpenSSH's format, or it has a passphrase"),
            _("name another one, or none at all: vaultd makes its own"),
        ) from None
    encoded = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return encoded.decode("ascii")

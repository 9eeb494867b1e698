"""The private keys: the one that signs, in a file of mode 0600; the root's, which is on paper only."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vaultd.errors import LedgerError
from vaultd.files import create_exclusive
from vaultd.i18n import _
from vaultd.ledger.note import SignerKey

_CHECK = 3
_GROUP = 4


def generate(name: str) -> SignerKey:
    """A new key."""
    return SignerKey(name, Ed25519PrivateKey.generate())


def write_new(file: Path, name: str) -> SignerKey:
    """Make a key and its file (PEM, PKCS 8). Raises FileExistsError: no key is ever overwritten."""
    key = generate(name)
    encoded = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    create_exclusive(file, encoded, 0o600)
    return key


def read(file: Path, name: str) -> SignerKey:
    """The key of a file. Raises LedgerError when it is missing, can be read by others, or is no such key."""
    what = _("the ledger's key {file} cannot be used").format(file=file)
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            encoded = stream.read(1 << 16)
    except OSError as error:
        hint = _("bring it back from where it was kept, or begin a new log: `vaultd ledger continue`")
        raise LedgerError(what, error.strerror or str(error), hint) from None
    if mode & 0o077:
        hint = _("`chmod 600 {file}`; if others may have read it: `vaultd ledger rotate`").format(file=file)
        raise LedgerError(what, _("its mode is {mode}").format(mode=f"{mode:04o}"), hint)
    try:
        private = serialization.load_pem_private_key(encoded, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise LedgerError(what, _("it is no Ed25519 key in PEM form"))
    return SignerKey(name, private)


def erase(file: Path) -> None:
    """Overwrite a key and remove its file. (On storage that copies on write the old blocks may live on.)"""
    with contextlib.suppress(FileNotFoundError):
        with file.open("r+b") as stream:
            stream.write(os.urandom(os.fstat(stream.fileno()).st_size))
            stream.flush()
            os.fsync(stream.fileno())
        file.unlink()


def as_words(key: SignerKey) -> str:
    """A private key for paper: base32 of its 32 bytes and three bytes of check, in groups of four letters."""
    raw = key.private.private_bytes_raw()
    letters = base64.b32encode(raw + hashlib.sha256(raw).digest()[:_CHECK]).decode("ascii").lower()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def from_words(words: str, name: str) -> SignerKey:
    """A private key from paper. Raises LedgerError when a letter is wrong."""
    letters = "".join(words.split()).replace("-", "").upper()
    try:
        raw = base64.b32decode(letters)
    except binascii.Error:
        raw = b""
    key, check = raw[:-_CHECK], raw[-_CHECK:]
    if len(key) != 32 or hashlib.sha256(key).digest()[:_CHECK] != check:
        raise LedgerError(
            _("this is not a root key"), _("it has 14 groups of 4 characters of a-z and 2-7, and a letter is wrong")
        )
    return SignerKey(name, Ed25519PrivateKey.from_private_bytes(key))

"""Signatures for media: ``vaultd.approvals.sshsig`` in a namespace of their own, with the register's errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vaultd.approvals import sshsig
from vaultd.approvals.faults import SshSignatureError
from vaultd.i18n import _
from vaultd.media.faults import SignatureError

NAMESPACE = "vaultd-media"


def sign(key: Path, message: bytes) -> str:
    """The signature in base64. Raises SignatureError."""
    with _told():
        return sshsig.sign(key, message, NAMESPACE)


def verify(public: str, message: bytes, signature: str) -> None:
    """Check that the holder of a public key has signed. Raises SignatureError when it does not hold."""
    hint = _("sign the very text that `vaultd media sign EVENT --print` gives, in the namespace {name}")
    with _told(hint.format(name=NAMESPACE)):
        sshsig.verify(public, message, signature, NAMESPACE)


def fingerprint(public: str) -> str:
    """SHA256:... of a public key. Raises SignatureError for what is none."""
    with _told():
        return sshsig.fingerprint(public)


def read(file: Path) -> str:
    """The base64 of the signature in a file. Raises SignatureError, OSError."""
    with _told():
        return sshsig.read(file)


def body_of(text: str) -> str:
    """The base64 of an armoured signature, in one line. Raises SignatureError."""
    with _told():
        return sshsig.body_of(text)


@contextlib.contextmanager
def _told(hint: str = "") -> Iterator[None]:
    try:
        yield
    except SshSignatureError as error:
        raise SignatureError(error.what, error.why, hint or error.hint) from None

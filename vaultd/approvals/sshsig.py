"""Signatures by ``ssh-keygen -Y`` (SSHSIG), in a namespace of the caller's.

vaultd never sees a private key: ssh-keygen reads the file, or asks the agent for one whose public half is given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from vaultd.approvals.faults import SshSignatureError
from vaultd.i18n import _
from vaultd.names import display

LARGEST = 16384
"""Bytes of a signature's file that are read."""
_LONGEST_BODY = 8192
_SECONDS = 120
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def sign(key: Path, message: bytes, namespace: str) -> str:
    """The signature in base64. ssh-keygen may ask for the key's passphrase on the terminal. Raises
    SshSignatureError."""
    what = _("signature with {file}").format(file=display(key))
    if not key.is_file():
        raise SshSignatureError(what, _("there is no such file"))
    done = _run(["-Y", "sign", "-n", namespace, "-f", str(key)], message, what)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SshSignatureError(what, said[-1] if said else _("ssh-keygen has failed"))
    return body_of(done.stdout.decode("ascii", "replace"))


def verify(public: str, message: bytes, signature: str, namespace: str) -> None:
    """Check that the holder of a public key has signed. Raises SshSignatureError when it does not hold."""
    what = _("the signature")
    with tempfile.TemporaryDirectory(prefix="vaultd-") as folder:
        allowed, file = Path(folder, "allowed_signers"), Path(folder, "signature")
        allowed.write_text(f'signer namespaces="{namespace}" {" ".join(public.split()[:2])}\n')
        file.write_text(armoured(signature))
        command = ["-Y", "verify", "-n", namespace, "-I", "signer", "-f", str(allowed), "-s", str(file)]
        done = _run(command, message, what)
    if done.returncode != 0:
        raise SshSignatureError(
            what, _("it does not hold: of another key, or of another text"),
            _("sign exactly the text that is printed, in the namespace {name}").format(name=namespace),
        )  # fmt: skip


def read(file: Path) -> str:
    """The base64 of the signature in a file that ssh-keygen has written. Raises SshSignatureError, OSError."""
    with file.open("rb") as stream:
        return body_of(stream.read(LARGEST).decode("ascii", "replace"))


def signer_of(signature: str) -> str:
    """The fingerprint of the key that a signature says it is by; whether it holds is another question. Raises
    SshSignatureError."""
    try:
        raw = base64.b64decode(signature, validate=True)
        (version, length) = struct.unpack_from(">II", raw, len(_MAGIC))
        key = raw[len(_MAGIC) + 8 :][:length]
    except (binascii.Error, struct.error):
        raise _no_signature() from None
    if not raw.startswith(_MAGIC) or version != 1 or len(key) != length:
        raise _no_signature()
    return _fingerprint(key)


def fingerprint(public: str) -> str:
    """SHA256:... of a public key. Raises SshSignatureError for what is none."""
    try:
        return _fingerprint(base64.b64decode(public.split()[1], validate=True))
    except (binascii.Error, IndexError):
        raise SshSignatureError(_("the public SSH key"), _("this is none")) from None


def _fingerprint(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


def body_of(text: str) -> str:
    """The base64 of an armoured signature, in one line; of one that is in one line already, the same. Raises
    SshSignatureError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if _BEGIN in lines and _END in lines:
        lines = lines[lines.index(_BEGIN) + 1 : lines.index(_END)]
    found = "".join(lines)
    if not found or not set(found) <= _BASE64 or len(found) > _LONGEST_BODY:
        raise _no_signature()
    return found


def armoured(body: str) -> str:
    """A signature as ssh-keygen writes it."""
    lines = [body[at : at + 70] for at in range(0, len(body), 70)]
    return "\n".join([_BEGIN, *lines, _END]) + "\n"


def _no_signature() -> SshSignatureError:
    return SshSignatureError(
        _("the signature"), _("this is no SSH signature"), _("give what ssh-keygen -Y sign wrote")
    )  # fmt: skip


def _run(options: list[str], message: bytes, what: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *options], input=message, capture_output=True, timeout=_SECONDS, check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        hint = _("apt-get install openssh-client")
        raise SshSignatureError(what, _("there is no program ssh-keygen"), hint) from None
    except subprocess.TimeoutExpired:
        raise SshSignatureError(what, _("nobody has answered")) from None

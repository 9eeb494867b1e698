"""Signatures by ``ssh-keygen -Y`` (SSHSIG), in the namespace ``vaultd-media``.

vaultd never sees a private key: ssh-keygen reads the file, or asks the agent for one whose public half is given.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from vaultd.i18n import _
from vaultd.media.faults import SignatureError
from vaultd.names import display

NAMESPACE = "vaultd-media"
_SECONDS = 120
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def sign(key: Path, message: bytes) -> str:
    """The signature in base64. ssh-keygen may ask for the key's passphrase on the terminal. Raises SignatureError."""
    what = _("signature with {file}").format(file=display(key))
    if not key.is_file():
        raise SignatureError(what, _("there is no such file"))
    done = _run(["-Y", "sign", "-n", NAMESPACE, "-f", str(key)], message, what, stdin_is_message=True)
    return body_of(done.stdout.decode("ascii", "replace"))


def verify(public: str, message: bytes, signature: str) -> None:
    """Check that the holder of a public key has signed. Raises SignatureError when it does not hold."""
    what = _("the signature")
    with tempfile.TemporaryDirectory(prefix="vaultd-") as folder:
        allowed, file = Path(folder, "allowed"), Path(folder, "signature")
        allowed.write_text(f'signer namespaces="{NAMESPACE}" {" ".join(public.split()[:2])}\n')
        file.write_text(armoured(signature))
        command = ["-Y", "verify", "-n", NAMESPACE, "-I", "signer", "-f", str(allowed), "-s", str(file)]
        done = _run(command, message, what, stdin_is_message=True, check=False)
    if done.returncode != 0:
        raise SignatureError(
            what, _("it does not hold: of another key, or of another text"),
            _("sign the very text that `vaultd media sign EVENT --print` gives, in the namespace {name}").format(
                name=NAMESPACE
            ),
        )  # fmt: skip


def fingerprint(public: str) -> str:
    """SHA256:... of a public key. Raises SignatureError for what is none."""
    what = _("the public SSH key")
    with tempfile.TemporaryDirectory(prefix="vaultd-") as folder:
        file = Path(folder, "key.pub")
        file.write_text(" ".join(public.split()[:2]) + "\n")
        done = _run(["-l", "-E", "sha256", "-f", str(file)], b"", what, stdin_is_message=False)
    return done.stdout.decode("utf-8", "replace").split()[1]


def body_of(text: str) -> str:
    """The base64 of an armoured signature, in one line; of one that is in one line already, the same. Raises
    SignatureError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if _BEGIN in lines and _END in lines:
        lines = lines[lines.index(_BEGIN) + 1 : lines.index(_END)]
    found = "".join(lines)
    if not found or not set(found) <= _BASE64 or len(found) > 8192:
        raise SignatureError(_("the signature"), _("this is no SSH signature"), _("give what ssh-keygen -Y sign wrote"))
    return found


def armoured(body: str) -> str:
    """A signature as ssh-keygen writes it."""
    lines = [body[at : at + 70] for at in range(0, len(body), 70)]
    return "\n".join([_BEGIN, *lines, _END]) + "\n"


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def _run(
    options: list[str], message: bytes, what: str, *, stdin_is_message: bool, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    try:
        done = subprocess.run(
            ["ssh-keygen", *options], input=message if stdin_is_message else b"", capture_output=True,
            timeout=_SECONDS, check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        raise SignatureError(what, _("there is no program ssh-keygen"), _("apt-get install openssh-client")) from None
    except subprocess.TimeoutExpired:
        raise SignatureError(what, _("nobody has answered")) from None
    if check and done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SignatureError(what, said[-1] if said else _("ssh-keygen has failed"))
    return done

"""What an sshd of our own needs before it starts: the program, keys, a free port, a configuration."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from vaultd.errors import VaultdError
from vaultd.files import replace
from vaultd.i18n import _

LOOPBACK = "127.0.0.1"


def find_sshd() -> str:
    """The absolute path of sshd (it re-executes itself and insists on one). Raises VaultdError where there is none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
    found = shutil.which("sshd", path=path)
    if found is None:
        raise VaultdError(
            _("the off-site server cannot start"), _("sshd is not installed"), _("apt-get install openssh-server")
        )
    return os.path.abspath(found)


def make_key(path: Path, comment: str = "vaultd") -> Path:
    """Make an Ed25519 key pair without passphrase: ``path`` and ``path``.pub, replacing what was there."""
    for old in (path, path.with_name(path.name + ".pub")):
        old.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", os.fspath(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path


@dataclass(frozen=True, slots=True)
class Settings:
    """What an sshd_config says. Clients begin in ``start``, as ``user``, with a key of ``authorized_keys``.

    ``light``: without the key agreement that costs a client a tenth of a second of its processor (sntrup761) and guards
    against the quantum computers of later years: on loopback nobody records what is sent.
    """

    port: int
    user: str
    host_key: Path
    authorized_keys: Path
    pid_file: Path
    start: Path
    read_only: bool
    light: bool = True

    def write(self, path: Path, sshd: str) -> None:
        """Write the file: SFTP and nothing else, keys and no passwords, on loopback alone."""
        lines = [
            f"Port {self.port}", f"ListenAddress {LOOPBACK}", f"AllowUsers {self.user}",
            f"HostKey {_quoted(self.host_key)}", f"PidFile {_quoted(self.pid_file)}",
            f"AuthorizedKeysFile {_quoted(self.authorized_keys).replace('%', '%%')}",
            # The folders above are a test's or a demo's, often in /tmp; the keys are nobody else's.
            "StrictModes no", "AuthenticationMethods publickey", "PasswordAuthentication no",
            "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
            f"UsePAM {'yes' if _is_locked(self.user) else 'no'}",
            "DisableForwarding yes", "PermitTTY no", "PermitUserRC no", "PrintMotd no", "UseDNS no",
            "MaxStartups 200", "MaxSessions 50", "LogLevel DEBUG1",
            "Subsystem sftp internal-sftp", f"ForceCommand {self._command()}",
            *(["KexAlgorithms -sntrup761*"] if self.light else []),
        ]  # fmt: skip
        # OpenSSH 9.8 and later shut out an address that fails often: here every client is 127.0.0.1.
        replace(path, "\n".join([*lines, "PerSourcePenalties no", ""]).encode())
        command = [sshd, "-t", "-f", os.fspath(path)]
        tried = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
        if b"PerSourcePenalties" in tried.stderr:
            replace(path, "\n".join([*lines, ""]).encode())

    def _command(self) -> str:
        options = "-R " if self.read_only else ""
        start = os.fspath(self.start).replace("%", "%%")
        if not any(character.isspace() for character in start):
            return f"internal-sftp {options}-d {start}"
        # internal-sftp splits its arguments at blanks and knows no quotes; the program beside it is run by a shell.
        return f"exec /usr/lib/openssh/sftp-server {options}-d {shlex.quote(start)}"


def _quoted(path: Path) -> str:
    text = os.fspath(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _is_locked(user: str) -> bool:
    """Whether the account has a locked password: without PAM sshd then refuses keys, too. Only root can tell."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/shadow").read_text().splitlines():
            name, _colon, rest = line.partition(":")
            if name == user:
                return rest.startswith("!")
    return False


def free_port() -> int:
    """A free loopback port below the range from which the kernel takes ports for clients: it stays free over a stop."""
    for _attempt in range(50):
        port = random.randrange(20000, 32000)  # noqa: S311 - not a secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])

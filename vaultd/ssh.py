"""The ssh configuration that vaultd writes for restic: one file per target, and nothing of the user's own.

ssh is strict and never prompts: host keys come from the target's known_hosts alone, the one identity is named, no agent
is asked, and a line that goes dead ends the connection after about 15 seconds instead of never. Host, port and paths
live in this file, so that none of them has to survive the quoting of restic's command line.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from vaultd.config import TargetConfig
from vaultd.errors import ConfigError
from vaultd.files import make_private_directory, replace
from vaultd.i18n import _

CONFIG_NAME = "ssh_config"
CONNECT_SECONDS = 10
ALIVE_INTERVAL = 5
ALIVE_COUNT = 3

# What every target has. The first value that ssh reads counts, and no other file is read (`ssh -F`).
_COMMON = f"""\
    StrictHostKeyChecking yes
    GlobalKnownHostsFile /dev/null
    UpdateHostKeys no
    VerifyHostKeyDNS no
    CheckHostIP no
    NoHostAuthenticationForLocalhost no
    KnownHostsCommand none
    CanonicalizeHostname no
    BatchMode yes
    IdentitiesOnly yes
    IdentityAgent none
    AddKeysToAgent no
    PreferredAuthentications publickey
    PubkeyAuthentication yes
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    HostbasedAuthentication no
    ConnectTimeout {CONNECT_SECONDS}
    ConnectionAttempts 1
    ServerAliveInterval {ALIVE_INTERVAL}
    ServerAliveCountMax {ALIVE_COUNT}
    TCPKeepAlive yes
    ControlMaster no
    ControlPath none
    ProxyCommand none
    ProxyJump none
    PermitLocalCommand no
    ClearAllForwardings yes
    ForwardAgent no
    ForwardX11 no
    RequestTTY no
    EscapeChar none
    Compression no
    LogLevel INFO
"""


@dataclass(frozen=True, slots=True)
class SshFiles:
    """How restic reaches a target: ``url`` is its repository string, ``options_for_restic`` go before its command."""

    config_path: Path
    alias: str
    options_for_restic: tuple[str, ...]
    url: str


def write_ssh_files(target: TargetConfig, folder: Path, known_hosts: Path | None = None) -> SshFiles:
    """Write ``folder``/ssh_config (0600) for a target, unless it is already there just so.

    ``known_hosts`` is the file with the pinned keys (default: the target's own, else ``folder``/known_hosts); it need
    not exist: ssh then refuses every server. Raises ConfigError for a value that no quoting can carry.
    """
    folder = Path(os.path.abspath(folder))
    alias = f"vaultd-{target.name}"
    pins = known_hosts or target.known_hosts or folder / "known_hosts"
    text = (
        f"# Written by vaultd from vaultd.toml; changes are lost.\nHost {alias}\n"
        f"    HostName {_plain(target.host)}\n"
        f"    Port {target.port}\n"
        f"    User {_plain(target.user)}\n"
        f"    IdentityFile {_path(target.identity)}\n"
        f"    UserKnownHostsFile {_path(pins)}\n"
        f"{_COMMON}"
    )
    config_path = folder / CONFIG_NAME
    options = ("-o", f"sftp.args=-F {_for_restic(config_path)}")
    make_private_directory(folder)
    content = text.encode("utf-8", "surrogateescape")
    with contextlib.suppress(FileNotFoundError):
        if config_path.read_bytes() == content:
            return SshFiles(config_path, alias, options, f"sftp:{alias}:{target.path}")
    replace(config_path, content)
    return SshFiles(config_path, alias, options, f"sftp:{alias}:{target.path}")


def _plain(value: str) -> str:
    """A host or user name: nothing that ssh would expand, split or take for an option."""
    if not value or value[0] == "-" or any(not 33 <= ord(letter) <= 126 or letter in "\"'\\#" for letter in value):
        raise _refused(value)
    return value.replace("%", "%%")  # an IPv6 zone, fe80::1%eth0


def _path(path: Path) -> str:
    """A path in ssh_config: in double quotes; ssh expands % and ${...} even there."""
    text = os.path.abspath(path)
    if "${" in text or any(letter < " " or letter == "\x7f" for letter in text):
        raise _refused(text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _for_restic(path: Path) -> str:
    """A path in restic's ``-o sftp.args=``, which is read as CSV first and then split at blanks, with no escapes."""
    text = os.fspath(path)
    if any(letter in text for letter in "'\","):
        raise _refused(text)
    return f"'{text}'"


def _refused(value: str) -> ConfigError:
    return ConfigError(
        _("ssh cannot be configured"),
        _("{value} has a character that ssh or restic cannot take").format(value=ascii(value)),
        _("rename it, or name it by another path (a symbolic link will do)"),
    )

"""The target's server as vaultd itself uses it, beside restic: pinned host keys, a look before use, small files.

Only a pinned key is accepted, only the target's identity is offered, and no agent is asked. paramiko is imported where
it is used: it takes longer to load than most commands to run. Everything here blocks; coroutines call it in a thread.
"""

from __future__ import annotations

from vaultd.sftp.hostkeys import HostKey, host_entry, pinned_keys, trust
from vaultd.sftp.login import TIMEOUT, connect, fetch_host_key, require_pins
from vaultd.sftp.preflight import Preflight, preflight
from vaultd.sftp.session import Session, Space

__all__ = [
    "TIMEOUT",
    "HostKey",
    "Preflight",
    "Session",
    "Space",
    "connect",
    "fetch_host_key",
    "host_entry",
    "pinned_keys",
    "preflight",
    "require_pins",
    "trust",
]

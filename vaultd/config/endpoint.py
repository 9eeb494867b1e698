"""Where things are unless vaultd.toml says otherwise; no pydantic here, since `vaultd status` has 0.2 s in all."""

from __future__ import annotations

from pathlib import Path

DEFAULT_FILE = Path("/etc/vaultd/vaultd.toml")
DEFAULT_STATE = Path("/var/lib/vaultd")


def default_socket(state: Path) -> Path:
    """The control socket of a configuration that names none."""
    return state / "run" / "vaultd.sock"

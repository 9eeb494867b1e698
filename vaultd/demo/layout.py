"""Where everything of a demo lies: one folder, and nothing outside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vaultd.files import replace

MARKER = "demo.json"
VAULT = "records"
TARGET = "offsite"
HOST = "ward-server"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a demo in ``folder``. ``lost`` and ``new_host`` are there only while the host is lost."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration, as `vaultd init` wrote it."""
        return self.folder / "vaultd.toml"

    @property
    def vault(self) -> Path:
        """The protected folder."""
        return self.folder / "vault"

    @property
    def state(self) -> Path:
        """The state folder of the host."""
        return self.folder / "state"

    @property
    def database(self) -> Path:
        """The state database."""
        return self.state / "state.db"

    @property
    def socket(self) -> Path:
        """The daemon's control socket."""
        return self.state / "run" / "vaultd.sock"

    @property
    def offsite(self) -> Path:
        """What the off-site server serves."""
        return self.folder / "offsite"

    @property
    def password(self) -> Path:
        """The repository's password."""
        return self.folder / "password"

    @property
    def restored(self) -> Path:
        """What came back."""
        return self.folder / "restored"

    @property
    def lost(self) -> Path:
        """Where state and vault are put so that nobody finds them."""
        return self.folder / "lost"

    @property
    def new_host(self) -> Path:
        """The empty state folder of the machine that takes over."""
        return self.folder / "new-host"

    @property
    def log(self) -> Path:
        """What the daemon said."""
        return self.folder / "vaultd.log"

    @property
    def marker(self) -> Path:
        """Says that this is a demo, and how to start its server."""
        return self.folder / MARKER

    def mark(self, port: int) -> None:
        """Write the marker by which commands know that they may start the demo's server."""
        replace(self.marker, json.dumps({"version": 1, "offsite": self.offsite.name, "port": port}).encode())

"""Where the state folder and the control socket are, read from vaultd.toml with the standard library alone.

``vaultd status`` must answer in a blink, so it cannot afford the checked configuration: what is read here is only what
finding the daemon and the state needs. A file in which that is wrong goes to ``vaultd.config.load``, which names every
fault in it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaultd.config.endpoint import DEFAULT_STATE, default_socket
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.names import display


@dataclass(frozen=True, slots=True)
class Places:
    """``file``: the configuration; ``raw``: its tables as they stand, unchecked."""

    file: Path
    host: str
    state: Path
    socket: Path
    raw: dict[str, Any]

    @property
    def database(self) -> Path:
        """The state database."""
        return database(self.state)


def database(state: Path) -> Path:
    """The state database in a state folder."""
    return state / "state.db"


def locate(file: Path) -> Places:
    """Read the few values. Raises ConfigError when the file is missing, unreadable, or does not say them properly."""
    try:
        raw = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            _("configuration {file}").format(file=display(file)),
            _("there is no such file"),
            _("make one with `vaultd init`, or name it with --config FILE"),
        ) from None
    except OSError as error:
        raise ConfigError(
            _("configuration {file}").format(file=display(file)),
            error.strerror or str(error),
            _("run it as root, or as the user of the daemon"),
        ) from None
    except (ValueError, RecursionError):
        raise _faults(file) from None
    host, control = raw.get("host", {}), raw.get("control", {})
    if not isinstance(host, dict) or not isinstance(control, dict):
        raise _faults(file)
    state = host.get("state", str(DEFAULT_STATE))
    socket = control.get("socket", str(default_socket(Path(str(state)))))
    name = host.get("name", "")
    for found in (state, socket):
        if not isinstance(found, str) or not found.startswith("/"):
            raise _faults(file)
    return Places(file, name if isinstance(name, str) else "", Path(state), Path(socket), raw)


def _faults(file: Path) -> ConfigError:
    from vaultd import config

    try:
        config.load(file)
    except ConfigError as error:
        return error
    return ConfigError(_("configuration {file}").format(file=display(file)), _("it cannot be read"))

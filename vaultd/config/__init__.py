"""vaultd.toml: the models of its tables, reading it with every fault named, and checking the vaults' folders.

The names load on first use: pydantic takes longer to import than `vaultd status` may take as a whole, and the command
line finds the daemon by ``vaultd.places``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaultd.config.endpoint import DEFAULT_FILE
    from vaultd.config.faults import ConfigFaults, Fault
    from vaultd.config.folders import check_folders
    from vaultd.config.medium import MediumTarget
    from vaultd.config.model import (
        CLASSIFICATIONS,
        AnyTarget,
        Config,
        ControlConfig,
        DumpConfig,
        HostConfig,
        TargetConfig,
        VaultConfig,
    )
    from vaultd.config.persons import PersonConfig
    from vaultd.config.reading import load

__all__ = [
    "CLASSIFICATIONS",
    "DEFAULT_FILE",
    "AnyTarget",
    "Config",
    "ConfigFaults",
    "ControlConfig",
    "DumpConfig",
    "Fault",
    "HostConfig",
    "MediumTarget",
    "PersonConfig",
    "TargetConfig",
    "VaultConfig",
    "check_folders",
    "load",
]

_HOME = {
    "DEFAULT_FILE": "endpoint",
    "ConfigFaults": "faults",
    "Fault": "faults",
    "PersonConfig": "persons",
    "MediumTarget": "medium",
    "check_folders": "folders",
    "load": "reading",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'model')}"), name)

"""Vaults and targets as the workers see them: configuration joined with the store's numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from vaultd.config.model import AnyTarget, Config, VaultConfig
from vaultd.custody import Custody
from vaultd.model import Progress
from vaultd.restic.process import Repository
from vaultd.store import Store


@dataclass(frozen=True, slots=True)
class VaultRef:
    """A vault. ``targets`` are the store's numbers of all its targets; ``root`` is its folder as bytes."""

    id: int
    name: str
    root: bytes
    targets: tuple[int, ...]
    config: VaultConfig

    @classmethod
    def of(cls, store: Store, config: VaultConfig) -> VaultRef:
        """From the configuration."""
        targets = tuple(store.target_id(name) for name in config.targets)
        return cls(store.vault_id(config.name), config.name, os.fsencode(config.path), targets, config)


@dataclass(frozen=True, slots=True)
class TargetRef:
    """A target and how restic reaches it."""

    id: int
    name: str
    config: AnyTarget
    repository: Repository


@dataclass(frozen=True, slots=True)
class Context:
    """What every run needs. ``custody`` writes the record; ``on_progress`` is called often, from the event loop."""

    config: Config
    store: Store
    custody: Custody
    on_progress: Callable[[Progress], None]

"""How the vaults are protected goes on record: objectives, classifications and targets are in the configuration, and
what was promised must be known from the ledger alone (``vaultd report audit``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from vaultd.config.model import Config, VaultConfig
from vaultd.ledger import entry
from vaultd.ledger.events import VaultDescribed
from vaultd.names import display

KNOWN = "ledger:vaults"
"""Under this key: what is on record of the vaults, and in which log."""

PROTECTED, DROPPED = "protected", "dropped"


def changed(config: Config, known: str | None, origin: str) -> Iterator[VaultDescribed]:
    """What differs from what is ``known`` to be on record in the log ``origin``. Another log knows nothing."""
    before = _before(known, origin)
    for vault in config.vault:
        now = _described(vault)
        if before.pop(vault.name, None) != entry.fields_of(now):
            yield now
    for name in before:
        yield VaultDescribed(name, DROPPED)


def known(config: Config, origin: str) -> str:
    """What is on record now."""
    vaults = {vault.name: entry.fields_of(_described(vault)) for vault in config.vault}
    return json.dumps({"origin": origin, "vaults": vaults})


def _before(known: str | None, origin: str) -> dict[str, Any]:
    found = json.loads(known) if known else {}
    return dict(found["vaults"]) if found and found["origin"] == origin else {}


def _described(vault: VaultConfig) -> VaultDescribed:
    return VaultDescribed(
        vault.name, PROTECTED, display(vault.path), vault.classification, vault.priority, vault.custodian or None,
        round(vault.objective * 1000), list(vault.targets),
    )  # fmt: skip

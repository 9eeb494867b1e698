"""Taking a kit away: its restic keys and its files. What is on the servers' authorized_keys only their owners can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from vaultd import targets
from vaultd.config import Config
from vaultd.errors import ConfigError, VaultdError
from vaultd.i18n import _
from vaultd.kit import place, register
from vaultd.kit.register import Known
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.store import Store


def _all(config: Config) -> list[str]:
    return [target.name for target in config.target]


@dataclass(frozen=True, slots=True)
class Ended:
    """``done``: the targets where the kit's key is gone; ``failed``: where it could not be removed, and why."""

    known: Known
    done: list[str]
    failed: dict[str, VaultdError]


async def remove_keys(repository: Repository, kit: str, identifier: str | None = None) -> None:
    """Remove a kit's restic keys: the one of this id, and what bears the kit's name (an interrupted making may have
    left one that nobody noted). Raises TargetError."""
    for one in await commands.list_keys(repository):
        ours = identifier is not None and identifier.startswith(one.id)
        if (ours or one.username == user_of(kit)) and not one.current:
            await commands.remove_key(repository, one.id)


def user_of(kit: str) -> str:
    """Under which name a kit's restic keys are made."""
    return f"vaultd-kit-{kit}"


def revoke(config: Config, store: Store, kit: str, tell: Callable[[str], None]) -> Ended:
    """Remove a kit's keys at all targets, or those that an earlier call could not. Raises ConfigError for a kit that
    this host has not made."""
    kits = register.known(store)
    found = next((one for one in kits if one.id == kit), None)
    if found is None:
        raise ConfigError(
            _("kit {kit}").format(kit=kit), _("this host has made none of this number"),
            _("its kits: {kits}").format(kits=", ".join(one.id for one in kits) or "-"),
        )  # fmt: skip
    # First of all it is known that it is not to be trusted any more, whatever can be reached now.
    found = replace(found, state=register.REVOKED, left=tuple(found.left or found.keys or _all(config)))
    register.note(store, found)
    done, failed = list[str](), dict[str, VaultdError]()
    for name in found.left:
        try:
            target = config.target_named(name)
            tell(_("target {name}: removing the kit's key").format(name=name))
            repository = targets.repository(config, target)
            asyncio.run(remove_keys(repository, found.id, found.keys.get(name)))
            place.remove(config, target, found.id)
            done.append(name)
        except VaultdError as error:
            failed[name] = error
    found = replace(found, left=tuple(failed))
    register.note(store, found)
    return Ended(found, done, failed)

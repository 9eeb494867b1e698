"""Whether what is on a disk is safe off-site: asked before it is removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vaultd.config.model import Config
from vaultd.i18n import _
from vaultd.model import SnapshotKind
from vaultd.store import Store
from vaultd.store.mediarows import Medium

OnDisk = Callable[[Medium], Iterable[str]]
"""The vaults with bytes on a medium, as the map of disks knows it (``items.on_disk``)."""


@dataclass(frozen=True, slots=True)
class Unsafe:
    """A vault whose content is not whole at any target, as far as is known. ``files`` and ``bytes``: what the target
    that lacks least lacks."""

    vault: str
    why: str
    files: int = 0
    bytes: int = 0


_AWAY = frozenset({"target-unreachable", "repository-missing", "repository-foreign", "repository-damaged"})


def unsafe(store: Store, config: Config, vaults: Iterable[str], *, watched: bool) -> list[Unsafe]:
    """The vaults that are not safe. ``watched``: the daemon runs; without it nobody knows what changed since."""
    targets = {vault.name: vault.targets for vault in config.vault}
    found = (_vault(store, name, targets.get(name, ()), watched=watched) for name in dict.fromkeys(vaults))
    return [one for one in found if one is not None]


def _vault(store: Store, name: str, targets: Sequence[str], *, watched: bool) -> Unsafe | None:
    vault = store.known("vault", name)
    if vault is None or store.totals(vault)[2] is None:
        return Unsafe(name, _("nothing is known of it here"))
    away = {alert.target for alert in store.alerts.list() if alert.code in _AWAY}
    lacking = []
    for target in targets:
        number = store.known("target", target)
        if number is None or target in away or store.last_snapshot(number, vault, SnapshotKind.FULL) is None:
            continue
        backlog = store.backlog(number, vault)
        if backlog.unsafe_since is None:
            return None if watched else Unsafe(name, _("the daemon does not run: changes may be unseen"))
        lacking.append((backlog.bytes, backlog.files + backlog.unread))
    if not lacking:
        return Unsafe(name, _("no target that answers has a full snapshot"))
    size, files = min(lacking)
    return Unsafe(name, _("changes are not off-site"), files, size)

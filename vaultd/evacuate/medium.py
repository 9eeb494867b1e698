"""Media that were prepared as targets, as the state keeps them: by label, until they are finished.

Each is a target of its own in the store and in the ledger, under its label. ``plugged`` are those that are there now;
``target_ref`` is what a worker takes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vaultd import targets
from vaultd.config import Config, MediumTarget
from vaultd.config.medium import MEDIA, folder_name
from vaultd.protect.refs import TargetRef, VaultRef
from vaultd.store import Store

KEY = "medium:"
"""Of the state's values: under this and a label is what was prepared."""

SERIES = "medium-series:"
"""Under this, a vault's number and a medium's is that the medium is owed the vault."""

REPOSITORY = "vaultd"
"""The repository's folder on the medium."""

PASSWORD = "password"  # noqa: S105  # the name of a file
KEPT = "kept-repository"
"""In a target's folder: what a twin of its repository is made of (``restic.twin``)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A medium that is a target. ``uuid``: of its file system; ``serial``: of its disk; ``like``: the target whose keys
    open it, empty where only the password does; ``time``: nanoseconds since 1970."""

    label: str
    uuid: str
    serial: str
    like: str
    time: int


def mount_of(config: Config, label: str) -> Path:
    """Where a medium is mounted."""
    return config.host.state / MEDIA / folder_name(label)


def target_of(config: Config, label: str) -> MediumTarget:
    """The target that a medium is, whether it is plugged in or not."""
    mount = mount_of(config, label)
    bare = MediumTarget(label, str(mount / REPOSITORY), Path(), mount)
    return replace(bare, password_file=config.target_folder(bare) / PASSWORD)


def note(store: Store, found: Prepared) -> None:
    """Keep that a medium was prepared."""
    store.set_meta(KEY + found.label, json.dumps(asdict(found), ensure_ascii=False))


def forget(store: Store, label: str) -> None:
    """It is a target no longer."""
    store.set_meta(KEY + label, "")


def known(store: Store, label: str) -> Prepared | None:
    """What was prepared under a label, None where nothing was."""
    text = store.get_meta(KEY + label)
    return Prepared(**json.loads(text)) if text else None


def prepared(store: Store) -> list[Prepared]:
    """All media that are targets now, by their labels."""
    found = (known(store, key.removeprefix(KEY)) for key in sorted(store.meta_keys(KEY)))
    return [one for one in found if one is not None]


def plugged(config: Config, store: Store) -> list[MediumTarget]:
    """Those that are mounted now, as targets. Asks the kernel alone."""
    found = (target_of(config, one.label) for one in prepared(store))
    return [one for one in found if os.path.ismount(one.mount)]


def target_ref(config: Config, store: Store, target: MediumTarget) -> TargetRef:
    """What a worker takes; with the hint that spares restic trying several keys."""
    hint = store.get_meta(f"key:{target.name}")
    repository = replace(targets.repository(config, target), key_hint=hint or None)
    return TargetRef(store.target_id(target.name), target.name, target, repository)


def owe(store: Store, target: TargetRef, vaults: Iterable[VaultRef]) -> list[VaultRef]:
    """Owe a medium all of these vaults, each once, and return them with it among their targets: what is observed with
    these is owed to it too. After a restart of the daemon this comes before the first scan, which finds what changed
    meanwhile: what the medium has already is then not owed again."""
    found = []
    for vault in vaults:
        key = f"{SERIES}{vault.id}:{target.id}"
        if not store.get_meta(key):
            store.mark_all(target.id, vault.id)
            store.set_meta(key, "1")
        found.append(replace(vault, targets=tuple(dict.fromkeys((*vault.targets, target.id)))))
    return found


def disown(store: Store, label: str) -> None:
    """Nothing is owed to a medium any more; it comes back as a new one. Its alerts are over."""
    number = store.known("target", label)
    if number is None:
        return
    for vault in store.vault_names():
        store.set_meta(f"{SERIES}{vault}:{number}", "")
    store.owe_nothing(number)
    for alert in store.alerts.list():
        if alert.target == label:
            store.alerts.clear(alert.code, vault=alert.vault, target=label)


def emptied(store: Store, label: str) -> None:
    """The medium was erased: nothing that was on it counts any more."""
    number = store.known("target", label)
    if number is None:
        return
    disown(store, label)
    store.note_forgotten(number, [row.snapshot for row in store.snapshots() if row.target == number])
    for key in ("key", "repair", "locks"):
        store.set_meta(f"{key}:{label}", "")

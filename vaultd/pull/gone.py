"""Disks that somebody has signed for when they left: the list goes on showing them, as gone, with who and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from vaultd.disks import form
from vaultd.disks.model import Disk
from vaultd.pull.model import Gone, Pull, PullList
from vaultd.store import Store

KEY = "signed-off:"
"""Of the state's values: under this and a disk's key is who has signed for it."""


def note(store: Store, disk: Disk, gone: Gone, vaults: Sequence[str]) -> None:
    """Keep that a disk has left."""
    kept = {"gone": asdict(gone), "disk": form.disk(disk), "vaults": list(vaults)}
    store.set_meta(KEY + disk.key, json.dumps(kept, ensure_ascii=False))


def shown(made: PullList, store: Store | None) -> PullList:
    """The list with those that have left marked; they stay in it although nobody sees them any more, at its end."""
    if store is None:
        return made
    left = {key.removeprefix(KEY): json.loads(store.get_meta(key) or "{}") for key in store.meta_keys(KEY)}
    left = {key: one for key, one in left.items() if not _is_back(store, one["gone"]["label"])}
    pulls = [_marked(pull, left) for pull in made.pulls]
    listed = {pull.disk.key for pull in pulls}
    for key in sorted(left.keys() - listed, key=lambda key: (left[key]["gone"]["time"], key)):
        disk = form.read_disk(left[key]["disk"])
        number = len(pulls) + 1
        pulls.append(Pull(number, disk, tuple(left[key]["vaults"]), False, gone=Gone(**left[key]["gone"])))
    return replace(made, pulls=tuple(pulls))


def _is_back(store: Store, label: str) -> bool:
    """Whether the register has it in a machine again."""
    medium = store.medium(label)
    return medium is not None and medium.status == "in-service"


def _marked(pull: Pull, left: dict[str, dict[str, dict[str, object]]]) -> Pull:
    found = left.get(pull.disk.key)
    return pull if found is None else replace(pull, gone=Gone(**found["gone"]))  # type: ignore[arg-type]

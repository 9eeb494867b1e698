"""Alerts that come out of a run: mass changes, files that could not be read, files in motion, overdue vaults."""

from __future__ import annotations

import time

from vaultd.model import SnapshotKind
from vaultd.protect.changeset import ChangeSet
from vaultd.protect.refs import TargetRef, VaultRef
from vaultd.store import Store


def check_mass_change(store: Store, vault: VaultRef, target: TargetRef, changes: ChangeSet) -> bool:
    """Raise an alert when what is to be stored changes or deletes too large a share of a vault. Protection goes on.

    New files do not count: a path counts when it had a version before. A first protection never counts. Of a large
    change one run takes a part only, so what waits behind it counts too, unless most of this part is unchanged and is
    just owed to the target again.
    """
    if store.last_snapshot(target.id, vault.id, SnapshotKind.FULL) is None:
        return False
    limit = vault.config.mass_change_files
    gone = store.count_gone(target.id, vault.id)
    if max(len(changes.files), store.backlog(target.id, vault.id).files) + gone < limit:
        return False
    changed = store.count_with_versions(vault.id, changes.files.keys() - changes.known.keys())
    if 2 * len(changes.known) < len(changes.files):
        changed = max(changed, store.count_changed(target.id, vault.id))
    changed += gone
    files = max(1, store.totals(vault.id)[0])
    if changed < limit or changed / files < vault.config.mass_change_share:
        return False
    for standing in store.alerts.list():  # of a change in parts what is left gets less with each
        if (standing.code, standing.vault) == ("mass-change", vault.name):
            changed = max(changed, int(str(standing.detail["changed"])))
    detail = {"changed": changed, "files": files, "share": round(changed / files, 3)}
    store.alerts.raise_("mass-change", vault=vault.name, detail=detail)
    return True


def note_exceptions(store: Store, vault: VaultRef, target: TargetRef) -> None:
    """Raise or clear what the backlog says of unread files and files in motion."""
    backlog = store.backlog(target.id, vault.id)
    for code, count in (("unread-files", backlog.unread), ("in-motion", backlog.in_motion)):
        if count:
            store.alerts.raise_(code, vault=vault.name, target=target.name, detail={"files": count})
        else:
            store.alerts.clear(code, vault=vault.name, target=target.name)


def check_overdue(store: Store, vault: VaultRef, target: TargetRef) -> bool:
    """Raise an alert when the oldest unsafe change is older than the vault's objective; clear it otherwise."""
    backlog = store.backlog(target.id, vault.id)
    since = backlog.unsafe_since
    seconds = 0.0 if since is None else (time.time_ns() - since) / 1e9
    if seconds > vault.config.objective:
        detail = {"seconds": round(seconds), "objective_seconds": vault.config.objective}
        store.alerts.raise_("overdue", vault=vault.name, target=target.name, detail=detail)
        return True
    store.alerts.clear("overdue", vault=vault.name, target=target.name)
    return False

"""Whether a vault's folder may be backed up: there, the same as before, and not suddenly empty.

A folder that is gone, emptied or replaced raises an alert and makes no snapshot: the old ones stay what they are. A
mount
inside the vault that is gone holds back full snapshots only: what it held is not deleted, it is out of sight.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from vaultd.errors import RootError
from vaultd.i18n import _
from vaultd.names import display, join
from vaultd.protect.refs import VaultRef
from vaultd.store import Store
from vaultd.watch.scan import current_mounts

_ALERTS = ("vault-missing", "vault-emptied", "vault-replaced", "vault-unreadable")


@dataclass(frozen=True, slots=True)
class RootState:
    """``withhold_full``: a mount inside the vault is missing, so no snapshot of it would be exact."""

    withhold_full: bool


def check_root(store: Store, vault: VaultRef) -> RootState:
    """Check a vault's folder and the mounts in it; alerts are raised and cleared. Raises RootError: no snapshot now."""
    _check_folder(store, vault)
    known, found = store.mounts(vault.id), current_mounts(vault.root)
    _check_identity(store, vault, known, found)
    for code in _ALERTS:
        store.alerts.clear(code, vault=vault.name)
    return RootState(_mount_is_missing(store, vault, known, found))


def mount_gone(vault: VaultRef) -> RootError:
    """No full snapshot is exact now; the alert stands already."""
    return RootError(
        _("no full snapshot is made of vault {vault}").format(vault=vault.name),
        _("a file system that was mounted in it is gone"),
        _("mount it again; if it is meant: vaultd backup {vault} --accept-empty").format(vault=vault.name),
    )


def check_after(store: Store, vault: VaultRef, *, full: bool) -> None:
    """Check again when restic has ended: had a disk gone meanwhile, all of it would look deleted, and a full snapshot
    would not be exact. Raises RootError: nothing may be acknowledged."""
    if check_root(store, vault).withhold_full and full:
        raise mount_gone(vault)


def root_lost(store: Store, vault: VaultRef) -> RootError:
    """The folder went while it was scanned: the error to raise, its alert raised."""
    try:
        check_root(store, vault)
    except RootError as error:
        return error
    why = _("the folder {folder} came and went").format(folder=display(vault.root))
    return _refuse(store, vault, "vault-missing", why, _("is its file system mounted?"))


def _refuse(store: Store, vault: VaultRef, code: str, why: str, hint: str) -> RootError:
    for other in _ALERTS:
        if other != code:
            store.alerts.clear(other, vault=vault.name)
    store.alerts.raise_(code, vault=vault.name, detail={"path": display(vault.root), "error": why})
    return RootError(_("no snapshot is made of vault {vault}").format(vault=vault.name), why, hint)


def _check_folder(store: Store, vault: VaultRef) -> None:
    folder = display(vault.root)
    try:
        found = os.lstat(vault.root)
        if not stat.S_ISDIR(found.st_mode):
            why = _("{folder} is not a folder any more").format(folder=folder)
            raise _refuse(store, vault, "vault-replaced", why, _("put the folder back"))
        with os.scandir(vault.root) as entries:
            is_empty = next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError):
        why = _("the folder {folder} is gone").format(folder=folder)
        raise _refuse(store, vault, "vault-missing", why, _("is its file system mounted?")) from None
    except OSError as error:
        why = _("{folder}: {error}").format(folder=folder, error=error.strerror)
        raise _refuse(store, vault, "vault-unreadable", why, _("the daemon must be able to read it")) from error
    if is_empty and not store.accepted(vault.id) and (store.had_files(vault.id) or not store.is_empty(vault.id)):
        why = _("the folder {folder} is suddenly empty").format(folder=folder)
        hint = _("is its file system mounted? If it is meant: vaultd backup {vault} --accept-empty")
        raise _refuse(store, vault, "vault-emptied", why, hint.format(vault=vault.name))


def _check_identity(store: Store, vault: VaultRef, known: dict[bytes, str], found: dict[bytes, str]) -> None:
    if store.accepted(vault.id) or b"" not in known or known[b""] == found.get(b""):
        return
    why = _("another file system is at {folder} than before").format(folder=display(vault.root))
    hint = _("mount the right one; if it is meant: vaultd backup {vault} --accept-empty").format(vault=vault.name)
    raise _refuse(store, vault, "vault-replaced", why, hint)


def _mount_is_missing(store: Store, vault: VaultRef, known: dict[bytes, str], found: dict[bytes, str]) -> bool:
    missing = sorted(path for path, identity in known.items() if path and found.get(path) != identity)
    if missing and not store.accepted(vault.id):
        detail = {"path": display(join(vault.root, missing[0])), "mounts": len(missing)}
        store.alerts.raise_("mount-missing", vault=vault.name, detail=detail)
        return True
    store.alerts.clear("mount-missing", vault=vault.name)
    return False

"""Take back the word of a snapshot that is not the exact vault it was meant to be.

A disk that goes while restic reads leaves a snapshot in which everything on it is missing. It is not acknowledged; but
who restores from the repository alone sees only its tags, and would take it for the newest state of the vault.
"""

from __future__ import annotations

import logging

from vaultd.errors import VaultdError
from vaultd.protect.recorded import upkeep
from vaultd.protect.refs import TargetRef
from vaultd.restic import commands
from vaultd.restic.tags import withdrawn_tags
from vaultd.store import Store

log = logging.getLogger(__name__)


async def withdraw(store: Store, target: TargetRef, vault: str, change_set: str, root: bytes, snapshot: str) -> None:
    """Tag a snapshot ``kind=withdrawn``. What cannot be done now is tried again when the target is next looked at
    (``recover.attach``). Where only the copy with the new tags was allowed, only the removal is tried again."""
    tags = withdrawn_tags(vault, change_set, root)
    try:
        with upkeep(store, target) as (run, started):
            if await commands.count_tagged(target.repository, tags):
                await commands.forget(target.repository, snapshot, marker=run, started=started)
            else:
                await commands.set_tags(target.repository, snapshot, tags, marker=run, started=started)
        log.warning("target %s: snapshot %s of vault %s is not exact: withdrawn", target.name, snapshot[:8], vault)
    except VaultdError as error:
        log.warning("target %s: snapshot %s cannot be withdrawn now: %s", target.name, snapshot[:8], error)

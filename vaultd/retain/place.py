"""A vault at a target, as somebody reaches it who may remove there: the daemon, root, another host with its own keys.

Where there is no state (another host), nothing is known of alerts, and nothing goes on record.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaultd import reach, targets
from vaultd.config.model import AnyTarget, Config
from vaultd.config.retention import RetentionConfig
from vaultd.errors import ForeignRepositoryError, VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import Body, Forgotten
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.protect.recorded import upkeep
from vaultd.protect.refs import TargetRef
from vaultd.restic import commands
from vaultd.restic.process import Repository, Started
from vaultd.sftp import stored
from vaultd.store import Store

IDS_IN_ENTRY = 500
"""Snapshots that one ledger entry names: it has 64 KiB."""


@dataclass(frozen=True, slots=True)
class Place:
    """``config`` and ``target`` as they are reached now (perhaps with other keys than the daemon's). ``host``: whose
    snapshots. ``root``: the vault's folder, empty where it has none here. ``record`` puts an event on record;
    ``ledger``: the folder that says what its files are, None where there is none."""

    config: Config
    target: AnyTarget
    repository: Repository
    host: str
    vault: str
    root: bytes
    policy: RetentionConfig
    who: str
    record: Callable[[Body], None]
    store: Store | None = None
    ledger: Path | None = None

    @property
    def target_id(self) -> int:
        """The store's number of the target."""
        return -1 if self.store is None else self.store.target_id(self.target.name)

    @contextlib.contextmanager
    def upkeep(self) -> Iterator[tuple[str, Started | None]]:
        """A run that changes the repository: on record before it runs, where there is a state."""
        if self.store is None:
            yield f"retain-{os.getpid()}-{time.monotonic_ns()}", None
            return
        ref = TargetRef(self.target_id, self.target.name, self.target, self.repository)
        with upkeep(self.store, ref) as (marker, started):
            yield marker, started

    async def check_ours(self) -> None:
        """Make sure that this is the repository that vaultd knows, and lift the locks of our own dead runs. Raises
        ForeignRepositoryError before anything is changed."""
        found = await commands.repository_id(self.repository)
        known = None if self.store is None else self.store.target_repository(self.target.name)
        if known is not None and known != found:
            raise ForeignRepositoryError(
                _("target {name} holds another repository than before").format(name=self.target.name),
                _("it was {known} and is {found}").format(known=known[:8], found=found[:8]),
                _("nothing is removed from it; see vaultd target check {name}").format(name=self.target.name),
            )
        if self.store is not None:
            await targets.lift_own_dead_locks(self.config, self.target, self.store)

    async def listed(self) -> list[StoredSnapshot]:
        """The vault's snapshots of this host that are there, in vaultd's order."""
        found = await commands.snapshots(self.repository, [f"vault={self.vault}"])
        return [one for one in found if one.host == self.host]

    async def withdrawn(self) -> list[str]:
        """The ids of those whose word was taken back."""
        return await commands.withdrawn(self.repository, self.vault, self.host)

    def last_known(self) -> set[str]:
        """The newest full snapshot that was acknowledged here: it stays whatever the repository says."""
        if self.store is None:
            return set()
        row = self.store.last_snapshot(self.target_id, self.store.vault_id(self.vault), SnapshotKind.FULL)
        return set() if row is None else {row.snapshot}

    def refuse_while_alarmed(self) -> None:
        """Raise VaultdError while a mass change of the vault stands: what is old may be all that is true."""
        if self.store is not None and self.store.alerts.is_open("mass-change", vault=self.vault):
            raise VaultdError(
                _("nothing of vault {vault} is forgotten").format(vault=self.vault),
                _("the alert of a mass change stands: the older snapshots may be the good ones"),
                _("find out who did it (vaultd alert list); if it is meant: vaultd alert ack NUMBER"),
            )

    def data_bytes(self) -> int:
        """How many bytes of packs the repository has. Blocks."""
        with reach.connect(self.config, self.target) as session:
            return stored.data_bytes(session, self.target.path)

    # what is on record

    def intend(self, snapshots: Sequence[str], policy: bytes) -> None:
        """Note what is about to be removed: who dies in the middle leaves that for the next to put on record."""
        if self.store is not None:
            text = json.dumps({"vault": self.vault, "ids": list(snapshots), "policy": policy.hex(), "who": self.who})
            self.store.set_meta(self._key, text if snapshots else "")

    def settle(self, there: set[str]) -> None:
        """Put on record what an interrupted run has removed."""
        text = "" if self.store is None else self.store.get_meta(self._key)
        if not text:
            return
        left = json.loads(text)
        gone = [one for one in left["ids"] if one not in there]
        self.note_forgotten(gone, bytes.fromhex(left["policy"]), left["who"])
        self.intend((), b"")

    def note_forgotten(self, gone: Sequence[str], policy: bytes, who: str) -> None:
        """Put on record that these were removed."""
        if self.store is not None:
            self.store.note_forgotten(self.target_id, gone)
        for at in range(0, len(gone), IDS_IN_ENTRY):
            part = list(gone[at : at + IDS_IN_ENTRY])
            self.record(Forgotten(self.vault, self.target.name, part, policy, who))

    @property
    def _key(self) -> str:
        return f"forget:{self.vault}:{self.target.name}"

"""What a snapshot is going to put on record, made ready while restic still runs.

Nothing of it is on record, and none of it may ever be: it is a guess that all files stay as they were when they were
hashed. What did not stay so is left out; the rest needs no work any more when restic has ended and everybody waits for
the acknowledgement.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from vaultd.custody import forms
from vaultd.ledger import entry
from vaultd.model import SnapshotKind
from vaultd.store import Acknowledgement, Bound, Store, bound_version


@dataclass(slots=True)
class Prepared:
    """The versions of a run that are ready: in ``bound``, in the ledger's form, and staged in the store, in the same
    order. ``origin``: the name of the ledger that the entries are for; None: it is out of order, and they are made when
    it is back.

    ``manifest`` is the manifest's SHA-256 if no version has come on record after ``newest``, the number of the last.
    """

    store: Store
    vault: int
    kind: SnapshotKind
    run: str
    origin: str | None = None
    bound: list[Bound] = field(default_factory=list)
    entries: list[entry.Begun] = field(default_factory=list)
    manifest: bytes | None = None
    newest: int = 0

    def add(self, bound: Sequence[Bound]) -> None:
        """Make versions ready that are new on record."""
        versions = [bound_version(one) for one in bound]
        self.store.stage(self.run, self.vault, len(self.bound), versions)
        self.bound += bound
        if self.origin is not None:
            name = self.store.vault_names()[self.vault]
            self.entries += entry.begin_versions([forms.version(name, self.run, one) for one in versions], self.origin)

    def finish(self) -> None:
        """All are there: make the manifest ready."""
        self.newest = self.store.newest_version()  # before the versions are read: what comes meanwhile makes it void
        if self.origin is not None and not self.store.owes_ledger():
            changes = {one.path: one.sha256 for one in self.bound}
            self.manifest = forms.manifest_digest(self.store, self.kind, self.vault, changes)

    def leave_out(self, paths: Collection[bytes]) -> None:
        """Some of them did not stay as they were."""
        places = {at for at, one in enumerate(self.bound) if one.path in paths}
        if places:
            self.store.unstage(self.run, places)
            self.bound = [one for at, one in enumerate(self.bound) if at not in places]
            self.entries = [one for at, one in enumerate(self.entries) if at not in places]
            self.manifest = None

    def discard(self) -> None:
        """The run is over. What is on record is not staged any more; what is not never will be."""
        self.store.unstage(self.run)

    def manifest_of(self, done: Acknowledgement) -> bytes:
        """SHA-256 of the snapshot's manifest (``forms.manifest_of``): the prepared one where it still holds."""
        others = done.deleted or done.in_motion or any(one.sha256 is not None for one in done.bound)
        if self.manifest is None or others or self.store.newest_version() != self.newest or self.store.owes_ledger():
            return forms.manifest_of(self.store, done, self.bound)
        return self.manifest

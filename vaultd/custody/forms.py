"""What goes on record, in the form of entries: versions, snapshots with their manifest, events that are too large."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from vaultd import manifest
from vaultd.custody import documents
from vaultd.ledger import canonical, entry
from vaultd.ledger.events import Body, DocumentKept, FileVersion, SnapshotMade
from vaultd.model import SnapshotKind
from vaultd.store import Acknowledgement, Bound, NewVersion, Store

log = logging.getLogger(__name__)

LARGEST_EVENT = 60_000
"""Bytes of an event's own fields; the others of its entry fit beside them."""


def version(vault: str, change_set: str, one: NewVersion) -> FileVersion:
    """A file version's entry."""
    if one.state == "deleted":
        return FileVersion(vault, one.path, one.state, change_set)
    return FileVersion(vault, one.path, one.state, change_set, one.size, one.mtime, one.sha256, one.sm3)


def snapshot(
    store: Store, done: Acknowledgement, manifest_to: int | None, manifest_digest: bytes | None
) -> SnapshotMade:  # fmt: skip
    """A snapshot's entry; how many versions come with it is filled in later. ``manifest_to``: how much is on record
    now; None while the ledger is out of order."""
    target = store.target_names([done.target])[0]
    unread, moving = sum(one.problem == "unread" for one in done.retry), len(done.in_motion)
    counts = {"unread": unread, "in_motion": moving, "retry": len(done.retry) - unread - moving}
    return SnapshotMade(
        store.vault_names()[done.vault], target, done.kind.value, done.change_set, done.snapshot, str(done.time),
        done.files, done.total, 0, {key: count for key, count in counts.items() if count},
        store.target_repository(target), manifest_digest,
        manifest_to if done.kind is SnapshotKind.FULL else None, done.dump, done.digest,
        None if done.since is None else str(done.since),
    )  # fmt: skip


def manifest_of(store: Store, done: Acknowledgement, more: Sequence[Bound] = ()) -> bytes:
    """SHA-256 of the manifest: of a full snapshot, of all that is on record and what it adds; of an express one, of
    what it adds. ``more`` is bound beside what the acknowledgement says."""
    changes: dict[bytes, bytes | None] = {one.path: one.sha256 for one in done.bound if one.sha256 is not None}
    changes.update({one.path: one.sha256 for one in (*more, *done.in_motion)})
    if done.kind is SnapshotKind.FULL:
        changes.update(dict.fromkeys(done.deleted))
    return manifest_digest(store, done.kind, done.vault, changes)


def manifest_digest(store: Store, kind: SnapshotKind, vault: int, changes: dict[bytes, bytes | None]) -> bytes:
    """SHA-256 of the manifest of a snapshot that adds these to what is on record, or (express) of these alone."""
    before = () if kind is SnapshotKind.EXPRESS else store.recorded_hashes(vault)
    return manifest.digest(manifest.changed(before, changes))


def fitting(state: Path, body: Body) -> Body:
    """The event, or where it is too large for an entry one that names a file which has it."""
    fields = entry.fields_of(body)
    encoded = canonical.encode(fields)
    if len(encoded) <= LARGEST_EVENT:
        return body
    digest = hashlib.sha256(encoded).digest()
    try:
        documents.keep(state, f"{digest.hex()}.json", encoded)
    except OSError as error:
        log.error("the event %s is on record without its details: %s", body.TYPE, error)
    return DocumentKept(body.TYPE, digest, len(encoded))

"""What could not go on record when it happened goes on record now, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vaultd.custody import forms
from vaultd.ledger import entry
from vaultd.ledger.events import Body, FileVersion, Given, SnapshotMade
from vaultd.store import Store

CHUNK = 10_000

Append = Callable[[Sequence[Body]], int]
"""Puts entries on record; the place of the first."""


def catch_up(store: Store, append: Append) -> None:
    """Everything that the ledger lacks. Raises what ``append`` raises; what is on record then is not owed any more."""
    while events := store.events(CHUNK):
        for event in events:
            if event.type == SnapshotMade.TYPE:
                _versions(store, append, str(event.fields["change_set"]))
        bodies = [Given(one.type, {**one.fields, "at": entry.time_text(one.at)}) for one in events]
        with store.database.write() as db:
            first = append(bodies)
            for place, event in enumerate(events, first):
                store.note_recorded(db, event=event, entry=place)
    _versions(store, append, None)


def _versions(store: Store, append: Append, change_set: str | None) -> None:
    """The versions of a change set, or of any, the oldest first."""
    while rows := store.unrecorded_versions(change_set, CHUNK):
        bodies = [
            Given(FileVersion.TYPE, {**entry.fields_of(forms.version(vault, run, one)), "at": entry.time_text(at)})
            for _number, vault, run, at, one in rows
        ]
        with store.database.write() as db:
            first = append(bodies)
            store.note_recorded(db, [(row[0], first + at) for at, row in enumerate(rows)])

"""Records that were destroyed on purpose (``destroyed-records``): what snapshots of before that moment may lack.

The ledger has no names there, only salted digests: who has a path can ask whether it, or a folder above it, is one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vaultd.errors import LedgerError
from vaultd.i18n import _
from vaultd.ledger.events import DocumentKept, RecordsDestroyed
from vaultd.ledger.reading import Reader

DOCUMENTS = "documents"
"""Beside the ledger's folder: events too large for an entry."""

_NAMED = f'"{RecordsDestroyed.TYPE}"'.encode()


@dataclass(frozen=True, slots=True)
class Act:
    """One entry: its place in the ledger, its salt, the digests of the paths, how many snapshots were rewritten."""

    entry: int
    salt: bytes
    digests: frozenset[str]
    rewritten: int

    def names(self, path: bytes) -> bool:
        """Whether it is of this path (relative to the vault), or of a folder above it."""
        while path:
            if hashlib.sha256(self.salt + path).hexdigest() in self.digests:
                return True
            path = path.rpartition(b"/")[0]
        return False


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What was destroyed of a vault at a target."""

    acts: tuple[Act, ...] = ()

    def covers(self, path: bytes, made: int) -> bool:
        """Whether a snapshot may lack a path: the path was destroyed, and the snapshot is older. ``made``: the place of
        the snapshot's entry in the ledger."""
        return any(act.entry > made and act.names(path) for act in self.acts)

    def rewrote(self, made: int) -> bool:
        """Whether a snapshot whose entry is at this place may go by another id since."""
        return any(act.entry > made and act.rewritten for act in self.acts)


def destroyed(reader: Reader, vault: str, target: str) -> Destroyed:
    """What this ledger (not those that it continues: their snapshots are older than it) says of it. Raises
    LedgerError."""
    return Destroyed(tuple(_acts(reader, vault, target)))


def _acts(reader: Reader, vault: str, target: str) -> Iterator[Act]:
    for number, raw in enumerate(reader.in_order()):
        if _NAMED not in raw:
            continue
        one = json.loads(raw)
        if one["type"] == DocumentKept.TYPE and one["of"] == RecordsDestroyed.TYPE:
            one = _document(reader, one) | {"type": RecordsDestroyed.TYPE}
        if one["type"] == RecordsDestroyed.TYPE and one["vault"] == vault and one["target"] == target:
            yield Act(number, bytes.fromhex(one["path_salt"]), frozenset(one["paths"]), one["rewritten"])


def _document(reader: Reader, entry: dict[str, Any]) -> dict[str, Any]:
    """The fields of an event that was too large for its entry; its hash is on record."""
    file = reader.folder.path.absolute().parent / DOCUMENTS / f"{entry['digest']}.json"
    what = _("entry {index} of the ledger").format(index=entry["seq"])
    hint = _("it belongs beside the ledger: {file}").format(file=file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise LedgerError(what, _("its details cannot be read: {error}").format(error=error.strerror), hint) from error
    if hashlib.sha256(content).hexdigest() != entry["digest"]:
        raise LedgerError(what, _("its details are not those that were put on record"), hint)
    found: dict[str, Any] = json.loads(content)
    return found

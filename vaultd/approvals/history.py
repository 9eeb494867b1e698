"""Who was accepted, by the ledger: for a host whose state has lost it."""

from __future__ import annotations

from dataclasses import dataclass, field

from vaultd.config.model import Config
from vaultd.config.persons import DIRECTOR
from vaultd.errors import LedgerMissingError
from vaultd.ledger import entry
from vaultd.ledger.events import PersonChanged
from vaultd.ledger.reading import Reader
from vaultd.store.approvalrows import PersonRow
from vaultd.units import parse_rfc3339

_MARK = b'"type":"person"'
_ACCEPTED = frozenset({"first", "accepted"})
_STATES = {"new": "waiting", "changed": "waiting", "gone": "gone"}


@dataclass(slots=True)
class Remembered:
    """The persons as the entries leave them; whether there ever was a director among those who were accepted."""

    persons: dict[str, PersonRow] = field(default_factory=dict)
    had_director: bool = False


def remembered(config: Config) -> Remembered:
    """What the ledger says. Reads all of it, once in the life of a state. Raises LedgerError when there is one that
    cannot be read."""
    found = Remembered()
    try:
        reader = Reader(config.ledger_folder)
    except LedgerMissingError:
        return found
    for raw in reader.in_order():
        if _MARK in raw:
            one = entry.decode(raw)
            if one["type"] == PersonChanged.TYPE:
                row = found.persons[one["name"]] = _row(one)
                found.had_director |= row.state == "accepted" and DIRECTOR in row.roles.split(",")
    return found


def _row(one: dict[str, str]) -> PersonRow:
    by = f"sheet {one['sheet']}" if "sheet" in one else one.get("by", "")
    state = "accepted" if one["state"] in _ACCEPTED else _STATES.get(one["state"], "waiting")
    return PersonRow(
        one["name"], state, bytes.fromhex(one["digest"]), one["role"], one.get("key", ""), parse_rfc3339(one["t"]), by
    )  # fmt: skip

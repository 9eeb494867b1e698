"""A medium as the ledger knows it, and what people sign.

The ledger has SHA-256 of a medium's salt and its record (canonical JSON of ``RECORD`` fields), never the record: who is
shown an entry learns no serial number, and who has the register, or a certificate, can check it.
"""

from __future__ import annotations

import ctypes
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

from vaultd.ledger import canonical, entry
from vaultd.ledger.events import Body
from vaultd.store.mediarows import Medium
from vaultd.units import parse_rfc3339, rfc3339

RECORD = (
    "label", "copy", "classification", "period", "condition", "type", "make", "model", "serial", "wwn", "capacity",
    "encryption", "vaults", "note",
)  # fmt: skip
"""What a medium is. Where it is, and who answers for it or has it, is told by entries in clear."""

SALT_BYTES = 16
UNSYNCHRONISED = 5
"""What adjtimex(2) says of a clock that no time source keeps."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened (nanoseconds since 1970), and how that is known."""

    at: int
    source: str

    @property
    def text(self) -> str:
        """As entries have it."""
        return rfc3339(self.at)


def now() -> Moment:
    """By this host's clock, which may be kept right by a time source or not."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    kept = state not in (-1, UNSYNCHRONISED)
    return Moment(time.time_ns(), "host-clock-synchronised" if kept else "host-clock")


def stated(text: str) -> Moment:
    """As somebody says who writes it down later. Raises ConfigError."""
    from vaultd.restore import moment

    return Moment(moment.begin(text, "--time"), "stated")


def new_salt() -> bytes:
    """The salt of a new medium."""
    return secrets.token_bytes(SALT_BYTES)


def new_event() -> str:
    """The identifier of an event: people type it, so it is short; it is unguessable enough to be unique."""
    return secrets.token_hex(5)


def fields_of(medium: Medium) -> dict[str, Any]:
    """The record."""
    return {name: getattr(medium, name) for name in RECORD}


def digest(medium: Medium) -> bytes:
    """The record as the ledger has it."""
    return hashlib.sha256(medium.salt + canonical.encode(fields_of(medium))).digest()


def statement(body: Body) -> bytes:
    """What people sign for an event: the own fields of its entry as canonical JSON."""
    return canonical.encode(entry.fields_of(body))


def time_of(fields: dict[str, Any]) -> int:
    """When an event happened, from its statement's fields."""
    return parse_rfc3339(fields["time"])

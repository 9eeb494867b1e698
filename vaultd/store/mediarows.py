"""The rows of the media register as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Medium:
    """A registered carrier. ``capacity`` in bytes, 0 where it is not known; times in nanoseconds since 1970.

    ``status`` is one of ``vaultd.media.machine``; ``holder`` has it now; ``bound_for`` is where it goes while it is in
    transit; ``borrower`` and ``due`` while it is checked out; ``trouble``: what an audit said of it.
    """

    label: str
    classification: str
    custodian: str
    copy: str = ""
    period: str = ""
    condition: str = ""
    type: str = ""
    make: str = ""
    model: str = ""
    serial: str = ""
    wwn: str = ""
    capacity: int = 0
    encryption: str = ""
    deputy: str = ""
    location: str = ""
    host: str = ""
    slot: str = ""
    vaults: str = ""
    note: str = ""
    status: str = "in-service"
    holder: str = ""
    bound_for: str = ""
    seal: str = ""
    borrower: str = ""
    due: int | None = None
    trouble: str = ""
    seen: int | None = None
    seen_where: str = ""
    added: int = 0
    changed: int = 0
    salt: bytes = b""
    id: int | None = None

    @property
    def vault_names(self) -> tuple[str, ...]:
        """The vaults with bytes on it."""
        return tuple(filter(None, self.vaults.split(",")))


class EventRow(NamedTuple):
    """Something that happened to media. ``type`` and ``statement``: the ledger entry's type and its own fields."""

    number: int
    uid: str
    at: int
    action: str
    type: str
    statement: str


class SignatureRow(NamedTuple):
    """A signature that an event asks for: ``state`` "owed", "signed" (``value``: the armoured signature) or "paper"
    (``value``: the number of the sheet). ``key``: fingerprint of the key."""

    event: int
    role: str
    person: str
    state: str
    value: str
    key: str
    at: int | None


class DestructionRow(NamedTuple):
    """A request for destruction by the number of its list; ``event`` and ``execution`` are numbers of events."""

    number: str
    event: int
    state: str
    execution: int | None
    certificate: str | None
    keep_until: str | None


class StockRow(NamedTuple):
    """Seals, cases, spare disks. ``checked`` is a date or empty; ``every_days`` 0: it needs no check."""

    name: str
    kind: str
    quantity: int
    least: int
    place: str
    every_days: int
    checked: str
    checked_by: str
    note: str


class Counts(NamedTuple):
    """What ``status`` says of the register."""

    media: int
    out: int
    overdue: int
    owed: int
    trouble: int

"""Entries of the media register: what is registered, who had what when, who signed for that, what was destroyed.

A medium's serial number and the rest of its record are not in them: ``record`` and ``records`` are SHA-256 of the
medium's salt and its record, which the register (and a certificate of destruction) lets one check.

What people sign is an entry's own fields as canonical JSON, byte for byte (docs/ledger.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class MediumRegistered(Body):
    """A medium was ``added`` to the register, or ``changed`` in it: then ``changes`` names the fields."""

    TYPE: ClassVar[str] = "medium"
    label: str
    state: str
    record: bytes
    status: str
    classification: str
    custodian: str
    who: str
    changes: Sequence[str] | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class MediaMoved(Body):
    """Media went from one hand to another: ``action`` says how (docs/media.md). ``signers``: who is to sign for it, as
    "role: name"; each signature is an entry of its own, ``media-signature``.

    ``time_source``: "host-clock-synchronised", "host-clock", or "stated" by whoever wrote it down later. ``override``:
    why a disk was removed although its data is not safe off-site. ``emergency``: why there was no approval before.
    """

    TYPE: ClassVar[str] = "media-custody"
    event: str
    action: str
    labels: Sequence[str]
    records: Sequence[str]
    released_by: str
    received_by: str
    time: str
    time_source: str
    host: str
    who: str
    signers: Sequence[str]
    witness: str | None = None
    place_from: str | None = None
    place_to: str | None = None
    purpose: str | None = None
    authority: str | None = None
    seal: str | None = None
    seal_condition: str | None = None
    due: str | None = None
    override: str | None = None
    emergency: str | None = None


@dataclass(frozen=True, slots=True)
class MediaSigned(Body):
    """Somebody has signed for an event: with an SSH ``signature`` (base64, of the event's statement) by the key of this
    fingerprint, or on paper, on the ``sheet`` of this number; or they have approved the ``request`` before."""

    TYPE: ClassVar[str] = "media-signature"
    event: str
    role: str
    person: str
    who: str
    signature: str | None = None
    key: str | None = None
    sheet: str | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class MediaAudited(Body):
    """A place was walked through: of ``expected`` media so many were ``found``; labels that were ``missing``, belong
    elsewhere (``misplaced``), or are in no register here (``foreign``)."""

    TYPE: ClassVar[str] = "media-audit"
    place: str
    expected: int
    found: int
    missing: Sequence[str]
    misplaced: Sequence[str]
    foreign: Sequence[str]
    who: str


@dataclass(frozen=True, slots=True)
class MediaDestruction(Body):
    """Media are to be destroyed (``state`` "requested"), were ("executed"), or their certificate was made ("certified":
    ``certificate`` is its SHA-256). ``number``: of the list. vaultd itself erases nothing."""

    TYPE: ClassVar[str] = "media-destruction"
    event: str
    number: str
    state: str
    labels: Sequence[str]
    records: Sequence[str]
    time: str
    time_source: str
    host: str
    who: str
    signers: Sequence[str]
    by: str | None = None
    reason: str | None = None
    place: str | None = None
    sanitization: str | None = None
    method: str | None = None
    tool: str | None = None
    tool_version: str | None = None
    verification: str | None = None
    verified_by: str | None = None
    destination: str | None = None
    backup: str | None = None
    certificate: bytes | None = None
    keep_until: str | None = None


@dataclass(frozen=True, slots=True)
class MediaStocked(Body):
    """Seals, cases, labels, spare disks: how many there are now, and when somebody looked (``checked``, a date)."""

    TYPE: ClassVar[str] = "media-stock"
    name: str
    kind: str
    quantity: int
    least: int
    place: str
    who: str
    checked: str | None = None
    checked_by: str | None = None

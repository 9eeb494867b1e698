"""Entries of persons and approvals: who may act, what somebody asked for, and who has signed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class PersonChanged(Body):
    """A person of the configuration is ``new``, ``changed`` or ``gone``; or a director's existing key has signed that
    (``accepted``: ``by``, ``signature`` and ``signer_key`` say whose). ``key`` is a fingerprint, ``digest`` SHA-256 of
    what the configuration says of them; ``sheet`` is where it was signed on paper; ``request`` the approved request.

    ``first``: accepted without a signature, since nobody had ever been accepted. ``role``: their duties, separated by
    commas."""

    TYPE: ClassVar[str] = "person"
    name: str
    state: str
    role: str
    digest: bytes
    key: str | None = None
    by: str | None = None
    signature: str | None = None
    signer_key: str | None = None
    sheet: str | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRequested(Body):
    """Somebody asks that others approve an action (``state`` "open"); it was "used", has "expired" or was "withdrawn".

    ``parameters``: SHA-256 of the action's parameters as canonical JSON. ``nonce`` is in what is signed.
    ``roles``: of whom it needs approvals, one each. ``late``: the action was done before; its approval is filed after.
    """

    TYPE: ClassVar[str] = "approval-request"
    request: str
    state: str
    action: str
    parameters: bytes
    nonce: str
    requester: str
    expires: str
    roles: Sequence[str]
    late: int | None = None
    who: str | None = None


@dataclass(frozen=True, slots=True)
class Approved(Body):
    """Somebody has approved a request: ``signature`` (base64 of the SSHSIG) by the key of this fingerprint."""

    TYPE: ClassVar[str] = "approval"
    request: str
    action: str
    person: str
    role: str
    signature: str
    key: str
    who: str

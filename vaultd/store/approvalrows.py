"""Rows of persons, requests and approvals, as ``vaultd.store.approvaltables`` has them."""

from __future__ import annotations

from typing import NamedTuple


class PersonRow(NamedTuple):
    """What is known of a person: whether somebody has accepted them, and what the configuration said of them then."""

    name: str
    state: str
    digest: bytes
    roles: str
    fingerprint: str
    since: int
    accepted_by: str


class RequestRow(NamedTuple):
    """Somebody asks for approvals."""

    number: int
    state: str
    action: str
    parameters: str
    origin: str
    nonce: str
    requester: str
    account: str
    who: str
    roles: str
    late: int
    made: int
    expires: int
    ended: int | None


class ApprovalRow(NamedTuple):
    """Somebody has approved a request, in a role."""

    request: int
    person: str
    role: str
    signature: str
    key: str
    at: int
    who: str


class ApprovalCounts(NamedTuple):
    """What the status says. ``late_since``: when the oldest action was done whose approval is owed."""

    open: int
    late: int
    late_since: int | None
    waiting: int

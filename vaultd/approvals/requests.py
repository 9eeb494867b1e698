"""Requests: somebody needs approvals for an action with these parameters and no others, once, until a moment.

What is signed is the canonical JSON of action, expires, nonce, origin, parameters and request (``statement``);
``parameters`` there is SHA-256 of the parameters, which have a salt of their own: who is shown a request learns no
names from it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vaultd.approvals import persons
from vaultd.approvals.accounts import Caller
from vaultd.approvals.faults import NoRequestError
from vaultd.config.model import Config
from vaultd.custody import owe as owe_entry
from vaultd.errors import LedgerError, VaultdError
from vaultd.i18n import _
from vaultd.ledger import canonical, reading
from vaultd.ledger.events import ApprovalRequested
from vaultd.store import Store
from vaultd.store.approvalrows import ApprovalRow, RequestRow
from vaultd.units import SECOND, rfc3339

log = logging.getLogger(__name__)

NAMESPACE = "vaultd-approval"
OPEN, USED, EXPIRED, WITHDRAWN = "open", "used", "expired", "withdrawn"
LATE_SECONDS = 3650 * 86400
"""An approval that is owed does not expire: ten years."""
CERTAIN = 2 * 86400 * SECOND
"""So long after its end a request is put aside for good: a clock that was wrong by a day has not made it void."""
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Request:
    """A request and who has approved it. ``parameters`` without their salt."""

    row: RequestRow
    approvals: Sequence[ApprovalRow]

    @property
    def number(self) -> int:
        """As people type it."""
        return self.row.number

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as they were asked for."""
        found: dict[str, Any] = json.loads(self.row.parameters)
        del found["salt"]
        return found

    @property
    def roles(self) -> list[str]:
        """Whose approval it needs, one person for each."""
        return self.row.roles.split(",")

    @property
    def is_late(self) -> bool:
        """Whether the action was done before."""
        return bool(self.row.late)

    @property
    def digest(self) -> str:
        """SHA-256 of the parameters with their salt, in hex."""
        return hashlib.sha256(self.row.parameters.encode()).hexdigest()

    @property
    def statement(self) -> bytes:
        """What people sign, byte for byte."""
        return canonical.encode({
            "action": self.row.action, "expires": rfc3339(self.row.expires), "nonce": self.row.nonce,
            "origin": self.row.origin, "parameters": self.digest, "request": str(self.row.number),
        })  # fmt: skip

    def missing(self, approvals: Sequence[ApprovalRow] | None = None) -> list[str]:
        """The roles that nobody has approved in yet."""
        left = self.roles
        for one in self.approvals if approvals is None else approvals:
            if one.role in left:
                left.remove(one.role)
        return left

    def as_json(self) -> dict[str, Any]:
        """The request as ``--json`` and the API have it (docs/json.md)."""
        row = self.row
        return {
            "request": row.number, "state": row.state, "action": row.action, "parameters": json.loads(row.parameters),
            "parameters_sha256": self.digest, "requester": row.requester, "account": row.account, "roles": self.roles,
            "missing": self.missing() if row.state == OPEN else [], "late": self.is_late, "made": rfc3339(row.made),
            "expires": rfc3339(row.expires), "ended": rfc3339(row.ended) if row.ended else None,
            "statement": self.statement.decode(),
            "approvals": [
                {"person": by.person, "role": by.role, "key": by.key, "signature": by.signature, "at": rfc3339(by.at)}
                for by in self.approvals
            ],
        }  # fmt: skip


def find(store: Store, number: int) -> Request:
    """A request by its number. Raises NoRequestError."""
    row = store.approval_request(number) if store.has_approvals() else None
    if row is None:
        raise NoRequestError(
            _("request {number}").format(number=number), _("there is none"), _("see: vaultd approvals list --all")
        )
    return Request(row, store.approvals_of(number))


def all_of(store: Store, *, open_only: bool = True) -> list[Request]:
    """Requests, the oldest first."""
    rows = store.approval_requests(open_only=open_only) if store.has_approvals() else []
    return [Request(row, store.approvals_of(row.number)) for row in rows]


# asking


def request(
    config: Config, store: Store, action: str, parameters: Mapping[str, Any], caller: Caller
) -> Request | None:  # fmt: skip
    """Ask for approvals of an action. None where it needs none. Raises ValueError for parameters that have no canonical
    form; KeyError for an action that there is none of."""
    roles = config.approvals.roles_for(action)
    persons.settle(config, store)
    if not roles or not persons.enforced(store):
        return None
    with store.database.write():
        return make(config, store, action, parameters, caller, roles)


def owe(config: Config, store: Store, action: str, parameters: Mapping[str, Any], caller: Caller) -> Request | None:
    """The action was done; it is an open item until those whom the policy names have approved it. None where it needs
    no approval. A ledger that cannot be read does not stop who is in an emergency: the approval is owed then."""
    roles = config.approvals.roles_for(action)
    try:
        persons.settle(config, store)
        needed = persons.enforced(store)
    except LedgerError as error:
        log.error("who may approve is not known: %s", error)
        needed = True
    if not roles or not needed:
        return None
    with store.database.write():
        return make(config, store, action, parameters, caller, roles, late=True)


def make(
    config: Config, store: Store, action: str, parameters: Mapping[str, Any], caller: Caller, roles: Sequence[str], *,
    late: bool = False,
) -> Request:  # fmt: skip
    """Put a request on record. Inside the caller's transaction."""
    if "salt" in parameters:
        raise ValueError("the salt is not the caller's")
    now = time.time_ns()
    salted = canonical.encode({**parameters, "salt": secrets.token_hex(_SALT_BYTES)}).decode()
    until = now + round((LATE_SECONDS if late else config.approvals.expires) * SECOND)
    until -= until % 1_000_000  # as the text has it
    row = RequestRow(
        0, OPEN, action, salted, _origin(config), secrets.token_hex(_SALT_BYTES), caller.name, caller.account,
        caller.who, ",".join(roles), int(late), now, until, None,
    )  # fmt: skip
    made = find(store, store.add_request(row))
    note(config, store, made, OPEN, caller.who)
    return made


def _origin(config: Config) -> str:
    """The ledger's name; where there is none, the host's."""
    try:
        return reading.origin_of(config.ledger_folder, config.host.name)
    except VaultdError:
        return config.host.name


def note(config: Config, store: Store, one: Request, state: str, who: str) -> None:
    """Put on record what has become of a request. Inside the caller's transaction."""
    body = ApprovalRequested(
        str(one.number), state, one.row.action, bytes.fromhex(one.digest), one.row.nonce, one.row.requester,
        rfc3339(one.row.expires), one.roles, 1 if one.is_late else None, who,
    )  # fmt: skip
    owe_entry(store, config.host.state, body)


def end(config: Config, store: Store, one: Request, state: str, who: str) -> bool:
    """An open request is over. Inside the caller's transaction. False when it was over already."""
    if not store.end_request(one.number, state, time.time_ns()):
        return False
    note(config, store, one, state, who)
    return True


def withdraw(config: Config, store: Store, number: int, who: str) -> Request:
    """Take a request back. Not one that is owed: what was done stays done. Raises NoRequestError, VaultdError."""
    what = _("request {number}").format(number=number)
    with store.database.write():
        one = find(store, number)
        if one.is_late:
            raise VaultdError(what, _("what it is for was done: the approval stays owed"))
        if not end(config, store, one, WITHDRAWN, who):
            raise VaultdError(what, _("it is over: {state}").format(state=one.row.state))
        return find(store, number)


def put_aside(config: Config, store: Store, who: str, now: int | None = None) -> None:
    """Put on record that requests have expired; only when that is certain although a clock may be wrong by a day."""
    now = time.time_ns() if now is None else now
    for one in all_of(store):
        if not one.is_late and now > one.row.expires + CERTAIN:
            with store.database.write():
                end(config, store, one, EXPIRED, who)

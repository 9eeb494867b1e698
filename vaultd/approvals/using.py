"""Using approvals up. They count at the moment when they are used: each signature is verified again then, by the key
that the person has then, and so is everything else about it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from vaultd.approvals import persons, sshsig
from vaultd.approvals.accounts import Caller
from vaultd.approvals.faults import ApprovalMissingError, SshSignatureError
from vaultd.approvals.requests import EXPIRED, NAMESPACE, USED, Request, end, find, make
from vaultd.config.model import Config
from vaultd.config.persons import PersonConfig
from vaultd.i18n import _
from vaultd.ledger import canonical
from vaultd.store import Store
from vaultd.store.approvalrows import ApprovalRow
from vaultd.units import SECOND, local

PERSON = "person: "
"""Before the name, where an approval is asked of one person and not of a role."""
SKEW = 300 * SECOND
"""So far ahead of this clock a request may have been made."""


def require(
    config: Config, store: Store, action: str, parameters: Mapping[str, Any], caller: Caller
) -> Request | None:  # fmt: skip
    """Use the approvals of an action up: call it right before it is done, after everything that may refuse it. None
    where it needs none.

    Raises ApprovalMissingError while some are missing: they are asked for, where they were not. An approval of other
    parameters, of another action, one that was used, or that has expired, does not count.
    """
    roles = config.approvals.roles_for(action)
    persons.settle(config, store)
    if not roles or not persons.enforced(store):
        return None
    return _require(config, store, action, parameters, roles, caller, use=True)


def require_of(
    config: Config, store: Store, action: str, parameters: Mapping[str, Any], person: str, caller: Caller, *, use: bool
) -> Request:
    """The same for an approval of one person, whatever their roles; after ``settle``. Without ``use`` it is only looked
    whether it is there. Raises ApprovalMissingError."""
    return _require(config, store, action, parameters, [PERSON + person], caller, use=use)


def _require(
    config: Config, store: Store, action: str, parameters: Mapping[str, Any], roles: Sequence[str], caller: Caller, *,
    use: bool,
) -> Request:  # fmt: skip
    wanted = canonical.encode(parameters)
    with store.database.write():
        one = matching(config, store, action, wanted, roles, caller.who)
        if one is None:
            one = make(config, store, action, parameters, caller, roles)
        missing = one.missing(holding(config, store, one))
        if not missing:
            if use:
                end(config, store, one, USED, caller.who)
            return find(store, one.number)
    raise _missing(config, store, one, missing)


def matching(
    config: Config, store: Store, action: str, wanted: bytes, roles: Sequence[str], who: str
) -> Request | None:  # fmt: skip
    """The open request of exactly this. One that has expired is put aside."""
    for row in reversed(store.approval_requests(action=action)):
        one = Request(row, store.approvals_of(row.number))
        if one.is_late or canonical.encode(one.parameters) != wanted or one.roles != list(roles):
            continue
        if clock_fault(one) is None:
            return one
        end(config, store, one, EXPIRED, who)
    return None


def clock_fault(one: Request, now: int | None = None) -> tuple[str, str] | None:
    """Why this host's clock says that a request is not good (any more, or yet), and what to do; None when it is."""
    now = time.time_ns() if now is None else now
    hint = _("if this clock is wrong, put it right (timedatectl) and try again; if it is right, ask anew: run the "
             "command again that needs the approval")  # fmt: skip
    if now >= one.row.expires:
        text = _("it was good until {until}, and this host's clock says {now}")
        return text.format(until=local(one.row.expires), now=local(now)), hint
    if one.row.made > now + SKEW:
        text = _("it was made at {made}, and this host's clock says {now}: the clock was wrong then, or is now")
        return text.format(made=local(one.row.made), now=local(now)), hint
    return None


def holding(config: Config, store: Store, one: Request) -> list[ApprovalRow]:
    """The approvals that hold now: by persons who are accepted now, in a role that they have now, by the key that they
    have now, of exactly this request, none of them by who asks."""
    counted, found = persons.accepted(config, store), list[ApprovalRow]()
    for row in one.approvals:
        person = counted.get(row.person)
        if person is None or not fits(row.role, person) or is_requester(one, row.person, person.user):
            continue
        try:
            sshsig.verify(person.public_key, one.statement, row.signature, NAMESPACE)
        except SshSignatureError:
            continue
        found.append(row)
    return found


def fits(role: str, person: PersonConfig) -> bool:
    """Whether somebody can approve in a role: it is theirs, or it is that person by name."""
    return role in person.roles or role == PERSON + person.name


def is_requester(one: Request, name: str, account: str) -> bool:
    """Whether a person is who has asked: by name, or by account."""
    return name == one.row.requester or bool(account and account == one.row.account)


def _missing(config: Config, store: Store, one: Request, missing: Sequence[str]) -> ApprovalMissingError:
    able = [
        name for name, person in persons.accepted(config, store).items()
        if any(fits(role, person) for role in missing) and person.ssh_key and not is_requester(one, name, person.user)
    ]  # fmt: skip
    why = _("request {number} lacks the approval of: {roles}").format(number=one.number, roles=", ".join(missing))
    who = _("nobody who is accepted can: see vaultd person list")
    if able:
        who = _("who can: {names}").format(names=", ".join(able))
    hint = _("vaultd approve {number}; then run this command again ({who})").format(number=one.number, who=who)
    what = _("{action} needs approval").format(action=one.row.action)
    return ApprovalMissingError(what, why, hint, one.number)

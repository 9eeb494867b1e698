"""Destruction: request, the approvals that the policy names, execution with two witnesses, certificate.

vaultd records it; it never erases a device itself. Each step is an event that people sign; the certificate is made when
nobody owes a signature any more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vaultd import approvals
from vaultd.i18n import _
from vaultd.ledger.events import MediaDestruction
from vaultd.media import machine, numbering, people, record
from vaultd.media.faults import MediaError, NoMediumError
from vaultd.media.moves import Done
from vaultd.media.people import Means, Signer
from vaultd.media.record import Moment
from vaultd.media.register import Register, clean
from vaultd.store.mediarows import DestructionRow, EventRow, Medium, SignatureRow

REQUESTED, EXECUTED, CERTIFIED = "requested", "executed", "certified"
SANITIZATIONS = ("clear", "purge", "destroy")
"""NIST SP 800-88 Rev. 1, section 2.5."""


@dataclass(frozen=True, slots=True)
class Request:
    """``number``: of the list; empty: the next one of the year."""

    labels: Sequence[str]
    by: str
    reason: str
    sanitization: str
    method: str
    number: str = ""
    moment: Moment | None = None
    means: Means = field(default_factory=Means)


@dataclass(frozen=True, slots=True)
class Execution:
    """What was done, by whom, before which two witnesses, and how it was verified. ``backup``: where the data is kept
    on, or that it is not."""

    number: str
    by: str
    witnesses: Sequence[str]
    place: str
    tool: str
    tool_version: str
    verification: str
    verified_by: str
    destination: str
    backup: str = ""
    method: str = ""
    moment: Moment | None = None
    means: Means = field(default_factory=Means)


@dataclass(frozen=True, slots=True)
class Case:
    """All that is on record of a list."""

    row: DestructionRow
    media: list[Medium]
    request: dict[str, Any]
    approvals: list[SignatureRow]
    execution: dict[str, Any] | None
    signatures: list[SignatureRow]

    def level_of(self, row: SignatureRow) -> int:
        """The level of an approval, from 1 on."""
        return int(row.role.removeprefix("approval-"))


def find(register: Register, number: str) -> Case:
    """A list by its number. Raises NoMediumError."""
    row = register.store.destruction(numbering.normal(number))
    if row is None:
        known = ", ".join(one.number for one in register.store.destructions()) or "-"
        raise NoMediumError(
            _("list {number}").format(number=number), _("there is none"), _("known: {names}").format(names=known)
        )
    store = register.store
    event = store.media_event_numbered(row.event)
    signed = store.signatures(event.number)
    executed: EventRow | None = None if row.execution is None else store.media_event_numbered(row.execution)
    return Case(
        row, store.items_of_event(event.number), json.loads(event.statement),
        [one for one in signed if one.role.startswith("approval-")],
        None if executed is None else json.loads(executed.statement),
        [one for one in signed if not one.role.startswith("approval-")]
        + ([] if executed is None else store.signatures(executed.number)),
    )  # fmt: skip


def request(register: Register, wish: Request) -> Done:
    """Ask for media to be destroyed. Raises MediaError."""
    what = _("request for destruction")
    by, reason, method = clean(wish.by, "by"), clean(wish.reason, "reason"), clean(wish.method, "method")
    if not (by and reason and method and wish.labels):
        raise MediaError(what, _("labels, person, reason and method must be named"))
    if wish.sanitization not in SANITIZATIONS:
        raise MediaError(what, _("there is no {name}").format(name=wish.sanitization),
                         _("one of: {names}").format(names=", ".join(SANITIZATIONS)))  # fmt: skip
    media = register.find_all(wish.labels)
    number = numbering.normal(wish.number) if wish.number else _next_number(register)
    _check_request(register, media, number)
    levels = register.config.media.destruction_approvals
    moment = wish.moment or record.now()
    asks = [Signer(people.REQUESTER, by)]
    body = MediaDestruction(
        record.new_event(), number, REQUESTED, [one.label for one in media],
        [record.digest(one).hex() for one in media], moment.text, moment.source, register.config.host.name,
        register.who, [*(one.text for one in asks), *(f"{people.approval(at)}: {one}" for at, one in _levels(levels))],
        by, reason, sanitization=wish.sanitization, method=method,
    )  # fmt: skip
    signatures = people.collect(register.config, asks, wish.means, record.statement(body))
    # Of the approvals the role is known, and not yet the person.
    signatures += [
        SignatureRow(0, people.approval(at), role, people.OWED, "", "", None) for at, role in _levels(levels)
    ]
    with register.store.database.write():
        again = register.find_all(wish.labels)
        _check_request(register, again, number)
        items = [(one, one.status) for one in again]
        event = register.put_event(body.event, moment.at, "destroy-request", body, items, signatures)
        register.store.put_destruction(DestructionRow(number, event, REQUESTED, None, None, None))
    return Done(body.event, again, signatures)


def _levels(levels: Sequence[str]) -> list[tuple[int, str]]:
    return list(enumerate(levels, 1))


def _check_request(register: Register, media: Sequence[Medium], number: str) -> None:
    if register.store.destruction(number) is not None:
        raise MediaError(_("list {number}").format(number=number), _("this number is taken"))
    for medium in media:
        machine.after(medium, machine.DESTROY)
        if medium.trouble:
            raise MediaError(
                _("destruction of {label}").format(label=medium.label),
                _("an audit did not find it where it should be"),
                _("find it first: vaultd media scan {label} --place PLACE").format(label=medium.label),
            )  # fmt: skip
        other = register.store.open_destruction_of(medium.id or 0)
        if other is not None:
            raise MediaError(
                _("destruction of {label}").format(label=medium.label), _("it is on the list {number}").format(
                    number=other)
            )  # fmt: skip


def _next_number(register: Register) -> str:
    head = f"D-{datetime.now().astimezone().year}-"
    numbers = [one.number.removeprefix(head) for one in register.store.destructions() if one.number.startswith(head)]
    return f"{head}{max((int(one) for one in numbers if one.isdecimal()), default=0) + 1:03}"


def approve(
    register: Register, number: str, level: int, name: str, row: Callable[[str, bytes], SignatureRow]
) -> SignatureRow:  # fmt: skip
    """Approve a list at a level. ``row`` makes the signature of a role, a person and the request's statement. Levels go
    in order, each by somebody with its role, and nobody twice. Raises MediaError."""
    case = find(register, number)
    what = _("approval {level} of list {number}").format(level=level, number=case.row.number)
    levels = register.config.media.destruction_approvals
    if case.row.state != REQUESTED:
        raise MediaError(what, _("it is {state} already").format(state=case.row.state))
    levelled = {case.level_of(one): one for one in case.approvals}
    if level not in levelled:
        raise MediaError(what, _("there are the levels 1 to {count}").format(count=len(levelled)))
    if levelled[level].state != people.OWED:
        raise MediaError(what, _("{name} has approved it").format(name=levelled[level].person))
    if any(levelled[at].state == people.OWED for at in levelled if at < level):
        raise MediaError(what, _("a level before it has not approved yet"))
    role = levelled[level].person if level > len(levels) else levels[level - 1]
    people.require_role(register.config, name, [role], what)
    approvals.check_accepted(register.config, register.store, name, what)
    taken = {one.person for one in case.approvals if one.state != people.OWED} | {case.request["by"]}
    if name in taken:
        raise MediaError(what, _("{name} has asked for it, or approved it at another level").format(name=name))
    event = register.store.media_event_numbered(case.row.event)
    signed = row(people.approval(level), event.statement.encode())
    with register.store.database.write():
        if not register.store.drop_signature(event.number, people.approval(level)):  # signing may have taken minutes
            raise MediaError(what, _("somebody else has approved it meanwhile"))
        register.put_signature(event.uid, event.number, signed)
    return signed


def execute(register: Register, wish: Execution) -> Done:
    """It was done: put it on record. Raises MediaError."""
    case = find(register, wish.number)
    what = _("execution of list {number}").format(number=case.row.number)
    if case.row.state != REQUESTED:
        raise MediaError(what, _("it is {state} already").format(state=case.row.state))
    lacking = [one for one in case.approvals if one.state == people.OWED]
    if lacking:
        names = ", ".join(f"{case.level_of(one)} ({one.person})" for one in lacking)
        raise MediaError(
            what, _("approvals are missing: {names}").format(names=names),
            _("vaultd media destroy approve {number} --level {level} --by NAME").format(
                number=case.row.number, level=case.level_of(lacking[0])),
        )  # fmt: skip
    _check_execution(wish, what)
    moment = wish.moment or record.now()
    if moment.at > time.time_ns() + 300 * 10**9 or moment.at < record.time_of(case.request):
        raise MediaError(what, _("its time is before the request, or in the future"))
    signers = [
        Signer(people.EXECUTOR, wish.by), *(Signer(people.WITNESS, one) for one in wish.witnesses),
        Signer(people.VERIFIER, wish.verified_by),
    ]  # fmt: skip
    asked = case.request
    body = MediaDestruction(
        record.new_event(), case.row.number, EXECUTED, [one.label for one in case.media],
        [record.digest(one).hex() for one in case.media], moment.text, moment.source, register.config.host.name,
        register.who, [one.text for one in signers], wish.by, asked["reason"], clean(wish.place, "place"),
        asked["sanitization"], clean(wish.method, "method") or asked["method"], clean(wish.tool, "tool"),
        clean(wish.tool_version, "version") or None, clean(wish.verification, "verification"), wish.verified_by,
        clean(wish.destination, "destination"), clean(wish.backup, "backup") or None,
    )  # fmt: skip
    signatures = people.collect(register.config, signers, wish.means, record.statement(body))
    _require_approvals(register, case)
    with register.store.database.write():
        items = [(one, machine.after(one, machine.DESTROY).value) for one in register.find_all(body.labels)]
        event = register.put_event(body.event, moment.at, "destroy", body, items, signatures)
        for medium, status in items:
            register.store.change_medium(
                medium.id or 0,
                {"status": status, "location": "", "holder": "", "trouble": "", "changed": time.time_ns()},
            )
        register.store.put_destruction(case.row._replace(state=EXECUTED, execution=event))
    return Done(body.event, register.find_all(body.labels), signatures)


def _require_approvals(register: Register, case: Case) -> None:
    """Those of [approvals] destruction, beside the list's own. Raises ApprovalMissingError."""
    asked = {
        "list": case.row.number, "event": case.request["event"], "labels": case.request["labels"],
        "records": case.request["records"],
    }  # fmt: skip
    approvals.require(register.config, register.store, "destruction", asked, approvals.caller(register.config))


def _check_execution(wish: Execution, what: str) -> None:
    if len(wish.witnesses) != 2:
        raise MediaError(what, _("there must be two witnesses"), _("--witness NAME --witness NAME"))
    if len({*wish.witnesses, wish.by}) != 3 or not all((*wish.witnesses, wish.by)):
        raise MediaError(what, _("who does it and the two witnesses are three persons"))
    if wish.verified_by == wish.by or not wish.verified_by:
        raise MediaError(what, _("somebody else than who did it must have verified it"), _("--verified-by NAME"))
    for name in ("place", "tool", "verification", "destination"):
        if not getattr(wish, name).strip():
            raise MediaError(what, _("{field} is missing").format(field=name))

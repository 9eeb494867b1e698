"""Transfers, check-outs and check-ins: custody events with two sides.

Several media may go in one event: a box of disks is released once and received once. Either all of them move or none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from vaultd import approvals
from vaultd.i18n import _
from vaultd.ledger.events import MediaMoved
from vaultd.media import asking, machine, people, record
from vaultd.media.faults import MediaError
from vaultd.media.machine import CHECK_IN, CHECK_OUT, DEPOSIT, HAND_OVER, INSTALL, REMOVE, SEND
from vaultd.media.people import Means, Signer
from vaultd.media.record import Moment
from vaultd.media.register import Register, clean
from vaultd.media.safety import Unsafe
from vaultd.store.mediarows import Medium, SignatureRow
from vaultd.units import local

CONDITIONS = ("intact", "broken", "none")
"""Of a seal, as the one who received found it."""

Safety = Callable[[Medium], list[Unsafe]]
"""What on a medium is not safe off-site."""


@dataclass(frozen=True, slots=True)
class Handing:
    """What is asked for. ``place_from``: where they are, as who asks believes; empty: wherever the register says.

    ``approver`` or ``emergency`` (why there was no time to ask): one of them. ``override``: why a disk is removed
    although its data is not safe. ``due``: the last day of a check-out. ``ask``: the approver signs a
    request elsewhere.
    """

    action: str
    labels: Sequence[str]
    released_by: str = ""
    received_by: str = ""
    witness: str = ""
    place_from: str = ""
    place_to: str = ""
    purpose: str = ""
    approver: str = ""
    emergency: str = ""
    seal: str = ""
    seal_condition: str = ""
    due: date | None = None
    override: str = ""
    ask: bool = False
    moment: Moment | None = None
    means: Means = field(default_factory=Means)


@dataclass(frozen=True, slots=True)
class Done:
    """An event that is on record."""

    event: str
    media: list[Medium]
    signatures: list[SignatureRow]

    @property
    def owed(self) -> list[SignatureRow]:
        """The signatures that are not there yet."""
        return [one for one in self.signatures if one.state == people.OWED]


_NEEDS_APPROVAL = frozenset({REMOVE, SEND, machine.RETURN, INSTALL, HAND_OVER, CHECK_OUT})
"""A deposit and a check-in end what was approved."""


def hand(register: Register, wish: Handing, safety: Safety = lambda _medium: []) -> Done:
    """Carry out a transfer, a check-out or a check-in. Raises MediaError; nothing was changed then."""
    wish = _cleaned(wish)
    media = register.find_all(wish.labels)
    if not media:
        raise MediaError(wish.action, _("no label is given"))
    moment = wish.moment or record.now()
    for medium in media:
        _check(register, medium, wish, moment)
    _check_persons(register, wish)
    override = _checked_safety(media, wish, safety)
    if wish.ask:
        wish = replace(wish, means=replace(wish.means, approval=_asked(register, wish, media, use=False)))
    signers = _signers(wish)
    place_from = wish.place_from or media[0].location
    body = MediaMoved(
        record.new_event(), wish.action, [one.label for one in media], [record.digest(one).hex() for one in media],
        wish.released_by, wish.received_by, moment.text, moment.source, register.config.host.name, register.who,
        [one.text for one in signers], wish.witness or None, place_from or None, wish.place_to or None,
        wish.purpose or None, wish.approver or None, wish.seal or None, wish.seal_condition or None,
        None if wish.due is None else wish.due.isoformat(), override or None, wish.emergency or None,
    )  # fmt: skip
    signatures = people.collect(register.config, signers, wish.means, record.statement(body))
    with register.store.database.write():
        # Signing may have taken minutes: what was true then must be true now.
        again = [register.find(one.label) for one in media]
        for medium in again:
            _check(register, medium, wish, moment)
        if wish.ask:
            _asked(register, wish, again, use=True)
        items = [(one, machine.after(one, wish.action).value) for one in again]
        register.put_event(body.event, moment.at, wish.action, body, items, signatures)
        for medium, status in items:
            register.store.change_medium(medium.id or 0, _values(medium, wish, status))
    return Done(body.event, [register.find(one.label) for one in media], signatures)


def _cleaned(wish: Handing) -> Handing:
    texts = ("released_by", "received_by", "witness", "place_from", "place_to", "purpose", "approver", "emergency",
             "seal", "override")  # fmt: skip
    cleaned: dict[str, Any] = {name: clean(getattr(wish, name), name) for name in texts}
    return replace(wish, **cleaned)


def _check(register: Register, medium: Medium, wish: Handing, moment: Moment) -> None:
    """Whether one medium can be moved so."""
    machine.after(medium, wish.action)
    what = _("{action} of {label}").format(action=wish.action, label=medium.label)
    if wish.place_from and wish.place_from != medium.location:
        where = medium.location or _("on its way to {place}").format(place=medium.bound_for)
        raise MediaError(
            what, _("it is not at {place}: the register has it at {where}, with {who}").format(
                place=wish.place_from, where=where, who=medium.holder),
            _("what has happened to it: vaultd media show {label}").format(label=medium.label),
        )  # fmt: skip
    if wish.action in (SEND, DEPOSIT, INSTALL) and not (wish.place_to or medium.bound_for):
        raise MediaError(what, _("there is no place where it goes"), _("name it: --place-to PLACE"))
    may = {medium.holder, medium.custodian, medium.deputy} - {""}
    giver = wish.released_by
    if wish.action != CHECK_IN and giver not in may and not wish.emergency:
        raise MediaError(
            what, _("{name} does not have it: {who} may release it").format(name=giver, who=", ".join(sorted(may))),
            _("in an emergency: --emergency REASON, and the approval is filed later"),
        )  # fmt: skip
    number = register.store.open_destruction_of(medium.id or 0)
    if number is not None:
        raise MediaError(what, _("it is on the list {number} for destruction").format(number=number))
    if moment.at > time.time_ns() + 300 * 10**9:
        raise MediaError(what, _("{moment} is in the future").format(moment=local(moment.at)))
    if wish.due is not None and wish.due < _day(moment.at):
        raise MediaError(what, _("its last day, {day}, is over already").format(day=wish.due))


def _check_persons(register: Register, wish: Handing) -> None:
    what = wish.action
    if not wish.released_by or not wish.received_by:
        raise MediaError(what, _("both sides must be named"), _("--by NAME releases, --to NAME receives"))
    if wish.released_by == wish.received_by and wish.action not in (REMOVE, INSTALL):
        raise MediaError(what, _("{name} cannot hand it to themselves").format(name=wish.released_by))
    if wish.witness and wish.witness in (wish.released_by, wish.received_by):
        raise MediaError(what, _("the witness must be somebody else than both sides"))
    if wish.seal_condition and wish.seal_condition not in CONDITIONS:
        raise MediaError(
            what, _("there is no condition {name} of a seal").format(name=wish.seal_condition),
            _("one of: {names}").format(names=", ".join(CONDITIONS)),
        )  # fmt: skip
    if wish.action == CHECK_OUT and wish.due is None:
        raise MediaError(what, _("it has no last day"), _("--due DATE"))
    if wish.action not in _NEEDS_APPROVAL:
        return
    if not wish.approver:
        raise MediaError(
            what,
            _("nobody has approved it"),
            _("--approved-by NAME; in an emergency also --emergency REASON: then they sign later"),
        )
    if wish.emergency and not register.config.person:
        return  # nobody is known yet who could; whoever is named owes it
    people.require_role(register.config, wish.approver, register.config.media.approvers, _("the approval"))
    approvals.check_accepted(register.config, register.store, wish.approver, _("the approval"))
    if wish.approver in (wish.released_by, wish.received_by) and not wish.emergency:
        raise MediaError(what, _("who approves is somebody else than both sides"))


def _asked(register: Register, wish: Handing, media: Sequence[Medium], *, use: bool) -> SignatureRow:
    """The approver's word for exactly this, from elsewhere. Raises ApprovalMissingError, MediaError."""
    if wish.emergency or wish.action not in _NEEDS_APPROVAL or wish.approver in wish.means.keys:
        raise MediaError("--ask", _("there is nobody to be asked before"))
    names = ("action", "released_by", "received_by", "witness", "place_from", "place_to", "purpose", "override")
    texts = {name: str(getattr(wish, name)) for name in names}
    due = "" if wish.due is None else wish.due.isoformat()
    return asking.approved(register, wish.approver, {**texts, "due": due}, media, use=use)


def _checked_safety(media: Sequence[Medium], wish: Handing, safety: Safety) -> str:
    """The reason for an override, where one is needed. Raises MediaError where it is missing."""
    if wish.action != REMOVE:
        return ""
    problems = [(medium, one) for medium in media for one in safety(medium)]
    if problems and not wish.override:
        medium, first = problems[0]
        raise MediaError(
            _("{action} of {label}").format(action=wish.action, label=medium.label),
            _("vault {vault} on it is not safe off-site: {why}").format(vault=first.vault, why=first.why),
            _("wait until it is (vaultd status), or say why it must go now: --override REASON"),
        )
    return wish.override if problems else ""


def _signers(wish: Handing) -> list[Signer]:
    found = [Signer(people.RELEASED, wish.released_by), Signer(people.RECEIVED, wish.received_by)]
    if wish.witness:
        found.append(Signer(people.WITNESS, wish.witness))
    if wish.approver and wish.action in _NEEDS_APPROVAL:
        late = bool(wish.emergency)
        found.append(Signer(people.APPROVER, wish.approver, late=late, now=not late))
    return found


def _values(medium: Medium, wish: Handing, status: str) -> dict[str, object]:
    """What the register says of a medium after this."""
    values: dict[str, object] = {
        "status": status, "holder": wish.received_by, "trouble": "", "changed": time.time_ns(),
    }  # fmt: skip
    if wish.seal:
        values["seal"] = wish.seal
    if wish.action == CHECK_OUT and wish.due is not None:
        values |= {"borrower": wish.received_by, "due": end_of(wish.due)}
    elif wish.action == CHECK_IN:
        values |= {"borrower": "", "due": None}
    if wish.action == HAND_OVER:
        values["custodian"] = wish.received_by
    if wish.action == SEND:
        values |= {"location": "", "bound_for": wish.place_to or medium.bound_for}
    elif wish.action in (DEPOSIT, INSTALL):
        values |= {"location": wish.place_to or medium.bound_for, "bound_for": ""}
    elif wish.place_to:
        values["location"] = wish.place_to
    if wish.action == REMOVE:
        values |= {"host": "", "slot": ""}
    return values


def end_of(day: date) -> int:
    """The last moment of a day, where this host is, in nanoseconds since 1970."""
    begin = datetime.combine(day + timedelta(days=1), datetime.min.time()).astimezone()
    return round(begin.timestamp()) * 10**9 - 1


def _day(moment: int) -> date:
    return datetime.fromtimestamp(moment // 10**9).astimezone().date()


def late_signature(
    register: Register, uid: str, person: str, row: Callable[[str, bytes], SignatureRow]
) -> SignatureRow:
    """A signature that was owed. ``row`` makes it of the role and the event's statement. Raises MediaError."""
    event = register.store.media_event(uid.strip().lower())
    what = _("event {event}").format(event=uid)
    if event is None:
        raise MediaError(what, _("there is none"), _("see what is owed: vaultd media items"))
    asked = [one for one in register.store.signatures(event.number) if not one.role.startswith("approval-")]
    owed = [one for one in asked if one.person == person]
    if not owed:
        names = ", ".join(one.person for one in asked)
        raise MediaError(what, _("{name} has nothing to sign there").format(name=person),
                         _("who signs: {names}").format(names=names))  # fmt: skip
    open_ones = [one for one in owed if one.state == people.OWED]
    if not open_ones:
        raise MediaError(what, _("{name} has signed already").format(name=person))
    if open_ones[0].role == people.APPROVER:
        approvals.check_accepted(register.config, register.store, person, _("the approval"))
    signed = row(open_ones[0].role, event.statement.encode())
    with register.store.database.write():
        if open_ones[0] not in register.store.signatures(event.number):
            raise MediaError(what, _("{name} has signed already").format(name=person))
        register.put_signature(event.uid, event.number, signed)
    return signed

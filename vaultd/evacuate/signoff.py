"""A disk leaves, and arrives: custody events in the register of media, and the evacuation's entries that name them.

Register, ledger and pull list are one transaction. Nothing here stops an officer who has a disk in the hand: one that
is in no register is registered on the spot, which is an open item; approvals are filed later; whoever has no key signs
on the sheet. A drill changes no register.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vaultd.config.model import CLASSIFICATIONS, Config
from vaultd.custody import owe
from vaultd.evacuate.current import current, is_drill
from vaultd.evacuate.subject import Subject
from vaultd.i18n import _
from vaultd.ledger.events import EvacuationDisk
from vaultd.media import items, moves, record
from vaultd.media.faults import MediaError
from vaultd.media.machine import CHECK_IN, DEPOSIT, INSTALL, REMOVE, SEND, Status
from vaultd.media.moves import Done, Handing
from vaultd.media.people import Means
from vaultd.media.record import Moment
from vaultd.media.register import Register
from vaultd.media.safety import Unsafe
from vaultd.pull import gone
from vaultd.pull.model import RELEASED, Gone, PullList
from vaultd.store.mediarows import Medium, SignatureRow

SIGNED_OFF, RECEIVED, UNPLUGGED = "signed-off", "received", "unplugged"
ANYBODY = "director"
"""Who owes the approval where the configuration names nobody."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who gives it to whom. ``reason``: why it goes although not all on it is safe off-site; ``place``: where it goes,
    empty: wherever its bearer takes it; ``moment``: None for now."""

    by: str
    to: str
    seal: str = ""
    place: str = ""
    reason: str = ""
    approver: str = ""
    evacuation: str = ""
    moment: Moment | None = None
    means: Means = field(default_factory=Means)


@dataclass(frozen=True, slots=True)
class Signed:
    """What went on record. ``event``: the custody event that the entry names, empty in a drill; ``registered``: on the
    spot; ``unsafe``: what was not safe off-site then; ``difference``: the seal is not as it was."""

    medium: Medium | None
    label: str
    event: str
    evacuation: str
    moment: Moment
    signatures: Sequence[SignatureRow] = ()
    registered: bool = False
    unsafe: Sequence[Unsafe] = ()
    difference: str = ""


def sign_off(
    register: Register, subject: Subject, wish: Wish, made: PullList | None, unsafe: Sequence[Unsafe]
) -> Signed:
    """A disk leaves. ``made``: the kept list, whose number is the sheet that people sign; ``unsafe``: what on it is not
    safe off-site, for which ``wish.reason`` is needed. Raises MediaError; nothing was changed then."""
    evacuation, moment = wish.evacuation or current(register.store), wish.moment or record.now()
    if unsafe and not wish.reason:
        raise MediaError(
            _("sign-off of {disk}").format(disk=subject.text),
            _("not all on it is safe off-site: {vaults}").format(vaults=", ".join(one.vault for one in unsafe)),
            _("say why it goes now, one word will do: --reason WORD"),
        )  # fmt: skip
    if is_drill(evacuation):
        return _practised(register, subject, wish, evacuation, moment, SIGNED_OFF)
    with register.store.database.write():
        medium, registered = subject.medium, False
        if medium is None:
            medium, registered = _register(register, subject, wish), True
        done = _leave(register, medium, wish, moment, made, unsafe)
        medium = register.find(medium.label)
        _entry(register, SIGNED_OFF, medium.label, wish, evacuation, moment, done[-1].event)
        if subject.disk is not None:
            gone.note(register.store, subject.disk, Gone(
                wish.by, wish.to, wish.seal, moment.at, medium.label, moment.source), subject.vaults)  # fmt: skip
            register.store.set_meta(RELEASED + subject.disk.key, str(time.time_ns()))
    signatures = [row for one in done for row in one.signatures]
    return Signed(
        medium, medium.label, done[-1].event, evacuation, moment, signatures, registered, unsafe
    )  # fmt: skip


def receive(register: Register, label: str, wish: Wish, condition: str, made: PullList | None) -> Signed:
    """It has arrived: ``wish.to`` receives it from whoever has it. ``condition`` of the seal as it was found. Raises
    MediaError; nothing was changed then."""
    evacuation, moment = wish.evacuation or current(register.store), wish.moment or record.now()
    medium = register.find(label)
    if is_drill(evacuation):
        subject = Subject(None, medium, medium.vault_names)
        return _practised(register, subject, replace(wish, by=wish.to), evacuation, moment, RECEIVED)
    wish = _on_sheet(wish, made)
    differs = _seal_differs(medium, wish.seal, condition)
    action = DEPOSIT if medium.status == Status.IN_TRANSIT else SEND  # who took it out has kept it until now
    with register.store.database.write():
        done = _hand(
            register, medium, action, wish, moment, giver=medium.holder, taker=wish.to, seal=wish.seal,
            seal_condition=condition, purpose=differs,
        )  # fmt: skip
        _entry(
            register, RECEIVED, medium.label, replace(wish, by=wish.to, to=""), evacuation, moment, done.event
        )  # fmt: skip
    return Signed(
        register.find(medium.label), medium.label, done.event, evacuation, moment, done.signatures, difference=differs
    )


def unplugged(register: Register, label: str, by: str, evacuation: str, made: PullList | None) -> Signed:
    """A medium that holds tiers was finished, and is taken out of the machine."""
    evacuation, moment = evacuation or current(register.store), record.now()
    medium, wish = register.find(label), Wish(by, by, evacuation=evacuation)
    if is_drill(evacuation):
        return _practised(register, Subject(None, medium, ()), wish, evacuation, moment, UNPLUGGED)
    with register.store.database.write():
        done = None
        if medium.status == Status.IN_SERVICE:
            done = _hand(register, medium, REMOVE, _on_sheet(wish, made), moment, giver=by, taker=by)
        event = done.event if done is not None else ""
        _entry(register, UNPLUGGED, medium.label, replace(wish, to=""), evacuation, moment, event)
    return Signed(
        register.find(label), medium.label, event, evacuation, moment, done.signatures if done is not None else ()
    )


# the register


def _leave(
    register: Register, medium: Medium, wish: Wish, moment: Moment, made: PullList | None, unsafe: Sequence[Unsafe]
) -> list[Done]:
    """Out of the machine, then on its way; where nobody else takes it, only the first."""
    done, wish = list[Done](), _on_sheet(wish, made)
    if medium.due is not None:  # lent to somebody, and yet in the officer's hand
        done.append(_hand(register, medium, CHECK_IN, wish, moment, giver=medium.borrower, taker=wish.by))
        medium = register.find(medium.label)
    if medium.status == Status.RETURNED:  # nobody has told the register that it is in a machine again
        done.append(_hand(register, medium, INSTALL, wish, moment, giver=wish.by, taker=wish.by))
        medium = register.find(medium.label)
    if medium.status == Status.IN_SERVICE:
        override = wish.reason if unsafe else ""
        seal = wish.seal if wish.by == wish.to else ""
        done.append(
            _hand(register, medium, REMOVE, wish, moment, giver=wish.by, taker=wish.by, override=override, seal=seal)
        )
        medium = register.find(medium.label)
    if wish.by != wish.to or not any(one.media[0].status == Status.REMOVED for one in done):
        done.append(_hand(register, medium, SEND, wish, moment, giver=wish.by, taker=wish.to, seal=wish.seal))
    return done


def _hand(
    register: Register, medium: Medium, action: str, wish: Wish, moment: Moment, *, giver: str, taker: str,
    override: str = "", seal: str = "", seal_condition: str = "", purpose: str = "",
) -> Done:  # fmt: skip
    place = wish.place if action in (SEND, DEPOSIT) else ""
    if action in (SEND, INSTALL, DEPOSIT) and not place and not medium.bound_for:
        place = _("with {name}").format(name=taker)
    if action in (DEPOSIT, CHECK_IN):
        approver = emergency = ""
    else:
        approver = wish.approver or _approver(register.config, giver, taker)
        emergency = wish.reason or wish.evacuation or _("evacuation")
    keys = {name: file for name, file in wish.means.keys.items() if name in (giver, taker, approver)}
    handing = Handing(
        action, [medium.label], released_by=giver, received_by=taker, place_to=place, purpose=purpose,
        approver=approver, emergency=emergency, seal=seal, seal_condition=seal_condition, override=override,
        moment=moment, means=Means(keys, wish.means.sheet),
    )  # fmt: skip
    # What is not safe was looked at, and its reason is on record with the removal.
    return moves.hand(register, handing, lambda _medium: [Unsafe("-", "-")] if override else [])


def _on_sheet(wish: Wish, made: PullList | None) -> Wish:
    """Whoever has no key has signed on paper: on the printed list, unless another sheet is named."""
    if wish.means.sheet:
        return wish
    return replace(wish, means=Means(wish.means.keys, made.number if made is not None else _("no list")))


def _approver(config: Config, giver: str, taker: str) -> str:
    """Who is to approve afterwards: the first who may, and is neither side where there is such a one."""
    may = [one.name for one in config.person if not config.media.approvers or one.role in config.media.approvers]
    others = [name for name in may if name not in (giver, taker)]
    return next(iter([*others, *may]), ANYBODY)


def _register(register: Register, subject: Subject, wish: Wish) -> Medium:
    """Registered on the spot, as secret as the most secret vault on it; somebody has to look at it later."""
    config, disk = register.config, subject.disk
    vaults = [one for one in config.vault if one.name in subject.vaults]
    classes = [one.classification for one in vaults] or [one.classification for one in config.vault]
    highest = min(classes, key=CLASSIFICATIONS.index, default=CLASSIFICATIONS[0])
    custodian = next((one.custodian for one in vaults if one.custodian), "") or wish.by
    medium = Medium(
        label="", classification=highest, custodian=custodian, holder=wish.by, host=config.host.name,
        vaults=",".join(subject.vaults), note=_("registered on the spot, in an evacuation"),
        **({} if disk is None else {
            "serial": disk.serial, "wwn": disk.wwn, "make": disk.vendor, "model": disk.model, "capacity": disk.size,
            "slot": disk.bay.text if disk.bay is not None else "",
        }),  # type: ignore[arg-type]
    )  # fmt: skip
    added = register.add(medium, same_serial=True)
    items.to_be_checked(register.store, added.label)
    return added


def _seal_differs(medium: Medium, seal: str, condition: str) -> str:
    """What is wrong with the seal, empty where nothing is."""
    if condition == "broken":
        return _("the seal is broken")
    if condition == "none" and medium.seal:
        return _("seal {seal} was put on, and none is there").format(seal=medium.seal)
    if seal and medium.seal and seal != medium.seal:
        return _("seal {seal} was put on, {found} was found").format(seal=medium.seal, found=seal)
    return ""


# the evacuation


def _entry(
    register: Register, state: str, label: str, wish: Wish, evacuation: str, moment: Moment, event: str
) -> None:  # fmt: skip
    """The evacuation's own entry; where none is under way, the register's is all."""
    if not evacuation:
        return
    owe(register.store, register.config.host.state, EvacuationDisk(
        evacuation, label, state, wish.by, moment.text, moment.source, register.who, wish.to or None,
        wish.seal or None, event or None, 1 if is_drill(evacuation) else None,
    ))  # fmt: skip


def _practised(
    register: Register, subject: Subject, wish: Wish, evacuation: str, moment: Moment, state: str
) -> Signed:  # fmt: skip
    """In a drill only the drill's entry is made."""
    with register.store.database.write():
        _entry(register, state, subject.text, wish, evacuation, moment, "")
    return Signed(subject.medium, subject.text, "", evacuation, moment)

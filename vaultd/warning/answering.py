"""Who has acknowledged a warning, who was rung; who is told again, and to whom it goes when they do not answer."""

from __future__ import annotations

from collections.abc import Iterable

from vaultd.custody import owe
from vaultd.i18n import _
from vaultd.ledger.events import NoticeSent, WarningAnswered
from vaultd.store.warningrows import AnswerRow, RingRow, WarningRow
from vaultd.units import SECOND
from vaultd.warning import people, telling
from vaultd.warning.answers import Answers
from vaultd.warning.desk import Desk
from vaultd.warning.faults import WarningError
from vaultd.warning.words import state as state_word

UNANSWERED = "warning-unanswered"
HOW = ("command", "telephone", "in person")


def of(desk: Desk, row: WarningRow) -> Answers:
    """The answers to the revision that is to be acknowledged."""
    return Answers(tuple(desk.store.answers(row.id, row.asked)))


def acknowledge(desk: Desk, number: str, person: str, how: str = "command") -> tuple[WarningRow, AnswerRow, bool]:
    """A recipient has acknowledged. False when they had before: nothing is written then. Raises WarningError."""
    with desk.store.database.write():
        row = desk.find(number)
        if not row.standing:
            raise WarningError(
                _("warning {number}").format(number=row.id), _("it is {state}").format(state=state_word(row.state)),
                _("there is nothing to acknowledge"),
            )  # fmt: skip
        rows = {one.person: one for one in of(desk, row).rows}
        if person not in rows:
            people.require_person(desk.config, person)
            raise WarningError(
                _("warning {number}").format(number=row.id), _("{name} is no recipient of it").format(name=person),
                _("its recipients are: {names}").format(names=", ".join(rows) or "-"),
            )  # fmt: skip
        known = rows[person]
        if known.state == "acknowledged":
            return row, known, False
        answered = known._replace(state="acknowledged", at=desk.clock(), how=how, who=desk.who)
        desk.store.put_answer(answered)
        _note(desk, row, "acknowledged", person, how)
        return row, answered, True


def ring_list(desk: Desk, row: WarningRow) -> list[tuple[str, str]]:
    """Whom to ring, with their numbers: those whom the policy names, then the recipients who have a telephone."""
    wanted = [*desk.config.response.of(row.level).ring, *people.persons(desk.config, row.recipients)]
    found = {one.name: one.telephone for one in desk.config.person if one.telephone}
    return [(name, found[name]) for name in dict.fromkeys(wanted) if name in found]


def rung(desk: Desk, number: str, person: str, *, reached: bool) -> RingRow:
    """Somebody was rung: a tick on the list. Raises WarningError."""
    with desk.store.database.write():
        row = desk.find(number)
        people.require_person(desk.config, person)
        tick = RingRow(row.id, person, desk.clock(), desk.who, reached)
        desk.store.add_ring(tick)
        attempts = sum(one.person == person for one in desk.store.rings(row.id))
        owe(desk.store, desk.config.host.state, NoticeSent(
            f"{row.id}-{row.revision}", row.id, "warning", "sent" if reached else "failed", "telephone", attempts,
            person, None if reached else "no-answer", desk.who, 1 if row.drill else None,
        ))  # fmt: skip
        return tick


def pursue(desk: Desk) -> int:
    """Tell those again who have not acknowledged, and turn to the next on the roster after that; how many were told.

    Called from time to time. What is due is by the store alone: a restart counts nothing twice and forgets nothing, and
    after a long stop everybody is told once, not once for each time that was missed.
    """
    return sum(_pursue(desk, row) for row in desk.store.warnings() if row.standing)


def _pursue(desk: Desk, row: WarningRow) -> int:
    now, repeat = desk.clock(), int(desk.config.response.repeat * SECOND)
    told = 0
    for one in of(desk, row).rows:
        # told in the future: the clock was set back
        if one.state != "asked" or one.told <= now < one.told + repeat:
            continue
        with desk.store.database.write():
            if desk.store.warning(row.id) != row:  # lifted or adjusted meanwhile
                return told
            current = {other.person: other for other in desk.store.answers(row.id, row.asked)}
            if current.get(one.person) != one:  # answered meanwhile
                continue
            if one.times <= desk.config.response.repeats:
                desk.store.put_answer(one._replace(told=now, times=one.times + 1))
                _note(desk, row, "repeated", one.person)
                telling.tell_of(desk.config, desk.store, row, "repeated", [one.person])
                told += 1
                continue
            told += _escalate(desk, row, one, current, now)
    return told


def _escalate(desk: Desk, row: WarningRow, one: AnswerRow, there: Iterable[str], now: int) -> int:
    following = next((name for name in people.after(desk.config, one.person, now) if name not in there), "")
    if not following:
        desk.store.put_answer(one._replace(state="unheard"))
        return 0
    desk.store.put_answer(one._replace(state="escalated", escalated=following))
    desk.store.put_answer(AnswerRow(row.id, row.asked, following, "asked", now, now, 1))
    _note(desk, row, "escalated", following)
    telling.tell_of(desk.config, desk.store, row, "escalated", [following])
    return 1


def settle_alerts(desk: Desk) -> None:
    """Raise the alert of each warning that somebody has not acknowledged and nobody is left for; clear those that are
    over."""
    alerts = desk.store.alerts
    standing = {one.target for one in alerts.list() if one.code == UNANSWERED}
    wanted = set[str]()
    for row in desk.store.warnings():
        found = of(desk, row)
        unheard = [one.person for one in found.rows if one.state == "unheard"]
        if row.standing and unheard and found.open:
            wanted.add(row.id)
            if row.id not in standing:
                alerts.raise_(UNANSWERED, target=row.id, detail={"warning": row.id, "names": ", ".join(found.open)})
    for number in standing - wanted:
        alerts.clear(UNANSWERED, target=number)


def _note(desk: Desk, row: WarningRow, state: str, person: str, how: str | None = None) -> None:
    body = WarningAnswered(row.id, row.asked, state, person, desk.who, how, 1 if row.drill else None)
    owe(desk.store, desk.config.host.state, body)

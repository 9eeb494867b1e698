"""The list of those to be rung: an urgent notice reaches people by telephone too, and a person ticks them off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vaultd import custody
from vaultd.i18n import _
from vaultd.ledger.events import NoticeSent
from vaultd.notices import outbox
from vaultd.notices.faults import NoticeError
from vaultd.notices.form import Kept
from vaultd.store import Store
from vaultd.store.notices import CallRow

TELEPHONE = "telephone"
"""The channel that entries name for a call."""


class Listed(NamedTuple):
    """A [[person]] and their number."""

    name: str
    telephone: str


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody to ring. ``since``: when the notice was handed over (ns); ``rung``: what has come of it so far, None:
    nobody has tried."""

    id: str
    notice: str
    of: str
    title: str
    drill: bool
    since: int
    person: str
    telephone: str
    rung: CallRow | None


def call_id(notice: str, person: str) -> str:
    """What people type: the end of the notice's id, and four digits of whom it is for."""
    return f"{notice[-6:]}-{hashlib.sha256(person.encode()).hexdigest()[:4]}"


def of_notice(kept: Kept, persons: Sequence[Listed], rung: Mapping[tuple[str, str], CallRow]) -> list[Call]:
    """Whom to ring about a notice: those that it is for and who have not answered; where it is for nobody in
    particular, everybody who has a number."""
    notice = kept.notice
    if not notice.urgent:
        return []
    numbers = dict(persons)
    names = dict.fromkeys(notice.recipients or (one.name for one in persons if one.telephone))
    return [
        Call(call_id(kept.id, name), kept.id, notice.of, notice.title, notice.drill, kept.put, name,
             numbers.get(name, ""), row)
        for name in names
        if (row := rung.get((kept.id, name))) is None or not row.answered
    ]  # fmt: skip


def to_ring(state: Path, store: Store, persons: Sequence[Listed]) -> list[Call]:
    """Everybody who is to be rung, those whose notice waits longest first. Raises StateError."""
    rung = store.calls() if store.has_notices() else {}
    return [call for kept in outbox.all_kept(state) for call in of_notice(kept, persons, rung)]


def tick(state: Path, store: Store, persons: Iterable[Listed], number: str, by: str, *, answered: bool) -> Call:
    """Somebody (``by``) has rung: on record, and off the list when it was answered. Raises NoticeError for an id that
    is not on the list, StateError."""
    found = [call for call in to_ring(state, store, list(persons)) if call.id == number.strip().lower()]
    if len(found) != 1:
        raise NoticeError(
            _("call {id}").format(id=number), _("it is not on the list of those to be rung"),
            _("see vaultd notify calls"),
        )  # fmt: skip
    (call,) = found
    kept = outbox.handed_over(state, call.notice)
    kind = "" if kept is None else kept.notice.kind
    with store.database.write():
        row = store.note_call(call.notice, call.person, by, answered=answered)
        custody.owe(store, state, NoticeSent(
            call.notice, call.of, kind, "sent" if answered else "failed", TELEPHONE, row.attempts, call.person,
            None if answered else "no-answer", f"{custody.caller()}: {by}", int(call.drill) or None,
        ))  # fmt: skip
    return Call(call.id, call.notice, call.of, call.title, call.drill, call.since, call.person, call.telephone, row)


def listed(persons: Iterable[object]) -> list[Listed]:
    """Persons of the configuration as this list has them."""
    return [Listed(str(getattr(one, "name", "")), str(getattr(one, "telephone", ""))) for one in persons]

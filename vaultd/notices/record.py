"""What the courier has written back goes on record, each result once, and the outbox is put in order.

The result is kept in the state in the transaction that leaves its entry for the ledger; a file goes only after that. So
a process that is killed in between finds the file again, and knows it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vaultd import custody
from vaultd.errors import StateError
from vaultd.ledger.events import NoticeSent
from vaultd.notices import calls, folders, outbox
from vaultd.notices.form import FAILED, NOWHERE, SENT, WAITING, Delivery, Kept
from vaultd.notices.outbox import Result
from vaultd.store import Store
from vaultd.store.notices import NoticeResult

log = logging.getLogger(__name__)

KEEP_NS = 90 * 86400 * 1_000_000_000
"""So long results stay in the state, for people; the ledger keeps them for good."""


def settle(state: Path, store: Store, seen: dict[str, int]) -> int:
    """Put on record what is new, and take away what is over. Returns how many results were new. Raises StateError.

    ``seen``: what this process knows of files that are still being sent; begins empty.
    """
    new = 0
    for result in outbox.results(state, seen):
        if result.kept is not None:
            new += _record(state, store, result, result.kept)
        elif result.over and not store.notice_over(result.id):
            log.error("the outbox holds a notice that nobody here has handed over: %s", result.id)
        if result.over:
            if result.kept is not None and not result.kept.notice.urgent:
                outbox.remove(state, folders.KEPT, result.id)
            try:
                outbox.remove(state, result.folder, result.id)
            except StateError as error:  # not a file, for instance: whoever wrote that must not stop the others' record
                log.error("what the courier has left of notice %s stays there: %s", result.id, error)
            seen.pop(result.id, None)
    return new


def _record(state: Path, store: Store, result: Result, kept: Kept) -> int:
    found, new = result.deliveries, 0
    if result.over and (not found or any(one.state == WAITING for one in found)):
        found = (Delivery(NOWHERE, (), FAILED, 0, "unreadable"),)
    for one in found:
        if one.state in (SENT, FAILED):
            for person in _persons(one, kept):
                new += _entry(state, store, kept, one, person)
    if result.over:
        store.note_result(NoticeResult(kept.id, "", "", "over", 0, "", kept.notice.of, time.time_ns()))
    return new


def _persons(one: Delivery, kept: Kept) -> Iterable[str]:
    """Whom it was for: of those that it was addressed to, whatever the courier says."""
    return [person for person in one.persons if person in kept.notice.recipients] or [""]


def _entry(state: Path, store: Store, kept: Kept, one: Delivery, person: str) -> bool:
    notice = kept.notice
    row = NoticeResult(
        kept.id, one.channel, person, one.state, one.attempts, one.error, notice.of, time.time_ns()
    )  # fmt: skip
    with store.database.write():
        if not store.note_result(row):
            return False
        custody.owe(store, state, NoticeSent(
            kept.id, notice.of, notice.kind, one.state, one.channel, one.attempts, person or None,
            one.error or None, None, int(notice.drill) or None,
        ))  # fmt: skip
    return True


def tidy(state: Path, store: Store, persons: Iterable[calls.Listed]) -> None:
    """Give the courier once more what has got lost, and let go of what nobody has to ring about any more. Raises
    StateError."""
    now = time.time_ns()
    where, known = outbox.whereabouts(state), list(persons)
    for number in folders.listed(state, folders.KEPT):
        kept = None if number in where else outbox.handed_over(state, number)
        if kept is None:
            continue
        if not store.notice_over(kept.id):
            if now - kept.put > outbox.GRACE_NS:
                log.error("notice %s is in none of the courier's folders: it gets it once more", kept.id)
                outbox.put_again(state, kept)
        elif not calls.of_notice(kept, known, store.calls()):
            outbox.remove(state, folders.KEPT, kept.id)
    outbox.sweep(state)
    store.forget_results(now - KEEP_NS)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a notice stands: ``over`` when nothing is to come any more."""

    over: bool
    deliveries: tuple[Delivery, ...]


def standing(state: Path, store: Store, number: str) -> Standing:
    """How a notice stands, on record or not yet. Raises StateError."""
    found = outbox.find(state, number)
    if found is not None:
        folder, kept = found
        return Standing(folder in (folders.DONE, folders.FAILED), kept.deliveries or ())
    rows = store.notice_results(number) if store.has_notices() else []
    by_channel: dict[str, list[NoticeResult]] = {}
    for row in rows:
        by_channel.setdefault(f"{row.channel}/{row.person}" if row.channel.startswith("own:") else row.channel, []
                              ).append(row)  # fmt: skip
    return Standing(bool(rows) and store.notice_over(number), tuple(
        Delivery(group[0].channel, tuple(one.person for one in group if one.person), group[0].state, group[0].attempts,
                 group[0].error, group[0].recorded)
        for group in by_channel.values()
    ))  # fmt: skip

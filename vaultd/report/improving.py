"""Items of what is to be better, to be noted and closed by a command: those of the ledger, and those that it lacks yet.

An item has the number ``IMP-YYYY-NNN``, which nothing else ever has.
"""

from __future__ import annotations

import re
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

from vaultd import custody
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger.events import ImprovementNoted
from vaultd.ledger.reading import Reader
from vaultd.report.evacuation_improvements import items
from vaultd.report.evacuation_source import Emergencies
from vaultd.store import Store

LONGEST = 500
_NUMBER = re.compile(r"IMP-(\d{4})-(\d{3,9})", re.ASCII)
_PENDING = 1_000_000


class Improvements:
    """What is known of them on this host. Raises LedgerError when its ledger cannot be read."""

    def __init__(self, ledger: Path, store: Store) -> None:
        self._ledger, self._store = ledger, store
        self._found = Emergencies()
        self._read = 0
        self._pending = set[int]()
        self._catch_up()

    def _catch_up(self) -> None:
        """What has come on record since; what is still to come, from the store. In this order within a transaction: the
        daemon takes nothing out of the store meanwhile that it has not put on record before."""
        if self._ledger.is_dir():
            reader = Reader(self._ledger)
            if self._read == 0:
                for encoded in reader.in_order():
                    self._found.bundle([encoded])
            else:
                self._found.bundle([reader.raw(index) for index in range(self._read, reader.size)])
            self._read = reader.size
        for event in self._store.events(_PENDING):
            if event.number not in self._pending and event.type in ("improvement", "evacuation"):
                self._pending.add(event.number)
                self._found.tell(event.type, event.fields, event.at)

    def rows(self) -> list[dict[str, Any]]:
        """All of them as they are now."""
        return items(self._found)

    def add(self, evacuation: str, text: str, owner: str, due: str, who: str, state: Path) -> dict[str, Any]:
        """Note one more; gives it. Raises ConfigError for an evacuation that is not on record, a text that is none, a
        date that is over."""
        if evacuation not in self._found.cases:
            known = list(self._found.cases)[-20:]
            raise ConfigError(
                _("nothing was noted"),
                _("no evacuation {name} is on record").format(name=ascii(evacuation)[1:-1][:80]),
                _("on record: {names}").format(names=", ".join(known)) if known else "",
            )  # fmt: skip
        text, owner, due = line(text, _("the text")), line(owner, _("the owner")), _day(due)
        with self._store.database.write():
            self._catch_up()
            body = ImprovementNoted(self._next(), evacuation, "open", text, owner, due, who)
            custody.owe(self._store, state, body)
        return self._row(body)

    def close(self, name: str, how: str, who: str, state: Path) -> dict[str, Any]:
        """An item is "done" or "dropped"; gives it. Raises ConfigError for one that is not open."""
        with self._store.database.write():
            self._catch_up()
            known = {one["item"]: one for one in self.rows()}
            one = known.get(name)
            if one is None or one["state"] != "open":
                left = [item for item, row in known.items() if row["state"] == "open"]
                raise ConfigError(
                    _("nothing was changed"),
                    _("there is no item {name}").format(name=ascii(name)[1:-1][:80]) if one is None
                    else _("{name} is not open any more").format(name=name),
                    _("open: {names}").format(names=", ".join(left[-20:])) if left else _("no item is open"),
                )  # fmt: skip
            body = ImprovementNoted(name, one["evacuation"], how, one["text"], one["owner"], one["due"], who)
            custody.owe(self._store, state, body)
        return self._row(body)

    def _next(self) -> str:
        year = datetime.now().astimezone().year
        numbers = [int(match[2]) for one in self.rows()
                   if (match := _NUMBER.fullmatch(one["item"])) and int(match[1]) == year]  # fmt: skip
        return f"IMP-{year}-{max(numbers, default=0) + 1:03}"

    def _row(self, body: ImprovementNoted) -> dict[str, Any]:
        self._found.tell(body.TYPE, {name: getattr(body, name) for name in body.__slots__}, time.time_ns())
        (row,) = [one for one in self.rows() if one["item"] == body.item]
        return row


def line(text: str, what: str) -> str:
    """A text on one line, of which every character is seen. Raises ConfigError."""
    found = text.strip()
    if not found or not found.isprintable() or len(found) > LONGEST:
        raise ConfigError(
            _("nothing was noted"), _("{what} is no text on one line: {text}").format(what=what, text=ascii(text)[:80]),
            _("1 to {count} characters, none of them invisible").format(count=LONGEST),
        )  # fmt: skip
    return found


def _day(text: str) -> str:
    try:
        found = date.fromisoformat(text)
        if text != found.isoformat():
            raise ValueError(text)
    except ValueError:
        raise ConfigError(
            _("nothing was noted"), _("{text} is no date").format(text=ascii(text)[:80]), _("such as 2026-12-31")
        ) from None
    if found < datetime.now().astimezone().date():
        raise ConfigError(_("nothing was noted"), _("the date {text} is over").format(text=text))
    return text

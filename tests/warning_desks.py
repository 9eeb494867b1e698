"""What tests of warnings share: a desk with people, groups and a roster, a clock that a test turns, and its entries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaultd.config import Config
from vaultd.config.reading import parse
from vaultd.custody import Custody
from vaultd.ledger import create, entry
from vaultd.ledger.reading import Reader
from vaultd.ledger.verify import verify
from vaultd.notices.model import Notice
from vaultd.places import database
from vaultd.store import Store
from vaultd.units import SECOND, parse_rfc3339
from vaultd.warning import telling
from vaultd.warning.desk import Desk

NIGHT = parse_rfc3339("2026-11-28T03:00:00Z")
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

PEOPLE = """\
[[person]]
name = "张伟"
role = "operator"
telephone = "100"
[[person]]
name = "李娜"
role = "director"
telephone = "101"
[[person]]
name = "王芳"
role = "auditor"
[[person]]
name = "赵敏"
[[group]]
name = "指挥部"
members = ["李娜", "王芳"]
"""
ROSTER = """\
[[duty]]
person = "张伟"
then = ["王芳"]
[[duty]]
person = "赵敏"
days = ["mon"]
hours = "00:00-00:01"
"""


def text_of(folder: Path, response: str = "", people: str = PEOPLE + ROSTER) -> str:
    """A configuration, as a file has it."""
    return (
        f'[host]\nname = "ward"\nstate = "{folder / "state"}"\n'
        f'[[target]]\nname = "east"\nhost = "127.0.0.1"\nport = 1\n'
        f'user = "nobody"\npath = "repo"\nidentity = "{folder}/id"\npassword_file = "{folder}/password"\n'
        f'[[vault]]\nname = "records"\npath = "{folder}/records"\nclassification = "secret"\ntargets = ["east"]\n'
        f"{people}{response}"
    )


class Clock:
    """Nanoseconds since 1970, as a test says."""

    def __init__(self, now: int = NIGHT) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Approvals:
    """Stands in for the approvals of another part: what was asked for, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.refuses: Exception | None = None
        self.keep: Callable[[], None] | None = None

    def __call__(self, action: str, parameters: Mapping[str, object]) -> str | None:
        self.asked.append((action, dict(parameters)))
        if self.keep is not None:
            self.keep()
        if self.refuses is not None:
            raise self.refuses
        return "A-2026-001"


class Office:
    """A desk in a folder."""

    def __init__(self, folder: Path, response: str = "", people: str = PEOPLE + ROSTER) -> None:
        self.folder, self.file = folder, folder / "vaultd.toml"
        self.file.write_text(text_of(folder, response, people))
        self.config: Config = parse(self.file.read_text(), self.file)
        self.config.host.state.mkdir(mode=0o700)
        create.make(self.config.ledger_folder, self.config.ledger_key, "ward")
        self.clock, self.approvals = Clock(), Approvals()
        self.store = Store(database(self.config.host.state))
        self.desk = Desk(self.config, self.store, "uid 0 (says test)", self.approvals, self.clock)

    def again(self) -> Desk:
        """A desk of another process: the store is opened anew."""
        self.store.close()
        self.store = Store(database(self.config.host.state))
        self.desk = Desk(self.config, self.store, "daemon", self.approvals, self.clock)
        return self.desk

    def told(self) -> list[Notice]:
        """The notices that were handed over since the last time."""
        found: list[Notice] = []
        while telling.hand_over(self.store, found.append):
            continue
        return found

    def owed(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What is left for the ledger: the fields of each entry."""
        return [one.fields for one in self.store.events(100_000) if kind in (None, one.type)]

    def entries(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What is on record, signed: the ledger is written by custody, and holds."""
        custody = Custody(self.config, self.store)
        custody.may_sign = True
        assert custody.open()
        custody.tick()
        custody.close()
        verify(self.config.ledger_folder)
        found = [entry.decode(one) for one in Reader(self.config.ledger_folder).in_order()]
        return [one for one in found if kind in (None, one["type"])]

    def revisions(self, number: str) -> list[dict[str, Any]]:
        """The revisions of a warning as they are kept."""
        return [json.loads(fields) for _revision, _at, fields in self.store.warning_revisions(number)]


@contextmanager
def office_in(folder: Path, response: str = "", people: str = PEOPLE + ROSTER) -> Iterator[Office]:
    """An office that is closed at the end."""
    made = Office(folder, response, people)
    try:
        yield made
    finally:
        made.store.close()

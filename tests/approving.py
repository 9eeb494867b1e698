"""What tests of approvals share: a house with persons who have real keys, its state, its entries in a real ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.registering import make_key
from vaultd import approvals
from vaultd.approvals import Caller, Request, accepting, sshsig
from vaultd.config import Config
from vaultd.custody import Custody
from vaultd.ledger import create, entry
from vaultd.ledger.reading import Reader
from vaultd.ledger.verify import verify
from vaultd.places import database
from vaultd.store import Store

PEOPLE: dict[str, dict[str, Any]] = {
    "赵院长": {"roles": ["director"], "role": "单位负责人", "user": "zhao"},
    "钱副院长": {"roles": ["director", "operator"], "user": "qian"},
    "张伟": {"roles": ["operator"], "user": "zhang"},
    "王芳": {"roles": ["auditor"], "role": "保密办"},
}
CALLER = Caller("张伟", "zhang", "uid 0 (says zhang)")


class House:
    """A configuration with persons, their private keys, a state and a ledger."""

    def __init__(self, folder: Path, people: dict[str, dict[str, Any]] = PEOPLE, **policy: object) -> None:
        self.folder = folder
        self.people = {name: dict(one) for name, one in people.items()}
        self.policy = policy
        self.keys: dict[str, Path] = {}
        for name in people:
            self.new_key(name)
        self.config = self.read()
        (folder / "state").mkdir(mode=0o700)
        create.make(self.config.ledger_folder, self.config.ledger_key, "ward")
        self.store = Store(database(folder / "state"))

    def new_key(self, name: str) -> None:
        """The person has another key from now on."""
        self.keys[name] = make_key(self.folder / f"key-{len(list(self.folder.glob('key-*')))}")
        self.people[name]["ssh_key"] = self.keys[name].with_suffix(".pub").read_text().strip()

    def read(self) -> Config:
        """The configuration as it says now."""
        self.config = Config.model_validate({
            "host": {"name": "ward", "state": self.folder / "state"}, "approvals": self.policy,
            "person": [{"name": name, **one} for name, one in self.people.items()],
            "file": self.folder / "vaultd.toml",
        })  # fmt: skip
        return self.config

    def sign(self, name: str) -> Callable[[bytes], str]:
        """Somebody's own key."""
        return lambda statement: sshsig.sign(self.keys[name], statement, approvals.NAMESPACE)

    def ask(self, action: str = "forget", caller: Caller = CALLER, **parameters: Any) -> Request:
        """A request."""
        made = approvals.request(self.config, self.store, action, parameters, caller)
        assert made is not None
        return made

    def approve(self, one: Request | int, by: str, **values: Any) -> Request:
        """Somebody approves with their own key."""
        number = one if isinstance(one, int) else one.number
        return approvals.approve(self.config, self.store, number, self.sign(by), "uid 0", **values)

    def require(self, action: str = "forget", caller: Caller = CALLER, **parameters: Any) -> Request | None:
        """An action that needs approvals is about to be done."""
        return approvals.require(self.config, self.store, action, parameters, caller)

    def accept(self, name: str, by: str) -> Request:
        """A director accepts a person."""
        one = accepting.ask(self.config, self.store, name, CALLER)
        return self.approve(one, by)

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """What is on record, signed: the ledger is written by custody, and holds."""
        custody = Custody(self.config, self.store)
        custody.may_sign = True
        assert custody.open()
        custody.tick()
        custody.close()
        verify(self.config.ledger_folder)
        found = [entry.decode(one) for one in Reader(self.config.ledger_folder).in_order()]
        return [one for one in found if not kinds or one["type"] in kinds]

    def reopen(self) -> None:
        """The state is gone, the ledger is still there."""
        self.store.close()
        for file in (self.folder / "state").glob("state.db*"):
            file.unlink()
        self.store = Store(database(self.folder / "state"))

    def config_file(self, *more: str) -> Path:
        """The configuration as a file, for the command line."""
        lines = ["[host]", 'name = "ward"', f'state = "{self.folder / "state"}"', "[[target]]", 'name = "east"',
                 'host = "127.0.0.1"', "port = 1", 'user = "nobody"', 'path = "repo"', f'identity = "{self.folder}/id"',
                 f'password_file = "{self.folder}/password"', *more]  # fmt: skip
        lines += ["[approvals]", *(f"{key} = {json.dumps(value)}" for key, value in self.policy.items())]
        for name, one in self.people.items():
            own = {"name": name, **one}
            lines += ["[[person]]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in own.items())]
        file = self.folder / "vaultd.toml"
        file.write_text("\n".join(lines) + "\n")
        return file


@contextmanager
def house_in(folder: Path, people: dict[str, dict[str, Any]] = PEOPLE, **policy: object) -> Iterator[House]:
    """A house that is closed at the end. Its directors are there from the beginning, everybody else is accepted."""
    made = House(folder, people, **policy)
    try:
        yield made
    finally:
        made.store.close()


def all_accepted(house: House, names: Sequence[str] = ("张伟", "王芳")) -> None:
    """The first director accepts the others."""
    for name in names:
        house.accept(name, "赵院长")

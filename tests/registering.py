"""What tests of the media register share: a register with people who have keys, and its entries in a real ledger."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaultd.config import Config
from vaultd.custody import Custody
from vaultd.ledger import canonical, create, entry
from vaultd.ledger.reading import Reader
from vaultd.ledger.verify import verify
from vaultd.media import moves, people
from vaultd.media.machine import Status
from vaultd.media.moves import Done, Handing
from vaultd.media.people import Means
from vaultd.media.register import Register
from vaultd.places import database
from vaultd.store import Store
from vaultd.store.mediarows import Medium

LEVELS = ["科室负责人", "保密办", "单位负责人"]
PEOPLE = {"张伟": "保管员", "李娜": "保管员", "王芳": "保密办", "孙主任": "科室负责人", "赵院长": "单位负责人"}
"""Who has a key, and in which role. 陈司机 and 周护士 have none, and are in no configuration."""


class Office:
    """A register in a folder, and its people's private keys."""

    def __init__(self, folder: Path, scheme: str = "SY-{year}-{number:5}", **media: object) -> None:
        self.folder = folder
        self.keys = {name: make_key(folder / f"key-{number}") for number, name in enumerate(PEOPLE)}
        person = [
            {"name": name, "role": role, "ssh_key": self.keys[name].with_suffix(".pub").read_text().strip()}
            for name, role in PEOPLE.items()
        ]
        values = {
            "host": {"name": "ward", "state": folder / "state"}, "person": person, "file": folder / "vaultd.toml",
            "media": {"organisation": "市第一医院", "label": scheme, "destruction_approvals": LEVELS, **media},
        }  # fmt: skip
        self.config = Config.model_validate(values)
        (folder / "state").mkdir(mode=0o700)
        create.make(self.config.ledger_folder, self.config.ledger_key, self.config.host.name)
        self.store = Store(database(folder / "state"))
        self.register = Register(self.config, self.store, "uid 0 (says test)")

    def add(self, **values: Any) -> Medium:
        """A medium with what tests do not care about filled in."""
        number = self.store.count_media()
        given = {"label": "", "custodian": "张伟", "classification": "secret", "serial": f"ZC{number:06}", **values}
        return self.register.add(Medium(**given))

    def means(self, *names: str, sheet: str = "2026-41") -> Means:
        """These sign with their keys; whoever has none on a sheet."""
        return Means({name: self.keys[name] for name in names}, sheet)

    def hand(self, action: str, *labels: str, **values: Any) -> Done:
        """A transfer, with what tests do not care about filled in."""
        given = {"released_by": "张伟", "received_by": "陈司机", "approver": "王芳", "means": self.means(), **values}
        return moves.hand(self.register, Handing(action, labels, **given))

    def bring(self, label: str, status: Status) -> None:
        """Move a medium that is in service to a status, by the moves that lead there."""
        steps = {
            Status.REMOVED: ("remove", "张伟", "张伟", ""), Status.IN_TRANSIT: ("send", "张伟", "陈司机", "档案馆"),
            Status.DEPOSITED: ("deposit", "陈司机", "李娜", ""), Status.RETURNED: ("return", "李娜", "张伟", "机房"),
        }  # fmt: skip
        for after, (action, giver, taker, place) in steps.items():
            if self.register.find(label).status == status:
                return
            self.hand(action, label, released_by=giver, received_by=taker, place_to=place)
            assert self.register.find(label).status == after

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

    def config_file(self) -> Path:
        """The configuration as a file, for the command line."""
        lines = ["[host]", 'name = "ward"', f'state = "{self.folder / "state"}"', "[[target]]", 'name = "east"',
                 'host = "127.0.0.1"', "port = 1", 'user = "nobody"', 'path = "repo"', f'identity = "{self.folder}/id"',
                 f'password_file = "{self.folder}/password"', "[media]", 'organisation = "市第一医院"',
                 f"label = {json.dumps(self.config.media.label)}",
                 f"destruction_approvals = {json.dumps(LEVELS, ensure_ascii=False)}"]  # fmt: skip
        for one in self.config.person:
            own = {"name": one.name, "role": one.role, "ssh_key": one.ssh_key}
            lines += ["[[person]]", *(f"{key} = {json.dumps(text, ensure_ascii=False)}" for key, text in own.items())]
        file = self.folder / "vaultd.toml"
        file.write_text("\n".join(lines) + "\n")
        return file


def make_key(file: Path) -> Path:
    """A new SSH key without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file], check=True)
    return file


@contextmanager
def office_in(folder: Path, **values: Any) -> Iterator[Office]:
    """An office that is closed at the end."""
    made = Office(folder, **values)
    try:
        yield made
    finally:
        made.store.close()


def statement_of(found: dict[str, Any]) -> bytes:
    """What was signed for an entry, by docs/ledger.md: its own fields."""
    others = {"v", "seq", "t", "type", "origin", "salt", "at"}
    return canonical.encode({name: value for name, value in found.items() if name not in others})


def holds(public: str, statement: bytes, signature: str, folder: Path) -> bool:
    """Whether a signature holds, by ssh-keygen alone."""
    (folder / "allowed").write_text(f"someone {public}\n")
    lines = [signature[at : at + 70] for at in range(0, len(signature), 70)]
    text = "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])
    (folder / "sig").write_text(text)
    command = ["ssh-keygen", "-Y", "verify", "-n", "vaultd-media", "-I", "someone", "-f", folder / "allowed", "-s",
               folder / "sig"]  # fmt: skip
    return subprocess.run(command, input=statement, capture_output=True).returncode == 0


def owed(done: Done) -> Sequence[tuple[str, str]]:
    """Role and person of the signatures that are not there yet."""
    return [(one.role, one.person) for one in done.signatures if one.state == people.OWED]

"""Approvals beside a running daemon: somebody with an account signs without being root, by the file as it is now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.approving import CALLER
from tests.registering import make_key
from tests.site import Site, site_in, until
from vaultd import approvals
from vaultd.cli import approve
from vaultd.config import load
from vaultd.control.client import Client
from vaultd.errors import VaultdError
from vaultd.store import Store

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
ACCOUNT, UID = "daemon", 1
"""An account that every Debian has, and a group of that name and number."""


@pytest.fixture
def site() -> Iterator[Site]:
    """With a socket that the account reaches, and a state that it does not."""
    with tempfile.TemporaryDirectory(prefix="vaultd-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        folder = Path(name)
        with site_in(folder) as site:
            site.add_target()
            site.add_vault()
            director, operator = make_key(folder / "director"), make_key(folder / "operator")
            os.chown(director, UID, UID)
            lines = [f'[control]\nsocket = "{folder}/run/vaultd.sock"\ngroup = "{ACCOUNT}"']
            for who, role, user, key in (
                ("赵院长", "director", ACCOUNT, director),
                ("张伟", "operator", "bin", operator),
            ):
                public = key.with_suffix(".pub").read_text().strip()
                lines.append(f'[[person]]\nname = "{who}"\nroles = ["{role}"]\nuser = "{user}"\nssh_key = "{public}"')
            site.file_tail = "\n".join(lines) + "\n"
            site.prepare()
            yield site


def as_account(site: Site, *commands: list[str]) -> list[tuple[int, dict[str, Any]]]:
    """Run commands of vaultd as the account, one after the other: the exit code and the JSON of each."""
    code = f"""
import encodings.utf_8_sig, http.client, os, sys  # what is imported late cannot be read by the account everywhere
import vaultd.cli.approve, vaultd.cli.approvals, vaultd.cli.approvals_common, vaultd.cli.places, vaultd.approvals
import vaultd.control.client
from vaultd.cli.main import main
os.setgroups([{UID}]); os.setgid({UID}); os.setuid({UID})
for one in {list(commands)!r}:
    print(main(["--config", {str(site.file)!r}, "--json", *one]), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(commands), done
    return [(int(lines[at + 1]), json.loads(lines[at])) for at in range(0, len(lines), 2)]


@needs_root
@pytest.mark.root
def test_a_director_who_is_not_root_approves_by_the_daemon(site: Site) -> None:
    site.start()
    config, store = load(site.file), Store(site.state / "state.db")
    try:
        one = approvals.request(config, store, "forget", {"vault": "records"}, CALLER)
        assert one is not None
        number, key = str(one.number), str(site.folder / "director")
        listed, shown, withdrawn, done, again, other = as_account(
            site, ["approvals", "list"], ["approvals", "show", number], ["approvals", "withdraw", number],
            ["approve", number, "--key", key], ["approve", number, "--key", key], ["approve", "99", "--key", key],
        )  # fmt: skip
        assert listed[1]["requests"] == [shown[1]["request"]] and shown[1]["request"]["request"] == one.number
        assert withdrawn[0] == 6
        assert done[0] == 0 and done[1]["request"]["missing"] == []
        assert (again[0], again[1]["error"]["code"]) == (6, "approval")
        assert other[1]["error"]["code"] == "approval-unknown"
        assert approvals.require(config, store, "forget", {"vault": "records"}, CALLER) is not None
        until(lambda: len(site.entries("approval")) == 1, "the approval is on record")
        assert site.entries("approval")[0]["who"] == f"赵院长 (uid {UID})"
    finally:
        store.close()


def test_the_daemon_goes_by_the_file_as_it_is_now_and_takes_nobody_for_gone(site: Site) -> None:
    site.start()
    client, store = Client(site.folder / "run" / "vaultd.sock"), Store(site.state / "state.db")
    try:
        added = make_key(site.folder / "added")
        public = added.with_suffix(".pub").read_text().strip()
        site.file_tail += f'[[person]]\nname = "新主任"\nroles = ["auditor"]\nssh_key = "{public}"\n'
        config = site.write()
        one = approvals.accepting.ask(config, store, "新主任", CALLER)
        signature = approvals.sshsig.sign(site.folder / "director", one.statement, approvals.NAMESPACE)
        assert client.approve(one.number, signature)["state"] == "used"
        assert store.persons()["新主任"].state == "accepted"
    finally:
        store.close()


class Liar(Client):
    """Answers with one request, and has another one signed."""

    def __init__(self, shown: dict[str, Any]) -> None:
        super().__init__(Path("/nowhere"))
        self.shown = shown

    def approval(self, number: int) -> dict[str, Any]:
        return self.shown


@pytest.mark.parametrize("what", ["request", "action", "parameters"])
def test_what_is_signed_is_what_is_shown_whatever_answers_at_the_socket(what: str) -> None:
    import hashlib

    from vaultd.ledger import canonical

    parameters = {"vault": "records", "salt": "00"}
    said = {"request": "3", "action": "forget", "parameters": hashlib.sha256(canonical.encode(parameters)).hexdigest()}
    said[what] = {"request": "4", "action": "plain-export", "parameters": "00" * 32}[what]
    shown = {"request": 3, "action": "forget", "parameters": parameters, "statement": json.dumps(said)}

    def sign(_statement: bytes) -> str:
        raise AssertionError("it was signed")

    with pytest.raises(VaultdError, match="not what is shown"):
        approve.by_socket(Liar(shown), 3, sign, "")

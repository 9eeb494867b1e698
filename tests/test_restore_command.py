"""``vaultd restore`` and ``vaultd snapshots`` as people run them, on a machine that has lost everything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import warm
from tests.restoring import GBK, VAULT, Stored, at, write
from tests.watching import wait_for
from vaultd.demo.offsite import OffsiteServer
from vaultd.restore.compare import compare

COMMAND = [sys.executable, "-m", "vaultd.cli.main"]


class Lost:
    """A server with a repository, and a new machine: nothing but what the tests give it."""

    def __init__(self, folder: Path, server: OffsiteServer, stored: Stored) -> None:
        self.folder, self.server, self.stored = folder, server, stored
        self.password = stored.repository.password_file
        self.host_key = " ".join(server.known_hosts_line().split()[1:])

    def run(self, *args: str | bytes | Path, code: int = 0, typed: str = "") -> str:
        done = warm.run([os.fsdecode(one) for one in args], input=typed.encode(), env=self.env())
        out, self.stderr = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, f"{done.returncode}\n{out}\n{self.stderr}"
        return out

    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder), "VAULTD_CONFIG": str(self.folder / "none.toml"),
        }  # fmt: skip

    def directly(self) -> list[str | Path]:
        """The options that stand in for a configuration."""
        return [
            "--repository", f"sftp://{self.server.user}@{self.server.host}:{self.server.port}/repository",
            "--host-key", self.host_key, "--identity", self.server.identity, "--password-file", self.password,
        ]  # fmt: skip

    def config(self) -> Path:
        """A configuration with a target and nothing else."""
        state, file = self.folder / "state", self.folder / "vaultd.toml"
        file.write_text(
            f'[host]\nname = "newcomer"\nstate = "{state}"\n\n[[target]]\nname = "offsite"\n'
            f'host = "{self.server.host}"\nport = {self.server.port}\nuser = "{self.server.user}"\n'
            'path = "repository"\n'
            f'identity = "{self.server.identity}"\npassword_file = "{self.password}"\n'
        )
        (state / "targets" / "offsite").mkdir(parents=True)
        (state / "targets" / "offsite" / "known_hosts").write_text(self.server.known_hosts_line())
        return file


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    found = Stored(tmp_path_factory.mktemp("stored"))
    write(os.path.join(bytes(found.root), b"folder", GBK), "in a GBK name")
    write(found.root / "file", "8")
    found.full(time=at(8))
    write(found.root / "file", "9")
    found.express("file", time=at(9))
    found.dump("records", "select 1")
    return found


@pytest.fixture
def lost(stored: Stored, tmp_path: Path) -> Iterator[Lost]:
    with OffsiteServer(tmp_path / "offsite") as server:
        shutil.copytree(stored.path, server.root / "repository")
        yield Lost(tmp_path, server, stored)


def test_repository_password_and_host_key_alone_bring_a_vault_back(lost: Lost) -> None:
    to = lost.folder / "restored"
    before = set(lost.folder.iterdir())
    told = json.loads(lost.run("--json", "restore", VAULT, "--to", to, *lost.directly()))
    assert compare(lost.stored.root, to) == []
    assert (told["outcome"], told["exact"], told["target"]) == ("done", False, "repository")
    # Nothing else is left on the new machine.
    assert set(lost.folder.iterdir()) - before <= {to}


def test_a_configuration_with_just_the_target_will_do(lost: Lost) -> None:
    file = lost.config()
    shown = lost.run("--config", file, "restore", VAULT, "--to", lost.folder / "restored")
    assert compare(lost.stored.root, lost.folder / "restored") == []
    assert "From the express snapshot" in shown and "--dump records" in shown
    assert "exactly as of" in lost.stderr
    listed = json.loads(lost.run("--config", file, "--json", "snapshots"))
    assert [(one["vault"], one["kind"], one["target"]) for one in listed["snapshots"]] == [
        (VAULT, "full", "offsite"), (VAULT, "express", "offsite"), (VAULT, "dump", "offsite"),
    ]  # fmt: skip
    assert "dump records" in lost.run("--config", file, "snapshots", VAULT)
    full = json.loads(lost.run("--config", file, "--json", "snapshots", VAULT, "--full"))["snapshots"]
    assert [one["kind"] for one in full] == ["full"]


def test_a_moment_is_exact_and_a_path_may_be_any_bytes(lost: Lost) -> None:
    told = json.loads(
        lost.run("--json", "restore", VAULT, "--to", lost.folder / "at", "--at", "2026-11-22 08:30Z", *lost.directly())
    )
    assert told["exact"] and told["moment"] == "2026-11-22T08:00:00.000Z"
    assert (lost.folder / "at" / "file").read_text() == "8"
    lost.run("restore", VAULT, "--to", lost.folder / "one", "--path", b"folder/" + GBK, *lost.directly())
    assert os.listdir(bytes(lost.folder / "one" / "folder")) == [GBK]
    told = json.loads(
        lost.run(
            "--json", "restore", VAULT, "--to", lost.folder / "none", "--path", b"n" + GBK, *lost.directly(), code=3
        )
    )
    assert [one["path_b64"] for one in told["missing"]]


def test_what_is_wrong_is_told_with_its_exit_code(lost: Lost) -> None:
    to = lost.folder / "restored"
    told = lost.run("restore", "nobody", "--to", to, *lost.directly(), code=1)
    assert "there is no snapshot of it" in lost.stderr and not told
    lost.run("restore", VAULT, "--to", to, "--at", "yesterday", *lost.directly(), code=2)
    lost.run("restore", VAULT, "--to", to, *lost.directly()[:4], code=2)
    lost.run("restore", VAULT, "--to", to, code=2)
    assert "--repository" in lost.stderr
    wrong = lost.folder / "wrong"
    wrong.write_text("wrong\n")
    lost.run("restore", VAULT, "--to", to, *lost.directly()[:-1], wrong, code=6)
    lost.server.rekey()
    lost.run("restore", VAULT, "--to", to, *lost.directly(), code=6)
    assert "host key" in lost.stderr
    lost.server.stop()
    lost.run("snapshots", *lost.directly(), code=5)
    assert not to.exists()


def test_a_dry_run_changes_nothing_and_a_full_folder_is_refused(lost: Lost) -> None:
    told = json.loads(lost.run("--json", "restore", VAULT, "--to", lost.folder / "dry", "--dry-run", *lost.directly()))
    assert told["outcome"] == "planned" and told["bytes_free"] > 0
    assert not (lost.folder / "dry").exists()
    write(lost.folder / "full" / "file", "mine")
    lost.run("restore", VAULT, "--to", lost.folder / "full", *lost.directly(), code=1)
    assert (lost.folder / "full" / "file").read_text() == "mine"
    lost.run("restore", VAULT, "--to", lost.folder / "full", "--overwrite", *lost.directly())
    assert compare(lost.stored.root, lost.folder / "full") == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_an_interrupted_command_tells_what_is_there_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    stored = Stored(tmp_path / "s")
    for part in range(5):
        write(stored.root / f"large {part}", os.urandom(20_000_000))
    stored.full()
    to = tmp_path / "restored"
    with OffsiteServer(tmp_path / "offsite") as server:
        shutil.copytree(stored.path, server.root / "repository")
        lost = Lost(tmp_path, server, stored)
        command = [*COMMAND, "--json", "restore", VAULT, "--to", to, *lost.directly()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lost.env()) as process:
            wait_for(lambda: to.is_dir() and any(one.name.startswith("large") for one in to.iterdir()), "some of it")
            server.freeze()
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            server.thaw()
        told = json.loads(output)
        assert process.returncode == 3, errors
        assert told["outcome"] == "interrupted"
        assert told["snapshots"][0]["restored"] is False
        assert not list(tmp_path.glob("vaultd-*"))
        told = json.loads(lost.run("--json", "restore", VAULT, "--to", to, *lost.directly()))
        assert told["resumed"] and told["outcome"] == "done"
    assert compare(stored.root, to) == []

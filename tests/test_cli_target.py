"""`vaultd target`, `doctor` and `backup` against a real SSH server and real restic, in process and by the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vaultd import config as configuration
from vaultd import places, sftp, targets
from vaultd.cli.main import main
from vaultd.demo.offsite import OffsiteServer
from vaultd.doctor.places import is_encrypted
from vaultd.ledger import create
from vaultd.restic import commands

pytestmark = pytest.mark.skipif(shutil.which("restic") is None, reason="needs restic")

TOML = """# Kept.
[host]
name = "ward"
state = "{folder}/state"
[[target]]
name = "offsite"  # our own
host = "{host}"
port = {port}
user = "{user}"
path = "repo"
identity = "{identity}"
password_file = "{folder}/password"
[[vault]]
name = "records"
path = "{folder}/vault"
classification = "secret"
settle = "0s"
max_delay = "1s"
targets = ["offsite"]
"""


@pytest.fixture
def file(offsite: OffsiteServer, password_file: Path, tmp_path: Path) -> Path:
    """A configuration whose target's host key nobody has confirmed yet, and which has no repository."""
    path = tmp_path / "vaultd.toml"
    path.write_text(
        TOML.format(folder=tmp_path, host=offsite.host, port=offsite.port, user=offsite.user, identity=offsite.identity)
    )
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "note.txt").write_text("content")
    return path


@pytest.fixture
def ready(file: Path) -> Path:
    """With the host key trusted, a repository and a ledger made."""
    found = configuration.load(file)
    target = found.target[0]
    sftp.trust(found.known_hosts(target), target.host, target.port, sftp.fetch_host_key(target.host, target.port))
    asyncio.run(commands.init(targets.repository(config=found, target=target)))
    create.make(found.ledger_folder, found.ledger_key, found.host.name)
    return file


def vaultd(file: Path, *args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """A command in this process: exit code and its one object."""
    capsys.readouterr()
    code = main(["--config", str(file), "--json", *args])
    return code, json.loads(capsys.readouterr().out)


def fingerprint(file: Path) -> str:
    target = configuration.load(file).target[0]
    return sftp.fetch_host_key(target.host, target.port)[0].fingerprint


# --- target


def test_unconfirmed_host_is_never_connected_to(
    file: Path, offsite: OffsiteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = offsite.connections_seen()
    code, found = vaultd(file, "target", "check", capsys=capsys)
    assert code == 1
    assert "never confirmed" in found["findings"][0]["text"]
    assert offsite.connections_seen() == seen


def test_trust_wants_the_right_fingerprint(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = vaultd(file, "target", "trust", "offsite", "--fingerprint", "SHA256:nonsense", capsys=capsys)
    assert (code, found["error"]["code"]) == (6, "host-key")
    code, found = vaultd(file, "target", "trust", "offsite", capsys=capsys)
    assert (code, found["error"]["why"]) == (6, "--json never asks")
    assert vaultd(file, "target", "list", capsys=capsys)[1]["targets"][0]["host_keys"] == []
    right = fingerprint(file)
    code, found = vaultd(file, "target", "trust", "offsite", "--fingerprint", right, capsys=capsys)
    assert (code, found["target"]["host_keys"][0]["fingerprint"]) == (0, right)


def answer(file: Path, reply: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vaultd", "--config", str(file), *args]
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, input=reply, capture_output=True, text=True, timeout=60, env=env)


def test_trust_asks_and_takes_no_for_an_answer(file: Path, offsite: OffsiteServer) -> None:
    refused = answer(file, "n\n", "target", "trust", "offsite")
    assert refused.returncode == 6
    assert fingerprint(file) in refused.stderr
    assert answer(file, "y\n", "target", "trust", "offsite").returncode == 0
    offsite.rekey()
    changed = answer(file, "n\n", "target", "trust", "offsite")
    assert changed.returncode == 6
    assert "It is NOT the one that was trusted" in changed.stderr


def test_check_tells_a_changed_host_key(
    ready: Path, offsite: OffsiteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = vaultd(ready, "target", "check", "offsite", capsys=capsys)
    assert (code, found["faults"]) == (0, 0), found
    offsite.rekey()
    code, found = vaultd(ready, "target", "check", capsys=capsys)
    assert (code, found["faults"]) == (6, 1)


def test_check_tells_a_dead_server_and_a_wrong_password(
    ready: Path, offsite: OffsiteServer, password_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password_file.write_text("wrong\n")
    assert vaultd(ready, "target", "check", capsys=capsys)[0] == 6
    offsite.stop()
    assert vaultd(ready, "target", "check", capsys=capsys)[0] == 5


def test_check_tells_a_missing_repository(
    ready: Path, offsite: OffsiteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(offsite.root / "repo")
    code, found = vaultd(ready, "target", "check", capsys=capsys)
    assert code == 1
    assert [one["subject"] for one in found["findings"] if one["level"] == "fault"] == ["repository offsite"]


def test_unknown_target_names_the_known_ones(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = vaultd(file, "target", "check", "nope", capsys=capsys)
    assert code == 2
    assert "offsite" in found["error"]["hint"]


def test_add_keeps_comments_and_refuses_what_is_wrong(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["target", "add", "west", "--server", "west.example.org", "--path", "/srv/ward"]
    code, found = vaultd(file, *args, capsys=capsys)
    assert (code, found["target"]["vaults"]) == (0, ["records"])
    text = file.read_text()
    assert text.startswith("# Kept.\n")
    assert "# our own" in text
    assert configuration.load(file).vault[0].targets == ["offsite", "west"]
    assert vaultd(file, *args, capsys=capsys)[0] == 2  # the name is taken
    args[2] = "No Name"
    assert vaultd(file, *args, capsys=capsys)[0] == 2
    args[2], args[-1] = "third", "/srv/other"
    assert vaultd(file, *args, "--vault", "nope", capsys=capsys)[0] == 2
    assert file.read_text() == text


def test_another_repository_is_told_and_can_be_meant(
    ready: Path, offsite: OffsiteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultd(ready, "target", "trust", "offsite", "--repository", capsys=capsys)[0] == 0
    assert vaultd(ready, "target", "check", capsys=capsys)[0] == 0
    shutil.rmtree(offsite.root / "repo")
    found = configuration.load(ready)
    asyncio.run(commands.init(targets.repository(config=found, target=found.target[0])))
    code, shown = vaultd(ready, "target", "check", capsys=capsys)
    assert code == 1
    assert "another one than before" in json.dumps(shown)
    assert vaultd(ready, "target", "trust", "offsite", "--repository", capsys=capsys)[0] == 0
    assert vaultd(ready, "target", "check", capsys=capsys)[0] == 0


# --- doctor


def test_doctor_names_each_fault_with_its_mend(
    ready: Path, password_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = vaultd(ready, "doctor", "--offline", capsys=capsys)
    faults = {one["subject"] for one in found["findings"] if one["level"] == "fault"}
    assert (code, faults) == (1, {"daemon"})  # nothing else is wrong here
    password_file.chmod(0o644)
    ready.write_text(ready.read_text().replace("[host]", '[host]\nrestic = "/no/such/restic"'))
    shutil.rmtree(ready.parent / "vault")
    code, found = vaultd(ready, "doctor", "--offline", capsys=capsys)
    faults = {one["subject"]: one["mend"] for one in found["findings"] if one["level"] == "fault"}
    assert code == 1
    assert set(faults) == {"daemon", "password offsite", "restic", "folders"}
    assert faults["password offsite"].startswith("chmod go-rwx ")
    assert all(faults.values())


def test_doctor_tells_of_a_socket_that_its_group_cannot_get_to(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def level() -> str:
        findings = vaultd(ready, "doctor", "--offline", capsys=capsys)[1]["findings"]
        return next(one["level"] for one in findings if one["subject"] == "socket")

    text = ready.read_text()
    ready.write_text(f'{text}[control]\ngroup = "root"\n')  # in the state folder, by default
    assert level() == "fault"
    with tempfile.TemporaryDirectory(dir="/tmp") as outside:  # pytest's own folders are closed, too
        os.chmod(outside, 0o755)
        ready.write_text(f'{text}[control]\ngroup = "root"\nsocket = "{outside}/run/vaultd.sock"\n')
        assert level() == "fine"
        os.chmod(outside, 0o700)
        assert level() == "fault"


def test_doctor_tells_a_broken_configuration(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text().replace("classification", "clasification"))
    code, found = vaultd(file, "doctor", capsys=capsys)
    assert (code, found["faults"], found["findings"][0]["subject"]) == (1, 1, "configuration")


def test_encryption_is_seen_through_partitions_and_layers(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    if os.major(number) == 0:
        number = os.makedev(8, 1)

    class Fake:
        st_dev = number

    class Path_(type(tmp_path)):  # type: ignore[misc]
        def stat(self, **_options: Any) -> Any:
            return Fake()

    sys_ = tmp_path / "sys"
    top = sys_ / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    lower = top / "slaves" / "dm-1"
    (lower / "dm").mkdir(parents=True)
    (lower / "dm" / "uuid").write_text("LVM-abc\n")
    assert not is_encrypted(Path_(tmp_path), sys_)
    (lower / "slaves" / "dm-0" / "dm").mkdir(parents=True)
    (lower / "slaves" / "dm-0" / "dm" / "uuid").write_text("CRYPT-LUKS2-abc\n")
    assert is_encrypted(Path_(tmp_path), sys_)


# --- backup


def test_backup_in_process_and_then_nothing_to_do(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = vaultd(ready, "backup", "--full", capsys=capsys)
    assert (code, found["job"]["state"]) == (0, "done"), found
    (outcome,) = found["job"]["outcomes"]
    assert (outcome["vault"], outcome["target"], outcome["kind"]) == ("records", "offsite", "full")
    code, found = vaultd(ready, "backup", capsys=capsys)
    assert (code, found["job"]["outcomes"][0]["kind"]) == (0, "")
    code, found = vaultd(ready, "status", capsys=capsys)
    assert (code, found["state"], found["daemon"]) == (7, "protected", {"running": False})


def test_backup_of_an_unknown_vault(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vaultd(ready, "backup", "nope", capsys=capsys)[0] == 2


def test_backup_to_a_dead_server_exits_with_5(
    ready: Path, offsite: OffsiteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    offsite.stop()
    code, found = vaultd(ready, "backup", capsys=capsys)
    assert (code, found["job"]["state"]) == (5, "failed")
    assert found["job"]["outcomes"][0]["error"]["code"] == "unreachable"


@pytest.fixture
def daemon(ready: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = (ready.parent / "daemon.log").open("wb")
    command = [sys.executable, "-m", "vaultd", "--config", str(ready), "run"]
    child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    socket = places.locate(ready).socket
    deadline = time.monotonic() + 30
    while not socket.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert socket.exists(), (ready.parent / "daemon.log").read_text()
    yield child
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0, (ready.parent / "daemon.log").read_text()
    log.close()


def test_daemon_protects_and_answers(
    ready: Path, daemon: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    (ready.parent / "vault" / "second.txt").write_text("more")
    code, found = vaultd(ready, "backup", "--full", capsys=capsys)
    assert (code, found["job"]["state"]) == (0, "done"), found
    deadline = time.monotonic() + 30
    while True:
        code, found = vaultd(ready, "status", "--check", capsys=capsys)
        if (code, found["state"]) == (0, "protected"):
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert found["daemon"]["pid"] == daemon.pid
    assert found["vaults"][0]["targets"][0]["last_full"]["files"] >= 2
    code, shown = vaultd(ready, "doctor", capsys=capsys)
    assert (code, shown["faults"]) == (0, 0), shown


def test_daemon_ends_in_order_and_takes_its_socket_along(ready: Path, daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(30) == 0
    assert not places.locate(ready).socket.exists()


def test_second_daemon_is_refused(ready: Path, daemon: subprocess.Popen[bytes]) -> None:
    second = answer(ready, "", "run")
    assert second.returncode == 1
    assert str(daemon.pid) in second.stderr
    assert "Traceback" not in second.stderr

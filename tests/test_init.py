"""`vaultd init`: from nothing to a repository on a real SFTP server, in steps that can be taken up again."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import warm
from vaultd import config, keys
from vaultd.demo.offsite import OffsiteServer
from vaultd.errors import EXIT_DONE, EXIT_NOT_AUTHORISED, EXIT_UNREACHABLE, EXIT_USAGE, ConfigError

ROOT = Path(__file__).parent.parent


@dataclass
class Place:
    """A machine to be set up, and the server that it is to use."""

    folder: Path
    server: OffsiteServer

    @property
    def file(self) -> Path:
        return self.folder / "etc" / "vaultd.toml"

    @property
    def host_key(self) -> str:
        shown = subprocess.run(["ssh-keygen", "-lf", f"{self.server.host_key}.pub"], capture_output=True, text=True)
        return shown.stdout.split()[1]

    @property
    def answers(self) -> list[str]:
        return [
            "--host-name", "h1", "--state", str(self.folder / "state"), "--server", self.server.host,
            "--port", str(self.server.port), "--user", self.server.user, "--path", "repo",
            "--folder", str(self.folder / "v"), "--vault", "records", "--classification", "secret",
            "--custodian", "张伟",
        ]  # fmt: skip

    def init(self, *arguments: str, answer: str = "", json_output: bool = False) -> subprocess.CompletedProcess[str]:
        command = ["--lang", "en", "--config", str(self.file), *(["--json"] if json_output else [])]
        done = warm.run([*command, "init", *arguments], input=answer.encode())
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def admit(self) -> None:
        """What the server's owner does: add the very line that init shows."""
        line = keys.authorized_keys_line(config.load(self.file).target[0].identity)
        with (self.server.files / "authorized_keys").open("a") as stream:
            stream.write(line + "\n")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "file").write_text("x")
    with OffsiteServer(tmp_path / "offsite") as server:
        yield Place(tmp_path, server)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_whole_way_in_two_runs(place: Place) -> None:
    first = place.init("--batch", *place.answers, "--host-key", place.host_key)
    assert first.returncode == EXIT_NOT_AUTHORISED, first.stderr
    line = keys.authorized_keys_line(place.folder / "etc" / "keys" / "offsite.key")
    assert line.startswith('restrict,command="internal-sftp" ssh-ed25519 AAAA') and line.endswith(" vaultd@h1")
    assert line in first.stdout.splitlines()
    assert "then run `vaultd init` again" in first.stderr
    assert (mode(place.file), mode(place.file.parent / "keys"), mode(place.folder / "state")) == (0o640, 0o700, 0o700)
    assert (
        mode(place.file.parent / "keys" / "offsite.key")
        == mode(place.file.parent / "keys" / "offsite.password")
        == 0o600
    )
    before = {path: path.read_bytes() for path in place.file.parent.rglob("*") if path.is_file()}

    place.admit()
    second = place.init("--batch")
    assert second.returncode == EXIT_DONE, second.stderr
    password = (place.file.parent / "keys" / "offsite.password").read_text().strip()
    assert password not in first.stdout + first.stderr + second.stdout + second.stderr
    url = f"sftp://{place.server.user}@127.0.0.1:{place.server.port}/repo"
    assert url in second.stdout and place.host_key in second.stdout
    assert f"vaultd --config {place.file} run" in second.stdout
    assert {path: path.read_bytes() for path in before} == before

    third = place.init("--batch", "--show-password")
    assert third.returncode == EXIT_DONE and f"password:             {password}" in third.stdout
    assert (place.server.root / "repo" / "config").exists()


def test_written_configuration_holds_the_answers_and_keeps_the_comments(place: Place) -> None:
    place.init("--batch", *place.answers, "--objective", "5m", "--priority", "1")
    loaded = config.load(place.file)
    vault, target = loaded.vault_named("records"), loaded.target_named("offsite")
    assert (vault.path, vault.classification, vault.custodian) == (place.folder / "v", "secret", "张伟")
    assert (vault.objective, vault.priority, vault.targets) == (300, 1, ["offsite"])
    assert (target.host, target.port, target.path) == ("127.0.0.1", place.server.port, "repo")
    assert (loaded.host.name, loaded.host.cache) == ("h1", place.folder / "state" / "cache")
    assert loaded.control.socket == place.folder / "state" / "run" / "vaultd.sock"
    comments = [line for line in place.file.read_text().splitlines() if line.startswith("# ")]
    assert comments == [
        line for line in (ROOT / "config" / "vaultd.toml").read_text().splitlines() if line.startswith("# ")
    ]


def test_what_is_written_on_paper_opens_the_repository_by_restic_alone(place: Place) -> None:
    place.init("--batch", *place.answers, "--host-key", place.host_key)
    place.admit()
    done = place.init("--batch", "--show-password")
    found = dict(re.findall(r"^  ([a-z -]+): +(\S+)$", done.stdout, flags=re.MULTILINE))
    known = place.folder / "known_hosts"
    known.write_text(place.server.known_hosts_line() + "\n")
    arguments = f"-i '{place.file.parent}/keys/offsite.key' -o UserKnownHostsFile={known} -o BatchMode=yes"
    restic = subprocess.run(
        ["restic", "-r", found["repository"], "-o", f"sftp.args={arguments}", "--no-cache", "cat", "config"],
        env={"PATH": os.environ["PATH"], "RESTIC_PASSWORD": found["password"], "HOME": str(place.folder)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert restic.returncode == 0, restic.stderr
    assert json.loads(restic.stdout)["id"] == found["repository id"]


def test_key_on_the_server_is_good_for_sftp_only(place: Place) -> None:
    """On a server that restricts nothing by itself: another key there runs commands, ours does not."""
    place.init("--batch", *place.answers, "--path", str(place.server.root / "repo"), "--host-key", place.host_key)
    place.admit()
    settings = place.server.files / "sshd_config"
    kept = [line for line in settings.read_text().splitlines() if not line.startswith("ForceCommand")]
    settings.write_text("\n".join(kept) + "\n")
    os.kill(int((place.server.files / "sshd.pid").read_text()), signal.SIGHUP)  # read the configuration anew
    known = place.folder / "known_hosts"
    known.write_text(place.server.known_hosts_line())

    def run_id(identity: Path) -> str:
        ssh = ["ssh", "-F", "none", "-p", str(place.server.port), "-i", str(identity), "-o", "IdentitiesOnly=yes"]
        ssh += ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", f"{place.server.user}@127.0.0.1", "id"]
        return subprocess.run(ssh, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout

    deadline = time.monotonic() + 30
    while "uid=" not in run_id(place.server.identity):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "uid=" not in run_id(place.file.parent / "keys" / "offsite.key")
    assert place.init("--batch").returncode == EXIT_DONE
    assert (place.server.root / "repo" / "config").exists()


def test_unknown_host_key_is_never_trusted_without_being_asked(place: Place) -> None:
    done = place.init("--batch", *place.answers)
    assert done.returncode == EXIT_NOT_AUTHORISED
    assert place.host_key in done.stderr and "--host-key SHA256:" in done.stderr
    assert not list(place.folder.rglob("known_hosts"))
    assert place.server.authentications_seen() == 0


def test_wrong_fingerprint_is_refused(place: Place) -> None:
    done = place.init("--batch", *place.answers, "--host-key", "SHA256:" + "A" * 43)
    assert done.returncode == EXIT_NOT_AUTHORISED and "somebody may be in between" in done.stderr
    assert not list(place.folder.rglob("known_hosts"))
    nonsense = place.init("--batch", "--host-key", "aa:bb:cc")
    assert nonsense.returncode == EXIT_USAGE and "SHA256:" in nonsense.stderr


def test_host_key_by_its_line_and_a_changed_one_later(place: Place) -> None:
    place.init("--batch", *place.answers, "--host-key", place.server.known_hosts_line())
    place.admit()
    assert place.init("--batch").returncode == EXIT_DONE
    place.server.rekey()
    changed = place.init("--batch")
    assert changed.returncode == EXIT_NOT_AUTHORISED and "host key" in changed.stderr
    other = place.init("--batch", "--host-key", place.host_key)
    assert other.returncode == EXIT_NOT_AUTHORISED and "vaultd target trust" in other.stderr


def test_answers_by_hand(place: Place) -> None:
    """Every question, a wrong answer to some, the host key confirmed, and Enter while the key is not there yet."""
    given = ["--state", str(place.folder / "state")]
    wrong_then_right = [
        "Host 1", "h1", "-oProxyCommand=x", place.server.host, "ssh", str(place.server.port), place.server.user, "repo",
        "relative", str(place.folder / "none"), str(place.folder / "v"), "", "geheim", "secret", "",
        "y", "",
    ]  # fmt: skip
    done = place.init(*given, answer="\n".join(wrong_then_right) + "\n")
    assert done.returncode != EXIT_DONE and "The server does not accept the key yet" in done.stderr, done.stderr
    assert done.stderr.count("Error:") == 6
    assert place.host_key in done.stdout
    vault = config.load(place.file).vault[0]
    assert (vault.name, vault.classification, vault.path) == ("v", "secret", place.folder / "v")
    place.admit()
    assert place.init("--batch").returncode == EXIT_DONE


def test_host_key_that_is_not_confirmed_by_hand(place: Place) -> None:
    done = place.init(*place.answers, answer="n\n")
    assert done.returncode == EXIT_NOT_AUTHORISED and "was not confirmed" in done.stderr
    assert not list(place.folder.rglob("known_hosts"))


def test_existing_configuration_is_never_overwritten(place: Place) -> None:
    place.init("--batch", *place.answers)
    before = place.file.read_bytes()
    done = place.init("--batch", "--server", "elsewhere.example.org", "--classification", "secret")
    assert done.returncode == EXIT_USAGE
    assert "is not overwritten" in done.stderr and "--server elsewhere.example.org" in done.stderr
    assert "--classification" not in done.stderr
    assert place.file.read_bytes() == before


def test_the_same_options_again_go_on(place: Place) -> None:
    options = ["--batch", *place.answers, "--objective", "15m", "--host-key", place.host_key]
    place.init(*options)
    place.admit()
    assert place.init(*options).returncode == EXIT_DONE


def test_missing_and_wrong_options_write_nothing(place: Place) -> None:
    missing = place.init("--batch")
    assert missing.returncode == EXIT_USAGE and "give --server, --folder\n" in missing.stderr
    for flag, value, word in (
        ("--classification", "geheim", "top-secret"),
        ("--folder", str(place.folder / "none"), "nothing is there"),
        ("--port", "70000", "65535 or less"),
        ("--vault", "vaultd-state", "uses this one itself"),
        ("--objective", "soon", "15m"),
        ("--state", str(place.folder / "v" / "state"), "do not go together"),
    ):
        done = place.init("--batch", *place.answers, flag, value)
        assert done.returncode == EXIT_USAGE and word in done.stderr, (flag, done.stderr)
    assert not place.file.parent.exists()


def test_server_that_is_away_can_be_reached_later(place: Place) -> None:
    place.server.stop()
    done = place.init("--batch", *place.answers, "--host-key", place.host_key)
    assert done.returncode == EXIT_UNREACHABLE and 'restrict,command="internal-sftp"' in done.stdout
    place.server.start()
    place.admit()
    assert place.init("--batch", "--host-key", place.host_key).returncode == EXIT_DONE


def test_json_is_one_object_with_the_line_for_the_server(place: Place) -> None:
    first = place.init(*place.answers, "--host-key", place.host_key, json_output=True)
    found, error = json.loads(first.stdout), json.loads(first.stderr)
    assert (found["version"], found["ready"], found["config_written"]) == (1, False, True)
    assert error["error"]["code"] == "authentication"
    assert found["targets"][0]["authorized_keys"].startswith("restrict,")
    place.admit()
    second = json.loads(place.init(json_output=True).stdout)
    assert (second["ready"], second["config_written"]) == (True, False)
    (target,) = second["targets"]
    assert target["repository_made"] and len(target["repository"]) == 64 and "password" not in target
    third = json.loads(place.init("--show-password", json_output=True).stdout)
    assert third["targets"][0]["password"] and third["targets"][0]["repository"] == target["repository"]


def new_machine(place: Place) -> Place:
    folder = place.folder / "new"
    (folder / "v").mkdir(parents=True)
    return Place(folder, place.server)


def set_up(place: Place) -> str:
    """Set up a machine; its password."""
    place.init("--batch", *place.answers, "--host-key", place.host_key)
    place.admit()
    assert place.init("--batch").returncode == EXIT_DONE
    return (place.file.parent / "keys" / "offsite.password").read_text().strip()


def restore_only(place: Place) -> list[str]:
    answers = place.answers
    return [*answers[: answers.index("--folder")], "--restore-only"]


def test_new_machine_with_the_password_from_paper(place: Place) -> None:
    password = set_up(place)
    other = new_machine(place)
    options = [*restore_only(other), "--host-key", other.host_key, "--enter-password"]
    first = other.init(*options, answer=password + "\n")  # then the input ends: the key is not there yet
    assert first.returncode != EXIT_DONE and password not in first.stdout + first.stderr
    assert config.load(other.file).vault == []
    other.admit()
    second = other.init("--batch")
    assert second.returncode == EXIT_DONE and "snapshots` shows what can be restored" in second.stdout, second.stderr


def test_repository_of_another_password_keeps_no_useless_password_file(place: Place) -> None:
    set_up(place)
    other = new_machine(place)
    identity = place.file.parent / "keys" / "offsite.key"
    options = ["--batch", *restore_only(other), "--host-key", other.host_key, "--identity", str(identity)]
    done = other.init(*options)
    assert done.returncode == EXIT_NOT_AUTHORISED and "--enter-password" in done.stderr
    assert not list(other.folder.rglob("*.password"))
    asked = other.init("--batch", "--enter-password")
    assert asked.returncode == EXIT_USAGE and "never ask" in asked.stderr


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_are_made_once_and_understood_by_ssh(tmp_path: Path) -> None:
    identity, password = tmp_path / "k" / "id", tmp_path / "k" / "p"
    assert keys.ensure_identity(identity, "vaultd@h") and keys.ensure_password(password)
    before = (identity.read_bytes(), password.read_bytes())
    assert not keys.ensure_identity(identity, "other") and not keys.ensure_password(password, "other")
    assert before == (identity.read_bytes(), password.read_bytes())
    derived = subprocess.run(["ssh-keygen", "-y", "-f", identity], capture_output=True, text=True, check=True).stdout
    assert keys.public_line(identity).split()[:2] == derived.split()[:2]
    assert re.fullmatch(r"([a-km-np-z2-9]{5}-){5}[a-km-np-z2-9]{5}\n", password.read_text())
    assert keys.new_password() != keys.new_password()
    keys.public_path(identity).unlink()
    assert not keys.ensure_identity(identity, "vaultd@h")
    assert keys.public_line(identity).split()[:2] == derived.split()[:2]


def test_identity_with_a_passphrase_or_none_at_all_is_told(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    keys.public_path(locked).unlink()
    (tmp_path / "text").write_text("no key\n")
    for path in (locked, tmp_path / "text"):
        with pytest.raises(ConfigError, match="cannot be used") as caught:
            keys.ensure_identity(path, "x")
        assert "passphrase" in str(caught.value)

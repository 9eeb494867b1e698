"""The ssh_config that vaultd writes means what it says: asked of the real ssh with -G, and used by restic in others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vaultd.config import TargetConfig
from vaultd.errors import ConfigError
from vaultd.ssh import write_ssh_files


def target_at(folder: Path, **changes: object) -> TargetConfig:
    values = {
        "name": "offsite", "host": "backup.example.org", "port": 2222, "user": "vault", "path": "repo",
        "identity": folder / "key", "password_file": folder / "password",
    }  # fmt: skip
    return TargetConfig.model_validate({**values, **changes})


def asked(config: Path, alias: str) -> dict[str, str]:
    """What ssh makes of the file."""
    done = subprocess.run(["ssh", "-G", "-F", config, alias], capture_output=True, text=True, check=True)
    return {name: value for name, _blank, value in (line.partition(" ") for line in done.stdout.splitlines())}


def test_ssh_reads_the_file_as_strict_and_never_prompting(tmp_path: Path) -> None:
    files = write_ssh_files(target_at(tmp_path), tmp_path / "state")
    assert files.config_path.stat().st_mode & 0o777 == 0o600
    found = asked(files.config_path, files.alias)
    wanted = {
        "hostname": "backup.example.org", "port": "2222", "user": "vault", "stricthostkeychecking": "true",
        "globalknownhostsfile": "/dev/null", "batchmode": "yes", "identitiesonly": "yes", "identityagent": "none",
        "passwordauthentication": "no", "kbdinteractiveauthentication": "no", "updatehostkeys": "false",
        "serveraliveinterval": "5", "serveralivecountmax": "3", "connecttimeout": "10", "controlmaster": "false",
        "forwardagent": "no", "permitlocalcommand": "no", "escapechar": "none", "preferredauthentications": "publickey",
        "identityfile": str(tmp_path / "key"), "userknownhostsfile": str(tmp_path / "state" / "known_hosts"),
    }  # fmt: skip
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "name", ["with space", "per%cent", 'quo"te', "apo'strophe", "com,ma", "back\\slash", "hash#", "档案"]
)
def test_paths_with_odd_characters_reach_ssh_unchanged(tmp_path: Path, name: str) -> None:
    state = tmp_path / name
    files = write_ssh_files(target_at(state), tmp_path / "state", state / "known_hosts")
    found = asked(files.config_path, files.alias)
    assert found["identityfile"].replace("%%", "%") == str(state / "key")
    # `ssh -G` shows the quotes that keep a path with blanks together.
    assert found["userknownhostsfile"].strip('"').replace("%%", "%") == str(state / "known_hosts")


def test_the_pinned_keys_may_be_kept_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "pins"
    files = write_ssh_files(target_at(tmp_path, known_hosts=elsewhere), tmp_path / "state")
    assert asked(files.config_path, files.alias)["userknownhostsfile"] == str(elsewhere)


@pytest.mark.parametrize("name", ["new\nline", "${HOME}", 'quo"te', "apo'strophe", "com,ma"])
def test_a_path_that_no_quoting_carries_is_refused(tmp_path: Path, name: str) -> None:
    target = target_at(tmp_path)
    with pytest.raises(ConfigError):
        write_ssh_files(target, tmp_path / name)


@pytest.mark.parametrize("changes", [{"host": "-oProxyCommand=x"}, {"host": "a\nb"}, {"user": "a b"}, {"user": 'a"'}])
def test_host_and_user_cannot_smuggle_options(tmp_path: Path, changes: dict[str, str]) -> None:
    target = target_at(tmp_path).model_copy(update=changes)  # past the model's own checks
    with pytest.raises(ConfigError):
        write_ssh_files(target, tmp_path / "state")


def test_an_unchanged_file_is_left_alone_and_a_changed_target_rewrites_it(tmp_path: Path) -> None:
    first = write_ssh_files(target_at(tmp_path), tmp_path / "state")
    inode = first.config_path.stat().st_ino
    write_ssh_files(target_at(tmp_path), tmp_path / "state")
    assert first.config_path.stat().st_ino == inode
    write_ssh_files(target_at(tmp_path, port=22), tmp_path / "state")
    assert asked(first.config_path, first.alias)["port"] == "22"


def test_an_ipv6_host_is_taken(tmp_path: Path) -> None:
    files = write_ssh_files(target_at(tmp_path, host="fe80::1%eth0"), tmp_path / "state")
    assert asked(files.config_path, files.alias)["hostname"] == "fe80::1%eth0"

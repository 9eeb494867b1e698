"""restic over a real OpenSSH server with vaultd's ssh_config: faults told apart, odd paths, our dead locks."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vaultd import targets
from vaultd.config import Config, TargetConfig
from vaultd.demo.offsite import OffsiteServer
from vaultd.demo.sshd import make_key
from vaultd.errors import (
    AuthenticationError,
    HostKeyError,
    MissingRepositoryError,
    RepositoryError,
    UnreachableError,
)
from vaultd.model import SnapshotKind
from vaultd.restic import commands
from vaultd.restic.process import boot_id, process_start, run
from vaultd.store import Store

PATIENCE = 30.0


def with_target(config: Config, target: TargetConfig) -> tuple[Config, TargetConfig]:
    return config.model_copy(update={"target": [target]}), target


def repository_id(config: Config, target: TargetConfig) -> str:
    return asyncio.run(commands.repository_id(targets.repository(config, target)))


def init(config: Config, target: TargetConfig) -> str:
    return asyncio.run(commands.init(targets.repository(config, target)))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# -- restic by way of our ssh_config


def test_a_repository_is_made_and_opened_over_sftp(offsite, config, target):
    made = init(config, target)
    assert repository_id(config, target) == made
    assert (offsite.root / "repo" / "config").is_file()


def test_paths_with_blanks_and_quotes_work_on_both_sides(config, make_target, tmp_path):
    odd, state = tmp_path / 'it\'s "100%", odd', tmp_path / "100% \\ state"
    with OffsiteServer(tmp_path / "off site") as server:
        identity = odd / "the key"
        identity.parent.mkdir()
        identity.write_bytes(server.identity.read_bytes())
        identity.chmod(0o600)
        pins = odd / "known hosts"
        pins.write_text(server.known_hosts_line())
        target = make_target(server, path="a repo/of ours", identity=identity, known_hosts=pins)
        host = config.host.model_copy(update={"state": state, "cache": tmp_path / "cache with blank"})
        config = config.model_copy(update={"host": host, "target": [target]})
        assert init(config, target) == repository_id(config, target)
        assert (server.root / "a repo" / "of ours" / "config").is_file()


def test_an_absolute_path_works(offsite, config, make_target):
    target = make_target(path=f"{offsite.root}/absolute")
    assert init(config, target) == repository_id(config, target)
    assert (offsite.root / "absolute" / "config").is_file()


def test_a_missing_repository_is_told_as_such(config, target):
    with pytest.raises(MissingRepositoryError):
        repository_id(config, target)


def test_an_unknown_host_key_is_refused_and_nothing_is_authenticated(offsite, config, target):
    target.known_hosts.write_text("")
    with pytest.raises(HostKeyError):
        repository_id(config, target)
    assert offsite.connections_seen() > 0
    assert offsite.authentications_seen() == 0


def test_a_changed_host_key_is_refused_and_nothing_is_authenticated(offsite, config, target):
    offsite.rekey()
    with pytest.raises(HostKeyError):
        repository_id(config, target)
    assert offsite.authentications_seen() == 0
    assert "ssh-ed25519" in target.known_hosts.read_text(), "ssh has not learned the new key"


def test_a_wrong_user_key_is_an_authentication_error(config, make_target, tmp_path):
    config, target = with_target(config, make_target(identity=make_key(tmp_path / "stranger")))
    with pytest.raises(AuthenticationError):
        repository_id(config, target)


def test_a_wrong_password_is_an_authentication_error(config, target):
    init(config, target)
    target.password_file.write_text("wrong\n")
    with pytest.raises(AuthenticationError):
        repository_id(config, target)


def test_a_stopped_server_is_unreachable(offsite, config, target):
    init(config, target)
    offsite.stop()
    with pytest.raises(UnreachableError):
        repository_id(config, target)


def test_a_read_only_server_is_a_repository_error(config, make_target, tmp_path):
    with OffsiteServer(tmp_path / "read-only", read_only=True) as server:
        config, target = with_target(config, make_target(server))
        with pytest.raises(RepositoryError):
            init(config, target)


def test_the_users_own_ssh_configuration_and_agent_are_not_used(offsite, config, target, tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host *\n    ProxyCommand touch used\n    StrictHostKeyChecking no\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "no agent"))
    assert init(config, target)


# -- locks


def lock_file_names(offsite: OffsiteServer) -> set[str]:
    # Until restic renames it, a lock that is being written has another name.
    return {path.name for path in (offsite.root / "repo" / "locks").iterdir() if len(path.name) == 64}


def killed_run(offsite: OffsiteServer, config: Config, target: TargetConfig) -> tuple[int, int]:
    """A backup that is killed with -9 while it holds its lock; its process number and when it started (ns)."""
    source = config.vault[0].path
    (source / "big").write_bytes(os.urandom(4_000_000))
    slow = targets.repository(config, target.model_copy(update={"limit_upload": 64}))
    pids: list[int] = []
    before, begun = lock_file_names(offsite), time.time_ns()

    async def backup_and_kill() -> None:
        running = asyncio.create_task(
            run(slow, ["backup", os.fspath(source)], started=lambda pid, _start: pids.append(pid))
        )
        while not lock_file_names(offsite) - before:
            assert not running.done() and time.time_ns() < begun + PATIENCE * 1e9
            await asyncio.sleep(0.02)
        os.kill(pids[0], signal.SIGKILL)
        await running

    asyncio.run(backup_and_kill())
    return pids[0], begun


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "state.db")
    yield opened
    opened.close()


def record(store: Store, target: TargetConfig, pid: int, run_id: str = "run", *, ended: bool = True) -> None:
    store.begin_run(run_id, store.target_id(target.name), store.vault_id("records"), SnapshotKind.FULL)
    store.set_process(run_id, pid, process_start(pid) or 1, boot_id())
    if ended:
        store.end_run(run_id, "failed", 0.0, error="interrupted")


def lift(config: Config, target: TargetConfig, store: Store) -> list[str]:
    return asyncio.run(targets.lift_own_dead_locks(config, target, store))


def test_the_lock_of_our_own_dead_run_is_lifted_and_only_that(offsite, config, target, store):
    init(config, target)
    stranger, _begun = killed_run(offsite, config, target)
    others = lock_file_names(offsite)
    ours, _begun = killed_run(offsite, config, target)
    mine = lock_file_names(offsite) - others
    assert lift(config, target, store) == [], "no run is known: nothing is ours"
    record(store, target, ours)
    assert {lock.pid for lock in asyncio.run(targets.locks(config, target))} == {stranger, ours}
    assert set(lift(config, target, store)) == mine
    assert lock_file_names(offsite) == others
    assert lift(config, target, store) == []


def test_the_lock_of_a_run_that_is_not_over_stays(offsite, config, target, store):
    init(config, target)
    pid, _begun = killed_run(offsite, config, target)
    record(store, target, pid, ended=False)
    assert lift(config, target, store) == []
    assert len(lock_file_names(offsite)) == 1


def test_a_lock_of_another_host_stays(offsite, config, target, store, monkeypatch):
    init(config, target)
    pid, _begun = killed_run(offsite, config, target)
    record(store, target, pid)
    monkeypatch.setattr(socket, "gethostname", lambda: "another-host")
    assert lift(config, target, store) == []
    assert len(lock_file_names(offsite)) == 1


def test_after_lifting_an_exclusive_command_runs(offsite, config, target, store):
    init(config, target)
    pid, _begun = killed_run(offsite, config, target)
    record(store, target, pid)
    lift(config, target, store)
    asyncio.run(commands.repair_index(targets.repository(config, target)))


def test_without_locks_restic_is_not_even_started(config, target, store):
    init(config, target)
    config = config.model_copy(update={"host": config.host.model_copy(update={"restic": "/no/such/restic"})})
    assert lift(config, target, store) == []


def test_lifting_from_an_unreachable_target_says_so(offsite, config, target, store):
    offsite.stop()
    with pytest.raises(UnreachableError):
        lift(config, target, store)


def test_no_ssh_is_left_after_faults(offsite, config, target):
    init(config, target)
    offsite.rekey()
    with pytest.raises(HostKeyError):
        repository_id(config, target)
    files = str(config.target_folder(target))
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in found.splitlines() if files in line and line.startswith("ssh ")]


def test_the_folders_of_state_and_cache_are_private(config, target):
    targets.repository(config, target)
    for folder in (config.target_folder(target), config.host.cache, config.host.cache / "tmp"):
        assert Path(folder).stat().st_mode & 0o777 == 0o700

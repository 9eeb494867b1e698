"""restic over a real sshd: why a target fails is told apart every time, and a hung or read-only one holds no run."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.resticking import none_left, run, wait_for
from vaultd import errors
from vaultd.config import TargetConfig
from vaultd.demo.offsite import OffsiteServer, make_key
from vaultd.restic import Repository, commands
from vaultd.ssh import write_ssh_files

MakeTarget = Callable[..., TargetConfig]
ROUNDS = 8
"""restic loses ssh's words in one of three failures, so once is not enough."""


def repository_at(target: TargetConfig, tmp_path: Path) -> Repository:
    files = write_ssh_files(target, tmp_path / "ssh files", target.known_hosts)
    return Repository(files.url, target.password_file, tmp_path / "cache of ours", options=files.options_for_restic)


def failures(repository: Repository, rounds: int = ROUNDS) -> set[tuple[type, str]]:
    found = set()
    for _round in range(rounds):
        with pytest.raises(errors.VaultdError) as raised:
            run(commands.repository_id(repository))
        assert raised.value.hint
        found.add((type(raised.value), raised.value.why))
    return found


def test_unknown_host_key_is_told_every_time(target: TargetConfig, tmp_path: Path) -> None:
    assert target.known_hosts is not None
    target.known_hosts.write_text("")
    [(kind, why)] = failures(repository_at(target, tmp_path))
    assert kind is errors.HostKeyError and "not known" in why


def test_changed_host_key_is_told_every_time(offsite: OffsiteServer, target: TargetConfig, tmp_path: Path) -> None:
    offsite.rekey()
    [(kind, why)] = failures(repository_at(target, tmp_path))
    assert kind is errors.HostKeyError and "changed" in why


def test_refused_user_key_is_told_every_time(make_target: MakeTarget, tmp_path: Path) -> None:
    target = make_target(identity=make_key(tmp_path / "other_key"))
    [(kind, _why)] = failures(repository_at(target, tmp_path))
    assert kind is errors.AuthenticationError


def test_stopped_server_is_unreachable(offsite: OffsiteServer, target: TargetConfig, tmp_path: Path) -> None:
    repository = repository_at(target, tmp_path)
    offsite.stop()
    [(kind, why)] = failures(repository, 2)
    assert kind is errors.UnreachableError and "refused" in why


def test_missing_repository_is_not_mistaken_for_a_dead_line(target: TargetConfig, tmp_path: Path) -> None:
    [(kind, _why)] = failures(repository_at(target, tmp_path), 2)
    assert kind is errors.MissingRepositoryError


def ready(target: TargetConfig, tmp_path: Path) -> Repository:
    repository = repository_at(target, tmp_path)
    run(commands.init(repository))
    return repository


def random_files(tmp_path: Path, mebibytes: int) -> bytes:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(mebibytes):
        (folder / str(number)).write_bytes(os.urandom(1 << 20))
    return os.fsencode(folder)


def interrupted(
    repository: Repository, root: bytes, strike: Callable[[], object], stall: float
) -> tuple[errors.VaultdError, int]:
    """Back up slowly, strike when data flows; the error, and restic's process number."""
    seen: list[int] = []
    slow = Repository(
        repository.url, repository.password_file, repository.cache, options=repository.options, limit_upload=1500
    )

    async def work() -> None:
        flowing = asyncio.Event()

        async def strike_when_flowing() -> None:
            await flowing.wait()
            await asyncio.to_thread(strike)

        striker = asyncio.create_task(strike_when_flowing())
        try:
            await commands.backup(
                slow, roots=[root], host="h", stall=stall, marker="interrupted-1",
                started=lambda pid, _start: seen.append(pid),
                on_progress=lambda _files, count: flowing.set() if count > 1 << 20 else None,
            )  # fmt: skip
        finally:
            await striker

    with pytest.raises(errors.VaultdError) as raised:
        run(work())
    assert none_left(seen[0], "interrupted-1")
    return raised.value, seen[0]


def test_line_cut_in_mid_upload_is_unreachable(offsite: OffsiteServer, target: TargetConfig, tmp_path: Path) -> None:
    repository = ready(target, tmp_path)
    error, _pid = interrupted(
        repository, random_files(tmp_path, 12), offsite.cut, 60
    )  # without a watch restic may wait for ever
    assert isinstance(error, errors.UnreachableError)


def test_hung_server_is_given_up_after_the_stall_time_and_nothing_is_left(
    offsite: OffsiteServer, target: TargetConfig, tmp_path: Path
) -> None:
    repository = ready(target, tmp_path)
    try:
        error, _pid = interrupted(repository, random_files(tmp_path, 12), offsite.freeze, 4)
        assert isinstance(error, errors.UnreachableError)
    finally:
        offsite.thaw()


def test_lock_of_a_killed_run_names_it(offsite: OffsiteServer, target: TargetConfig, tmp_path: Path) -> None:
    repository = ready(target, tmp_path)
    try:
        _error, pid = interrupted(repository, random_files(tmp_path, 12), offsite.freeze, 4)
    finally:
        offsite.thaw()
    wait_for(lambda: offsite.sessions() == 0)
    [lock] = run(commands.list_locks(repository))
    assert lock.pid == pid and lock.hostname == os.uname().nodename and not lock.exclusive


mounts = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")


@pytest.fixture
def small(offsite: OffsiteServer) -> Iterator[Path]:
    place = offsite.root / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.root
@mounts
def test_full_target_is_told(small: Path, make_target: MakeTarget, tmp_path: Path) -> None:
    repository = ready(make_target(path="small/repo"), tmp_path)
    with pytest.raises(errors.TargetFullError):
        run(commands.backup(repository, roots=[random_files(tmp_path, 30)], host="h"))


@pytest.mark.root
@mounts
def test_read_only_target_is_told_instead_of_retried_for_a_quarter_of_an_hour(
    small: Path, make_target: MakeTarget, tmp_path: Path
) -> None:
    repository = ready(make_target(path="small/repo"), tmp_path)
    root = random_files(tmp_path, 1)
    stored = run(commands.backup(repository, roots=[root], host="h"))
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(errors.TargetReadOnlyError):
        run(commands.backup(repository, roots=[root], host="h"))
    assert run(commands.repository_id(repository)), "reading goes on"
    assert stored.snapshot_id
    run(commands.restore(repository, stored.snapshot_id, root, tmp_path / "out", lock=False))
    assert len(list((tmp_path / "out").iterdir())) == 1

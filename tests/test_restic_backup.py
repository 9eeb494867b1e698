"""``restic backup`` as vaultd runs it: awkward names, missing and unreadable files, parents, skipping, dumps."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.resticking import GBK, NAMES, NEWLINE, fill, ready_repository, run, wait_for
from vaultd.errors import LockedError, ResticError, RootError
from vaultd.model import SnapshotKind
from vaultd.names import replaced
from vaultd.restic import Repository, commands
from vaultd.restic.commands import BackupResult
from vaultd.restic.tags import tags_of


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return ready_repository(tmp_path / "r")


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    return fill(tmp_path / "vault")


def raw_list(tmp_path: Path, *paths: bytes) -> Path:
    listed = tmp_path / "list"
    listed.write_bytes(b"".join(path + b"\0" for path in paths))
    return listed


def full(repository: Repository, root: bytes, **more: object) -> BackupResult:
    return run(commands.backup(repository, roots=[root], host="h", **more))  # type: ignore[arg-type]


def names_in(repository: Repository, snapshot: str | None, folder: bytes) -> set[bytes]:
    return set(run(commands.cat_tree(repository, f"{snapshot}:{os.fsdecode(folder)}")))


def test_full_snapshot_has_every_name_and_comes_back_by_its_tags(repository: Repository, root: bytes) -> None:
    tags = tags_of("records", SnapshotKind.FULL, "000000000007-0123abcd", root)
    seen: list[tuple[int, int]] = []
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    result = full(repository, root, tags=tags, time=when, on_progress=lambda *done: seen.append(done))
    assert (result.files_new, result.files_total, result.errors) == (len(NAMES), len(NAMES), [])
    assert seen[-1] == (len(NAMES), result.bytes_total)
    assert names_in(repository, result.snapshot_id, root) == set(NAMES)
    [stored] = run(commands.snapshots(repository, ["vault=records"]))
    assert (stored.id, stored.order, stored.kind, stored.root) == (result.snapshot_id, 7, SnapshotKind.FULL, root)
    assert stored.time == int(when.timestamp()) * 1_000_000_000
    assert (stored.files, stored.bytes) == (result.files_total, result.bytes_total)
    assert run(commands.snapshots(repository, ["vault=other"])) == []


def test_snapshots_are_in_vaultds_order_whatever_the_clock_said(repository: Repository, root: bytes) -> None:
    for order, hour in ((2, 5), (1, 9)):
        tags = tags_of("v", SnapshotKind.FULL, f"{order:012d}-0123abcd", root)
        full(repository, root, tags=tags, time=datetime(2026, 1, 1, hour, tzinfo=UTC))
    assert [stored.order for stored in run(commands.snapshots(repository))] == [1, 2]


def test_snapshot_of_somebody_else_is_not_listed(repository: Repository, root: bytes) -> None:
    full(repository, root, tags=["vaultd"])
    assert run(commands.snapshots(repository)) == []


def test_listed_names_that_are_not_utf8_or_hold_newlines_are_stored(
    repository: Repository, root: bytes, tmp_path: Path
) -> None:
    listed = raw_list(tmp_path, root + b"/" + GBK, root + b"/" + NEWLINE)
    result = run(commands.backup(repository, files_from=listed, host="h"))
    assert names_in(repository, result.snapshot_id, root) == {GBK, NEWLINE}


def test_missing_listed_paths_are_told_exactly_although_restic_ends_with_0(
    repository: Repository, root: bytes, tmp_path: Path
) -> None:
    missing = [root + b"/gone", root + b"/gone\nand\nmore", root + b"/\xc4\xe3gone"]
    result = run(commands.backup(repository, files_from=raw_list(tmp_path, root + b"/plain", *missing), host="h"))
    assert result.finished.code == 0 and result.snapshot_id
    assert {(error.item, error.during) for error in result.errors} == {(replaced(path), "missing") for path in missing}


def test_all_listed_paths_missing_is_a_result_without_snapshot(
    repository: Repository, root: bytes, tmp_path: Path
) -> None:
    result = run(commands.backup(repository, files_from=raw_list(tmp_path, root + b"/gone"), host="h"))
    assert result.snapshot_id is None and [error.item for error in result.errors] == [replaced(root + b"/gone")]


def test_missing_root_is_an_error(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(RootError):
        full(repository, os.fsencode(tmp_path / "nowhere"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_unreadable_files_are_listed_and_the_rest_is_stored(tmp_path: Path) -> None:
    for folder in [tmp_path, *tmp_path.parents][:4]:  # up to pytest's own, beside other workers one level further
        if folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(folder.stat().st_mode | 0o055)
    program = tmp_path / "as-nobody"
    real = shutil.which("restic")
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups {real} "$@"\n')
    program.chmod(0o755)
    copy = tmp_path / "restic-copy"  # the checkout may lie where nobody cannot go
    shutil.copy(str(real), copy)
    program.write_text(program.read_text().replace(str(real), str(copy)))
    base = ready_repository(tmp_path / "r")
    root = fill(tmp_path / "vault")
    os.chmod(root + b"/plain", 0)
    os.mkdir(root + b"/closed", 0)
    subprocess.run(["chown", "-R", "65534", str(tmp_path / "r")], check=True)
    repository = Repository(base.url, base.password_file, base.cache, binary=str(program))
    os.chown(root + b"/plain", 0, 0)
    result = full(repository, root)
    assert result.finished.code == 3 and result.snapshot_id
    assert {error.item for error in result.errors} == {replaced(root + b"/plain"), replaced(root + b"/closed")}
    assert all("permission denied" in error.message for error in result.errors)


def test_unchanged_tree_makes_no_snapshot_when_told_so(repository: Repository, root: bytes) -> None:
    again = first = full(repository, root)
    for _attempt in range(20):  # until nobody touches /tmp in between
        again = full(repository, root, parent=again.snapshot_id, skip_if_unchanged=True)
        if again.snapshot_id is None:
            break
    assert again.snapshot_id is None and again.files_new == again.files_changed == 0
    assert again.files_total == first.files_total and again.finished.code == 0


def test_touched_folder_above_the_root_is_a_change_to_restic(repository: Repository, root: bytes) -> None:
    first = full(repository, root)
    os.utime(os.path.dirname(root))
    again = full(repository, root, parent=first.snapshot_id, skip_if_unchanged=True)
    assert again.snapshot_id is not None and again.files_new == again.files_changed == 0
    above = os.fsdecode(os.path.dirname(root))
    subtrees = [
        run(commands.cat_tree(repository, f"{result.snapshot_id}:{above}"))[b"vault"]["subtree"]
        for result in (first, again)
    ]
    assert subtrees[0] == subtrees[1], "the root's own tree is the same: that is how to tell"


def test_listed_files_are_compared_with_a_full_snapshot_as_parent(
    repository: Repository, root: bytes, tmp_path: Path
) -> None:
    first = full(repository, root)
    with open(root + b"/plain", "wb") as stream:
        stream.write(b"changed")
    listed = raw_list(tmp_path, root + b"/plain", root + b"/" + GBK)
    result = run(commands.backup(repository, files_from=listed, host="h", parent=first.snapshot_id))
    assert (result.files_new, result.files_changed, result.files_total) == (0, 1, 2)
    again = run(commands.backup(repository, files_from=listed, host="h", parent=first.snapshot_id))
    assert again.snapshot_id and again.snapshot_id != result.snapshot_id


def test_excluded_path_is_taken_literally(repository: Repository, root: bytes) -> None:
    result = full(repository, root, exclude=[root + b"/[a]*?\\x", root + b"/p*"])
    assert names_in(repository, result.snapshot_id, root) == set(NAMES) - {b"[a]*?\\x"}


def test_dry_run_stores_nothing(repository: Repository, root: bytes) -> None:
    assert full(repository, root, dry=True, tags=tags_of("v", SnapshotKind.FULL, "000000000001-00000000", root))
    assert run(commands.snapshots(repository)) == []


def test_lock_of_a_live_run_is_waited_for_and_then_an_error(repository: Repository, root: bytes) -> None:
    assert run(commands.list_locks(repository)) == []
    holder = LockHolder(repository)
    try:
        [lock] = run(commands.list_locks(repository))
        assert lock.pid == holder.pid and not lock.exclusive and lock.hostname and lock.time > 1_700_000_000 * 10**9
        assert (Path(repository.url) / "locks" / lock.id).exists()
        with pytest.raises(LockedError):
            run(commands.repair_index(repository))
    finally:
        holder.close()


class LockHolder:
    """A live restic that holds a (shared) lock until it is told to end."""

    def __init__(self, repository: Repository) -> None:
        self.process = subprocess.Popen(
            ["restic", "-r", repository.url, "-p", str(repository.password_file), "--no-cache", "backup", "--quiet",
             "--stdin", "--stdin-filename", "x"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self.process.pid
        wait_for(lambda: any((Path(repository.url) / "locks").iterdir()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"x")
        self.process.stdin.close()
        self.process.wait(30)


def test_output_of_a_command_is_stored_and_comes_back(repository: Repository) -> None:
    result = run(
        commands.backup_command(
            repository, [sys.executable, "-c", "print('rows' * 1000)"], stdin_filename="db.dump", host="h"
        )
    )
    chunks: list[bytes] = []
    assert result.snapshot_id
    run(commands.dump(repository, result.snapshot_id, b"/db.dump", chunks.append))
    assert b"".join(chunks) == b"rows" * 1000 + b"\n"


@pytest.mark.parametrize("command", [["sh", "-c", "echo part; exit 4"], ["true"], ["no-such-command"]])
def test_dump_that_fails_or_prints_nothing_is_an_error(repository: Repository, command: list[str]) -> None:
    with pytest.raises(ResticError) as raised:
        run(commands.backup_command(repository, command, stdin_filename="db.dump", host="h"))
    assert raised.value.why


def test_listed_file_that_vanishes_while_restic_runs_is_left_out_without_a_word(
    repository: Repository, tmp_path: Path
) -> None:
    """Why an exit with 0 proves nothing about a listed path."""
    folder = tmp_path / "vanish"
    folder.mkdir()
    for name in ("a1", "a2", "a3", "a4", "a5", "a6"):
        with open(folder / name, "wb") as stream:
            stream.truncate(600 << 20)  # sparse: some seconds of reading
    (folder / "z").write_bytes(b"z")
    paths = [os.fsencode(path) for path in sorted(folder.iterdir())]
    locks = Path(repository.url) / "locks"

    async def vanishing() -> BackupResult:
        listed = raw_list(tmp_path, *paths)
        task = asyncio.create_task(commands.backup(repository, files_from=listed, host="h"))
        while not any(locks.iterdir()):  # by now restic has looked at what is listed, and has read nothing yet
            assert not task.done()
            await asyncio.sleep(0.001)
        (folder / "z").unlink()
        return await task

    result = run(vanishing())
    assert not (folder / "z").exists() and not any(locks.iterdir())
    stored = names_in(repository, result.snapshot_id, os.fsencode(folder))
    assert result.finished.code == 0 and result.errors == [] and b"z" not in stored and b"a1" in stored

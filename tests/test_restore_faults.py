"""Restores that are cut off or in somebody's way: nothing is overwritten unasked, and the same call goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.mounting import image, mounted, needs_mounts
from tests.restoring import VAULT, Stored, write
from tests.watching import wait_for
from vaultd.config import Config, HostConfig, TargetConfig
from vaultd.demo.offsite import OffsiteServer
from vaultd.errors import LockedError, UnreachableError, VaultdError
from vaultd.model import Progress
from vaultd.restic.process import Repository
from vaultd.restore import workplace
from vaultd.restore.choice import plan_restore
from vaultd.restore.compare import compare, describe
from vaultd.restore.plan import Request
from vaultd.restore.result import Outcome, Result
from vaultd.restore.run import Restore
from vaultd.sftp import HostKey, trust
from vaultd.targets import repository as repository_of

SLOW = ("--limit-download", "20000")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    found = Stored(tmp_path_factory.mktemp("faults"))
    for number in range(6):
        write(found.root / f"large {number}", os.urandom(12_000_000))
    # Several blobs and several names: what restic 0.18.0 restores wrongly over a part of itself.
    os.link(found.root / "large 0", found.root / "link to 0")
    os.link(found.root / "large 3", found.root / "link to 3")
    found.full()
    write(found.root / "late", os.urandom(2_000_000))
    found.express("late")
    return found


def repository_at(server: OffsiteServer, stored: Stored, folder: Path) -> Repository:
    """The repository as the server has it, in its folder "repository"."""
    target = TargetConfig(
        name="offsite", host=server.host, port=server.port, user=server.user, path="repository",
        identity=server.identity, password_file=stored.repository.password_file,
    )  # fmt: skip
    config = Config(host=HostConfig(state=folder / "state"), target=[target])
    kind, key = server.known_hosts_line().split()[1:]
    trust(config.known_hosts(target), server.host, server.port, [HostKey(kind, key)])
    return repository_of(config, target)


@pytest.fixture
def offsite(stored: Stored, tmp_path: Path) -> Iterator[tuple[OffsiteServer, Repository]]:
    with OffsiteServer(tmp_path / "offsite") as server:
        shutil.copytree(stored.path, server.root / "repository")
        found = repository_at(server, stored, tmp_path)
        yield server, replace(found, options=(*found.options, *SLOW))


class Once:
    """Does something once, when a restore has brought so many bytes."""

    def __init__(self, after: int, action: object) -> None:
        self.after, self.action, self.done = after, action, False

    def __call__(self, progress: Progress) -> None:
        if not self.done and progress.bytes_done > self.after:
            self.done = True
            self.action()  # type: ignore[operator]


def test_a_line_that_breaks_is_taken_up_again_and_the_result_is_right(
    stored: Stored, offsite: tuple[OffsiteServer, Repository], tmp_path: Path
) -> None:
    server, repository = offsite
    notes: list[str] = []
    cut = Once(15_000_000, server.cut)
    restore = Restore(
        repository, stored.plan(), tmp_path / "restored", delays=(0.1,), on_progress=cut, on_note=notes.append
    )  # fmt: skip
    result = asyncio.run(restore.run())
    assert cut.done and len(notes) == 1
    assert result.outcome is Outcome.DONE
    assert compare(stored.root, tmp_path / "restored") == []


@pytest.mark.parametrize(("files", "size", "code"), [(0, 0, 1), (0, 5, 3), (1, 5, 3)])
def test_a_failed_restore_that_has_brought_something_is_partial(
    stored: Stored, tmp_path: Path, files: int, size: int, code: int
) -> None:
    result = Result(stored.plan(), tmp_path, Outcome.FAILED, files_done=files, bytes_done=size)
    assert result.exit_code == code


def test_a_server_that_stays_away_leaves_a_restore_that_goes_on_when_it_is_back(
    stored: Stored, offsite: tuple[OffsiteServer, Repository], tmp_path: Path
) -> None:
    server, repository = offsite
    to = tmp_path / "restored"
    restore = Restore(repository, stored.plan(), to, delays=(0.1,), on_progress=Once(15_000_000, server.stop))
    with pytest.raises(UnreachableError):
        asyncio.run(restore.run())
    assert restore.result.outcome is Outcome.FAILED
    assert restore.result.exit_code == 3
    assert restore.result.as_json()["snapshots"][0]["restored"] is False
    assert workplace.find(to) is not None
    server.start()
    asked = Request(VAULT)
    with pytest.raises(VaultdError, match="unfinished restore"):
        plan_restore({"offsite": stored.listed()}, Request(VAULT, latest=False), to)
    # A snapshot that is made meanwhile changes nothing: the restore goes on with those it was begun with.
    before = describe(stored.root)
    plan = plan_restore({"offsite": stored.listed()}, asked, to)
    result = asyncio.run(Restore(repository, plan, to).run())
    assert result.resumed
    assert result.outcome is Outcome.DONE
    assert describe(to) == before


def test_ctrl_c_leaves_no_process_and_the_same_call_goes_on(stored: Stored, tmp_path: Path) -> None:
    to, plan = tmp_path / "restored", stored.plan()
    slow = replace(stored.repository, options=SLOW)
    running: list[asyncio.Task[object]] = []
    restore = Restore(slow, plan, to, on_progress=Once(10_000_000, lambda: running[0].cancel()))  # noqa: PLW0108

    async def interrupted() -> None:
        running.append(asyncio.create_task(restore.run()))
        with pytest.raises(asyncio.CancelledError):
            await running[0]

    asyncio.run(interrupted())
    assert restore.result.outcome is Outcome.INTERRUPTED
    assert restore.result.exit_code == 3
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if str(to) in " ".join(process.info["cmdline"] or [])
    ]
    result = stored.restore(to)
    assert result.resumed
    assert compare(stored.root, to) == []
    assert not list(to.glob(f"{workplace.PREFIX}*"))


def test_a_merge_that_was_stopped_half_way_is_finished(stored: Stored, tmp_path: Path) -> None:
    folder = Stored(tmp_path / "s")
    for name in ("a/1", "a/2", "b"):
        write(folder.root / name, "old")
    folder.full()
    for name in ("a/1", "a/2", "a/new", "b"):
        write(folder.root / name, "new")
    folder.express("a/1", "a/2", "a/new", "b")
    to = tmp_path / "restored"
    real, calls = os.rename, []

    def failing(source: object, target: object) -> None:
        if not isinstance(source, bytes):
            return real(source, target)  # type: ignore[arg-type]
        calls.append(source)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(source, target)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", failing)
        with pytest.raises(KeyboardInterrupt):
            folder.restore(to)
    result = folder.restore(to)
    assert result.resumed
    assert compare(folder.root, to) == []
    assert sorted(path for _kind, path, *_rest in result.express(1)) == [b"a/1", b"a/2", b"a/new", b"b"]


def test_a_folder_with_content_is_refused_and_left_as_it_is(stored: Stored, tmp_path: Path) -> None:
    write(tmp_path / "full" / "mine", "mine")
    before = describe(tmp_path / "full")
    with pytest.raises(VaultdError, match="not empty") as caught:
        stored.restore(tmp_path / "full")
    assert "--overwrite" in caught.value.hint
    write(tmp_path / "file", "file")
    with pytest.raises(VaultdError, match="not a folder"):
        stored.restore(tmp_path / "file")
    assert describe(tmp_path / "full") == before


def test_overwriting_replaces_files_of_the_same_name_and_keeps_all_others(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    content = os.urandom(6_000_000)
    write(stored.root / "sub" / "large", content)
    write(stored.root / "sub" / "file", "stored")
    write(stored.root / "linked folder" / "inside", "stored")
    stored.full()
    to, outside = tmp_path / "to", tmp_path / "outside"
    # The end differs, and the file has a second name: restic alone would leave holes in it, with exit code 0.
    write(to / "sub" / "large", content[:-1] + b"!")
    os.link(to / "sub" / "large", to / "other name")
    write(to / "sub" / "mine", "mine")
    write(to / "sub" / "file" / "a folder in the way", "mine")
    outside.mkdir()
    (to / "linked folder").symlink_to(outside)
    result = stored.restore(to, overwrite=True)
    assert (to / "sub" / "large").read_bytes() == content
    assert (to / "other name").read_bytes() == content[:-1] + b"!"
    assert (to / "sub" / "mine").read_text() == "mine"
    assert (to / "sub" / "file" / "a folder in the way").read_text() == "mine"
    assert os.listdir(outside) == []
    beside = [path for kind, path, *_rest in result.express(0) if kind == "beside"]
    assert len(beside) == 2
    assert all(os.path.exists(os.path.join(bytes(to), path)) for path in beside)
    assert result.outcome is Outcome.DONE


@needs_mounts
@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_too_little_room_is_told_before_anything_is_written(stored: Stored, tmp_path: Path, kind: str) -> None:
    """A real file system of 4 MiB; the vault has a file of 40 MB."""
    small = tmp_path / "small"
    small.mkdir()
    options = ["-o", "loop", str(image(tmp_path / "image"))] if kind == "ext4" else ["-t", kind, "-o", "size=4m", kind]
    with mounted(small, *options):
        was = sorted(small.iterdir())
        free = os.statvfs(small).f_bavail
        for to in (small / "restored", small / "above" / "restored"):
            with pytest.raises(VaultdError, match=r"it needs up to .*, and .* has [1-4]\.\d+ MiB free"):
                stored.restore(to)
        assert sorted(small.iterdir()) == was and os.statvfs(small).f_bavail == free


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_file_system_that_fills_up_is_told_and_the_restore_goes_on_when_there_is_room(
    stored: Stored, tmp_path: Path
) -> None:
    to = tmp_path / "small"
    to.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", to], check=True)
    try:
        with pytest.raises(VaultdError, match="is full"):
            stored.restore(to, check_space=False, latest=False)
        subprocess.run(["mount", "-o", "remount,size=200m", to], check=True)
        assert stored.restore(to, latest=False).outcome is Outcome.DONE
        found, expected = describe(to), describe(stored.root)
        assert {path: one.sha256 for path, one in found.items()} == {
            path: one.sha256 for path, one in expected.items() if path != b"late"
        }
    finally:
        subprocess.run(["umount", to], check=True)


def test_a_damaged_repository_gives_the_rest_and_names_what_is_missing(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    write(stored.root / "good", "good")
    stored.full()
    packs = set((stored.path / "data").rglob("*"))
    write(stored.root / "bad", os.urandom(100_000))
    stored.full()
    large = [path for path in set((stored.path / "data").rglob("*")) - packs if path.stat().st_size > 50_000]
    for path in large:
        os.chmod(path, 0o600)
        path.write_bytes(b"\0" * path.stat().st_size)
    result = stored.restore(tmp_path / "restored")
    assert result.outcome is Outcome.PARTIAL
    assert result.exit_code == 3
    assert [one.path for one in result.problems] == ["bad"]
    assert (tmp_path / "restored" / "good").read_text() == "good"


def test_an_exclusive_lock_of_a_live_run_is_told_and_can_be_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Stored(tmp_path / "s")
    write(stored.root / "large", os.urandom(20_000_000))
    stored.full()
    plan = stored.plan()
    monkeypatch.setattr("vaultd.restore.engine.RETRY_LOCK", "1s")
    check = ["restic", "-r", stored.path, "--password-file", stored.repository.password_file, "--no-cache",
             "--limit-download", "10", "check", "--read-data"]  # fmt: skip
    with subprocess.Popen(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        try:
            wait_for(lambda: any((stored.path / "locks").iterdir()), "the other run's lock")
            with pytest.raises(LockedError):
                stored.restore(tmp_path / "one", plan)
            assert stored.restore(tmp_path / "one", plan, lock=False).outcome is Outcome.DONE
        finally:
            other.kill()
    assert len(list((stored.path / "locks").iterdir())) == 1


def test_a_repository_that_cannot_be_written_can_be_restored_from(stored: Stored, tmp_path: Path) -> None:
    with OffsiteServer(tmp_path / "offsite", read_only=True) as server:
        shutil.copytree(stored.path, server.root / "repository")
        plan = stored.plan(paths=(b"late",))
        result = asyncio.run(Restore(repository_at(server, stored, tmp_path), plan, tmp_path / "one").run())
    assert result.outcome is Outcome.DONE
    assert (tmp_path / "one" / "late").read_bytes() == (stored.root / "late").read_bytes()

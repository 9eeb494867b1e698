"""Hashes come back in order, of every kind of path, from thread and process alike, and nothing is left running."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
from pathlib import Path

import pytest

from tests.site import until
from tests.watching import Children
from vaultd.hashing import IN_THREAD_BYTES, Hashed, Hasher, hash_files
from vaultd.priority import HASHING, RESTIC


def in_process(paths: list[bytes]) -> list[Hashed]:
    return asyncio.run(hash_files(paths, IN_THREAD_BYTES + 1))


def test_many_files_are_answered_for_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contents = [os.urandom(index % 300) for index in range(3000)]
    paths = []
    for index, content in enumerate(contents):
        path = os.fsencode(tmp_path) + b"/%d-\xd5\xc5\n" % index
        Path(os.fsdecode(path)).write_bytes(content)
        paths.append(path)
    told: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING):
        found = asyncio.run(hash_files(paths, 0, lambda files, size: told.append((files, size))))
    assert [one.digest for one in found] == [hashlib.sha256(content).digest() for content in contents]
    assert [one.size_read for one in found] == [len(content) for content in contents]
    assert told[-1] == (3000, sum(len(content) for content in contents))
    assert [(one.inode, one.mtime, one.ctime) for one in found] == [
        (seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns) for seen in map(os.lstat, paths)
    ]
    assert not caplog.records  # asyncio says so when it loses a child's exit code


def test_what_cannot_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    good, missing, fifo, link = (os.fsencode(tmp_path / name) for name in ("good", "missing", "fifo", "link"))
    Path(os.fsdecode(good)).write_bytes(b"content")
    os.mkfifo(fifo)
    os.symlink(good, link)
    for found in (in_process([missing, good, fifo, link]), asyncio.run(hash_files([missing, good, fifo, link], 0))):
        assert [one.error for one in found] == [errno.ENOENT, 0, errno.EINVAL, errno.ELOOP]
        assert found[1].digest == hashlib.sha256(b"content").digest()


def test_nothing_is_left_when_hashing_is_cancelled(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(1 << 40)
    children = Children()

    async def go() -> None:
        task = asyncio.create_task(hash_files([os.fsencode(large)], 1 << 40))
        while not children():  # noqa: ASYNC110  # only to be looked at
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    until(lambda: not children(), "nothing is left")


def test_hashing_gives_way_to_restic(tmp_path: Path) -> None:
    """It is over before restic is in any case, and would hold up what everybody waits for."""
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(64 << 30)
    children = Children()

    async def nice() -> int:
        hashing = asyncio.create_task(hash_files([os.fsencode(path)], 64 << 30))
        try:
            while True:
                await asyncio.sleep(0.01)
                assert not hashing.done()
                for child in children():
                    if (found := child.nice()) and "vaultd.hashing" in child.cmdline():
                        return found
        finally:
            hashing.cancel()
            await asyncio.gather(hashing, return_exceptions=True)

    assert asyncio.run(asyncio.wait_for(nice(), 60)) == HASHING
    assert HASHING > RESTIC


def disturb(folder: Path) -> list[str]:
    """Change files in ways that ``lstat`` sees; their names."""
    (folder / "written").write_bytes(b"other")
    (folder / "replaced.new").write_bytes(b"content")
    (folder / "replaced.new").rename(folder / "replaced")
    (folder / "gone").unlink()
    (folder / "mode").chmod(0o600)
    (folder / "moved").rename(folder / "elsewhere")
    (folder / "link").unlink()
    (folder / "link").symlink_to("still")
    return ["written", "replaced", "gone", "mode", "moved", "link"]


@pytest.mark.parametrize("total", [0, IN_THREAD_BYTES + 1])
def test_a_second_look_tells_what_did_not_stay_as_it_was(tmp_path: Path, total: int) -> None:
    names = ["still", "written", "replaced", "gone", "mode", "moved", "link", "never", "still too"]
    for name in names:
        if name != "never":
            (tmp_path / name).write_bytes(b"content")
    children = Children()

    async def go() -> tuple[list[Hashed], list[int] | None, list[int] | None]:
        async with Hasher([os.fsencode(tmp_path / name) for name in names], total) as hasher:
            found = await hasher.hashes()
            before = await hasher.moved()
            disturb(tmp_path)
            return found, before, await hasher.moved()

    found, before, moved = asyncio.run(go())
    assert [one.error for one in found] == [errno.ENOENT if name == "never" else 0 for name in names]
    assert before is not None and [names[number] for number in before] == ["never"]
    assert moved is not None and {names[number] for number in moved} == set(names) - {"still", "still too"}
    assert not children()


def test_nothing_is_known_when_the_process_has_died(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    children = Children()

    async def go() -> list[int] | None:
        async with Hasher([os.fsencode(tmp_path / "file")], IN_THREAD_BYTES + 1) as hasher:
            await hasher.hashes()
            (child,) = children()
            child.kill()
            while child.is_running():  # noqa: ASYNC110  # only to be looked at
                await asyncio.sleep(0.01)
            return await hasher.moved()

    assert asyncio.run(go()) is None

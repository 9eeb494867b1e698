"""Hashes come back in order, of every kind of path, from thread and process alike, and nothing is left running."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
from pathlib import Path

import psutil
import pytest

from vaultd.hashing import IN_THREAD_BYTES, Hashed, hash_files
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

    async def go() -> None:
        task = asyncio.create_task(hash_files([os.fsencode(large)], 1 << 40))
        while not psutil.Process().children():  # noqa: ASYNC110  # only to be looked at
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert not psutil.Process().children()


def test_hashing_gives_way_to_restic(tmp_path: Path) -> None:
    """It is over before restic is in any case, and would hold up what everybody waits for."""
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(64 << 30)

    async def nice() -> int:
        hashing = asyncio.create_task(hash_files([os.fsencode(path)], 64 << 30))
        try:
            while True:
                await asyncio.sleep(0.01)
                assert not hashing.done()
                for child in psutil.Process().children():
                    if (found := child.nice()) and "vaultd.hashing" in child.cmdline():
                        return found
        finally:
            hashing.cancel()
            await asyncio.gather(hashing, return_exceptions=True)

    assert asyncio.run(asyncio.wait_for(nice(), 60)) == HASHING
    assert HASHING > RESTIC

"""SHA-256 (and SM3, where that is asked for) of many files while restic reads them, without holding up the event loop.

A few small files are hashed in a thread; more in a process of its own (``python -m vaultd.hashing``: paths on its
standard input, each ended by a NUL; a record of fixed length for each on its standard output), because small files are
mostly interpreter work and would fight the event loop for the lock. The kernel kills the process when its parent ends:
its input ends too, but it may be in the middle of a file of many gigabytes.

The process keeps the paths and what it saw of the files. When restic has ended, an empty path asks it to look again:
it answers with the numbers of those that are not as they were, and their count. That look is on the way of every
acknowledgement, and a hundred thousand answers that say "as before" need not come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat as stat_module
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from vaultd.model import inode_of
from vaultd.priority import HASHING, die_with_parent, give_way

BLOCK = 1 << 20
IN_THREAD_FILES = 64
IN_THREAD_BYTES = 32 << 20

ENDING_SECONDS = 2.0
"""So long a process that has nothing to do any more has to end."""


_RECORD = struct.Struct("=32sqQqqi32s")
"""The fields of ``Hashed``; a digest that is missing comes as zeros."""

_NUMBER = struct.Struct("=I")

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Hashed(NamedTuple):
    """What was read: digest, and inode, size, mtime and ctime of the open file before the first byte was read.

    ``sm3`` is empty, or zeros, where it was not asked for. ``error`` is the errno of a failure, 0 when it went well.
    ``size_read`` is how many bytes the digest covers.
    """

    digest: bytes
    inode: int
    size_read: int
    mtime: int
    ctime: int
    error: int
    sm3: bytes = b""


def hash_file(path: bytes, *, sm3: bool = False) -> Hashed:
    """Hash one regular file; anything else, and any failure to read, comes back as an error."""
    try:
        try:
            handle = os.open(path, _FLAGS | os.O_NOATIME)
        except PermissionError:  # O_NOATIME is for the owner only
            handle = os.open(path, _FLAGS)
        try:
            found = os.fstat(handle)
            if not stat_module.S_ISREG(found.st_mode):
                return Hashed(b"", inode_of(found), 0, 0, 0, 22)
            digest, size = hashlib.sha256(), 0
            second = hashlib.new("sm3") if sm3 else None
            while True:
                # One byte more than there should be: a shorter answer is the end of the file, without another call.
                wanted = min(BLOCK, max(found.st_size - size, 0) + 1)
                block = os.read(handle, wanted)
                digest.update(block)
                if second is not None:
                    second.update(block)
                size += len(block)
                if len(block) < wanted:
                    break
        finally:
            os.close(handle)
    except OSError as error:
        return Hashed(b"", 0, 0, 0, 0, error.errno or 5)
    also = b"" if second is None else second.digest()
    return Hashed(digest.digest(), inode_of(found), size, found.st_mtime_ns, found.st_ctime_ns, 0, also)


async def hash_files(
    paths: Sequence[bytes], total: int, on_progress: Callable[[int, int], None] | None = None, *, sm3: bool = False
) -> list[Hashed]:
    """Hash absolute paths, in their order. ``total`` is their expected size; progress gets files and bytes done."""
    async with Hasher(paths, total, sm3=sm3) as hasher:
        return await hasher.hashes(on_progress)


class Hasher:
    """Hashes files once, and says later which of them are not as they were. An asynchronous context: nothing of it is
    left afterwards."""

    def __init__(self, paths: Sequence[bytes], total: int, *, sm3: bool = False) -> None:
        """``paths`` are absolute, ``total`` is their expected size."""
        self._paths = paths
        self._sm3 = sm3
        self._in_thread = len(paths) <= IN_THREAD_FILES and total <= IN_THREAD_BYTES
        self.found: list[Hashed] = []
        """What was read so far."""
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Hasher:
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *_more: object) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):  # killing one that has just ended makes asyncio lose its exit code
            async with asyncio.timeout(ENDING_SECONDS if failure is None else 0):
                await process.wait()
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def hashes(self, on_progress: Callable[[int, int], None] | None = None) -> list[Hashed]:
        """Read them all, in their order; progress gets files and bytes done."""
        if self._in_thread:
            paths, sm3 = self._paths, self._sm3
            self.found += await asyncio.to_thread(lambda: [hash_file(path, sm3=sm3) for path in paths])
            return self.found
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vaultd.hashing", str(os.getpid()), "sm3" if self._sm3 else "",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )  # fmt: skip
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the hashing process has no pipes")
        give_way(process.pid, HASHING)
        feeder = asyncio.create_task(_feed(process.stdin, self._paths))
        found, rest, done = self.found, b"", 0
        try:
            while len(found) < len(self._paths) and (block := await process.stdout.read(1 << 16)):
                rest += block
                whole = len(rest) - len(rest) % _RECORD.size
                before = len(found)
                found += map(Hashed._make, _RECORD.iter_unpack(rest[:whole]))
                rest = rest[whole:]
                if on_progress is not None:
                    done += sum(one.size_read for one in found[before:])
                    on_progress(len(found), done)
            await feeder
        finally:
            feeder.cancel()
        if len(found) != len(self._paths):  # it died: what it did not answer for is an I/O error, and is tried again
            found.extend(Hashed(b"", 0, 0, 0, 0, 5) for _ in range(len(self._paths) - len(found)))
        return found

    async def moved(self) -> list[int] | None:
        """The numbers of the files that are not as they were when they were read, or could not be read or looked at.

        By ``lstat`` of the path: whether a folder above it is now a symlink is for the caller to see. None when the
        process has died: nothing is known then.
        """
        if self._in_thread:
            return await asyncio.to_thread(_moved, self._paths, [one[1:6] for one in self.found])
        process = self._process
        if process is None or process.stdin is None or process.stdout is None or process.returncode is not None:
            return None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, asyncio.IncompleteReadError):
            give_way(process.pid, 0)  # everybody waits for it now
            process.stdin.write(b"\0")
            await process.stdin.drain()
            (count,) = _NUMBER.unpack(await process.stdout.readexactly(_NUMBER.size))
            answer = await process.stdout.readexactly(count * _NUMBER.size)
            return [number for (number,) in _NUMBER.iter_unpack(answer)]
        return None


async def _feed(stream: asyncio.StreamWriter, paths: Sequence[bytes]) -> None:
    try:
        for start in range(0, len(paths), 256):
            stream.write(b"".join(path + b"\0" for path in paths[start : start + 256]))
            await stream.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # the reader notices: fewer answers than paths


def _moved(paths: Iterable[bytes], seen: Iterable[tuple[int, int, int, int, int]]) -> list[int]:
    """The numbers of the paths whose ``lstat`` is not what was seen: inode, size read, mtime, ctime, errno."""
    found = []
    for number, (path, (inode, size, mtime, ctime, error)) in enumerate(zip(paths, seen, strict=True)):
        if not error:
            with contextlib.suppress(OSError):
                now = os.lstat(path)
                if (
                    inode_of(now) == inode and now.st_size == size and now.st_mtime_ns == mtime
                    and now.st_ctime_ns == ctime and now.st_mode & 0o170000 == stat_module.S_IFREG
                ):  # fmt: skip
                    continue
        found.append(number)
    return found


def main() -> int:
    """Hash the paths on standard input until it ends. The arguments are the parent's process number, and "sm3" where
    that is wanted too."""
    die_with_parent(int(sys.argv[1]))
    sm3 = sys.argv[2] == "sm3"
    known: list[bytes] = []
    seen: list[tuple[int, int, int, int, int]] = []
    rest = b""
    try:
        while block := os.read(0, 1 << 16):
            *paths, rest = (rest + block).split(b"\0")
            again = bool(paths) and not paths[-1]
            if again:
                paths.pop()
            hashed = [hash_file(path, sm3=sm3) for path in paths]
            known += paths
            seen += [one[1:6] for one in hashed]
            _answer(b"".join([_RECORD.pack(*one) for one in hashed]))
            if again:
                moved = _moved(known, seen)
                _answer(_NUMBER.pack(len(moved)) + b"".join([_NUMBER.pack(number) for number in moved]))
    except BrokenPipeError:
        return 1  # the parent is gone, and with it whoever would read a traceback
    return 0


def _answer(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    sys.exit(main())

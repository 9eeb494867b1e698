"""SHA-256 (and SM3, where that is asked for) of many files while restic reads them, without holding up the event loop.

A few small files are hashed in a thread; more in a process of its own (``python -m vaultd.hashing``: paths on its
standard
input, each ended by a NUL; a record of fixed length for each on its standard output), because small files are mostly
interpreter work and would fight the event loop for the lock. The kernel kills the process when its parent ends: its
input ends too, but it may be in the middle of a file of many gigabytes.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import signal
import stat as stat_module
import struct
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vaultd.priority import HASHING, give_way

BLOCK = 1 << 20
IN_THREAD_FILES = 64
IN_THREAD_BYTES = 32 << 20

_PR_SET_PDEATHSIG = 1

_RECORD = struct.Struct("=32sQQqqi32s")
"""The fields of ``Hashed``; a digest that is missing comes as zeros."""

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
                return Hashed(b"", found.st_ino, 0, 0, 0, 22)
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
    return Hashed(digest.digest(), found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns, 0, also)


async def hash_files(
    paths: Sequence[bytes], total: int, on_progress: Callable[[int, int], None] | None = None, *, sm3: bool = False
) -> list[Hashed]:
    """Hash absolute paths, in their order. ``total`` is their expected size; progress gets files and bytes done."""
    if len(paths) <= IN_THREAD_FILES and total <= IN_THREAD_BYTES:
        return await asyncio.to_thread(lambda: [hash_file(path, sm3=sm3) for path in paths])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vaultd.hashing", str(os.getpid()), "sm3" if sm3 else "",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ.get("PATH", os.defpath)},
        start_new_session=True,
    )  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the hashing process has no pipes")
    give_way(process.pid, HASHING)
    feeder = asyncio.create_task(_feed(process.stdin, paths))
    found: list[Hashed] = []
    rest = b""
    done = 0
    try:
        while block := await process.stdout.read(1 << 16):
            rest += block
            whole = len(rest) - len(rest) % _RECORD.size
            before = len(found)
            found += map(Hashed._make, _RECORD.iter_unpack(rest[:whole]))
            rest = rest[whole:]
            if on_progress is not None:
                done += sum(one.size_read for one in found[before:])
                on_progress(len(found), done)
        await feeder
        await process.wait()  # killing one that has just ended makes asyncio lose its exit code, and say so
    finally:
        feeder.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()
    if len(found) != len(paths):  # the process died: what it did not answer for is an I/O error, and is tried again
        found.extend(Hashed(b"", 0, 0, 0, 0, 5) for _ in range(len(paths) - len(found)))
    return found


async def _feed(stream: asyncio.StreamWriter, paths: Sequence[bytes]) -> None:
    try:
        for start in range(0, len(paths), 256):
            stream.write(b"".join(path + b"\0" for path in paths[start : start + 256]))
            await stream.drain()
        stream.close()
        await stream.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return  # the reader notices: fewer answers than paths


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # it ended before the kernel was told


def _packed(one: Hashed) -> bytes:
    return _RECORD.pack(*one)


def main() -> int:
    """Hash the paths on standard input until it ends. The arguments are the parent's process number, and "sm3" where
    that is wanted too."""
    die_with_parent(int(sys.argv[1]))
    sm3 = sys.argv[2] == "sm3"
    rest = b""
    while block := os.read(0, 1 << 16):
        *paths, rest = (rest + block).split(b"\0")
        answer = memoryview(b"".join(_packed(hash_file(path, sm3=sm3)) for path in paths))
        try:
            while answer:
                answer = answer[os.write(1, answer) :]
        except BrokenPipeError:
            return 1  # the parent is gone, and with it whoever would read a traceback
    return 0


if __name__ == "__main__":
    sys.exit(main())

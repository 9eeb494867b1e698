"""What restic dumps, hashed: restic and ``reader`` with a pipe between them, and the records that come of it.

Nothing of the content goes through this process, and nothing of it to a disk. A stream is *whole* when restic says so
and the reader has seen the end of the archive; what came before a break is right all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vaultd.errors import ResticError, VaultdError
from vaultd.i18n import _
from vaultd.priority import give_way
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.verify import reader
from vaultd.verify.reader import HEAD, Record

PIPE_BYTES = 1 << 20
CHUNK = 1 << 16

OnRecords = Callable[[Sequence[Record]], None]
"""Given the files that came whole, in restic's order. May take its time: restic waits then."""
OnBytes = Callable[[int], None]
"""Given how many bytes of a stream were read so far."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream ended. ``error``: why it is not whole; ``at``: the name of the file in which it broke, if it was in
    one; ``size``: how many bytes came."""

    error: VaultdError | None = None
    at: bytes = b""
    size: int = field(default=0, compare=False)


async def read_folder(
    repository: Repository, snapshot: str, folder: bytes, on_records: OnRecords, on_bytes: OnBytes, stall: float
) -> Ended:
    """Read a folder of a snapshot (its absolute path there) and all below it. Never raises for what restic cannot
    read."""
    return await _read(repository, snapshot, folder, "tar", on_records, on_bytes, stall)


async def read_file(
    repository: Repository, snapshot: str, path: bytes, on_bytes: OnBytes, stall: float
) -> tuple[Ended, Record | None]:
    """Size and SHA-256 of one file of a snapshot (its absolute path there); None where it is not whole."""
    found: list[Record] = []
    ended = await _read(repository, snapshot, path, "file", found.extend, on_bytes, stall)
    return ended, found[-1] if ended.error is None else None


async def _read(
    repository: Repository, snapshot: str, path: bytes, form: str, on_records: OnRecords, on_bytes: OnBytes,
    stall: float,
) -> Ended:  # fmt: skip
    source, sink = os.pipe()
    with contextlib.suppress(OSError):  # a smaller one is slower, no more
        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "vaultd.verify.reader", str(os.getpid()), form,
            stdin=source, stdout=asyncio.subprocess.PIPE, start_new_session=True,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ.get("PATH", os.defpath)},
        )  # fmt: skip
    except BaseException:
        os.close(sink)
        raise
    finally:
        os.close(source)
    if child.stdout is None:
        raise RuntimeError("the reading process has no pipe")
    give_way(child.pid)  # as restic does: it waits for this one
    dumping = asyncio.create_task(
        commands.dump_into(repository, snapshot, path, sink, archive=form == "tar", stall=stall)
    )
    size = 0

    def count(so_far: int) -> None:
        nonlocal size
        size = so_far
        on_bytes(so_far)

    try:
        end = await _records(child.stdout, on_records, count)
        at = end.name if end is not None else b""
        try:
            await dumping
        except VaultdError as error:
            return Ended(error, at, size)
        await child.wait()
        if end is None or end.kind != reader.END:
            why = _("what restic printed is not the archive that it should be")
            return Ended(ResticError(_("stored content cannot be read"), why), at, size)
        return Ended(size=size)
    finally:
        dumping.cancel()
        await asyncio.gather(dumping, return_exceptions=True)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await child.wait()


async def _records(pipe: asyncio.StreamReader, on_records: OnRecords, on_bytes: OnBytes) -> Record | None:
    """Hand the records over until there are no more; the last one, that says how it ended (None: the process died)."""
    rest, last = b"", None
    while chunk := await pipe.read(CHUNK):
        rest += chunk
        found, at = list[Record](), 0
        while at + HEAD.size <= len(rest):
            kind, length, size, digest = HEAD.unpack_from(rest, at)
            end = at + HEAD.size + length
            if end > len(rest):
                break
            one = Record(kind, rest[end - length : end], size, digest)
            at = end
            if kind == reader.MARK:
                on_bytes(size)
            elif kind in (reader.END, reader.BROKEN):
                last = one
            else:
                found.append(one)
        rest = rest[at:]
        if found:
            await asyncio.to_thread(on_records, found)
    return last

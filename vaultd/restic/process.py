"""Run restic: nothing of it runs before its start is on record, nothing of it is left when ``run`` returns or raises.

The gate. A daemon that dies between spawning restic and recording it would leave a process that nobody knows. So a
shell is spawned that waits for a word on its standard input, then ``exec``s restic under the same process number. The
caller's ``started`` records number and start time in between; when this process dies first, the shell reads the end of
file and goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaultd.errors import ResticError
from vaultd.i18n import _
from vaultd.priority import give_way
from vaultd.restic import proc
from vaultd.restic.life import Life
from vaultd.restic.proc import boot_id, end_leftover, end_orphans, process_start
from vaultd.restic.repository import Finished, Repository, Started, environment, find_binary
from vaultd.restic.sshlog import SshLog

__all__ = [
    "Finished", "Repository", "Started", "boot_id", "end_leftover", "end_orphans", "environment", "process_start",
    "run",
]  # fmt: skip

log = logging.getLogger(__name__)

GATE = 'IFS= read -r word && [ "$word" = go ] && exec "$@" </dev/null; exit 124'
STDERR_KEPT = 64 * 1024
CHUNK = 64 * 1024
LOOK_EVERY = 5.0
STARTING = 0.5
LINE_KEPT = 16 * 1024 * 1024

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


async def run(
    repository: Repository,
    args: Sequence[str | bytes],
    *,
    marker: str = "",
    on_line: Callable[[bytes], None] | None = None,
    on_error_line: Callable[[bytes], None] | None = None,
    stdout_to: Callable[[bytes], None] | None = None,
    stdout_fd: int | None = None,
    started: Started | None = None,
    stall: float | None = None,
    folder: Path | None = None,
) -> Finished:
    """Run restic to its end. Its exit code is in the result, never an exception (see ``exit.error_of``).

    ``marker`` is this run's alone (empty: none): whatever carries it ends with this run, so no two may share one.
    ``on_line`` and ``on_error_line`` get the lines of stdout and stderr without their line feed; ``stdout_to`` gets
    stdout raw instead; ``stdout_fd`` is another process's pipe that it goes to. ``stall``: seconds without new output
    (a status line that differs in its clock alone is not new), I/O or CPU time of restic and its children after which
    all are killed. ``folder``: where it runs, / for all that leave nothing there.

    When the task is cancelled or a callback raises, restic is asked to end (it then lifts its lock), after 5 s killed,
    and in any case gone before the exception leaves here; cancel once more to kill it at once.
    """
    limit = () if repository.limit_upload is None else ("--limit-upload", str(repository.limit_upload))
    if repository.limit_download is not None:
        limit = (*limit, "--limit-download", str(repository.limit_download))
    ssh_log = SshLog(repository.url, repository.options, repository.temp or repository.cache)
    command: list[str | bytes] = [find_binary(repository.binary), *ssh_log.options, *limit, *args]
    one = _Run(
        marker, on_line, on_error_line, stdout_to, over_ssh=repository.url.startswith("sftp:"), folder=folder,
        stdout_fd=stdout_fd, urgent=repository.urgent,
    )  # fmt: skip
    with ssh_log.open():
        try:
            one.spawn(command, environment(repository, marker), started)
            await one.follow(stall)
        except BaseException:
            await one.end()
            raise
        finally:
            one.close_pipes()
        stderr = sanitised(bytes(one.tail) + ssh_log.text())
    return Finished(one.code, stderr, one.stalled, time.monotonic() - one.begun, one.gave_up, one.lost_line)


def sanitised(text: bytes) -> str:
    """Text of another program for people and logs: no control character but line feeds and tabs."""
    return _CONTROL.sub("\ufffd", text.decode("utf-8", "replace"))


@dataclass(slots=True)
class _Run:
    marker: str
    on_line: Callable[[bytes], None] | None
    on_error_line: Callable[[bytes], None] | None
    stdout_to: Callable[[bytes], None] | None
    over_ssh: bool = False
    folder: Path | None = None
    stdout_fd: int | None = None
    urgent: bool = False
    begun: float = field(default_factory=time.monotonic)
    stalled: bool = False
    child: subprocess.Popen[bytes] | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    tail: bytearray = field(default_factory=bytearray)
    life: Life = field(default_factory=Life)
    gave_up: bool = False
    lost_line: bool = False
    streams: list[tuple[asyncio.StreamReader, asyncio.ReadTransport]] = field(default_factory=list)

    @property
    def code(self) -> int:
        assert self.child is not None and self.child.returncode is not None  # noqa: S101
        return self.child.returncode

    def spawn(self, command: list[str | bytes], env: dict[str, str], started: Started | None) -> None:
        gate, opener = os.pipe()
        try:
            self.child = subprocess.Popen(
                ["/bin/sh", "-c", GATE, "restic-gate", *command],
                stdin=gate, stdout=subprocess.PIPE if self.stdout_fd is None else self.stdout_fd,
                stderr=subprocess.PIPE,
                env=env, cwd=self.folder or "/", start_new_session=True,
            )  # fmt: skip
            if not self.urgent:
                give_way(self.child.pid)
            self._notice_exit(self.child.pid)
            if started is not None:
                started(self.child.pid, process_start(self.child.pid) or 0)
            os.write(opener, b"go\n")
        finally:
            os.close(gate)
            os.close(opener)

    def _notice_exit(self, pid: int) -> None:
        # A pidfd tells of the leader's exit even while a child of it still holds the pipes open.
        loop, handle = asyncio.get_running_loop(), os.pidfd_open(pid)

        def exited() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            self.gone.set()

        loop.add_reader(handle, exited)

    async def follow(self, stall: float | None) -> None:
        child = self.child
        assert child is not None and child.stderr is not None  # noqa: S101
        readers = [asyncio.create_task(self._read(child.stderr, self._keep, self._error_line))]
        if child.stdout is not None:
            readers.append(asyncio.create_task(self._read(child.stdout, self._raw, self._line)))
        tasks = [*readers, asyncio.create_task(self._finish(readers))]
        if stall is not None:
            tasks.append(asyncio.create_task(self._watch(stall)))
        try:
            done, _waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, readers: list[asyncio.Task[None]]) -> None:
        await self.gone.wait()
        # A child of restic that outlives it would keep the pipes open, and run on.
        await asyncio.wait(readers, timeout=1.0)
        await self._reap()

    async def _reap(self) -> None:
        """End the members that outlive the leader, then reap it: until then its number is nobody else's."""
        assert self.child is not None  # noqa: S101
        deadline = time.monotonic() + proc.KILL_GRACE
        # When another process is gone can only be looked at, not awaited.
        while self.child.returncode is None and self._kill_members() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.child.wait()

    async def _read(
        self,
        pipe: object,
        raw: Callable[[bytes], None],
        on_line: Callable[[bytes], None],
    ) -> None:
        reader = asyncio.StreamReader(limit=CHUNK)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _unused = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
        self.streams.append((reader, transport))
        rest = b""
        while chunk := await reader.read(CHUNK):
            await asyncio.sleep(0)  # a long listing must not keep the loop from everything else
            self.life.bytes_out += len(chunk)
            raw(chunk)
            if raw == self._raw and self.stdout_to is not None:
                continue
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                on_line(line)
            if len(rest) > LINE_KEPT:
                raise ResticError(_("restic's output cannot be read"), _("a line of it is longer than 16 MiB"))
        if rest:
            on_line(rest)

    def _raw(self, chunk: bytes) -> None:
        if self.stdout_to is not None:
            self.life.raw()
            self.stdout_to(chunk)

    def _line(self, line: bytes) -> None:
        self.life.line(line)
        if self.on_line is not None:
            self.on_line(line)

    def _error_line(self, line: bytes) -> None:
        if self.life.hopeless(line) and not self.gave_up:
            self.gave_up = True
            log.warning("restic (process %d) retries in vain: ended", self._pid)
            proc.send([self._pid], signal.SIGTERM)
            asyncio.get_running_loop().call_later(proc.TERM_GRACE, self._kill_if_there)
        if self.on_error_line is not None:
            self.on_error_line(line)

    def _kill_if_there(self) -> None:
        if self.child is not None and self.child.returncode is None:
            self._kill_members()

    def _keep(self, chunk: bytes) -> None:
        self.tail += chunk
        del self.tail[:-STDERR_KEPT]

    async def _watch(self, stall: float) -> None:
        while not self.gone.is_set():
            if self.life.silent_for(self._pid) > stall:
                self.stalled = True
                log.warning("restic (process %d) has shown no life for %.0f s: killed", self._pid, stall)
                self._kill_members()
                return
            if self.over_ssh and self.life.lost_its_line(self._pid):
                self.gave_up = self.lost_line = True
                log.warning("restic (process %d) goes on although its ssh has ended: killed", self._pid)
                self._kill_members()
                return
            # More often until its ssh is there: one that was there between two looks only was not seen.
            starting = self.over_ssh and not self.life.ssh_seen
            await self._gone_within(min(STARTING if starting else LOOK_EVERY, stall / 8))

    @property
    def _pid(self) -> int:
        assert self.child is not None  # noqa: S101
        return self.child.pid

    def _kill_members(self) -> bool:
        """Send SIGKILL to all of the run; False when there was none."""
        assert self.child is not None  # noqa: S101
        found = proc.members(self.child.pid, self.marker)
        proc.send(found, signal.SIGKILL)
        return bool(found)

    async def end(self) -> None:
        """Ask, then kill, then reap; a further cancellation kills at once. Never raises."""
        if self.child is None:
            return
        drains = [asyncio.create_task(_drain(reader)) for reader, _transport in self.streams]
        ending = asyncio.create_task(self._end())
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                self._kill_if_there()
        for drain in drains:
            drain.cancel()
        await asyncio.gather(*drains, return_exceptions=True)

    async def _end(self) -> None:
        assert self.child is not None  # noqa: S101
        # SIGTERM, to restic alone: SIGINT is ignored in what a shell has put into the background, and restic needs its
        # ssh to take its lock away.
        if not self.gone.is_set():
            proc.send([self.child.pid], signal.SIGTERM)
            proc.send([self.child.pid], signal.SIGCONT)
        if not await self._gone_within(proc.TERM_GRACE):
            self._kill_members()
            if not await self._gone_within(proc.KILL_GRACE):
                log.error("restic (process %d) does not react to SIGKILL", self.child.pid)
                return
        await self._reap()

    async def _gone_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.gone.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def close_pipes(self) -> None:
        """Close our ends. Not before restic is gone: it dies of SIGPIPE, and leaves its lock."""
        for _reader, transport in self.streams:
            transport.close()
        if self.child is None:
            return
        for pipe in (self.child.stdout, self.child.stderr):
            if pipe is not None:
                pipe.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(CHUNK):
        pass

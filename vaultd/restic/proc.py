"""Processes as /proc shows them: tell one from a later one of the same number, find all of a run, end them.

A *run* is restic with its children (ssh, a dump command). restic puts ssh into a process group of its own, so the group
is not enough: a run is everything in the session that its leader opened, and everything whose environment carries the
run's marker (``VAULTD_RUN``), which children inherit even where they open another session. ``VAULTD_OWNER`` names the
process that started it: a short look at a repository is on no record, and may outlive its owner as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vaultd.errors import ResticError
from vaultd.i18n import _

MARKER = "VAULTD_RUN"
OWNER = "VAULTD_OWNER"
CACHE = "RESTIC_CACHE_DIR"
TERM_GRACE = 5.0
KILL_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class ProcStat:
    """What /proc/PID/stat says. ``start`` and ``cpu`` are clock ticks (start: since boot; cpu: user and system)."""

    state: str
    parent: int
    session: int
    cpu: int
    start: int


def read_stat(pid: int) -> ProcStat | None:
    """The process's state, or None when there is none of this number."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # another user's, with hidepid
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()  # the name before it may hold blanks and brackets
    return ProcStat(
        fields[0].decode("ascii"), int(fields[1]), int(fields[3]), int(fields[11]) + int(fields[12]), int(fields[19])
    )  # fmt: skip


def program(pid: int) -> bytes:
    """The name of the program that a process runs, 15 bytes at most; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().rstrip(b"\n")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def process_start(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when it is gone. Number, start and boot name it."""
    found = read_stat(pid)
    return None if found is None or found.state in "ZX" else found.start


def boot_id() -> str:
    """The kernel's identifier of this boot: process numbers of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _all_pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def _environ(pid: int) -> list[bytes]:
    """``NAME=value`` of a process's first environment; empty when it is gone, or another user's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def members(session: int, marker: str, *, owned: bool = True) -> list[int]:
    """The living processes of a run, zombies left out.

    ``owned``: the session's number is certainly the run's (its leader lives, or is our own child), so that being in the
    session is enough; else a process must carry the marker too, since numbers are used again.
    """
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for pid in _all_pids():
        stat = read_stat(pid)
        if stat is None or stat.state in "ZX" or pid == os.getpid():
            continue
        if (owned and stat.session == session) or (marker and wanted in _environ(pid)):
            found.append(pid)
    return found


def children(parent: int) -> list[int]:
    """The living children of a process, zombies left out."""
    stats = ((pid, read_stat(pid)) for pid in _all_pids())
    return [pid for pid, stat in stats if stat is not None and stat.parent == parent and stat.state not in "ZX"]


def io_and_cpu(session: int) -> tuple[int, int]:
    """Bytes read and written (files, pipes and sockets) and clock ticks used by the living members of a session."""
    bytes_moved = ticks = 0
    for pid in _all_pids():
        stat = read_stat(pid)
        if stat is None or stat.session != session:
            continue
        ticks += stat.cpu
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for line in Path(f"/proc/{pid}/io").read_bytes().splitlines():
                if line.startswith((b"rchar:", b"wchar:")):
                    bytes_moved += int(line.split()[1])
    return bytes_moved, ticks


def send(pids: list[int], number: signal.Signals) -> None:
    """Signal each process; one that is gone is no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_leftover(pid: int, start_time: int, boot: str, marker: str) -> bool:
    """End what is left of a run of an earlier vaultd process: True when something was found and is gone now.

    ``pid``, ``start_time`` and ``boot`` are what ``Started`` was told and ``boot_id()`` at that time. Nothing is ended
    that only happens to have the same number: the leader must have the same start time, other processes the marker.
    The run's lock may stay in the repository (measured: restic dies of SIGPIPE when it writes to its dead parent): look
    for a lock of this host and this ``pid``.
    Blocks for up to 15 s (call it in a thread). Raises ResticError when a process does not go.
    """
    if boot != boot_id():
        return False
    found = _of_run(pid, start_time, marker)
    if not found:
        return False
    # The leader first and alone: restic takes its lock away through ssh, which must not die before it.
    send([pid] if pid in found else found, signal.SIGTERM)
    if _wait_gone(pid, start_time, marker, TERM_GRACE, None):
        return True
    if _wait_gone(pid, start_time, marker, KILL_GRACE, signal.SIGKILL):
        return True
    raise _stays(pid)


def owner() -> str:
    """This process as ``VAULTD_OWNER`` names it: its number and its start."""
    return f"{os.getpid()}.{process_start(os.getpid())}"


def end_orphans(cache: Path) -> int:
    """End what dead processes of ours left running with this cache folder, recorded or not. Returns how many.

    Blocks for up to 15 s (call it in a thread). Raises ResticError when a process does not go.
    """
    found = _orphans(cache)
    count = len(found)
    send([pid for pid in found if (stat := read_stat(pid)) and stat.session == pid], signal.SIGTERM)
    begun = time.monotonic()
    while found:
        waited = time.monotonic() - begun
        if waited > TERM_GRACE + KILL_GRACE:
            raise _stays(found[0])
        if waited > TERM_GRACE:
            send(found, signal.SIGKILL)
        time.sleep(0.02)
        found = _orphans(cache)
    return count


def _orphans(cache: Path) -> list[int]:
    ours, found = f"{CACHE}={cache.absolute()}".encode(), []
    for pid in _all_pids():
        values = _environ(pid)
        if ours not in values or process_start(pid) is None:
            continue
        named = next((value for value in values if value.startswith(f"{OWNER}=".encode())), b"")
        number, _dot, start = named.partition(b"=")[2].partition(b".")
        if number.isdigit() and str(process_start(int(number))).encode() != start:
            found.append(pid)
    return found


def _stays(pid: int) -> ResticError:
    return ResticError(
        _("a restic run of an earlier vaultd process cannot be ended"),
        _("process {pid} does not react to SIGKILL").format(pid=pid),
        _("it probably hangs in a read from a dead disk or network file system; mend that, or restart the machine"),
    )


def _of_run(pid: int, start_time: int, marker: str) -> list[int]:
    return members(pid, marker, owned=process_start(pid) == start_time)


def _wait_gone(pid: int, start_time: int, marker: str, seconds: float, number: signal.Signals | None) -> bool:
    deadline = time.monotonic() + seconds
    while found := _of_run(pid, start_time, marker):
        if time.monotonic() > deadline:
            return False
        if number is not None:
            send(found, number)
        time.sleep(0.02)
    return True

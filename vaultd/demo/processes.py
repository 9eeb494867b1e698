"""Stopping and ending processes for certain, told apart by pid and start time."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import psutil

SECONDS = 10.0
"""How long a process may take to stop or to end."""

_GONE = "gone"


def start_ticks(pid: int) -> int:
    """When a process started, in ticks since boot, which does not move with the clock. 0: it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def children(process: psutil.Process) -> list[psutil.Process]:
    """The processes below one; none when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def send(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to those that are still there: psutil compares the start time, so a pid used again is safe."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def freeze(processes: list[psutil.Process]) -> None:
    """Stop processes, and wait until they have stopped: the signal alone takes effect a little later."""
    send(processes, signal.SIGSTOP)
    deadline = time.monotonic() + SECONDS
    while any(_status(one) not in (psutil.STATUS_STOPPED, _GONE) for one in processes):
        if time.monotonic() > deadline:
            return
        time.sleep(0.002)


def end(processes: list[psutil.Process]) -> int:
    """Kill processes, and those that they fork meanwhile, and wait until they are gone."""
    ended = 0
    for process in processes:
        later = children(process)
        send([process], signal.SIGKILL)
        ended += 1 + end(later)
    deadline = time.monotonic() + SECONDS
    while any(_status(process) != _GONE for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)
    return ended


def _status(process: psutil.Process) -> str:
    # Dead but not reaped is gone enough: its parent may be stopped, or slow.
    with contextlib.suppress(psutil.NoSuchProcess):
        found = process.status() if process.is_running() else psutil.STATUS_ZOMBIE
        return _GONE if found == psutil.STATUS_ZOMBIE else str(found)
    return _GONE

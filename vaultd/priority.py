"""How our processes share the machine with others, and among themselves."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

RESTIC = 5
HASHING = 10
"""It reads what restic reads, in less time: what restic leaves of the processors is enough for it."""


_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # it ended before the kernel was told


def give_way(pid: int, nice: int = RESTIC) -> None:
    """Have a process and what it starts give way to everybody else: to this host's programs, to ``vaultd status``.

    It must be the leader of its session: where the kernel shares the processors out between sessions (autogroup,
    sched(7)), the nice value of the process alone would change nothing.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        Path(f"/proc/{pid}/autogroup").write_text(f"{nice}\n")

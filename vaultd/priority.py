"""How our processes share the machine with others, and among themselves."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RESTIC = 5
HASHING = 10
"""It reads what restic reads, in less time: what restic leaves of the processors is enough for it."""


def give_way(pid: int, nice: int = RESTIC) -> None:
    """Have a process and what it starts give way to everybody else: to this host's programs, to ``vaultd status``.

    It must be the leader of its session: where the kernel shares the processors out between sessions (autogroup,
    sched(7)), the nice value of the process alone would change nothing.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        Path(f"/proc/{pid}/autogroup").write_text(f"{nice}\n")

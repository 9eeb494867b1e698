"""Whether a run of restic still gets anywhere.

Three ways in which it does not, all measured with restic 0.18.0 over SFTP:

- *No life.* The server hangs, and restic waits for ever. It repeats its status twice a second all the while, and ssh
  its keep-alives, so neither a line nor a byte is a sign of life: only a line that differs in more than its clock, more
  bytes than keep-alives are, or CPU time.
- *No line.* Its ssh has ended, after a cut for instance, and restic notices when it next writes: never, when it waits
  for a silent dump command, and not always when it has writes under way.
- *Hopeless retries.* restic repeats a failed operation for up to 15 minutes, although over SFTP that mends nothing:
  the session is not opened anew, and a read-only repository stays one. vaultd has its own back-off.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from vaultd.restic import proc

LIFE_BYTES = 64 * 1024
LIFE_TICKS = os.sysconf("SC_CLK_TCK")  # one second of CPU
RETRIES = 4
"""How often restic may say that it retries the same operation (its pauses until then: about 8 s)."""

SSH = b"ssh"
WITHOUT_SSH = 5.0
"""Seconds that restic may take to end when its ssh has."""

_CLOCK = re.compile(rb'"seconds_(?:elapsed|remaining)":\d+,?')
_RETRY = re.compile(rb"(\w+\(<?[^ >]*>?.*\)) returned error, retrying after ")


@dataclass(slots=True)
class Life:
    """What a run has shown of itself so far. Times are of the monotonic clock."""

    alive_at: float = field(default_factory=time.monotonic)
    bytes_out: int = 0
    last_line: bytes = b""
    moved: int = 0
    ticks: int = 0
    retries: Counter[bytes] = field(default_factory=Counter)
    ssh_seen: bool = False
    ssh_missed: float | None = None

    def raw(self) -> None:
        """Content came out of it."""
        self.alive_at = time.monotonic()

    def line(self, line: bytes) -> None:
        """A line of its stdout."""
        without_clock = _CLOCK.sub(b"", line)
        if without_clock != self.last_line:
            self.last_line, self.alive_at = without_clock, time.monotonic()

    def hopeless(self, line: bytes) -> bool:
        """Whether this line of its stderr is one retry too many of the same operation."""
        match = _RETRY.match(line)
        if match is None:
            return False
        self.retries[match[1]] += 1
        return self.retries[match[1]] >= RETRIES

    def lost_its_line(self, session: int) -> bool:
        """Whether restic had an ssh and has had none for a while. Before it starts one it may take its time: it looks
        at every path that it is given first."""
        if any(proc.program(pid) == SSH for pid in proc.children(session)):
            self.ssh_seen, self.ssh_missed = True, None
            return False
        if not self.ssh_seen:
            return False
        now = time.monotonic()
        if self.ssh_missed is None:
            self.ssh_missed = now
        return now > self.ssh_missed + WITHOUT_SSH

    def silent_for(self, session: int) -> float:
        """Seconds since the last sign of life, looking at the I/O and CPU time of the run's processes too."""
        moved, ticks = proc.io_and_cpu(session)
        moved -= self.bytes_out  # what restic writes to us is counted there too
        if moved >= self.moved + LIFE_BYTES or ticks >= self.ticks + LIFE_TICKS:
            self.moved, self.ticks, self.alive_at = moved, ticks, time.monotonic()
        return time.monotonic() - self.alive_at

"""Which mount a folder lies on: asked of the kernel, as names alone may lead elsewhere (a symlink, a bind mount).

The folder is opened with O_PATH and the kernel's own mount number read from fdinfo; the device number of ``stat`` is
another one on btrfs. A process of its own does it: on a dead disk or server the opening may never come back. The paths
go to it by a pipe, as they are nobody else's business.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from vaultd.disks import running

SECONDS = 3.0
TRIES = 4

_LOOK = r"""
import json, os, sys
for path in sys.stdin.buffer.read().split(b"\0"):
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        with open(f"/proc/self/fdinfo/{handle}") as info:
            number = next(int(line.split()[1]) for line in info if line.startswith("mnt_id:"))
        real = os.readlink(os.fsencode(f"/proc/self/fd/{handle}"))
        os.close(handle)
        print(json.dumps([number, real.decode("latin-1"), ""]), flush=True)
    except OSError as error:
        print(json.dumps([None, "", error.strerror]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """``mount``: the kernel's number of the mount, None when it is not known; ``real``: the path without symlinks;
    ``problem``: why not ("" is fine; "time": it does not answer)."""

    mount: int | None
    real: bytes
    problem: str = ""


def look(paths: Sequence[bytes], seconds: float = SECONDS) -> list[Place]:
    """Where folders of this machine are. One that does not answer is left alone after ``seconds``, and the others are
    asked without it; after TRIES of them what is left counts as not answering too."""
    found = list[Place]()
    for _try in range(TRIES):
        found += _look(paths[len(found) :], seconds)
        if len(found) == len(paths):
            return found
        found.append(Place(None, paths[len(found)], "time"))
    return found + [Place(None, path, "time") for path in paths[len(found) :]]


def _look(paths: Sequence[bytes], seconds: float) -> list[Place]:
    """As many of them as answer, up to the first that does not."""
    if not paths:
        return []
    ended = running.run([sys.executable, "-I", "-S", "-c", _LOOK], seconds, stdin=b"\0".join(paths))
    found = []
    for path, line in zip(paths, ended.out.splitlines(), strict=False):
        try:
            number, real, problem = json.loads(line)
        except ValueError:
            break  # cut off when its time was over
        found.append(Place(number, real.encode("latin-1") or path, problem))
    return found

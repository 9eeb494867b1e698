"""Whether a hash is that of the stored version (design section 4, step 5).

restic and the hasher read the file on their own; neither sees the other. What ties them together is ``lstat``: when it
says
the same before either has begun and after both have ended, both read the same bytes. It is taken before restic is
spawned,
not merely before the hash: else restic could have read an older version.

Two holes remain, and are closed here or named: a write in the same clock tick as the first ``lstat`` leaves no trace
in ctime
(the "racy" rule below, as git has it); writers through mmap can leave none at all (verification compares stored bytes).
"""

from __future__ import annotations

from enum import StrEnum

from vaultd.hashing import Hashed
from vaultd.model import FileKind, Stat

RACY_NS = 20_000_000


class Verdict(StrEnum):
    """What became of one path of a change set."""

    BOUND = "bound"
    GONE = "gone"
    UNREAD = "unread"
    CHANGED = "changed"
    RACY = "racy"


def is_racy(seen: Stat, looked_at: int) -> bool:
    """Whether a change right after the look could have left the same ctime. ``looked_at`` is the clock before the look.

    A ctime in the future counts as settled: the clock was set back, and a change now would have another ctime.
    """
    return abs(looked_at - seen.ctime) <= RACY_NS


def judge(
    before: Stat, looked_at: int, hashed: Hashed | None, known: bytes | None, after: Stat | None, *, refused: bool
) -> Verdict:
    """Judge one path. ``hashed``: what the hasher read in this run; ``known``: a digest bound earlier to ``before``.

    ``refused``: restic reported an error for the path.
    """
    if after is None:
        return Verdict.GONE
    if refused or (hashed is not None and hashed.error):
        return Verdict.UNREAD if before.same_content(after) else Verdict.CHANGED
    if not before.same_content(after):
        return Verdict.CHANGED
    if before.kind is not FileKind.FILE or known is not None:
        return Verdict.BOUND
    if hashed is None:
        return Verdict.CHANGED
    read = (hashed.inode, hashed.size_read, hashed.mtime, hashed.ctime)
    if read != (before.inode, before.size, before.mtime, before.ctime):
        return Verdict.CHANGED
    return Verdict.RACY if is_racy(before, looked_at) else Verdict.BOUND

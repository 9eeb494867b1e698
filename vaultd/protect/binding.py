"""Whether a hash is that of the stored version (design section 4, step 5).

restic and the hasher read the file on their own; neither sees the other. What ties them together is ``lstat``: when it
says the same before either has begun and after both have ended, both read the same bytes. It is taken before restic is
spawned, not merely before the hash: else restic could have read an older version.

Two holes remain, and are closed here or named. A write in the clock tick of the ctime that ``lstat`` saw leaves no
trace in ctime: had it come after one of the readers began, nobody would know, so a file counts only when both began
more than
a tick after its ctime (the "racy" rule, as git has it). Writers through mmap can leave no trace at all: verification
compares stored bytes.
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


def is_racy(seen: Stat, began: int) -> bool:
    """Whether a change after the readers ``began`` (the clock before restic is spawned) could have left the same ctime.

    When the stat was taken does not matter: what left ctime as it is came before both readers, and both saw it.

    A ctime in the future counts as settled: the clock was set back, and a change now would have another ctime.
    """
    return abs(began - seen.ctime) <= RACY_NS


def is_of(hashed: Hashed, seen: Stat) -> bool:
    """Whether a regular file was hashed in just this state, and whole."""
    return (
        hashed.ctime == seen.ctime and hashed.inode == seen.inode and hashed.mtime == seen.mtime
        and hashed.size_read == seen.size and not hashed.error
    )  # fmt: skip


def judge(
    before: Stat, began: int, hashed: Hashed | None, known: bytes | None, after: Stat | None, *, refused: bool
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
    if not is_of(hashed, before):
        return Verdict.CHANGED
    return Verdict.RACY if is_racy(before, began) else Verdict.BOUND

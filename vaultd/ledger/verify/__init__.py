"""Whether a ledger holds: docs/ledger.md, "What a verifier checks". It reads, and changes nothing.

Apart from the writer, on purpose: what the two share are the formats. The folder may have been made by anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaultd.ledger.note import VerifierKey
from vaultd.ledger.verify import rest, there
from vaultd.ledger.verify.finding import TEXTS, Code, Finding
from vaultd.ledger.verify.reading import Reader
from vaultd.ledger.verify.signed import NEWEST, by_size, kept_sizes, read_keys, read_newest, signed
from vaultd.ledger.verify.tree import Progress, SignedTree

__all__ = ["TEXTS", "Code", "Finding", "Report", "verify"]

ROUNDS = 8
"""How often a log is followed that is written to meanwhile."""


@dataclass(frozen=True, slots=True)
class Report:
    """A log that holds: its name, how many entries are signed, their root hash, the time of the newest; how many
    checkpoints are kept, how many keys it has had, how many entries are on record and not signed yet. ``checkpoint`` is
    the note that was verified."""

    origin: str
    size: int
    root: bytes
    time: str
    checkpoints: int
    epochs: int
    unsigned: int
    checkpoint: bytes


def _silent(_done: int, _total: int) -> None:
    return


def verify(
    folder: Path, *, outside: Sequence[bytes] = (), root: VerifierKey | None = None, on_progress: Progress | None = None
) -> Report:  # fmt: skip
    """Verify a log. ``outside``: checkpoints of it that were kept elsewhere, signed notes; ``root``: the root key on
    paper; ``on_progress`` is told how many entries hold, and of how many.

    Raises Finding for the first thing that is wrong. A daemon may write to the log meanwhile.
    """
    reader = Reader(folder)
    there.top(reader)
    for _tile in there.tiles(reader):
        pass  # only plain folders lie between here and any file: what is read below is not behind a link
    tree: SignedTree | None = None
    rounds = 0
    while True:
        rounds += 1
        newest_note = read_newest(reader)  # before all else: what is read later is not older
        keys = read_keys(reader, root)
        newest = signed(newest_note, NEWEST, keys).checkpoint
        kept = kept_sizes(reader)
        known = by_size(outside, keys)
        if known and max(known) > newest.size:
            raise Finding(Code.OUTSIDE_LARGER, outside=known[max(known)][0][0])
        tree = tree or SignedTree(reader, keys.origin)
        tree.read_to(newest.size, kept, keys, known, on_progress or _silent)
        _check_newest(tree, newest.size, newest_note)
        unsigned = 0
        try:
            unsigned = rest.check(reader, tree, kept, keys)
        except Finding:
            if read_newest(reader) == newest_note:
                raise
            if rounds < ROUNDS:
                continue  # signed meanwhile: that explains what was found, or the next round finds it again
        return Report(
            keys.origin, newest.size, newest.root, tree.rules.time.decode("ascii"),
            sum(one <= newest.size for one in kept), len(keys.epochs), unsigned, newest_note,
        )  # fmt: skip


def _check_newest(tree: SignedTree, size: int, newest_note: bytes) -> None:
    """Raise Finding unless the newest checkpoint is one that is kept."""
    if not size:
        raise Finding(Code.BEGIN)
    kept = tree.rules.kept
    if kept is None or kept.checkpoint.size != size:
        raise Finding(Code.MISSING, f"checkpoints/{size}")
    if kept.note != newest_note:
        raise Finding(Code.CHECKPOINT_NEWEST, NEWEST)

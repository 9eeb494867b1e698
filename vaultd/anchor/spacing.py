"""Which checkpoints a mirror keeps, of all that were ever signed: one a minute is half a million names in a year.

The newest say all that older ones say, since they are proved to begin with them; older ones show where a history went
another way. So of those far back fewer are enough. The rule counts checkpoints and knows no clock: nothing that was
left out is ever wanted again, and who reads a mirror years later can tell what must be there.
"""

from __future__ import annotations

from collections.abc import Sequence

NEWEST = 1_000
"""All of so many; at one a minute those of sixteen hours. A server that keeps copies takes them within minutes."""

_STEPS = ((64_000, 64), (None, 1_024))
"""Up to this many back one in so many: about one an hour for six weeks, then more than one a day."""


def retained(signed: Sequence[int]) -> set[int]:
    """The sizes that stay at a mirror. ``signed``: every size that was ever signed, ascending."""
    found = set(signed[-NEWEST:])
    for back, step in _STEPS:
        first = 0 if back is None else max(0, len(signed) - back)
        found.update(signed[first + -first % step :: step])
    return found

"""What others have of this log, as far as its folder keeps their answers (``anchors/``, docs/ledger.md).

That a note or a stamp is of this log is checked here, by the root hash at its size; who has signed it is not:
``vaultd ledger verify`` does that, with keys that are not in the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from vaultd.anchor import cosignature, kept, timestamp
from vaultd.ledger import checkpoint, note
from vaultd.ledger.folder import LogFolder
from vaultd.report.period import Period
from vaultd.report.source import Mark
from vaultd.units import SECOND, parse_rfc3339, rfc3339

KINDS = (kept.ANCHORED, kept.WITNESS, kept.TIMESTAMP, kept.MIRROR)


class Anchors:
    """Everything that is kept, with the sizes that it is about."""

    def __init__(self, folder: LogFolder) -> None:
        self.folder = folder
        self.sizes = {
            (kind, name): kept.sizes(folder, kind, name) for kind in KINDS for name in kept.names(folder, kind)
        }

    def stops(self) -> Sequence[int]:
        """The sizes at which it must be known what the log was."""
        return sorted({size for sizes in self.sizes.values() for size in sizes})

    def figures(self, marks: Mapping[int, Mark], period: Period, size: int) -> list[dict[str, Any]]:
        """For each place what it has of the period. ``size``: how many entries there were at its end."""
        return [self._place(kind, name, marks, period, size) for kind, name in self.sizes]

    def _place(self, kind: str, name: str, marks: Mapping[int, Mark], period: Period, end: int) -> dict[str, Any]:
        inside = [one for one in self.sizes[kind, name] if one in marks and period.first <= marks[one].time]
        inside = [one for one in inside if marks[one].time <= period.last and one <= end]
        before = [one for one in self.sizes[kind, name] if one in marks and marks[one].time < period.first]
        wrong = [one for one in inside if not self._agrees(kind, name, one, marks[one])]
        newest = max((one for one in inside + before if one not in wrong), default=None)
        said = None if newest is None else self._said(kind, name, newest)
        return {
            "kind": kind, "name": name, "count": len(inside), "wrong": wrong[:20],
            "newest_size": newest, "newest_entry_time": None if newest is None else _time(marks[newest].time),
            "newest_said": said, "not_covered": end - (newest or 0),
        }  # fmt: skip

    def _agrees(self, kind: str, name: str, size: int, mark: Mark) -> bool:
        """Whether what is kept is of this log as it was at that size."""
        try:
            content = kept.read(kept.file_of(self.folder, kind, name, size))
            if kind == kept.TIMESTAMP:
                stamped = checkpoint.parse(self.folder.read_note(self.folder.kept_file(size)).text)
                imprint = hashlib.sha256(self.folder.kept_file(size).read_bytes()).digest()
                return stamped.root == mark.root and timestamp.imprint_of(content) == imprint
            found = checkpoint.parse(note.parse(content).text)
        except (OSError, ValueError):
            return False
        return (found.size, found.root) == (size, mark.root)

    def _said(self, kind: str, name: str, size: int) -> str | None:
        """The time that a witness or an authority has put on it, unverified."""
        content = kept.read(kept.file_of(self.folder, kind, name, size))
        if kind == kept.TIMESTAMP:
            return rfc3339(parse_rfc3339(timestamp.time_of(content).isoformat()))
        if kind == kept.WITNESS:
            times = [cosignature.time_of(one) for one in note.parse(content).signatures[1:]]
            return rfc3339(max(times) * SECOND) if times else None
        return None


def _time(text: str) -> str | None:
    return rfc3339(parse_rfc3339(text)) if text else None

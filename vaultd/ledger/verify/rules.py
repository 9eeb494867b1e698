"""What every entry must be, one after the other: its form, its place, its time, and what it says of checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import Any

from vaultd.ledger import entry
from vaultd.ledger.events import Begin, CheckpointKept
from vaultd.ledger.verify.finding import Code, Finding
from vaultd.ledger.verify.quick import is_utf8, version_pattern
from vaultd.ledger.verify.schema import SHAPES, problem
from vaultd.ledger.verify.signed import Signed

_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Rules:
    """Looks at entries in order. ``time`` is that of the last one; ``kept`` the newest checkpoint of a size that was
    passed, ``named`` whether an entry names it."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.time = b""
        self.kept: Signed | None = None
        self.named = True
        self._version = version_pattern(quoted(origin).encode())

    def copy(self) -> Rules:
        """Another one that has seen what this has."""
        made = Rules(self.origin)
        made.time, made.kept, made.named = self.time, self.kept, self.named
        return made

    def check(self, first: int, entries: Sequence[bytes]) -> None:
        """Raise Finding for the first of these entries, the places of which begin at ``first``, that is wrong."""
        quick = self._version.fullmatch
        for index, encoded in enumerate(entries, first):
            match = quick(encoded)
            if not (
                match is not None
                and index
                and match[1] == b"%d" % index
                and is_utf8(encoded)
                and self._goes_on(match[2])
            ):
                self._long_way(index, encoded)

    def sealed(self, signed: Signed) -> None:
        """A checkpoint of the entries so far is kept. Raise Finding when the one before it was not named."""
        if not self.named and self.kept is not None:
            raise Finding(Code.CHECKPOINT_UNNAMED, f"checkpoints/{self.kept.checkpoint.size}")
        self.kept, self.named = signed, False

    def _goes_on(self, time: bytes) -> bool:
        """Whether a time is one, and not before the last; it is the last then."""
        if time == self.time:
            return True
        if time < self.time or not _TIME.fullmatch(time):
            return False
        try:
            datetime.fromisoformat(time[:-1].decode("ascii"))
        except ValueError:
            return False
        self.time = time
        return True

    def _long_way(self, index: int, encoded: bytes) -> None:
        found = decoded(index, encoded)
        if found["seq"] != index or found["origin"] != self.origin:
            raise Finding(Code.ENTRY_PLACE, entry=index)
        shape = SHAPES.get(found["type"])
        if shape is None:
            raise Finding(Code.ENTRY_TYPE, entry=index, why=found["type"])
        if why := problem(found, shape):
            raise Finding(Code.ENTRY_FIELDS, entry=index, why=why)
        if not self._goes_on(found["t"].encode()):
            raise Finding(Code.ENTRY_TIME, entry=index, why=found["t"])
        if (found["type"] == Begin.TYPE) is (index > 0):
            raise Finding(Code.BEGIN, entry=index)
        if found["type"] == CheckpointKept.TYPE:
            self._names(index, found)

    def _names(self, index: int, found: Mapping[str, Any]) -> None:
        kept = self.kept
        if kept is None or (found["size"], found["digest"]) != (kept.checkpoint.size, kept.digest):
            raise Finding(Code.CHECKPOINT_ENTRY, f"checkpoints/{found['size']}", entry=index)
        self.named = True


def decoded(index: int, encoded: bytes) -> dict[str, Any]:
    """The fields of an entry. Raises Finding when it is not in the form that entries have."""
    try:
        return entry.decode(encoded)
    except ValueError as error:
        raise Finding(Code.ENTRY_FORM, entry=index, why=str(error)) from None

"""Which entries somebody wants to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vaultd.ledger.entry import path_of


@dataclass(frozen=True, slots=True)
class Query:
    """None and empty: any. ``path``: this one, or what is below it (``exact``: this one alone). ``since`` and ``until``
    are times as entries have them; ``who`` is a part of the name."""

    kind: str | None = None
    vault: str | None = None
    who: str | None = None
    path: bytes | None = None
    since: str = ""
    until: str = ""
    exact: bool = False

    def wants(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry is among them; its time is not looked at."""
        if self.kind is not None and entry["type"] != self.kind:
            return False
        if self.vault is not None and entry.get("vault") != self.vault:
            return False
        if self.who is not None and self.who not in str(entry.get("who", "")):
            return False
        if self.path is None:
            return True
        path = path_of(entry)
        return path == self.path or (not self.exact and path is not None and path.startswith(self.path + b"/"))


def matching(newest_first: Iterable[dict[str, Any]], query: Query) -> Iterator[dict[str, Any]]:
    """The entries that are wanted, the newest first; stops at the first one that is too old."""
    for entry in newest_first:
        if query.since and entry["t"] < query.since:
            return
        if (not query.until or entry["t"] <= query.until) and query.wants(entry):
            yield entry

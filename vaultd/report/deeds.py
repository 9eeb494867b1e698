"""What was done, and by whom: restores, drills, keys, trust, configuration, retention, repairs, kits.

Every entry with a ``who`` counts for that person. Names of files and hashes are left out of the tables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from vaultd.report.period import Period, or_none

MOST = 200
MOST_PEOPLE = 500

TABLES = {
    "restore": "restores",
    "export": "restores",
    "drill": "drills",
    "key": "keys",
    "target-trusted": "trust",
    "host-key-refused": "trust",
    "repository-moved": "trust",
    "configuration": "configuration",
    "vault": "configuration",
    "forget": "retention",
    "prune": "retention",
    "repair": "retention",
    "destroyed-records": "retention",
    "kit-created": "kits",
    "kit-revoked": "kits",
    "kit-opened": "kits",
    "document": "documents",
    "evacuation": "evacuations",
}
"""The table in which each type of entry is listed."""

SECRET = frozenset(
    {"v", "seq", "t", "at", "type", "origin", "salt", "path", "path_b64", "paths", "path_salt", "digest", "policy",
     "certificate", "manifest", "sha256", "sm3"}
)  # fmt: skip
"""Fields that no table has: what all entries have, names of files, and hashes."""


class Table:
    """The newest entries of some types, and how many there were."""

    def __init__(self, most: int = MOST) -> None:
        self.count = 0
        self.rows = deque[dict[str, Any]](maxlen=most)

    def add(self, row: dict[str, Any]) -> None:
        """One more; the oldest goes when there are too many."""
        self.count += 1
        self.rows.append(row)

    def figures(self) -> dict[str, Any]:
        """What is told of them."""
        return {"count": self.count, "rows": list(self.rows)}


class Deeds:
    """Follows every entry but ``version`` ones."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.tables = {name: Table() for name in TABLES.values()}
        self.types = dict[str, int]()
        self.runs = dict[tuple[str, str, str, str], dict[str, Any]]()
        self.people = dict[str, dict[str, Any]]()

    def entry(self, entry: Mapping[str, Any], when: int) -> None:
        """One was put on record, within the period."""
        kind = str(entry["type"])
        if kind in TABLES:
            own = {key: _plain(value) for key, value in entry.items() if key not in SECRET}
            self.tables[TABLES[kind]].add({"type": kind, "time": or_none(when), "entry": entry["seq"], **own})
        elif kind == "run":
            self._run(entry, when)
        if isinstance(who := entry.get("who"), str):
            self._person(who, kind, entry, when)

    def _run(self, entry: Mapping[str, Any], when: int) -> None:
        key = (entry["vault"], entry["target"], entry["state"], entry.get("error", ""))
        row = self.runs.setdefault(key, {"count": 0, "first": when, "last": when, "left": 0})
        row["count"] += 1
        row["last"] = when
        row["left"] = max(row["left"], entry.get("left", 0))

    def _person(self, who: str, kind: str, entry: Mapping[str, Any], when: int) -> None:
        if who not in self.people and len(self.people) >= MOST_PEOPLE:
            who = ""
        row = self.people.setdefault(who, {"deeds": {}, "first": when, "last": when})
        deed = f"{kind}-{entry['state']}" if kind == "alert" else kind
        row["deeds"][deed] = row["deeds"].get(deed, 0) + 1
        row["last"] = when

    def figures(self) -> dict[str, Any]:
        """What is told of them."""
        found: dict[str, Any] = {name: table.figures() for name, table in self.tables.items()}
        found["runs"] = [
            {"vault": vault, "target": target, "state": state, "error": error or None, "count": row["count"],
             "left": row["left"], "first": or_none(row["first"]), "last": or_none(row["last"])}
            for (vault, target, state, error), row in sorted(self.runs.items())[:MOST]
        ]  # fmt: skip
        found["runs_kinds"] = len(self.runs)
        found["people"] = [
            {"who": who or None, "deeds": dict(sorted(row["deeds"].items())), "first": or_none(row["first"]),
             "last": or_none(row["last"])}
            for who, row in sorted(self.people.items())
        ]  # fmt: skip
        return found


def _plain(value: Any) -> Any:
    """A field for a table: of a long list its length."""
    if isinstance(value, list) and (len(value) > 8 or any(len(str(one)) > 60 for one in value)):
        return len(value)
    return value

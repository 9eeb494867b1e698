"""How an evacuation went: its tiers at each target, against their objectives; its batches; how much was safe when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vaultd.report.evacuation_source import Case, Emergencies, Seen
from vaultd.report.period import or_none, seconds

POINTS = 400
"""A curve has so many at most."""

_MS = 1_000_000
_LONGEST_MS = 400 * 365 * 86_400_000
"""What an entry says beyond that is no duration."""


@dataclass(slots=True)
class Row:
    """A tier at a target."""

    tier: int
    target: str
    vaults: list[str] = field(default_factory=list)
    planned: Seen | None = None
    files: int = 0
    size: int = 0
    safe: Seen | None = None
    exact: Seen | None = None
    short: Seen | None = None
    objective_ms: int | None = None
    safe_batches: int = 0
    safe_files: int = 0
    safe_size: int = 0
    broken: int = 0
    broken_size: int = 0


class Tiers:
    """The tiers and batches of one evacuation, each once."""

    def __init__(self, case: Case, found: Emergencies, end: int) -> None:
        self.case, self.found, self.end = case, found, end
        self.rows = dict[tuple[int, str], Row]()
        self.batches = list[Seen]()
        self._safe = set[tuple[str, str, str]]()
        for seen in case.entries:
            if seen.kind == "evacuation-tier":
                self._tier(seen)
            elif seen.kind == "evacuation-batch":
                self._batch(seen)

    def objective(self, row: Row) -> int | None:
        """Within what it is to be safe, milliseconds: as its entries say, else the smallest recovery-point objective of
        its vaults when the order was given. None: none is on record."""
        if row.objective_ms is not None:
            return row.objective_ms
        known = [self.found.objective(vault, self.case.ordered) for vault in row.vaults]
        return min((one for one in known if one is not None), default=None)

    @staticmethod
    def unsafe(row: Row) -> tuple[int, int]:
        """What of a tier was not safe at the end, files and bytes: what was planned without its batches."""
        if row.short is None or row.safe is not None:
            return 0, 0
        if row.planned is None:
            return max(0, row.short.fields["files"]), max(0, row.short.fields["size"])
        return max(0, row.files - row.safe_files), max(0, row.size - row.safe_size)

    def _row(self, seen: Seen) -> Row:
        key = (seen.fields["tier"], seen.fields["target"])
        return self.rows.setdefault(key, Row(*key))

    def _tier(self, seen: Seen) -> None:
        row, one = self._row(seen), seen.fields
        row.vaults = list(dict.fromkeys([*row.vaults, *one["vaults"]]))
        if "objective_ms" in one:
            row.objective_ms = one["objective_ms"]
        state = one["state"]
        if state == "planned":
            row.planned = row.planned or seen
            # It says what is pending: planned again later, what was safe by then is no part of it.
            row.files = max(row.files, one["files"] + row.safe_files)
            row.size = max(row.size, one["size"] + row.safe_size)
        elif state == "safe":
            row.safe = row.safe or seen
        elif state == "exact":
            row.exact = row.exact or seen
        elif state == "short":
            row.short = seen

    def _batch(self, seen: Seen) -> None:
        row, one = self._row(seen), seen.fields
        if one["state"] != "safe":
            row.broken += 1
            row.broken_size += one["size"]
        else:
            key = (one["vault"], one["target"], one["change_set"])
            if key in self._safe:  # on record twice: told again by a daemon that was killed in between
                return
            self._safe.add(key)
            row.safe_batches += 1
            row.safe_files += one["files"]
            row.safe_size += one["size"]
        self.batches.append(seen)

    def taken(self, row: Row) -> int | None:
        """From the order until a tier was safe, nanoseconds; None: it is not."""
        if row.safe is None:
            return None
        told = row.safe.fields.get("milliseconds")
        return max(0, row.safe.moment - self.case.ordered) if told is None else min(max(0, told), _LONGEST_MS) * _MS

    def met(self, row: Row) -> bool | None:
        """Whether a tier was safe within its objective; None where it has none, or may still be."""
        objective = self.objective(row)
        if objective is None:
            return None
        taken = self.taken(row)
        if taken is not None:
            return taken <= objective * _MS
        over = self.case.ended is not None or self.end - self.case.ordered > objective * _MS
        return False if over else None

    def in_order(self) -> list[Row]:
        """The rows by tier and target."""
        return [self.rows[key] for key in sorted(self.rows)]

    def figures(self) -> list[dict[str, Any]]:
        """What is told of the tiers."""
        return [
            {
                "tier": row.tier, "target": row.target, "vaults": row.vaults, "state": _state(row),
                "files": max(row.files, row.safe_files), "bytes": max(row.size, row.safe_size),
                "planned": _moment(row.planned), "safe": self._safe_moment(row), "exact": _moment(row.exact),
                "seconds": _seconds(self.taken(row)),
                "objective_seconds": self._objective_seconds(row),
                "met": self.met(row), "batches": row.safe_batches, "batch_files": row.safe_files,
                "batch_bytes": row.safe_size, "broken": row.broken, "broken_bytes": row.broken_size,
                "short_files": self.unsafe(row)[0], "short_bytes": self.unsafe(row)[1],
            }
            for row in self.in_order()
        ]  # fmt: skip

    def _objective_seconds(self, row: Row) -> float | None:
        objective = self.objective(row)
        return None if objective is None else objective / 1000

    def _safe_moment(self, row: Row) -> str | None:
        taken = self.taken(row)
        return None if taken is None else or_none(self.case.ordered + taken)

    def curves(self) -> list[dict[str, Any]]:
        """For each target how many bytes of the whole were safe when, and where its tiers end in them."""
        return [self._curve(target) for target in sorted({row.target for row in self.rows.values()})]

    def _curve(self, target: str) -> dict[str, Any]:
        rows = [row for row in self.in_order() if row.target == target]
        total, bounds = 0, list[dict[str, Any]]()
        for row in rows:
            total += max(row.size, row.safe_size)
            bounds.append({"tier": row.tier, "bytes": total, "objective_seconds": self._objective_seconds(row)})
        points = list(self._points(target, rows))
        every = -(-len(points) // POINTS) or 1
        kept = [*points[:-1:every], *points[-1:]]
        return {
            "target": target, "bytes": total, "tiers": bounds,
            "points": [{"time": or_none(when), "bytes": safe} for when, safe in kept],
        }  # fmt: skip

    def _points(self, target: str, rows: list[Row]) -> Iterator[tuple[int, int]]:
        """After each batch; a tier that had nothing to copy, or whose batches are not on record, is safe at once."""
        steps = [(one.when, one.seq, one.fields["size"]) for one in self.batches
                 if one.fields["target"] == target and one.fields["state"] == "safe"]  # fmt: skip
        steps += [(self.case.ordered + (self.taken(row) or 0), row.safe.seq, row.size - row.safe_size) for row in rows
                  if row.safe is not None and row.size > row.safe_size]  # fmt: skip
        safe = 0
        for when, _seq, size in sorted(steps):
            safe += size
            yield when, safe

    def recovery(self) -> list[dict[str, Any]]:
        """For each vault at each target: how long its oldest change had waited when a batch made it safe, against the
        recovery-point objective that it had when the order was given."""
        worst = dict[tuple[str, str], int]()
        count = dict[tuple[str, str], int]()
        size = dict[tuple[str, str], int]()
        for one in self.batches:
            if one.fields["state"] != "safe":
                continue
            key = (one.fields["vault"], one.fields["target"])
            count[key] = count.get(key, 0) + 1
            size[key] = size.get(key, 0) + one.fields["size"]
            lag = self.found.lags.get((*key, one.fields["change_set"]))
            if lag is not None:
                worst[key] = max(lag, worst.get(key, 0))
        found = list[dict[str, Any]]()
        for vault, target in sorted(count):
            objective = self.found.objective(vault, self.case.ordered)
            waited = worst.get((vault, target))
            found.append({
                "vault": vault, "target": target, "batches": count[vault, target], "bytes": size[vault, target],
                "safe": self._vault_safe(vault, target), "waited_seconds": _seconds(waited),
                "objective_seconds": None if objective is None else objective / 1000,
                "met": self._point_met(vault, target, objective, waited),
            })  # fmt: skip
        return found

    def _point_met(self, vault: str, target: str, objective: int | None, waited: int | None) -> bool | None:
        """Whether all of a vault was safe there while its oldest change had waited for no longer than the objective."""
        if objective is None or waited is None:
            return None
        if waited > objective * _MS:
            return False
        if self._vault_safe(vault, target) is not None:
            return True
        return None if self.case.ended is None else False

    def _vault_safe(self, vault: str, target: str) -> float | None:
        """From the order until the last of a vault's tiers was safe, seconds; None: one of them is not."""
        rows = [row for row in self.rows.values() if row.target == target and vault in row.vaults]
        taken = [self.taken(row) for row in rows]
        known = [one for one in taken if one is not None]
        return seconds(max(known)) if known and len(known) == len(taken) else None


def _state(row: Row) -> str:
    if row.exact is not None:
        return "exact"
    if row.safe is not None:
        return "safe"
    return "short" if row.short is not None else "planned"


def _moment(seen: Seen | None) -> str | None:
    return None if seen is None else or_none(seen.moment)


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else seconds(nanoseconds)

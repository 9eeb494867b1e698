"""How long an evacuation would take if it were ordered now: from what is pending, and the rate that a target's line had
in the last runs that sent enough to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vaultd.store import Store

START_SECONDS = 1.2
"""About so long restic takes from its start to the first byte of a pack on the line: key derivation, index."""

SETTLED_BYTES = 16 << 20
"""A rate from less than this is mostly that of restic's start."""

FILES_A_SECOND = 8000.0
"""What small files cost beside their bytes: about 0.12 ms each, as measured with 100,000 of them."""


@dataclass(frozen=True, slots=True)
class Tier:
    """The vaults of one priority at a target: what is pending, and in how many seconds after an order it is safe (None:
    the rate is not known yet)."""

    tier: int
    vaults: tuple[str, ...]
    files: int
    bytes: int
    seconds: float | None


def learn_rate(store: Store, target: str, sent: int, seconds: float) -> float | None:
    """Take in what a run has sent; the rate in bytes a second as it is known now, None where it is not."""
    known = rate_of(store, target)
    if sent < SETTLED_BYTES:
        return known
    measured = sent / max(0.1, seconds - START_SECONDS)
    rate = measured if known is None else 0.5 * (known + measured)
    store.set_meta(f"rate:{target}", str(int(rate)))
    return rate


def rate_of(store: Store, target: str) -> float | None:
    """Bytes a second that a target's line has had."""
    kept = store.get_meta(f"rate:{target}")
    return float(kept) if kept else None


def numbers_of_tiers(priorities: Sequence[int]) -> dict[int, int]:
    """Which tier a priority is, from 1 on, among these."""
    return {priority: number for number, priority in enumerate(sorted(set(priorities)), 1)}


@dataclass(frozen=True, slots=True)
class Owed:
    """What a target lacks of a vault."""

    vault: str
    priority: int
    files: int
    bytes: int


def tiers_of(owed: Sequence[Owed], numbers: Mapping[int, int], rate: float | None) -> list[Tier]:
    """The tiers of one target. ``numbers``: which tier a priority is; ``rate``: bytes a second."""
    before, found = 0.0, list[Tier]()
    for priority in sorted({one.priority for one in owed}):
        own = [one for one in owed if one.priority == priority]
        files, size = sum(one.files for one in own), sum(one.bytes for one in own)
        if files:
            before += START_SECONDS + files / FILES_A_SECOND + (size / rate if rate else 0.0)
        names = tuple(sorted(one.vault for one in own))
        found.append(Tier(numbers[priority], names, files, size, before if rate or not before else None))
    return found

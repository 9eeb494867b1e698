"""Entries of evacuations: the order, its tiers and batches, the disks that left, and what is to be better next time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class EvacuationChanged(Body):
    """A step of an evacuation: "ordered", "judged" (level or category filled in), "taken up" (by a daemon that was
    started since), "interrupted", "copied" (all tiers are safe), "ended" or "refused".

    ``report``, ``on_duty`` and ``director``: who reported it, had duty, directs it. ``boot``: this host's boot id.
    ``request``: the approval that is still owed or was given. ``drill``: it is for practice.
    """

    TYPE: ClassVar[str] = "evacuation"
    evacuation: str
    state: str
    level: str
    category: str
    time: str
    who: str
    boot: str | None = None
    report: str | None = None
    on_duty: str | None = None
    director: str | None = None
    warning: str | None = None
    playbook: str | None = None
    targets: Sequence[str] | None = None
    media: Sequence[str] | None = None
    request: str | None = None
    note: str | None = None
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class EvacuationTier(Body):
    """A tier (number from 1 on, the vaults in it) at one target: "planned" (so much is pending), "safe" (all content
    is there), "exact" (full snapshots follow), or "short" (ended with so much unsafe). Sizes are bytes."""

    TYPE: ClassVar[str] = "evacuation-tier"
    evacuation: str
    tier: int
    target: str
    state: str
    vaults: Sequence[str]
    files: int
    size: int
    time: str
    milliseconds: int | None = None
    objective_ms: int | None = None
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class EvacuationBatch(Body):
    """A batch of an evacuation that is off-site and restorable by itself (``safe``), or was lost (``broken``)."""

    TYPE: ClassVar[str] = "evacuation-batch"
    evacuation: str
    tier: int
    vault: str
    target: str
    state: str
    change_set: str
    files: int
    size: int
    milliseconds: int
    error: str | None = None
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class EvacuationDisk(Body):
    """A disk or a medium of an evacuation: "signed-off" (it left: ``by``, ``to``, ``seal``) or "received"; "unplugged"
    may be said of a medium that holds tiers. ``event``: the custody event in the register of media."""

    TYPE: ClassVar[str] = "evacuation-disk"
    evacuation: str
    label: str
    state: str
    by: str
    time: str
    time_source: str
    who: str
    to: str | None = None
    seal: str | None = None
    event: str | None = None
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class EvacuationMeasured(Body):
    """What a drill has measured: milliseconds until its payload was safe at a target, until people had answered, and a
    sampled restore (``files`` compared, ``differences`` found)."""

    TYPE: ClassVar[str] = "evacuation-measured"
    evacuation: str
    what: str
    target: str
    milliseconds: int
    files: int
    size: int
    differences: int
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class ImprovementNoted(Body):
    """What is to be better next time: "open", with an owner and a date, until it is "done" or "dropped"."""

    TYPE: ClassVar[str] = "improvement"
    item: str
    evacuation: str
    state: str
    text: str
    owner: str
    due: str
    who: str

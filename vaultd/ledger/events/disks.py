"""Entries of disks: which bay one was seen in, which one was let go, when the list of what to pull became another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class BayConfirmed(Body):
    """Somebody has lit a bay, looked, and read the disk's label. ``firmware``: what the machine says of its bay, empty
    for nothing; ``read``: the label or serial number that was read."""

    TYPE: ClassVar[str] = "bay-confirmed"
    disk: str
    serial: str
    bay: str
    firmware: str
    read: str
    who: str


@dataclass(frozen=True, slots=True)
class DiskReleased(Body):
    """A disk was to be let go. ``state``: detached, free, assembled, open, in-use; ``failed``: the step that did not go
    well. ``pending_files``: of the ``vaults`` on it, what no target had then; ``reason``: why it was let go all the
    same."""

    TYPE: ClassVar[str] = "disk-released"
    disk: str
    serial: str
    bay: str
    state: str
    steps: int
    vaults: Sequence[str]
    pending_files: int
    pending_bytes: int
    who: str
    failed: str | None = None
    reason: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class PullListChanged(Body):
    """The kept pull list is another one: ``disks`` in its order; those that ``came`` and ``went``; ``moved``: those in
    another bay. ``number`` is what is printed on it."""

    TYPE: ClassVar[str] = "pull-list-changed"
    number: str
    disks: Sequence[str]
    came: Sequence[str]
    went: Sequence[str]
    moved: Sequence[str]

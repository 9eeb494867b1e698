"""Entries of what came back: restores, bags, verifications, drills, and the recovery kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class Restored(Body):
    """Files were restored. ``moment_ns``: as asked for; ``differences``: what a comparison found."""

    TYPE: ClassVar[str] = "restore"
    vault: str
    target: str
    snapshots: Sequence[str]
    to: str
    who: str
    state: str
    files: int
    size: int
    moment_ns: str | None = None
    differences: int | None = None


@dataclass(frozen=True, slots=True)
class Exported(Body):
    """Files of a vault were given out as a bag. ``log`` and ``entry``: the ledger, and the ``snapshot`` entry in it,
    that vouches for them; ``manifest``: as that entry has it."""

    TYPE: ClassVar[str] = "export"
    vault: str
    to: str
    who: str
    files: int
    size: int
    manifest: bytes
    log: str
    entry: int


@dataclass(frozen=True, slots=True)
class Verified(Body):
    """What a target stores of a vault was read back and compared with this log. ``kind``: "full", "sample" (with its
    ``seed``), "changed" (``since_ns``) or "daily"; ``state``: "done", "interrupted" or "failed" (``error``).

    ``counts``: files by result; ``differences``: how many files and snapshots are not as on record; ``paths``: the
    first of those files, for people; ``missing``: snapshots that are gone.
    """

    TYPE: ClassVar[str] = "verification"
    vault: str
    target: str
    kind: str
    state: str
    snapshots: Sequence[str]
    files: int
    size: int
    counts: Mapping[str, int]
    differences: int
    who: str
    seed: int | None = None
    since_ns: str | None = None
    paths: Sequence[str] | None = None
    missing: Sequence[str] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Drilled(Body):
    """A restore was practised. ``kit``: with nothing but this kit; without it, with the keys of this host.

    ``seconds``: from the start to the last file compared, rounded up. ``recovery_point_s``: the age of the youngest
    content then. ``differences``: files that were not as on record, None when it did not come to that.
    """

    TYPE: ClassVar[str] = "drill"
    vault: str
    target: str
    snapshots: Sequence[str]
    state: str
    seconds: int
    files: int
    size: int
    recovery_point_s: int
    who: str
    kit: str | None = None
    differences: int | None = None
    taken: int | None = None


@dataclass(frozen=True, slots=True)
class KitCreated(Body):
    """A recovery kit was made. ``targets`` and ``keys`` (ids of restic keys) go together; ``ledger_key``: 1 when the
    key that signs this log is in it. ``expires`` is a date."""

    TYPE: ClassVar[str] = "kit-created"
    kit: str
    threshold: int
    shares: int
    targets: Sequence[str]
    keys: Sequence[str]
    who: str
    expires: str | None = None
    ledger_key: int | None = None


@dataclass(frozen=True, slots=True)
class KitRevoked(Body):
    """A kit's restic keys were removed at ``targets``; at those of ``left`` they could not be."""

    TYPE: ClassVar[str] = "kit-revoked"
    kit: str
    targets: Sequence[str]
    left: Sequence[str]
    who: str


@dataclass(frozen=True, slots=True)
class KitOpened(Body):
    """A kit was opened, with the shares of these numbers, and the state of this host was brought back by it.
    ``continued``: 1 when the log goes on under its name."""

    TYPE: ClassVar[str] = "kit-opened"
    kit: str
    shares: Sequence[str]
    who: str
    target: str
    snapshot: str
    continued: int

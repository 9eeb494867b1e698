"""Entries of targets: who said that they are trusted, what was removed, mended, moved there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class TargetTrusted(Body):
    """Somebody said that these are the host keys of a target, or that this is its repository."""

    TYPE: ClassVar[str] = "target-trusted"
    target: str
    fingerprints: Sequence[str]
    who: str
    repository: str | None = None


@dataclass(frozen=True, slots=True)
class HostKeyRefused(Body):
    """A server showed another host key than the pinned ones: nothing was sent."""

    TYPE: ClassVar[str] = "host-key-refused"
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Forgotten(Body):
    """Snapshots were removed from a target by its vault's policy (``policy``: SHA-256 of it). Their data is there until
    a ``prune``. More than fit come in several entries."""

    TYPE: ClassVar[str] = "forget"
    vault: str
    target: str
    snapshots: Sequence[str]
    policy: bytes
    who: str


@dataclass(frozen=True, slots=True)
class Pruned(Body):
    """Data that no snapshot needs was cleared away at a target: ``freed`` bytes. ``check``: what the check of the rest
    has said, ``ok`` or how many faults it found."""

    TYPE: ClassVar[str] = "prune"
    target: str
    freed: int
    check: str
    who: str


@dataclass(frozen=True, slots=True)
class RecordsDestroyed(Body):
    """Paths were taken out of all snapshots of a vault at a target, and their content cleared away. The paths
    themselves are on the certificate only: ``paths`` has SHA-256(``path_salt`` and the path) of each. ``rewritten``: so
    many of ``before`` snapshots held one of them; ``after``: so many there are now. ``certificate``: its SHA-256."""

    TYPE: ClassVar[str] = "destroyed-records"
    vault: str
    target: str
    paths: Sequence[str]
    path_salt: bytes
    before: int
    rewritten: int
    after: int
    files: int
    reason: str
    who: str
    certificate: bytes


@dataclass(frozen=True, slots=True)
class PacksRead(Body):
    """Packs of a target were read back whole: so many, of ``size`` bytes. ``damaged``: how many are not as they were
    stored, or gone; ``ids``: the first of those. ``state``: "done" or "failed" (``error``)."""

    TYPE: ClassVar[str] = "packs-read"
    target: str
    state: str
    packs: int
    size: int
    damaged: int
    who: str
    ids: Sequence[str] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Repaired(Body):
    """A damaged repository was mended, as far as it could be: so many file versions were ``damaged``, ``mended`` and
    ``lost``. ``packs``: how many pack files were damaged or missing. ``state``: done, partial, lost."""

    TYPE: ClassVar[str] = "repair"
    target: str
    vault: str
    state: str
    packs: int
    damaged: int
    mended: int
    lost: int
    who: str
    sources: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RepositoryMoved(Body):
    """A target has a new repository, with a copy of every snapshot of the old one, under a new master key."""

    TYPE: ClassVar[str] = "repository-moved"
    target: str
    old: str
    repository: str
    snapshots: int
    who: str

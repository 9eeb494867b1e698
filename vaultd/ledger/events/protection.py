"""Entries of the main job: the log itself, file versions, snapshots, runs, and the daemon that makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class Begin(Body):
    """The first entry of a log. ``previous``: the newest checkpoint of the log that it continues, as it was signed."""

    TYPE: ClassVar[str] = "begin"
    host: str
    software: str
    previous: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FileVersion(Body):
    """A file version whose hash is that of what is stored (``bound``; ``in-motion``: the hash was taken from what
    restic stored), or that a path is gone (``deleted``). It is off-site where a ``snapshot`` names its change set."""

    TYPE: ClassVar[str] = "version"
    vault: str
    path: bytes
    state: str
    change_set: str
    size: int | None = None
    mtime_ns: int | None = None
    sha256: bytes | None = None
    sm3: bytes | None = None


@dataclass(frozen=True, slots=True)
class SnapshotMade(Body):
    """A snapshot that a target has, and what it settles. ``time_ns``: as restic has it.

    ``manifest``: SHA-256 of the manifest (docs/ledger.md): for a full snapshot of the vault's versions before the entry
    ``manifest_to`` and those of this change set, for an express one of those of this change set alone. ``exceptions``:
    paths that it has unread, unconfirmed or in motion. ``digest``: SHA-256 of a dump's output. ``since_ns``: when the
    oldest change was seen whose content is at this target with it, and was not before.
    """

    TYPE: ClassVar[str] = "snapshot"
    vault: str
    target: str
    kind: str
    change_set: str
    snapshot: str
    time_ns: str
    files: int
    size: int
    versions: int
    exceptions: Mapping[str, int]
    repository: str | None = None
    manifest: bytes | None = None
    manifest_to: int | None = None
    dump: str | None = None
    digest: bytes | None = None
    since_ns: str | None = None


@dataclass(frozen=True, slots=True)
class RunEnded(Body):
    """A run that did not do all it was to do: ``failed``, or ``partial`` (``left`` paths stay pending)."""

    TYPE: ClassVar[str] = "run"
    vault: str
    target: str
    kind: str
    change_set: str
    state: str
    error: str | None = None
    left: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationLoaded(Body):
    """The daemon, or a command, works by a configuration other than the last. ``digest``: SHA-256 of the file."""

    TYPE: ClassVar[str] = "configuration"
    file: str
    digest: bytes
    who: str


@dataclass(frozen=True, slots=True)
class VaultDescribed(Body):
    """How a vault is ``protected`` from now on, by the configuration; or that it is ``dropped`` from it: then the rest
    is left out. ``objective_ms``: the recovery-point objective, milliseconds. ``folder`` is as people read it."""

    TYPE: ClassVar[str] = "vault"
    vault: str
    state: str
    folder: str | None = None
    classification: str | None = None
    priority: int | None = None
    custodian: str | None = None
    objective_ms: int | None = None
    targets: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class DaemonState(Body):
    """The daemon ``started`` or ``stopped``."""

    TYPE: ClassVar[str] = "daemon"
    state: str
    software: str
    pid: int
    boot: str


@dataclass(frozen=True, slots=True)
class AlertChanged(Body):
    """An alert was ``raised``, ``cleared`` or ``acknowledged``."""

    TYPE: ClassVar[str] = "alert"
    code: str
    state: str
    vault: str | None = None
    target: str | None = None
    who: str | None = None


@dataclass(frozen=True, slots=True)
class KeyRotated(Body):
    """The log is signed by another key from now on: ``key`` is its public half as a vkey, ``epoch`` its number."""

    TYPE: ClassVar[str] = "key"
    epoch: int
    key: str
    who: str


@dataclass(frozen=True, slots=True)
class CheckpointKept(Body):
    """The checkpoint that was signed before this entry was written: SHA-256 of its file. Each names the one before."""

    TYPE: ClassVar[str] = "checkpoint"
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class DocumentKept(Body):
    """An event too large for an entry: its fields are the JSON file ``documents/<digest>.json`` in the state folder."""

    TYPE: ClassVar[str] = "document"
    of: str
    digest: bytes
    size: int

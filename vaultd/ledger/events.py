"""What there are entries of: a frozen dataclass for each type. A new one is a class here and a row in docs/ledger.md.

Fields are text, whole numbers, lists and objects of them; ``bytes`` are hex, ``path`` is a file name as bytes. None is
left out. Times in the text are RFC 3339; ``_ns`` are nanoseconds since 1970 as text, since JSON's numbers end at 2**53.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class Body:
    """What an entry says besides the fields that all have."""

    __slots__: tuple[str, ...] = ()
    TYPE: ClassVar[str]


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


@dataclass(frozen=True, slots=True)
class RepositoryMoved(Body):
    """A target has a new repository, with a copy of every snapshot of the old one, under a new master key."""

    TYPE: ClassVar[str] = "repository-moved"
    target: str
    old: str
    repository: str
    snapshots: int
    who: str


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


@dataclass(frozen=True)
class Given(Body):
    """An entry's type and fields as they are: what was kept until the ledger was in order again. ``at`` is then among
    the fields, when it happened."""

    TYPE: str  # type: ignore[misc]
    fields: Mapping[str, object]


TYPES: dict[str, type[Body]] = {
    kind.TYPE: kind
    for kind in (
        Begin, FileVersion, SnapshotMade, RunEnded, Restored, Exported, ConfigurationLoaded, VaultDescribed,
        TargetTrusted, HostKeyRefused, DaemonState, AlertChanged, KeyRotated, CheckpointKept, DocumentKept,
        KitCreated, KitRevoked, KitOpened, RepositoryMoved, Drilled, Forgotten, Pruned, RecordsDestroyed, Repaired,
        Verified,
    )
}  # fmt: skip
"""Every type that there is, by its name."""

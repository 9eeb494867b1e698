"""What there are entries of: a frozen dataclass for each type. A new one is a class here and a row in docs/ledger.md.

Fields are text, whole numbers, lists and objects of them; ``bytes`` are hex, ``path`` is a file name as bytes. None is
left out. Times in the text are RFC 3339; ``_ns`` are nanoseconds since 1970 as text, since JSON's numbers end at 2**53.

``base`` the class of all; ``protection``, ``targets``, ``proving``, ``media``, ``disks``, ``approvals``, ``warnings``,
``notices`` and ``evacuation`` the types.
"""

from __future__ import annotations

from vaultd.ledger.events.approvals import ApprovalRequested, Approved, PersonChanged
from vaultd.ledger.events.base import Body, Given
from vaultd.ledger.events.disks import BayConfirmed, DiskReleased, PullListChanged
from vaultd.ledger.events.evacuation import (
    EvacuationBatch,
    EvacuationChanged,
    EvacuationDisk,
    EvacuationMeasured,
    EvacuationTier,
    ImprovementNoted,
)
from vaultd.ledger.events.media import (
    MediaAudited,
    MediaDestruction,
    MediaMoved,
    MediaSigned,
    MediaStocked,
    MediumRegistered,
)
from vaultd.ledger.events.notices import NoticeSent
from vaultd.ledger.events.protection import (
    AlertChanged,
    Begin,
    CheckpointKept,
    ConfigurationLoaded,
    DaemonState,
    DocumentKept,
    FileVersion,
    KeyRotated,
    RunEnded,
    SnapshotMade,
    VaultDescribed,
)
from vaultd.ledger.events.proving import Drilled, Exported, KitCreated, KitOpened, KitRevoked, Restored, Verified
from vaultd.ledger.events.targets import (
    Forgotten,
    HostKeyRefused,
    PacksRead,
    Pruned,
    RecordsDestroyed,
    Repaired,
    RepositoryMoved,
    TargetTrusted,
)
from vaultd.ledger.events.warnings import StepTicked, WarningAnswered, WarningChanged

__all__ = [
    "TYPES",
    "AlertChanged",
    "ApprovalRequested",
    "Approved",
    "BayConfirmed",
    "Begin",
    "Body",
    "CheckpointKept",
    "ConfigurationLoaded",
    "DaemonState",
    "DiskReleased",
    "DocumentKept",
    "Drilled",
    "EvacuationBatch",
    "EvacuationChanged",
    "EvacuationDisk",
    "EvacuationMeasured",
    "EvacuationTier",
    "Exported",
    "FileVersion",
    "Forgotten",
    "Given",
    "HostKeyRefused",
    "ImprovementNoted",
    "KeyRotated",
    "KitCreated",
    "KitOpened",
    "KitRevoked",
    "MediaAudited",
    "MediaDestruction",
    "MediaMoved",
    "MediaSigned",
    "MediaStocked",
    "MediumRegistered",
    "NoticeSent",
    "PacksRead",
    "PersonChanged",
    "Pruned",
    "PullListChanged",
    "RecordsDestroyed",
    "Repaired",
    "RepositoryMoved",
    "Restored",
    "RunEnded",
    "SnapshotMade",
    "StepTicked",
    "TargetTrusted",
    "VaultDescribed",
    "Verified",
    "WarningAnswered",
    "WarningChanged",
]

TYPES: dict[str, type[Body]] = {
    kind.TYPE: kind
    for kind in (
        Begin, FileVersion, SnapshotMade, RunEnded, Restored, Exported, ConfigurationLoaded, VaultDescribed,
        TargetTrusted, HostKeyRefused, DaemonState, AlertChanged, KeyRotated, CheckpointKept, DocumentKept,
        KitCreated, KitRevoked, KitOpened, RepositoryMoved, Drilled, Forgotten, Pruned, RecordsDestroyed, Repaired,
        Verified, PacksRead,
        MediumRegistered, MediaMoved, MediaSigned, MediaAudited, MediaDestruction, MediaStocked,
        BayConfirmed, DiskReleased, PullListChanged,
        PersonChanged, ApprovalRequested, Approved, WarningChanged, WarningAnswered, StepTicked, NoticeSent,
        EvacuationChanged, EvacuationTier, EvacuationBatch, EvacuationDisk, EvacuationMeasured, ImprovementNoted,
    )
}  # fmt: skip
"""Every type that there is, by its name."""

"""What there are entries of: a frozen dataclass for each type. A new one is a class here and a row in docs/ledger.md.

Fields are text, whole numbers, lists and objects of them; ``bytes`` are hex, ``path`` is a file name as bytes. None is
left out. Times in the text are RFC 3339; ``_ns`` are nanoseconds since 1970 as text, since JSON's numbers end at 2**53.

``base`` the class of all; ``protection``, ``targets``, ``proving``, ``media`` and ``disks`` the types.
"""

from __future__ import annotations

from vaultd.ledger.events.base import Body, Given
from vaultd.ledger.events.disks import BayConfirmed, DiskReleased, PullListChanged
from vaultd.ledger.events.media import (
    MediaAudited,
    MediaDestruction,
    MediaMoved,
    MediaSigned,
    MediaStocked,
    MediumRegistered,
)
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

__all__ = [
    "TYPES",
    "AlertChanged",
    "BayConfirmed",
    "Begin",
    "Body",
    "CheckpointKept",
    "ConfigurationLoaded",
    "DaemonState",
    "DiskReleased",
    "DocumentKept",
    "Drilled",
    "Exported",
    "FileVersion",
    "Forgotten",
    "Given",
    "HostKeyRefused",
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
    "PacksRead",
    "Pruned",
    "PullListChanged",
    "RecordsDestroyed",
    "Repaired",
    "RepositoryMoved",
    "Restored",
    "RunEnded",
    "SnapshotMade",
    "TargetTrusted",
    "VaultDescribed",
    "Verified",
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
    )
}  # fmt: skip
"""Every type that there is, by its name."""

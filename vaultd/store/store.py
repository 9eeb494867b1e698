"""The state database as the rest of vaultd sees it: each public method is one question or one transaction.

Safe to use from several threads, and from several processes (the reconcile scan runs in its own).
"""

from __future__ import annotations

from vaultd.store.approvals import ApprovalStore
from vaultd.store.evacuations import EvacuationStore
from vaultd.store.media import MediaStore
from vaultd.store.notices import NoticeStore
from vaultd.store.packs import PackStore
from vaultd.store.seen import SeenStore
from vaultd.store.warnings import WarningStore


class Store(SeenStore, PackStore, MediaStore, EvacuationStore, NoticeStore, ApprovalStore, WarningStore):
    """The state database. Raises StateError when it is missing, damaged or of a newer version.

    What was seen (``seen``), what the targets lack (``owed``), what was made (``made``), what the ledger
    lacks (``unrecorded``), what was read back (``verified``, ``packs``), which media are registered (``media``),
    what was evacuated (``evacuations``), which notices were sent (``notices``), who may approve and what was approved
    (``approvals``), which warnings stand (``warnings``).
    """

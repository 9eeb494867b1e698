"""restic as a subprocess: how it is started and ended, what it says, and the few commands that vaultd needs.

``process`` runs it, ``exit`` explains how it ended, ``messages`` reads its JSON lines, ``tags`` names our snapshots,
``commands`` has a thin function a command. Nothing here knows of vaults' policies or of the state database.
"""

from __future__ import annotations

from vaultd.restic.process import Finished, Repository, Started

__all__ = ["Finished", "Repository", "Started"]

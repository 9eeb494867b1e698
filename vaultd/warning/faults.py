"""What is refused; nothing was changed."""

from __future__ import annotations

from vaultd.errors import VaultdError


class WarningError(VaultdError):
    """A warning cannot be changed so."""

    code = "warning"


class NoWarningError(WarningError):
    """There is no such warning."""

    code = "warning-unknown"


class PlaybookError(VaultdError):
    """There is no such playbook or step, or its file is wrong."""

    code = "playbook"

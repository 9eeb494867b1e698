"""What can go wrong with notices."""

from __future__ import annotations

from vaultd.errors import VaultdError


class NoticeError(VaultdError):
    """A notice or a call cannot be had, or nobody is there to send it."""

    code = "notice"

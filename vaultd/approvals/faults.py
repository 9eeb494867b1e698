"""What is refused."""

from __future__ import annotations

from vaultd.errors import NotAuthorisedError, VaultdError


class ApprovalError(NotAuthorisedError):
    """Somebody may not approve, or an approval does not hold; nothing was changed."""

    code = "approval"


class ApprovalMissingError(NotAuthorisedError):
    """An action waits for approvals. ``request``: the number under which they are asked for."""

    code = "approval-missing"

    def __init__(self, what: str, why: str = "", hint: str = "", request: int = 0) -> None:
        super().__init__(what, why, hint)
        self.request = request


class NoRequestError(VaultdError):
    """There is no such request."""

    code = "approval-unknown"


class SshSignatureError(VaultdError):
    """A signature cannot be made, or does not hold."""

    code = "signature"

"""What the register refuses."""

from __future__ import annotations

from vaultd.errors import VaultdError


class MediaError(VaultdError):
    """The register does not take it; nothing was changed."""

    code = "media"


class NoMediumError(MediaError):
    """There is no such medium, event or list."""

    code = "media-unknown"


class SignatureError(MediaError):
    """A signature cannot be made, or does not hold."""

    code = "media-signature"

"""What can be wrong with a kit, its shares or its sheets."""

from __future__ import annotations

from vaultd.errors import VaultdError


class KitError(VaultdError):
    """A kit cannot be made, read or opened."""

    code = "kit"


class ShareError(KitError):
    """A share is mistyped, of another kit, or there are too few."""

    code = "kit-share"

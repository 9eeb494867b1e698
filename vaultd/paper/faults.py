"""What can be wrong with paper: no font to draw it with, a code that cannot be read."""

from __future__ import annotations

from vaultd.errors import VaultdError


class PaperError(VaultdError):
    """A page cannot be drawn, or a picture of a code cannot be read."""

    code = "paper"

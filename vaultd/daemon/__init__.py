"""The daemon: the place where everything is put together, started, watched over and ended.

``main`` is ``vaultd run``; ``protect_once`` is ``vaultd backup`` without a daemon: the same parts, without watchers.
"""

from __future__ import annotations

from vaultd.daemon.main import main
from vaultd.daemon.once import protect_once

__all__ = ["main", "protect_once"]

"""What a repair has found and what it has done."""

from __future__ import annotations

from dataclasses import dataclass, field

from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, EXIT_PARTIAL
from vaultd.restic.commands import Checked
from vaultd.restic.commands.mend import Lacking

LIVE = "live"
"""The name of the live folder among the sources."""


@dataclass(slots=True)
class Result:
    """``packs``: damaged or gone. ``index``: the index was not whole. ``found``: every file version (or folder) that
    was damaged, ``mended`` those that are whole again, with where their content came from; ``elsewhere``: how many of
    other vaults are damaged still. ``accepted``: what is lost was taken out of the snapshots."""

    target: str
    vault: str
    first: Checked | None = None
    last: Checked | None = None
    index: bool = False
    packs: tuple[str, ...] = ()
    copies: str = ""
    found: list[Lacking] = field(default_factory=list)
    mended: dict[Lacking, str] = field(default_factory=dict)
    elsewhere: int = 0
    accepted: bool = False
    dry: bool = False

    @property
    def lost(self) -> list[Lacking]:
        """What no source has."""
        return [one for one in self.found if one not in self.mended]

    @property
    def state(self) -> str:
        """ "whole" (nothing was wrong), "damaged" (only looked at), "done", "partial" or "lost"."""
        if self.dry:
            return "damaged" if self.first is not None and not self.first.good else "whole"
        if self.lost:
            return "lost"
        if self.elsewhere or (self.last is not None and not self.last.good):
            return "partial"
        return "whole" if self.first is not None and self.first.good else "done"

    @property
    def exit_code(self) -> int:
        """0 whole or mended, 3 in part, 4 when something is lost (or, with ``dry``, damaged)."""
        if self.state in ("lost", "damaged"):
            return EXIT_DIFFERENCE
        return EXIT_PARTIAL if self.state == "partial" else EXIT_DONE

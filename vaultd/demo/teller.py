"""What the demo has to tell, and to whom: the terminal, a log, or nobody (``--json``)."""

from __future__ import annotations

from typing import Protocol


class Teller(Protocol):
    """Shows the story. Texts are translated already and hold no names that a terminal would obey."""

    def chapter(self, title: str) -> None:
        """A new part begins."""

    def working(self, text: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        """What goes on now, and how far it is; called as often as anything has moved."""

    def done(self, text: str, detail: str = "") -> None:
        """A step is over."""

    def failed(self, text: str, detail: str = "") -> None:
        """A step brought what it must not."""

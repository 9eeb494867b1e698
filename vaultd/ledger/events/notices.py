"""Entries of notices: who was told what, by which way, and whether it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class NoticeSent(Body):
    """A notice was "sent" by a ``channel``, "failed" for good after ``attempts``, or a person was rung ("telephone").

    ``of``: the warning, evacuation or alert that it is about. The text itself is not in the entry.
    """

    TYPE: ClassVar[str] = "notice"
    notice: str
    of: str
    kind: str
    state: str
    channel: str
    attempts: int
    person: str | None = None
    error: str | None = None
    who: str | None = None
    drill: int | None = None

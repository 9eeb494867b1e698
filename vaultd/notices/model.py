"""What a notice is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people are told.

    ``of``: the warning, evacuation or alert that it is about, by its id or code; ``kind``: "warning", "evacuation",
    "alert", "approval" or "test". ``recipients``: names of [[person]]; empty: the channels for everybody. ``title`` and
    ``text`` are for people, and hold no file name and no path. ``urgent``: also by telephone, where the policy says so.
    """

    of: str
    kind: str
    title: str
    text: str
    recipients: tuple[str, ...] = ()
    urgent: bool = False
    drill: bool = False


Tell = Callable[[Notice], None]
"""Hands a notice over. It returns at once, and raises StateError only where the notice cannot be kept."""

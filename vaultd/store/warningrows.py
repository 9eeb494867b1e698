"""The rows of warnings and playbooks as values. Times are nanoseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

OPEN = frozenset({"proposed", "issued", "adjusted"})
STANDING = frozenset({"issued", "adjusted"})


@dataclass(frozen=True, slots=True)
class WarningRow:
    """A warning as it is now. ``asked``: the revision that its recipients are to acknowledge, 0 before it was issued.

    ``signal`` and ``subject``: what proposed it, empty where a person did; ``count``: how often it came; ``seen``: when
    it came last; ``quiet_until``: until then it only counts.
    """

    id: str
    year: int
    number: int
    revision: int
    state: str
    level: str
    category: str
    recipients: tuple[str, ...]
    start: int
    scope: str
    cautions: str
    measures: str
    unit: str
    who: str
    on_duty: str
    signal: str
    subject: str
    count: int
    seen: int
    quiet_until: int
    drill: bool
    asked: int
    created: int
    changed: int

    @property
    def open(self) -> bool:
        """Whether it is proposed, or stands."""
        return self.state in OPEN

    @property
    def standing(self) -> bool:
        """Whether it was issued, and not lifted."""
        return self.state in STANDING


class AnswerRow(NamedTuple):
    """A recipient of a revision. ``state``: "asked", "acknowledged" (``at``, ``how``), "escalated" (to ``escalated``),
    "unheard" (nobody was left to turn to). ``told`` so many ``times``, last at that time."""

    warning: str
    revision: int
    person: str
    state: str
    asked: int
    told: int
    times: int
    escalated: str = ""
    at: int | None = None
    how: str = ""
    who: str = ""


class RingRow(NamedTuple):
    """Somebody was rung. ``reached``: they have answered the telephone."""

    warning: str
    person: str
    at: int
    who: str
    reached: bool


class ActionRow(NamedTuple):
    """What a warning sets in motion: "wanted", "begun", "done", "failed" (``error``)."""

    warning: str
    action: str
    level: str
    state: str
    at: int
    error: str = ""


class StepRow(NamedTuple):
    """A step of a playbook, as it was ticked. ``subject``: the warning or evacuation. ``items``: JSON, a list."""

    subject: str
    playbook: str
    step: str
    state: str
    person: str
    at: int
    time_source: str
    who: str
    note: str
    items: str

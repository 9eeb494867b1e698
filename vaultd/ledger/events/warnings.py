"""Entries of warnings and playbooks: what was proposed, issued, adjusted, lifted; who has answered; what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vaultd.ledger.events.base import Body


@dataclass(frozen=True, slots=True)
class WarningChanged(Body):
    """A warning as it is from now on; it supersedes the entry before it with the same ``warning``. ``state``:
    "proposed", "issued", "adjusted", "lifted" or "declined"; ``level`` I is the most severe.

    ``revision`` counts from 1. ``signal``: what raised the proposal; ``count``: how often, where it was damped.
    ``request``: the approval under which a level I was lifted.
    """

    TYPE: ClassVar[str] = "warning"
    warning: str
    revision: int
    state: str
    level: str
    category: str
    recipients: Sequence[str]
    start: str
    scope: str
    cautions: str
    measures: str
    unit: str
    who: str
    on_duty: str | None = None
    signal: str | None = None
    count: int | None = None
    request: str | None = None
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class WarningAnswered(Body):
    """Somebody has acknowledged a revision of a warning (``how``: "command", "telephone" or "in person"), or it was
    "repeated" or "escalated" to them because nobody did."""

    TYPE: ClassVar[str] = "warning-answer"
    warning: str
    revision: int
    state: str
    person: str
    who: str
    how: str | None = None
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class StepTicked(Body):
    """A step of a playbook is to be done ("open", at the order), or was ticked off ("done", "skipped" or "undone").

    ``of``: the evacuation or warning. ``time`` is when it was done, ``time_source`` how that is known (docs/media.md).
    ``items``: what theft has taken, with its value, as people wrote it. ``text``, ``role`` and ``limit_ms`` (from the
    order, milliseconds) are those of the playbook then, so that the ledger alone tells what was to be done.
    """

    TYPE: ClassVar[str] = "playbook-step"
    of: str
    playbook: str
    step: str
    state: str
    person: str
    time: str
    time_source: str
    who: str
    note: str | None = None
    items: Sequence[str] | None = None
    drill: int | None = None
    text: str | None = None
    role: str | None = None
    limit_ms: int | None = None

"""[response]: what a warning of each level sets in motion. [[group]]: names for several persons. [[duty]]: the roster.

The order of [[duty]] is that of escalation: who comes after somebody who does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vaultd.config.values import AbsolutePath, NonEmpty, PositiveDuration, Table, Text, refuse
from vaultd.config.verify import Minutes, time_of_day
from vaultd.i18n import _

LEVELS = ("I", "II", "III")
"""I is the most severe."""

AT_ONCE = ("protect", "hurry", "evacuate")
"""Protect everything pending now; raise the rate of reconcile scans and verification; start an evacuation."""

SIGNALS = ("power-lost", "smart-failed", "disk-gone", "target-lost", "mass-change", "ledger-fault", "host-key")
"""What raises a proposal of level III by itself."""

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _some_of(allowed: tuple[str, ...]) -> Callable[[Any], list[str]]:
    def check(value: Any) -> list[str]:
        if not isinstance(value, list) or len(set(map(str, value))) != len(value) or not set(value) <= set(allowed):
            refuse(_("a list of some of these, each once: {names}").format(names=", ".join(allowed)))
        return value

    return check


def _day(value: Any) -> date:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date) or isinstance(value, datetime):
        refuse(_("a day, such as {example}").format(example="2026-12-01"))
    return value


def _ups(value: Any) -> str:
    if not isinstance(value, str) or not value or value.startswith("-") or not value.isprintable() or " " in value:
        refuse(_('the name of a UPS as upsc takes it, such as "ups@localhost"'))
    return value


Names = list[NonEmpty]


class GroupConfig(Table):
    """[[group]]: several [[person]] under one name, such as the command post or an office."""

    name: NonEmpty
    members: Annotated[Names, Field(min_length=1)]


class DutyConfig(Table):
    """[[duty]]: who has duty when, by the host's clock. ``hours`` None: all day; a shift that goes over midnight
    belongs to the day on which it begins. ``since`` and ``until``: its first and last day. ``then``: who comes after
    them."""

    person: NonEmpty
    days: Annotated[list[str], BeforeValidator(_some_of(WEEK))] = Field(default=list(WEEK))
    hours: Annotated[Minutes | None, BeforeValidator(time_of_day)] = None
    since: Annotated[date, BeforeValidator(_day)] | None = None
    until: Annotated[date, BeforeValidator(_day)] | None = None
    then: Names = Field(default_factory=list)

    def has_duty(self, moment: datetime) -> bool:
        """Whether it is their shift at a local moment."""
        minute = moment.hour * 60 + moment.minute
        if self.hours is None:
            return self._on(moment.date())
        begin, end = self.hours
        if begin < end:
            return begin <= minute < end and self._on(moment.date())
        if minute >= begin:
            return self._on(moment.date())
        return minute < end and self._on(moment.date() - timedelta(days=1))

    def _on(self, day: date) -> bool:
        if WEEK[day.weekday()] not in self.days:
            return False
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


class LevelConfig(Table):
    """[response.I], [response.II]. ``directed_by``: a [[person]], a role, or a [[group]]. ``notify``: persons and
    groups who are told beside whom has duty; ``urgent``: in the way for emergencies. ``ring``: whom to ring by
    telephone. ``playbook`` is for warnings whose category has none."""

    directed_by: Text = ""
    at_once: Annotated[list[str], BeforeValidator(_some_of(AT_ONCE))] = Field(default_factory=list)
    notify: Names = Field(default_factory=list)
    urgent: bool = False
    ring: Names = Field(default_factory=list)
    playbook: Text = ""


class ThirdConfig(LevelConfig):
    """[response.III]. ``automatic``: the signals whose proposals become warnings by themselves."""

    automatic: Annotated[list[str], BeforeValidator(_some_of(SIGNALS))] = Field(default_factory=list)


class ResponseConfig(Table):
    """[response]. Durations are seconds. Who has not acknowledged after ``repeat`` is told again, ``repeats`` times;
    then the next on the roster is. ``quiet``: so long a signal proposes nothing after it was declined or lifted.

    ``unit`` issues warnings, the host's name stands in for it. ``playbooks``: a folder with the house's own.
    ``ups``: names for NUT's ``upsc``, which has ``ups_timeout``; ``power_supply``: whether the kernel is asked too.
    """

    unit: Text = ""
    repeat: PositiveDuration = 600
    repeats: Annotated[int, Field(ge=0, le=100)] = 2
    quiet: PositiveDuration = 4 * 3600
    drill_every: PositiveDuration | None = None
    playbooks: AbsolutePath | None = None
    ups: list[Annotated[str, BeforeValidator(_ups)]] = Field(default_factory=list)
    upsc: NonEmpty = "upsc"
    ups_timeout: PositiveDuration = 5
    power_supply: bool = True
    I: LevelConfig = Field(default_factory=lambda: LevelConfig(urgent=True))  # noqa: E741
    II: LevelConfig = Field(default_factory=LevelConfig)
    III: ThirdConfig = Field(default_factory=ThirdConfig)

    def of(self, level: str) -> LevelConfig:
        """What the policy says of a level."""
        return {"I": self.I, "II": self.II, "III": self.III}[level]

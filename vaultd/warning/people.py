"""Who is behind a name, who has duty now, and who comes after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from vaultd.config.model import Config
from vaultd.config.response import WEEK, DutyConfig
from vaultd.i18n import _
from vaultd.units import SECOND
from vaultd.warning.faults import WarningError

MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Duty:
    """Who has duty at a moment: the first of the roster whose shift it is. ``also``: others whose shift it is too.
    ``then``: who comes after them, the next first. Empty names: the roster has nobody."""

    person: str
    also: tuple[str, ...]
    then: tuple[str, ...]


def require_names(config: Config, names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once. Raises WarningError for one that is no [[person]] and no [[group]]."""
    known = [*(one.name for one in config.person), *(one.name for one in config.group)]
    found = tuple(dict.fromkeys(name.strip() for name in names))
    for name in found:
        if name not in known:
            raise WarningError(
                _("recipient {name}").format(name=name), _("there is no such [[person]] and no such [[group]]"),
                _("one of: {names}").format(names=", ".join(known) or "-"),
            )  # fmt: skip
    return found


def require_person(config: Config, name: str) -> str:
    """The name. Raises WarningError for somebody who is no [[person]]."""
    if config.person_named(name) is None:
        known = ", ".join(one.name for one in config.person) or "-"
        raise WarningError(
            name, _("{name} is no [[person]] of the configuration").format(name=name),
            _("who is: {names}").format(names=known),
        )  # fmt: skip
    return name


def persons(config: Config, names: Iterable[str]) -> tuple[str, ...]:
    """The persons behind names of persons, groups and roles, each once, in their order. A name that the configuration
    does not know any more has nobody behind it."""
    groups = {one.name: one.members for one in config.group}
    found: list[str] = []
    for name in names:
        if config.person_named(name) is not None:
            found.append(name)
        elif name in groups:
            found += groups[name]
        else:
            found += [one.name for one in config.person if one.role == name]
    return tuple(dict.fromkeys(found))


def duty(config: Config, at: int) -> Duty:
    """Who has duty at a moment (nanoseconds since 1970), by the host's clock."""
    moment = local_time(at)
    on = [index for index, one in enumerate(config.duty) if one.has_duty(moment)]
    if not on:
        return Duty("", (), ())
    person = config.duty[on[0]].person
    also = tuple(dict.fromkeys(config.duty[index].person for index in on[1:]))
    return Duty(person, tuple(one for one in also if one != person), _chain(config.duty, on))


def after(config: Config, person: str, at: int) -> tuple[str, ...]:
    """Who comes after somebody who does not answer, the next first: by their own shift in the roster, else by that of
    who has duty, who then comes first."""
    now = duty(config, at)
    if person in (now.person, *now.also, ""):
        return tuple(one for one in (*now.also, *now.then) if one != person)
    own = [index for index, one in enumerate(config.duty) if one.person == person]
    chain = _chain(config.duty, own) if own else ()
    found = dict.fromkeys([*(now.person, *now.also), *(chain or now.then), *now.then])
    return tuple(one for one in found if one and one != person)


def _chain(roster: Sequence[DutyConfig], places: Sequence[int]) -> tuple[str, ...]:
    """What the shifts at these places name, then the roster from there on, and around."""
    named = [name for index in places for name in roster[index].then]
    around = [roster[(places[0] + step) % len(roster)].person for step in range(1, len(roster))]
    return tuple(one for one in dict.fromkeys([*named, *around]) if one != roster[places[0]].person)


def uncovered(config: Config, day: date) -> list[tuple[str, int, int]]:
    """When, in the seven days from ``day`` on, nobody has duty: date, and minutes of that day (begin, end)."""
    found: list[tuple[str, int, int]] = []
    for step in range(len(WEEK)):
        one = day + timedelta(days=step)
        gap: int | None = None
        for minute in range(MINUTES + 1):
            on = minute < MINUTES and any(
                duty_.has_duty(datetime(one.year, one.month, one.day, minute // 60, minute % 60, tzinfo=UTC))
                for duty_ in config.duty
            )
            if gap is None and not on and minute < MINUTES:
                gap = minute
            elif gap is not None and (on or minute == MINUTES):
                found.append((one.isoformat(), gap, minute))
                gap = None
    return found


def local_time(at: int) -> datetime:
    """A moment by the host's clock."""
    return datetime.fromtimestamp(at // SECOND, UTC).astimezone()

"""Where the bays are on the front of a machine, from a small TOML file; and its picture as SVG.

A layout is numbers in a unit of its own (millimetres, if somebody has measured). docs/pull-list.md explains the keys,
``config/chassis`` has an example.
"""

from __future__ import annotations

import html
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.pull.model import PullList

FILE = "chassis.toml"
"""Beside the configuration, where there is one."""

MOST = 4096
"""Bays of a file at most."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A bay: its name as on the chassis, and where it is, from the left upper corner."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chassis:
    """A machine or a shelf. ``prefixes``: what stands before a bay's name where the disks' bays are listed, such as
    "enclosure 1 slot "."""

    title: str
    width: float
    height: float
    slots: tuple[Slot, ...]
    prefixes: tuple[str, ...] = ("",)

    def slot_of(self, bay: str) -> Slot | None:
        """The slot that a disk's bay is; None for a bay of another chassis."""
        names = {bay.removeprefix(prefix) for prefix in self.prefixes if bay.startswith(prefix)}
        return next((one for one in self.slots if one.name in names), None)


@dataclass(frozen=True, slots=True)
class Marked:
    """A slot of a picture. ``number``: of the disk to pull from it, None for none; ``needed``: it belongs to a copy."""

    slot: Slot
    number: int | None = None
    needed: bool = False


def read(file: Path) -> tuple[Chassis, ...]:
    """The chassis of a file. Raises ConfigError that says which part is wrong."""
    what = _("chassis {file}").format(file=display(file))
    try:
        tables = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(what, error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(what, str(error)) from None
    listed = tables.get("chassis")
    if set(tables) != {"chassis"} or not isinstance(listed, list) or not listed:
        raise ConfigError(what, _("it must hold [[chassis]] tables, and nothing else"), _("see docs/pull-list.md"))
    return tuple(_Reading(what, number).chassis(table) for number, table in enumerate(listed, 1))


class _Reading:
    """One table; errors say which."""

    def __init__(self, what: str, number: int) -> None:
        self.what, self.number = what, number

    def wrong(self, why: str) -> ConfigError:
        return ConfigError(
            self.what, _("[[chassis]] number {number}: {why}").format(number=self.number, why=why),
            _("see docs/pull-list.md"),
        )  # fmt: skip

    def chassis(self, table: Any) -> Chassis:
        known = {"title", "width", "height", "prefix", "bay", "grid"}
        self.keys(table, known, {"title", "width", "height"})
        width, height = self.size(table, "width"), self.size(table, "height")
        slots = [self.slot(one) for one in self.tables(table, "bay")]
        for grid in self.tables(table, "grid"):
            slots += self.grid(grid)
        if not 0 < len(slots) <= MOST:
            raise self.wrong(_("it must have bays: [[chassis.bay]] or [[chassis.grid]]"))
        names = [one.name for one in slots]
        double = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if double is not None:
            raise self.wrong(_("two bays have the name {name}").format(name=double))
        for one in slots:
            if one.x < 0 or one.y < 0 or one.x + one.width > width + 0.001 or one.y + one.height > height + 0.001:
                raise self.wrong(_("bay {name} is not inside").format(name=one.name))
        prefixes = table.get("prefix", [""])
        if not isinstance(prefixes, list) or not all(isinstance(one, str) for one in prefixes):
            raise self.wrong(_("prefix must be a list of texts"))
        return Chassis(self.text(table, "title"), width, height, tuple(slots), tuple(prefixes))

    def grid(self, table: Any) -> Iterable[Slot]:
        """Bays of one size, row by row from the left upper one."""
        fields = {"names", "columns", "x", "y", "width", "height"}
        self.keys(table, fields | {"gap"}, fields)
        names, columns, gap = table["names"], table["columns"], self.place(table, "gap", 0)
        if not isinstance(names, list) or not all(isinstance(one, str) and one for one in names):
            raise self.wrong(_("names must be a list of texts"))
        if type(columns) is not int or columns < 1 or len(names) > MOST:
            raise self.wrong(_("columns must be a whole number, 1 or more"))
        x, y = self.place(table, "x"), self.place(table, "y")
        width, height = self.size(table, "width"), self.size(table, "height")
        return [
            Slot(name, x + at % columns * (width + gap), y + at // columns * (height + gap), width, height)
            for at, name in enumerate(names)
        ]

    def slot(self, table: Any) -> Slot:
        fields = {"name", "x", "y", "width", "height"}
        self.keys(table, fields, fields)
        return Slot(
            self.text(table, "name"), self.place(table, "x"), self.place(table, "y"), self.size(table, "width"),
            self.size(table, "height"),
        )  # fmt: skip

    def tables(self, table: Mapping[str, Any], name: str) -> list[Any]:
        found = table.get(name, [])
        if not isinstance(found, list):
            raise self.wrong(_("{name} must be tables: [[chassis.{name}]]").format(name=name))
        return found

    def keys(self, table: Any, known: set[str], needed: set[str]) -> None:
        if not isinstance(table, dict):
            raise self.wrong(_("it is no table"))
        for name in sorted(set(table) - known):
            raise self.wrong(_("there is no key {name}").format(name=display(name)))
        for name in sorted(needed - set(table)):
            raise self.wrong(_("the key {name} is missing").format(name=name))

    def text(self, table: Mapping[str, Any], name: str) -> str:
        value = table[name]
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self.wrong(_("{name} must be a text").format(name=name))
        return value

    def place(self, table: Mapping[str, Any], name: str, other: float = 0) -> float:
        value = table.get(name, other)
        if type(value) not in (int, float) or not 0 <= value < 1e6:
            raise self.wrong(_("{name} must be a number, 0 or more").format(name=name))
        return float(value)

    def size(self, table: Mapping[str, Any], name: str) -> float:
        value = self.place(table, name)
        if value <= 0:
            raise self.wrong(_("{name} must be more than 0").format(name=name))
        return value


def marked(chassis: Chassis, made: PullList) -> tuple[Marked, ...]:
    """The slots, and which disk of the list each holds. A bay that two disks claim shows neither."""
    found = dict[str, list[tuple[int, bool]]]()
    for pull in made.pulls:
        slot = chassis.slot_of(pull.disk.bay.text) if pull.disk.bay is not None else None
        if slot is not None:
            found.setdefault(slot.name, []).append((pull.number, pull.needed))
    return tuple(
        Marked(slot, *found[slot.name][0]) if len(found.get(slot.name, ())) == 1 else Marked(slot)
        for slot in chassis.slots
    )


def svg(listed: Sequence[Chassis], made: PullList) -> str:
    """The picture, one chassis below the other: bays to pull with their number, dark where they belong to a copy, grey
    where they only must not be left."""
    gap = max(max(one.width, one.height) for one in listed) / 40
    width, height = max(one.width for one in listed), sum(one.height + gap for one in listed) - gap
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">']
    top = 0.0
    for chassis in listed:
        parts += [f'<g transform="translate(0 {top:g})">', *_drawn(chassis, made), "</g>"]
        top += chassis.height + gap
    return "\n".join([*parts, "</svg>", ""])


def _drawn(chassis: Chassis, made: PullList) -> Iterator[str]:
    line = max(chassis.width, chassis.height) / 400
    yield f"<title>{html.escape(chassis.title)}</title>"
    yield (
        f'<rect width="{chassis.width:g}" height="{chassis.height:g}" fill="none" stroke="black"'
        f' stroke-width="{line:g}"/>'
    )
    for one in marked(chassis, made):
        slot, (fill, ink) = one.slot, colours(one)
        yield (
            f'<rect x="{slot.x:g}" y="{slot.y:g}" width="{slot.width:g}" height="{slot.height:g}" fill="{fill}"'
            f' stroke="black" stroke-width="{line:g}"/>'
        )
        small = min(slot.width, slot.height) * 0.28
        yield _label(slot.x + small * 0.3, slot.y + small, small, ink, slot.name, "start")
        if one.number is not None:
            large = min(slot.width, slot.height) * 0.6
            middle = (slot.x + slot.width / 2, slot.y + slot.height / 2 + large * 0.4)
            yield _label(*middle, large, ink, str(one.number), "middle")


def colours(one: Marked) -> tuple[str, str]:
    """Of a slot, and of what is written on it."""
    if one.number is None:
        return "#ffffff", "#808080"
    return ("#000000", "#ffffff") if one.needed else ("#c0c0c0", "#000000")


def _label(x: float, y: float, size: float, ink: str, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{ink}" text-anchor="{anchor}"'
        f' font-family="sans-serif">{html.escape(text)}</text>'
    )

"""Playbooks: checklists for the duty officer, in English and Chinese, small TOML files (config/playbooks); and ticking
their steps off."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaultd.config import playbooks
from vaultd.custody import owe
from vaultd.i18n import _, language
from vaultd.ledger.events import StepTicked
from vaultd.media import record
from vaultd.media.record import Moment
from vaultd.store.warningrows import StepRow
from vaultd.warning import people
from vaultd.warning.desk import Desk
from vaultd.warning.faults import PlaybookError
from vaultd.warning.fields import clean

STATES = ("done", "skipped", "undone")
LARGEST = 1 << 18
_STEP = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_OTHER = re.compile(r"(E|DRILL)-\d{4}-\d{3,}", re.ASCII)
_TOP, _OF_STEP, _OF_CALL = {"title", "call", "step"}, {"id", "role", "minutes", "items", "text"}, {"number", "who"}
_LANGUAGES = {"en", "zh"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text in both languages."""

    en: str
    zh: str

    def __str__(self) -> str:
        return self.zh if language().startswith("zh") else self.en


@dataclass(frozen=True, slots=True)
class Step:
    """A step: who does it, within how many ``minutes`` of the beginning (None: no limit). ``items``: it asks for things
    and their value."""

    id: str
    text: Text
    role: Text
    minutes: int | None
    items: bool


@dataclass(frozen=True, slots=True)
class Playbook:
    """A checklist. ``call``: telephone numbers to ring first, and who is there."""

    name: str
    title: Text
    call: tuple[tuple[str, Text], ...]
    steps: tuple[Step, ...]


def names(own: Path | None) -> list[str]:
    """Every playbook that there is."""
    return playbooks.names(own)


def load(name: str, own: Path | None) -> Playbook:
    """A playbook by its name. Raises PlaybookError for one that there is not, or whose file is wrong."""
    what = _("playbook {name}").format(name=name)
    try:
        content = playbooks.text(name, own)
    except FileNotFoundError:
        known = _("one of: {names}").format(names=", ".join(names(own)))
        raise PlaybookError(what, _("there is no such playbook"), known) from None
    except OSError as error:
        raise PlaybookError(what, error.strerror or str(error)) from None
    try:
        if len(content) > LARGEST:
            raise ValueError(_("it is larger than {bytes} bytes").format(bytes=LARGEST))
        return _read(name, tomllib.loads(content.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise PlaybookError(what, str(error), _("mend its file, see docs/warnings.md")) from None


def _read(name: str, found: dict[str, Any]) -> Playbook:
    _known(found, _TOP, "")
    call = tuple(
        (_string(one, "number", "call"), _text(one, "who", "call")) for one in _tables(found, "call", _OF_CALL)
    )
    steps = tuple(_step(one) for one in _tables(found, "step", _OF_STEP))
    if not steps:
        raise ValueError(_("it has no [[step]]"))
    if len({one.id for one in steps}) != len(steps):
        raise ValueError(_("two steps have the same id"))
    return Playbook(name, _text(found, "title", ""), call, steps)


def _step(found: dict[str, Any]) -> Step:
    number, minutes, items = _string(found, "id", "step"), found.get("minutes"), found.get("items", False)
    if not _STEP.fullmatch(number):
        raise ValueError(_("step.id: {text} is not a short name of a-z, 0-9 and -").format(text=ascii(number)))
    if minutes is not None and (not isinstance(minutes, int) or isinstance(minutes, bool) or not 0 < minutes < 100_000):
        raise ValueError(_("step {id}: minutes must be a whole number above 0").format(id=number))
    if not isinstance(items, bool):
        raise ValueError(_("step {id}: items must be true or false").format(id=number))
    where = f"step {number}"
    return Step(number, _text(found, "text", where), _text(found, "role", where), minutes, items)


def _tables(found: dict[str, Any], key: str, known: set[str]) -> Iterator[dict[str, Any]]:
    tables = found.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise ValueError(_("{key} must be tables written as [[{key}]]").format(key=key))
    for one in tables:
        _known(one, known, key)
        yield one


def _known(found: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in found:
        if key not in known:
            raise ValueError(_("{where} has a key {key}; allowed: {names}").format(
                where=where or _("the file"), key=ascii(key), names=", ".join(sorted(known))))  # fmt: skip


def _string(found: Mapping[str, Any], key: str, where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(_("{where}: {key} must be a text on one line").format(where=where or _("the file"), key=key))
    return value


def _text(found: Mapping[str, Any], key: str, where: str) -> Text:
    both = found.get(key)
    if not isinstance(both, dict) or both.keys() != _LANGUAGES:
        raise ValueError(_("{where}: {key} must be a text in both languages, {{ en = ..., zh = ... }}").format(
            where=where or _("the file"), key=key))  # fmt: skip
    return Text(_string(both, "en", key), _string(both, "zh", key))


# ticking off


def tick(
    desk: Desk, of: str, playbook: str, step: str, person: str, *, state: str = "done", moment: Moment | None = None,
    note: str = "", items: Sequence[str] = (),
) -> StepRow:  # fmt: skip
    """Tick a step of a playbook off, for a warning or an evacuation. ``moment``: None, now; else as stated on paper.

    ``items``: what is gone and what it is worth, "NAME=VALUE" each. Raises PlaybookError, NoWarningError, WarningError.
    """
    book = load(playbook, desk.config.response.playbooks)
    found = next((one for one in book.steps if one.id == step), None)
    what = _("step {step} of playbook {playbook}").format(step=step, playbook=playbook)
    if found is None:
        known = ", ".join(one.id for one in book.steps)
        raise PlaybookError(what, _("there is no such step"), _("one of: {names}").format(names=known))
    people.require_person(desk.config, person)
    of, drill = _subject(desk, of)
    things = [_thing(one, what) for one in items]
    if things and not found.items:
        raise PlaybookError(what, _("it does not ask for items"))
    if found.items and state == "done" and not things:
        raise PlaybookError(
            what, _("it asks what is gone, and what it is worth"), _("name each: --item NAME=VALUE"))  # fmt: skip
    moment = moment or record.now()
    row = StepRow(
        of, playbook, step, state, person, moment.at, moment.source, desk.who, clean(note, "note"),
        json.dumps(things, ensure_ascii=False),
    )  # fmt: skip
    with desk.store.database.write():
        known_row = ticked(desk.store.steps(of), playbook).get(step)
        before = "undone" if known_row is None else known_row.state
        if before == state:
            raise PlaybookError(
                what, _("it is {state} already").format(state=state_word(state)),
                _("to take a tick back: --undo"))  # fmt: skip
        desk.store.add_step(row)
        owe(desk.store, desk.config.host.state, StepTicked(
            of, playbook, step, state, person, moment.text, moment.source, desk.who, row.note or None, things or None,
            1 if drill else None,
        ))  # fmt: skip
    return row


def ticked(rows: Sequence[StepRow], playbook: str) -> dict[str, StepRow]:
    """The newest tick of each step."""
    return {one.step: one for one in rows if one.playbook == playbook}


def state_word(state: str) -> str:
    """A tick's state for people."""
    return {"done": _("done"), "skipped": _("skipped"), "undone": _("not done")}[state]


def _subject(desk: Desk, of: str) -> tuple[str, bool]:
    """The identifier, and whether it is a drill."""
    wanted = of.strip().upper()
    if _OTHER.fullmatch(wanted):  # an evacuation: its state is not ours
        return wanted, wanted.startswith("DRILL-")
    row = desk.find(wanted)
    return row.id, row.drill


def _thing(text: str, what: str) -> str:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise PlaybookError(what, _("{text} is not NAME=VALUE").format(text=ascii(text)[:80]))
    return clean(f"{name.strip()}={value.strip()}", "item")

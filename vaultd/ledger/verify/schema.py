"""Which fields an entry of each type has, and what is in them: read from the dataclasses of ``events``."""

from __future__ import annotations

import base64
import binascii
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any

from vaultd.i18n import _
from vaultd.ledger.entry import BASE
from vaultd.ledger.events import TYPES, Body

Check = Callable[[Any], bool]

_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_NANOSECONDS = re.compile(r"0|-?[1-9][0-9]*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_SALT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a type, and which of them every entry of it has. ``has_path``: a file name, as one of two."""

    checks: Mapping[str, Check]
    needed: frozenset[str]
    has_path: bool


def problem(entry: Mapping[str, Any], shape: Shape) -> str:
    """What is wrong with the fields of an entry, empty when nothing is."""
    for name, value in entry.items():
        check = shape.checks.get(name)
        if check is None:
            return _("it has a field {name}").format(name=name)
        if not check(value):
            return _("its field {name} has another kind of value").format(name=name)
    missing = shape.needed - entry.keys()
    if missing:
        return _("it has no field {name}").format(name=min(missing))
    if shape.has_path and ("path" in entry) is ("path_b64" in entry):
        return _("it must have one file name")
    return ""


def _text(value: Any) -> bool:
    return type(value) is str


def _number(value: Any) -> bool:
    return type(value) is int  # a bool is none


def _hexadecimal(value: Any) -> bool:
    return type(value) is str and _HEX.fullmatch(value) is not None


def _nanoseconds(value: Any) -> bool:
    return type(value) is str and _NANOSECONDS.fullmatch(value) is not None


def _salt(value: Any) -> bool:
    return type(value) is str and _SALT.fullmatch(value) is not None


def _moment(value: Any) -> bool:
    if type(value) is not str or _MOMENT.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value.removesuffix("Z"))
    except ValueError:
        return False
    return True


def _texts(value: Any) -> bool:
    return type(value) is list and all(map(_text, value))


def _numbers(value: Any) -> bool:
    return type(value) is dict and all(map(_number, value.values()))


def _no_text_path(value: Any) -> bool:
    """A file name in base64: in its one spelling, and only where it is not UTF-8."""
    if type(value) is not str:
        return False
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):  # the second for what is not ASCII
        return False
    if base64.b64encode(raw).decode("ascii") != value:
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


_CHECKS: dict[Any, Check] = {
    str: _text, int: _number, bytes: _hexadecimal, Sequence[str]: _texts, Mapping[str, int]: _numbers,
}  # fmt: skip
_BASE: dict[str, Check] = {
    "v": _number, "seq": _number, "t": _text, "type": _text, "origin": _text, "salt": _salt, "at": _moment,
}  # fmt: skip


def _check_of(name: str, hint: Any) -> Check:
    if isinstance(hint, types.UnionType):
        (hint,) = (one for one in hint.__args__ if one is not type(None))
    return _nanoseconds if name.endswith("_ns") else _CHECKS[hint]


def _shape(kind: type[Body]) -> Shape:
    hints = typing.get_type_hints(kind)
    checks, needed, has_path = dict(_BASE), set(BASE), False
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name == "path":
            has_path = True
            checks.update(path=_text, path_b64=_no_text_path)
            continue
        checks[field.name] = _check_of(field.name, hints[field.name])
        if field.default is MISSING:
            needed.add(field.name)
    return Shape(checks, frozenset(needed), has_path)


SHAPES: dict[str, Shape] = {name: _shape(kind) for name, kind in TYPES.items()}
"""The shape of every type that there is."""

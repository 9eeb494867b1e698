"""Read vaultd.toml: one ConfigFaults with everything that is wrong with it, or a Config."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vaultd.config import positions
from vaultd.config.crosscheck import cross_faults
from vaultd.config.faults import ConfigFaults, Fault, Key, shown
from vaultd.config.model import CLASSIFICATIONS, Config
from vaultd.errors import ConfigError
from vaultd.i18n import N_, _

LARGEST = 1 << 20
"""Bytes: a larger file is no configuration."""


def load(path: Path) -> Config:
    """The configuration of a file. Folders are not looked at: see ``check_folders``.

    Raises ConfigError, its subclass ConfigFaults when the content is wrong: all faults at once, each with file, line,
    key, what was found and what is allowed.
    """
    path = Path(os.path.abspath(path))
    return parse(_decode(path, _read(path)), path)


def parse(text: str, path: Path) -> Config:
    """The configuration of a text that is, or is to be, the content of ``path``. Raises ConfigFaults."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigFaults(path, [_syntax_fault(text, error)]) from None
    except RecursionError:
        raise ConfigFaults(path, [Fault((), "", 0, "", _("brackets are nested too deep"))]) from None
    config: Config | None = None
    details: list[ErrorDetails] = []
    try:
        config = Config.model_validate({**document, "file": path})
    except ValidationError as error:
        details = error.errors(include_url=False)
    crossed = cross_faults(document)
    if config is not None and not crossed and "file" not in document:
        return config
    lines = positions.lines_of(text)
    if "file" in document:  # a field of ours, no key of the file
        details.append(ErrorDetails(type="extra_forbidden", loc=("file",), msg="", input=None))
    faults = [_fault(detail, document, lines) for detail in details if detail["type"] != "default_factory_not_called"]
    faults += [
        Fault(key, key_name(document, key), positions.line_of(lines, key), found, allowed)
        for key, found, allowed in crossed
    ]
    raise ConfigFaults(path, faults)


def _read(path: Path) -> bytes:
    what = _("cannot read the configuration {file}").format(file=path)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        hint = _("make it with `vaultd init`, or name another file with --config")
        raise ConfigError(what, _("there is no such file"), hint) from None
    except PermissionError:
        raise ConfigError(what, _("permission denied"), _("run the command as root")) from None
    except OSError as error:
        raise ConfigError(what, error.strerror or str(error)) from None
    if len(content) > LARGEST:
        raise ConfigError(what, _("it is larger than {bytes} bytes").format(bytes=LARGEST))
    return content


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # an editor on Windows puts a byte-order mark first
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = _("byte {byte}").format(byte=f"0x{content[error.start]:02x}")
        raise ConfigFaults(path, [Fault((), "", line, found, _("text in UTF-8"))]) from None


def _syntax_fault(text: str, error: tomllib.TOMLDecodeError) -> Fault:
    """tomllib tells the line in its message only (before 3.14), and of what is never closed only its end."""
    match = re.search(r"\(at line ([0-9]+)", str(error))
    if match:
        line = int(match[1])
    else:
        line = next((line for line, _text, parsed in positions.statements(text) if parsed is None), 0)
    rows = text.replace("\r\n", "\n").split("\n")
    found = rows[line - 1].strip() if 0 < line <= len(rows) else ""
    return Fault((), "", line, found, _("TOML ({problem})").format(problem=error))


def key_name(document: dict[str, Any], key: Key) -> str:
    """A key for people: ``vault[records].priority``; a table without a name by its number, from 1."""
    text, value = "", document
    for part in key:
        try:
            value = value[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            value = {}
        if isinstance(part, int):
            name = value.get("name") if isinstance(value, dict) else None
            text += f"[{name if isinstance(name, str) and name.isprintable() else part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


def refusal(model: type[BaseModel], field: str, value: object) -> str:
    """Why one value by itself is not allowed: what is allowed instead; empty when it is. For an answer just given."""
    try:
        model.model_validate({field: value})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["loc"][:1] == (field,):
                return _allowed(detail)
    return ""


def _fault(detail: ErrorDetails, document: dict[str, Any], lines: dict[Key, int]) -> Fault:
    key = tuple(detail["loc"])
    name, line = key_name(document, key), positions.line_of(lines, key)
    if detail["type"] == "missing":
        return Fault(key, name, line, "", _("this key is missing, and needed"))
    if detail["type"] == "extra_forbidden":
        return Fault(key, name, line, _("an unknown key"), _known_keys(key))
    return Fault(key, name, line, shown(detail["input"]), _allowed(detail))


def _known_keys(key: Key) -> str:
    fields = _model_at(key[:-1]).model_fields
    known = sorted(field.alias or name for name, field in fields.items() if len(key) > 1 or name != "file")
    near = difflib.get_close_matches(str(key[-1]), known, 1, 0.6)
    names = ", ".join(known)
    if near:
        return _("{names}; did you mean {near}?").format(names=names, near=near[0])
    return names


def _model_at(key: Key) -> type[BaseModel]:
    """The model of the table at a key."""
    model: type[BaseModel] = Config
    for part in key:
        if isinstance(part, str):
            annotation: Any = model.model_fields[part].annotation
            model = next(
                each
                for each in (annotation, *get_args(annotation))
                if isinstance(each, type) and issubclass(each, BaseModel)
            )
    return model


_TYPES = {
    "int_type": N_("a whole number"),
    "float_type": N_("a number"),
    "bool_type": N_("true or false"),
    "string_type": N_("text in quotes"),
    "model_type": N_("a table"),
    "too_short": N_("at least one"),
}
_LIMITS = {
    "greater_than_equal": ("ge", N_("{number} or more")),
    "greater_than": ("gt", N_("more than {number}")),
    "less_than_equal": ("le", N_("{number} or less")),
}


_LISTS_OF_TABLES = {"target", "vault", "person", "group", "duty", "dump", "witness", "timestamp", "channel"}


def _allowed(detail: ErrorDetails) -> str:
    """pydantic's error types as a sentence of ours, which can be translated; what is not listed keeps pydantic's."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "vaultd":
        return str(context["allowed"])
    if kind in _TYPES:
        return _(_TYPES[kind])
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        return _(text).format(number=f"{context[name]:g}")
    if kind == "literal_error":
        return ", ".join(f'"{name}"' for name in CLASSIFICATIONS)
    if kind == "list_type":
        table = ".".join(part for part in detail["loc"] if isinstance(part, str))
        list_of_tables = detail["loc"][-1] in _LISTS_OF_TABLES
        return _("tables written as {example}").format(example=f"[[{table}]]") if list_of_tables else _("a list in [ ]")
    return detail["msg"]

"""Put values into the text of a vaultd.toml and leave its comments alone: what `init` and `target add` do.

The lines to change come from ``positions``, so a key is found where tomllib finds it. No TOML library is needed for
the few kinds of value that a configuration has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from vaultd.config.faults import Key
from vaultd.config.positions import lines_of, statements

Value = str | int | float | bool | Path | list[str]


def example() -> str:
    """The commented example: config/vaultd.toml, which the package carries as ``vaultd/config/example.toml``."""
    return resources.files("vaultd.config").joinpath("example.toml").read_text("utf-8")


def toml_value(value: Value) -> str:
    """A value as TOML writes it. Text may hold any character; a path must be UTF-8 (UnicodeEncodeError)."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list():
            return "[" + ", ".join(toml_value(each) for each in value) + "]"
    text = str(value)
    text.encode("utf-8")
    escaped = "".join(_escape(character) for character in text)
    return f'"{escaped}"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character < " " or character == "\x7f":
        return f"\\u{ord(character):04x}"
    return character


def with_values(text: str, values: Mapping[Key, Value]) -> str:
    """The text with new values. A key that stands as a comment in its table is made real; KeyError if it is nowhere."""
    for key, value in values.items():
        rows = text.split("\n")
        start, end = _lines_of_key(text, rows, key)
        rows[start:end] = [f"{key[-1]} = {toml_value(value)}"]
        text = "\n".join(rows)
    return text


def with_key(text: str, table: str, key: str, value: Value) -> str:
    """The text with a value in ``[table]``, which is made at the beginning when it is not there."""
    try:
        return with_values(text, {(table, key): value})
    except KeyError:
        pass
    rows, line = text.split("\n"), f"{key} = {toml_value(value)}"
    if (table,) in lines_of(text):
        rows.insert(lines_of(text)[table,], line)
    else:
        rows[:0] = [f"[{table}]", line, ""]
    return "\n".join(rows)


def without_table(text: str, key: Key) -> str:
    """The text with a table and what is in it turned into comments."""
    rows = text.split("\n")
    start, end = _lines_of_table(text, rows, key)
    for index in range(start, end):
        if rows[index] and not rows[index].startswith("#"):
            rows[index] = "#" + rows[index]
    return "\n".join(rows)


def with_table(text: str, name: str, values: Mapping[str, Value]) -> str:
    """The text with one more ``[[name]]`` at its end."""
    rows = [f"[[{name}]]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
    return text.rstrip("\n") + "\n\n" + "\n".join(rows) + "\n"


def _lines_of_key(text: str, rows: list[str], key: Key) -> tuple[int, int]:
    lines = lines_of(text)
    if key in lines:
        start = lines[key] - 1
        for line, statement, _parsed in statements(text):
            if line == start + 1:
                return start, start + statement.count("\n") + 1
    start, end = _lines_of_table(text, rows, key[:-1])
    commented = re.compile(rf"#{re.escape(str(key[-1]))}\s*=")
    for index in range(start, end):
        if commented.match(rows[index]):
            return index, index + 1
    raise KeyError(key)


def _lines_of_table(text: str, rows: list[str], key: Key) -> tuple[int, int]:
    """From the header to the line before the next header, in or out of a comment."""
    start = lines_of(text)[key] - 1
    end = start + 1
    while end < len(rows) and not re.match(r"#?\[", rows[end]):
        end += 1
    return start, end

"""The line of each key of a TOML text, for error messages.

No kept library for Python tells them (tomlkit has had the wish open since 2019, tomllib throws them away), and a second
TOML lexer would disagree with the first some day. So tomllib itself finds where each statement ends: from its first
line, the fewest lines that tomllib accepts by themselves. A statement ends at the end of a line unless a bracket or a
multi-line string is open, and then tomllib refuses the part; so it is always whole.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from vaultd.config.faults import Key

LONGEST_STATEMENT = 400
"""Lines. Looking further for the end of a statement that is never closed would take minutes in a large file."""


def lines_of(text: str) -> dict[Key, int]:
    """The line, from 1, at which each key and table of a valid text is first mentioned; () is line 1."""
    found: dict[Key, int] = {(): 1}
    counts: dict[Key, int] = {}  # how many tables each [[array]] has so far
    prefix: Key = ()
    for line, statement, parsed in statements(text):
        if parsed is None:
            break
        if statement.lstrip(" \t").startswith("["):
            is_array = statement.lstrip(" \t").startswith("[[")
            prefix = _enter(_dotted(parsed), is_array, counts)
            _note(found, prefix, line)
        else:
            _note_value(found, prefix, parsed, line)
    return found


def line_of(lines: dict[Key, int], key: Key) -> int:
    """The line of a key, or of the table that should have it."""
    while key not in lines:
        key = key[:-1]
    return lines[key]


def statements(text: str) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Line, text and parsed form of each statement; at a broken one, None for the parsed form, and the end."""
    rows = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(rows):
        if not rows[at].strip(" \t") or rows[at].lstrip(" \t").startswith("#"):
            at += 1
            continue
        for end in range(at + 1, min(len(rows), at + LONGEST_STATEMENT) + 1):
            chunk = "\n".join(rows[at:end])
            try:
                parsed = tomllib.loads(chunk)
            except (ValueError, RecursionError):
                continue
            yield at + 1, chunk, parsed
            at = end
            break
        else:
            yield at + 1, rows[at], None
            return


def _dotted(parsed: dict[str, Any]) -> list[str]:
    """The names of a header by itself: tables with one key each, down to the empty table or the array."""
    names: list[str] = []
    value: Any = parsed
    while isinstance(value, dict) and value:
        ((name, value),) = value.items()
        names.append(name)
    return names


def _enter(names: list[str], is_array: bool, counts: dict[Key, int]) -> Key:
    """The key of the table that a header opens: below an array of tables, in its newest one."""
    key: Key = ()
    for depth, name in enumerate(names):
        key = (*key, name)
        if is_array and depth == len(names) - 1:
            counts[key] = counts.get(key, 0) + 1
        if key in counts:
            key = (*key, counts[key] - 1)
    return key


def _note(found: dict[Key, int], key: Key, line: int) -> None:
    for end in range(1, len(key) + 1):
        found.setdefault(key[:end], line)


def _note_value(found: dict[Key, int], prefix: Key, value: Any, line: int) -> None:
    """Dotted keys and inline tables: every key in them is on the statement's line."""
    if isinstance(value, dict):
        for name, below in value.items():
            _note(found, (*prefix, name), line)
            _note_value(found, (*prefix, name), below, line)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            if isinstance(below, dict):
                _note(found, (*prefix, index), line)
                _note_value(found, (*prefix, index), below, line)

"""Canonical JSON (RFC 8785), for what the ledger holds: objects with plain ASCII keys, whole numbers, no floats.

Python's own encoder writes the same bytes for these: it escapes what RFC 8785 escapes and nothing else, and for ASCII
keys its order is that of UTF-16. What would differ is refused. The package ``rfc8785`` is the oracle in the tests; it
takes ten times as long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LARGEST = 2**53 - 1
"""Whole numbers beyond this are not the same in every JSON parser (RFC 8785, section 3.2.2.3)."""

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes. Raises ValueError for what is not as described above."""
    try:
        _check(value)
        return _encode(value).encode()  # a lone surrogate is a UnicodeEncodeError, and that a ValueError
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decode(encoded: bytes) -> dict[str, Any]:
    """An object from its canonical bytes. Raises ValueError when they are not canonical: there is one spelling only."""
    try:
        found = json.loads(encoded)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict) or encode(found) != encoded:
        raise ValueError("not in canonical form")
    return found


def _check(value: object) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -LARGEST <= value <= LARGEST:  # type: ignore[operator]
            raise ValueError(f"a number beyond 2**53 - 1: {value}")
    elif kind is dict:
        for key, inner in value.items():  # type: ignore[attr-defined]
            if type(key) is not str or not key.isascii():
                raise ValueError(f"a key that is not plain ASCII: {key!r}")
            _check(inner)
    elif kind is list:
        for inner in value:  # type: ignore[attr-defined]
            _check(inner)
    else:
        raise ValueError(f"no value for the ledger: {kind.__name__}")

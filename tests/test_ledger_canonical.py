"""The ledger's JSON is RFC 8785's, byte for byte, and has one spelling only."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from vaultd.ledger import canonical

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers(-canonical.LARGEST, canonical.LARGEST) | st.text(max_size=40)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_it_is_what_rfc8785_writes_and_comes_back(value: dict[str, object]) -> None:
    encoded = canonical.encode(value)
    assert encoded == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert canonical.decode(encoded) == value


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_another_spelling_is_refused(value: dict[str, object]) -> None:
    encoded = canonical.encode(value)
    for other in (json.dumps(value).encode(), json.dumps(value, indent=1).encode(), encoded + b"\n", b" " + encoded):
        if other != encoded:
            with pytest.raises(ValueError):
                canonical.decode(other)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1.0}, {"a": float("nan")}, {"a": 2**53}, {"a": -(2**53)}, {"a": [2**60]}, {"\u00e9": 1}, {1: 1},
        {"a": "\ud800"}, {"a": b"bytes"}, {"a": (1, 2)}, {"a": {"b": 0.5}},
    ],
)  # fmt: skip
def test_what_has_no_canonical_form_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        canonical.encode(value)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: dict[str, object] = {}
    for _level in range(5000):
        deep = {"a": deep}
    with pytest.raises(ValueError):
        canonical.encode(deep)
    for levels in (500, 1000, 5000):
        encoded = b'{"a":' * levels + b"1" + b"}" * levels
        try:
            assert canonical.encode(canonical.decode(encoded)) == encoded
        except ValueError:
            continue


@pytest.mark.parametrize(
    "encoded",
    [
        b"", b"[]", b"1", b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":1e3}', b'{"b":1,"a":1}', b'{"a":"\\u0041"}',
        b'{"a":-0}', b'{"a":"\xff"}', b'{"a":NaN}', b'{"a":"\\ud800"}', b"[" * 100_000, b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_bytes_that_are_not_canonical_are_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError):
        canonical.decode(encoded)

"""The quick way through an entry says nothing that the long way does not say; and fields of all types are looked at."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaultd.ledger import canonical, entry
from vaultd.ledger.events import TYPES, Body, FileVersion
from vaultd.ledger.verify.finding import Finding
from vaultd.ledger.verify.rules import Rules
from vaultd.ledger.verify.schema import SHAPES

ORIGIN = 'example.org/档"案'
TIME = "2026-02-28T23:59:59.000001Z"
NEVER = re.compile(rb"(?!)")


def rules(*, quick: bool) -> Rules:
    found = Rules(ORIGIN)
    if not quick:
        found._version = NEVER
    return found


def holds(encoded: bytes, *, quick: bool, index: int = 7) -> bool:
    try:
        rules(quick=quick).check(index, [encoded])
    except Finding:
        return False
    return True


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
versions = st.builds(
    FileVersion,
    vault=texts,
    path=st.binary(max_size=12) | texts.map(str.encode),
    state=st.sampled_from(["bound", "deleted", "in-motion"]),
    change_set=texts,
    size=st.none() | st.integers(0, 2**53 - 1),
    mtime_ns=st.none() | st.integers(-(2**70), 2**70),
    sha256=st.none() | st.binary(min_size=32, max_size=32),
    sm3=st.none() | st.binary(min_size=32, max_size=32),
)


@given(versions)
def test_what_the_writer_writes_holds_either_way(version: FileVersion) -> None:
    (encoded,) = entry.encode_all([version], ORIGIN, 7, TIME)
    assert holds(encoded, quick=True)
    assert holds(encoded, quick=False)


def test_most_versions_take_the_quick_way() -> None:
    bodies = [FileVersion("记录", b"a \\ \x00 \x7f/\xe6\xa1\xa3", "bound", "c", 7, 17, bytes(32), bytes(32))]
    bodies += [FileVersion("v", b"gone", "deleted", "c")]
    pattern = rules(quick=True)._version
    assert all(pattern.fullmatch(one) for one in entry.encode_all(bodies, ORIGIN, 7, TIME))


PIECES = [
    b"", b'"', b"\\", b"\\/", b"\\u0041", b"\\u0008", b"\\u000B", b"\\u001f", b"\\u007f", b"\\ud800", b"\x00", b"\x7f",
    b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b" ", b"0", b"-", b"1", b"e", b".", b"A", b",", b":", b"{}", b"null",
    b"true", b'"v":1,', b'"zz":1,', b"9" * 20, b"\xef\xbb\xbf", "档".encode(), b"\n", b"\\n", b"\\b",
]  # fmt: skip


@settings(max_examples=800, suppress_health_check=list(HealthCheck))
@given(versions, st.data())
def test_changed_bytes_hold_either_way_or_neither(version: FileVersion, data: st.DataObject) -> None:
    (encoded,) = entry.encode_all([version], ORIGIN, 7, TIME)
    for _ in range(data.draw(st.integers(1, 2))):
        begin = data.draw(st.integers(0, len(encoded)))
        end = min(len(encoded), begin + data.draw(st.integers(0, 3)))
        encoded = encoded[:begin] + data.draw(st.sampled_from(PIECES)) + encoded[end:]
    assert holds(encoded, quick=True) == holds(encoded, quick=False)


@pytest.mark.parametrize(
    "path",
    [
        *(f"\\u{number:04x}" for number in range(0x22)), *(f"\\u{number:04X}" for number in range(0x20)),
        *"\x00\x1f\x7f\x80",
        *(f"\\{letter}" for letter in "abcdefghijklmnopqrstuvwxyz/'0\\\""), "\\ud83d\\ude00", "😀", "\\", '"',
    ],
)  # fmt: skip
def test_every_spelling_of_a_character_holds_either_way_or_neither(path: str) -> None:
    (encoded,) = entry.encode_all([FileVersion("v", b"NAME", "bound", "c")], ORIGIN, 7, TIME)
    encoded = encoded.replace(b"NAME", path.encode())
    assert holds(encoded, quick=True) == holds(encoded, quick=False)


@pytest.mark.parametrize(
    "size", ["0", "00", "01", "-0", "-1", "1.0", "1e3", "9007199254740991", "9007199254740992", "+1", " 1"]
)
def test_every_spelling_of_a_number_holds_either_way_or_neither(size: str) -> None:
    (encoded,) = entry.encode_all([FileVersion("v", b"p", "bound", "c", 77)], ORIGIN, 7, TIME)
    encoded = encoded.replace(b'"size":77', b'"size":' + size.encode())
    assert holds(encoded, quick=True) == holds(encoded, quick=False) == (size in {"0", "-1", "9007199254740991"})


@pytest.mark.parametrize(
    "time",
    [
        "2026-02-29T00:00:00.000000Z", "0000-01-01T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z",
        "2026-01-01T00:00:60.000000Z", "٢026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000z",
        "2026-01-01T00:00:00,000000Z",
    ],
)  # fmt: skip
def test_what_is_no_time_holds_neither_way(time: str) -> None:
    (encoded,) = entry.encode_all([FileVersion("v", b"p", "bound", "c", 77)], ORIGIN, 7, TIME)
    encoded = encoded.replace(TIME.encode(), time.encode())
    assert not holds(encoded, quick=True)
    assert not holds(encoded, quick=False)


def test_the_first_entry_is_no_version_either_way() -> None:
    (encoded,) = entry.encode_all([FileVersion("v", b"p", "bound", "c", 77)], ORIGIN, 0, TIME)
    assert not holds(encoded, quick=True, index=0)
    assert not holds(encoded, quick=False, index=0)


# Fields

OTHERS: list[Any] = [None, 7, "Z", True, [], ["a"], [1], {}, {"a": 1}, {"a": "b"}]


def example(kind: type[Body]) -> dict[str, Any]:
    """An entry of a type, by what its fields are said to be: all of them."""
    values = {"bytes": bytes(32), "str": "text", "int": 7, "Sequence[str]": ["a", "b"], "Mapping[str, int]": {"a": 1}}
    hints = {name: str(hint).removesuffix(" | None") for name, hint in kind.__annotations__.items()}
    hints.pop("TYPE")
    made = kind(**{name: "17" if name.endswith("_ns") else values[hint] for name, hint in hints.items()})
    base = {"v": 1, "seq": 7, "t": TIME, "type": kind.TYPE, "origin": ORIGIN, "salt": "00" * 16}
    return {**entry.fields_of(made), **base}


def fault(fields: dict[str, Any]) -> str:
    try:
        rules(quick=True).check(7, [canonical.encode(fields)])
    except Finding as finding:
        return finding.code
    return ""


SPECIAL = {"begin": "begin", "checkpoint": "checkpoint-entry"}
"""What is wrong with these two at this place, when their fields are as they must be."""


@pytest.mark.parametrize("name", TYPES)
def test_each_field_is_looked_at(name: str) -> None:
    fields = example(TYPES[name])
    good = SPECIAL.get(name, "")
    assert fault(fields) == good
    assert fault({**fields, "more": 1}) == "entry-fields"
    for field in fields.keys() - entry.BASE:
        without = {one: value for one, value in fields.items() if one != field}
        needed = field in SHAPES[name].needed or field == "path"
        assert fault(without) == ("entry-fields" if needed else good)
        for value in OTHERS:
            alike = type(value) is type(fields[field]) and value not in ([1], {"a": "b"})
            hexadecimal = isinstance(getattr(TYPES[name], field, None), bytes) or len(str(fields[field])) == 64
            if alike and (hexadecimal or field.endswith("_ns")):
                alike = False  # "Z" is neither
            assert fault({**fields, field: value}) == (good if alike else "entry-fields"), (field, value)


def test_a_file_name_is_text_or_base64() -> None:
    fields = example(FileVersion)
    del fields["path"]
    for raw, code in ((b"\xff", ""), (b"\x80a", ""), (b"a", "entry-fields"), (b"", "entry-fields")):
        assert fault({**fields, "path_b64": base64.b64encode(raw).decode()}) == code

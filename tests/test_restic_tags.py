"""What a snapshot's tags say comes back exactly, and tags of others are nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.model import SnapshotKind
from vaultd.restic.tags import Tags, new_change_set, parse, tags_of

NAME = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)


@given(NAME, st.sampled_from(SnapshotKind), st.integers(0, 10**12 - 1), st.binary(max_size=200), st.none() | NAME)
def test_round_trip(vault: str, kind: SnapshotKind, order: int, rest: bytes, dump: str | None) -> None:
    root = b"/" + rest
    change_set = new_change_set(order)
    made = tags_of(vault, kind, change_set, root, dump=dump or "", dump_of=change_set if dump else "")
    assert all("," not in tag for tag in made)
    found = parse(reversed(made))
    assert found == Tags(vault, kind, change_set, root, dump or "", change_set if dump else "")
    assert found is not None and found.order == order


@pytest.mark.parametrize("lost", range(5))
def test_incomplete_tags_are_not_ours(lost: int) -> None:
    made = tags_of("v", SnapshotKind.FULL, new_change_set(1), b"/v")
    assert parse(made) is not None
    assert parse(made[:lost] + made[lost + 1 :]) is None


@pytest.mark.parametrize(
    "wrong", [("a,b", "000000000001-aaaaaaaa", b"/v"), ("v", "1-a", b"/v"), ("v", "000000000001-aaaaaaaa", b"v")]
)
def test_what_would_not_come_back_is_refused(wrong: tuple[str, str, bytes]) -> None:
    with pytest.raises(ValueError):
        tags_of(wrong[0], SnapshotKind.FULL, wrong[1], wrong[2])

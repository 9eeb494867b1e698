"""Which files a sample has, and in which pieces they are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.bag.bench import Bench
from vaultd.names import is_below
from vaultd.verify import plan
from vaultd.verify.rows import DONE, UNSEEN, WANTED, Row, Rows
from vaultd.verify.sample import LARGE, sampled

MIB = 1 << 20


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    bench = Bench(tmp_path / "bench", threads=True)
    yield Rows(bench, threading.Lock(), "recorded", b"")
    bench.close()


def fill(rows: Rows, sizes: dict[str, int]) -> None:
    rows.fill(Row(name.encode(), bytes(32), size, 0) for name, size in sizes.items())


def pieces(rows: Rows) -> list[tuple[str, bool]]:
    return [(piece.path.decode(), piece.is_file) for piece in plan.pieces(rows)]


def test_all_is_read_in_one_piece(rows: Rows) -> None:
    fill(rows, {f"{folder}/{name}": 5 for folder in "abc" for name in "xyz"})
    rows.want_all()
    assert pieces(rows) == [("", False)]


def test_one_file_of_many_is_read_by_itself(rows: Rows) -> None:
    fill(rows, {f"{folder}/{number}": MIB for folder in "abc" for number in range(900)})
    rows.set(WANTED, [b"b/7"])
    assert pieces(rows) == [("b/7", True)]


def test_many_small_files_of_one_folder_are_read_as_a_folder(rows: Rows) -> None:
    fill(rows, {f"{folder}/{number}": MIB for folder in "abc" for number in range(500)})
    rows.set(WANTED, [f"b/{number}".encode() for number in range(400)])
    assert pieces(rows) == [("b", False)]


def test_what_was_verified_before_is_not_read_again_where_that_saves_time(rows: Rows) -> None:
    fill(rows, {f"{folder}/{number}": 10 * MIB for folder in "abc" for number in range(100)})
    rows.set_verified((f"a/{number}".encode(), bytes(32)) for number in range(100))
    rows.set_verified([(b"b/1", bytes(31) + b"x")])  # another version of it
    rows.want_all()
    assert rows.totals(DONE)[0] == 100 and rows.totals(UNSEEN)[0] == 0
    assert pieces(rows) == [("b", False), ("c", False)]


@given(
    st.dictionaries(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join),
        st.tuples(st.integers(0, 300 * MIB), st.booleans()), max_size=30,
    )
)  # fmt: skip
def test_every_wanted_file_is_in_exactly_one_piece(found: dict[str, tuple[int, bool]]) -> None:
    # A name cannot be a file and a folder at once.
    files = {name: one for name, one in found.items() if not any(other.startswith(name + "/") for other in found)}
    listed = [(Row(name.encode(), b"", size, 0), WANTED if wanted else UNSEEN)
              for name, (size, wanted) in sorted(files.items())]  # fmt: skip
    made = plan._cheapest(listed)
    for row, state in listed:
        holding = [one for one in made
                   if (one.path == row.path if one.is_file else is_below(row.path, one.path))]  # fmt: skip
        assert len(holding) <= 1 and (state != WANTED or holding)
    assert sum(one.files for one in made) == sum(state == WANTED for _row, state in listed)


def test_a_sample_has_of_every_layer_and_the_seed_says_which() -> None:
    files = [(f"f{number // 50}/{number}".encode(), 1000, number) for number in range(2000)]
    files += [(f"large/{number}".encode(), LARGE, 500) for number in range(10)]
    found = sampled(files, 0.05, 1)
    assert found == sampled(files, 0.05, 1) != sampled(files, 0.05, 2)
    assert len(set(found)) == len(found) and 0.04 < len(found) / len(files) < 0.08
    numbers = [int(path.rpartition(b"/")[2]) for path in found if not path.startswith(b"large")]
    assert min(numbers) <= 200 and max(numbers) >= 1790
    assert any(200 < number < 1790 for number in numbers)
    assert any(path.startswith(b"large/") for path in found)
    assert len({path.partition(b"/")[0] for path in found}) < 12, "few folders: each costs a start of restic"


def test_the_sample_of_all_is_all_and_of_nothing_nothing() -> None:
    files = [(b"%d" % number, number, number) for number in range(40)]
    assert sorted(sampled(files, 1.0, 3)) == sorted(path for path, _size, _mtime in files)
    assert sampled([], 0.05, 3) == []
    assert sampled(files[:1], 0.05, 3) == [b"0"]

"""The first protection in batches: every unsafe path comes into exactly one, none is too large but single folders."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vaultd.protect.batches import first_batch

PARTS = st.sampled_from([b"a", b"b", b"c d", b"\xff", b"e"])
FOLDERS = st.dictionaries(
    st.lists(PARTS, max_size=4).map(b"/".join), st.tuples(st.integers(1, 50), st.integers(0, 5000)), max_size=25
)


@settings(max_examples=300, deadline=None)
@given(FOLDERS, st.integers(1, 10_000), st.integers(1, 120))
def test_batches_cover_everything_once_and_keep_their_size(folders, most_bytes, most_files):
    left = [(path, files, total) for path, (files, total) in sorted(folders.items())]
    rounds = 0
    while left:
        batch = first_batch(left, most_bytes, most_files)
        assert batch is not None
        covered = [entry for entry in left if batch.covers(entry[0] + b"/x" if entry[0] else b"x")]
        assert covered, "a batch that covers nothing would never end"
        assert sum(files for _path, files, _total in covered) == batch.files
        assert sum(total for _path, _files, total in covered) == batch.total
        if len(covered) > 1:
            assert batch.files <= most_files
            assert batch.total <= most_bytes
        left = [entry for entry in left if entry not in covered]
        rounds += 1
        assert rounds <= len(folders)
    assert first_batch([], most_bytes, most_files) is None


def test_folders_come_in_order_and_whole_where_they_fit():
    batch = first_batch([(b"a", 5, 50), (b"a/x", 5, 40), (b"b", 5, 90)], 100, 100)
    assert batch is not None
    assert (batch.whole, batch.direct) == ((b"a",), ())


def test_a_folder_too_large_for_a_batch_is_taken_by_its_own_files():
    batch = first_batch([(b"", 1, 10), (b"big", 3, 500), (b"big/in", 1, 400)], 100, 100)
    assert batch is not None
    assert (batch.whole, batch.direct) == ((), (b"",))

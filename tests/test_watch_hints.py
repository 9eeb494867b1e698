"""Hints coalesce without losing what has to be looked at."""

from __future__ import annotations

import pytest

from vaultd.watch.hints import Hint, HintBook, HintKind

CHANGED, DIRECTORY, GONE = HintKind.CHANGED, HintKind.DIRECTORY, HintKind.GONE


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        ([CHANGED, CHANGED], CHANGED),
        ([CHANGED, GONE], GONE),
        ([GONE, CHANGED], DIRECTORY),  # a folder may have become a file
        ([DIRECTORY, CHANGED], DIRECTORY),
        ([DIRECTORY, GONE], GONE),
        ([GONE, DIRECTORY], DIRECTORY),
        ([CHANGED, DIRECTORY], DIRECTORY),
    ],
)
def test_the_hints_of_one_path_become_the_one_that_covers_them(kinds: list[HintKind], left: HintKind) -> None:
    book = HintBook()
    for kind in kinds:
        assert book.add(b"p", kind)
    assert book.take() == [Hint(b"p", left)]
    assert book.take() == []


def test_a_scanned_directory_covers_directories_and_deletions_below_it_but_no_change() -> None:
    book = HintBook()
    for path, kind in [
        (b"a/b/c", DIRECTORY), (b"a/b", DIRECTORY), (b"a/b/gone", GONE), (b"a/b/file", CHANGED), (b"a/bc", DIRECTORY),
        (b"z", GONE), (b"z/y", GONE),
    ]:  # fmt: skip
        book.add(path, kind)
    assert set(book.take()) == {
        Hint(b"a/b", DIRECTORY), Hint(b"a/b/file", CHANGED), Hint(b"a/bc", DIRECTORY), Hint(b"z", GONE),
        Hint(b"z/y", GONE),
    }  # fmt: skip


def test_a_scan_of_the_vault_covers_every_directory() -> None:
    book = HintBook()
    book.add(b"", DIRECTORY)
    book.add(b"x/y", DIRECTORY)
    assert book.take() == [Hint(b"", DIRECTORY)]


def test_too_many_hints_are_dropped_and_that_is_told() -> None:
    book = HintBook(most=3)
    assert all(book.add(b"%d" % number, CHANGED) for number in range(3))
    assert not book.add(b"one too many", CHANGED)
    assert book.take() == []

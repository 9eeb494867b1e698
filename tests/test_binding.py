"""A hash counts as that of the stored version only when nothing can have come between."""

from __future__ import annotations

import pytest

from vaultd.hashing import Hashed
from vaultd.model import FileKind, Stat
from vaultd.protect.binding import RACY_NS, Verdict, is_racy, judge

NOW = 1_700_000_000_000_000_000
SEEN = Stat(FileKind.FILE, 7, 4, NOW - 10**9, NOW - 10**9, 0o600, 0, 0)
READ = Hashed(b"d" * 32, 7, 4, SEEN.mtime, SEEN.ctime, 0)


def verdict(before=SEEN, hashed=READ, known=None, after=SEEN, refused=False, began=NOW):
    return judge(before, began, hashed, known, after, refused=refused)


def test_quiet_file_is_bound():
    assert verdict() is Verdict.BOUND


@pytest.mark.parametrize("field", ["inode", "size", "mtime", "ctime"])
def test_any_difference_after_restic_unbinds(field):
    assert verdict(after=SEEN._replace(**{field: getattr(SEEN, field) + 1})) is Verdict.CHANGED


@pytest.mark.parametrize("field", ["inode", "size_read", "mtime", "ctime"])
def test_a_hash_of_another_state_is_not_taken(field):
    assert verdict(hashed=READ._replace(**{field: getattr(READ, field) + 1})) is Verdict.CHANGED


def test_gone_after_restic_is_gone():
    assert verdict(after=None) is Verdict.GONE


def test_an_error_of_restic_or_of_the_hasher_is_unread():
    assert verdict(refused=True) is Verdict.UNREAD
    assert verdict(hashed=Hashed(b"", 0, 0, 0, 0, 13)) is Verdict.UNREAD


def test_no_hash_is_never_bound():
    assert verdict(hashed=None) is Verdict.CHANGED


def test_a_hash_bound_earlier_to_this_very_state_is_enough():
    assert verdict(hashed=None, known=b"k" * 32) is Verdict.BOUND


def test_a_change_in_the_tick_in_which_the_readers_began_is_racy():
    fresh = SEEN._replace(ctime=NOW - RACY_NS)
    assert verdict(before=fresh, after=fresh, hashed=READ._replace(ctime=fresh.ctime)) is Verdict.RACY


def test_a_ctime_from_a_clock_that_was_set_back_is_not_racy_for_ever():
    assert not is_racy(SEEN._replace(ctime=NOW + 3600 * 10**9), NOW)


def test_symlinks_need_no_hash():
    link = SEEN._replace(kind=FileKind.SYMLINK, size=0)
    assert verdict(before=link, after=link, hashed=None) is Verdict.BOUND

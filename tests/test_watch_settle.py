"""When a burst of changes is over."""

from __future__ import annotations

from vaultd.watch.settle import Settle


def test_nothing_is_due_before_a_change() -> None:
    assert Settle(2, 10).due_at() is None


def test_a_single_change_is_due_after_the_quiet_time() -> None:
    settle = Settle(2, 10)
    settle.touch(100)
    assert settle.due_at() == 102


def test_each_change_puts_it_off_until_the_longest_delay() -> None:
    settle = Settle(2, 10)
    for now in range(100, 120):
        settle.touch(now)
        assert settle.due_at() == min(now + 2, 110)


def test_after_it_was_taken_a_new_burst_begins() -> None:
    settle = Settle(2, 10)
    settle.touch(100)
    settle.taken(105)
    assert settle.due_at() is None
    settle.touch(109)
    assert settle.due_at() == 111


def test_zero_settle_is_due_at_once() -> None:
    settle = Settle(0, 10)
    settle.touch(5)
    assert settle.due_at() == 5


def test_while_more_is_on_its_way_it_is_due_later_but_not_after_the_longest_delay() -> None:
    settle = Settle(2, 10)
    settle.touch(100)
    assert settle.due_after(101) == 102
    assert settle.due_after(105) == 105
    assert settle.due_after(115) == 110


def test_what_was_heard_before_the_taking_and_written_after_it_counts_from_it() -> None:
    settle = Settle(2, 10)
    settle.touch(100)
    settle.taken(110)
    settle.touch(100)
    assert settle.due_at() == 112
    assert settle.due_after(130) == 120


def test_a_scan_ends_the_waiting_but_not_the_longest_delay() -> None:
    settle = Settle(2, 60)
    settle.touch(100)
    settle.quiet()
    due = settle.due_at()
    assert due is not None and due < 100
    for now in range(105, 200, 5):  # scans come one after the other, and more is always on its way
        settle.quiet()
        assert settle.due_after(now + 0.3) == min(now + 0.3, 160)

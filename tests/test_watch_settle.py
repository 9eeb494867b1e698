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
    settle.taken()
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

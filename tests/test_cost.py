"""Full or express: what is affordable, and how long runs rest."""

from __future__ import annotations

import pytest

from vaultd.protect.cost import LONGEST_REST, Cost, Spent, full_is_affordable, rest_after


def affordable(expected: float, spent: Spent, now: float) -> bool:
    return full_is_affordable(expected, spent, full_seconds=5, full_share=0.25, now=now)


def test_a_short_full_snapshot_is_always_affordable():
    spent = Spent()
    spent.add(500, 100, full=True)
    assert affordable(4.9, spent, 101)


def test_a_long_one_fits_into_its_share_of_ten_minutes():
    spent = Spent()
    assert affordable(150, spent, 0)
    assert not affordable(151, spent, 0)
    spent.add(100, 0)
    assert not affordable(60, spent, 1)
    assert affordable(60, spent, 601)  # the window has moved on


def test_long_ones_are_spread_over_the_time():
    spent = Spent()
    spent.add(20, 0, full=True)
    assert not affordable(20, spent, 79)
    assert affordable(20, spent, 81)


def test_runs_rest_only_when_restic_has_much_of_the_time():
    assert rest_after(3, 0.1, 900) == 0
    assert rest_after(3, 0.5, 900) == 12
    assert rest_after(100, 0.5, 900) == LONGEST_REST
    assert rest_after(100, 0.5, 40) == 10  # a quarter of the objective at most


def test_costs_are_learnt_and_bytes_are_told_from_the_base():
    cost = Cost()
    guess = cost.expected_full(1_000_000, 0)
    assert 10 < guess < 40
    cost.learn(full=True, seconds=2.0, sent=1000)
    cost.learn(full=True, seconds=4.0, sent=1000)
    assert cost.expected_full(1_000_000, 0) == pytest.approx(3.0, abs=0.1)
    cost.learn(full=False, seconds=10.0, sent=100_000_000)
    assert cost.rate == pytest.approx(10e6)
    assert cost.expected_express(50_000_000) > 5

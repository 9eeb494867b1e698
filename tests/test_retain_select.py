"""The choice by a policy: what must hold for every list of snapshots, and the rules one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.config.retention import MaintenanceConfig, RetentionConfig
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.retain.select import Choice, Why, odd_dates, policy_digest, select

FULL, EXPRESS, DUMP = SnapshotKind.FULL, SnapshotKind.EXPRESS, SnapshotKind.DUMP
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
NONE = RetentionConfig(keep_within=0, daily=0, weekly=0, monthly=0, yearly=0, express=0)


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def one(
    order: int, moment: datetime, kind: SnapshotKind = FULL, *, of: int | None = None, name: str = ""
) -> StoredSnapshot:
    name = name or ("db" if kind is DUMP else "")
    belongs = "" if of is None else f"{of:012d}-00000000"
    return StoredSnapshot(
        f"{order:064x}", order, "records", kind, f"{order:012d}-00000000", ns(moment), "ward", b"/srv", "", 1, 1,
        belongs, name,
    )  # fmt: skip


def choose(snapshots: list[StoredSnapshot], policy: RetentionConfig, **choices: object) -> Choice:
    now = max((found.time for found in snapshots), default=0)
    return select(snapshots, policy, now=now, zone=UTC, **choices)  # type: ignore[arg-type]


def kept(choice: Choice) -> dict[int, Why]:
    return {found.snapshot.order: found.why for found in choice.staying}


policies = st.builds(
    RetentionConfig,
    keep_within=st.sampled_from([0, 3600, 86400, 7 * 86400]), daily=st.integers(0, 5), weekly=st.integers(0, 4),
    monthly=st.integers(0, 4), yearly=st.integers(0, 3), express=st.sampled_from([0, 3600, 86400]),
)  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[StoredSnapshot]:
    """Snapshots of all kinds in the order in which a daemon makes them."""
    found, moment, last_full = [], START, 0
    for order in range(1, draw(st.integers(0, 40)) + 1):
        moment += timedelta(minutes=draw(st.sampled_from([0, 1, 50, 700, 1500, 9000, 60000])))
        kind = draw(st.sampled_from([FULL, FULL, EXPRESS, DUMP]))
        if kind is FULL:
            last_full = order
        name = draw(st.sampled_from(["db", "other"])) if kind is DUMP else ""
        found.append(one(order, moment, kind, of=last_full or None if kind is DUMP else None, name=name))
    return found


@given(histories(), policies)
def test_what_is_newest_stays_whatever_the_policy(history: list[StoredSnapshot], policy: RetentionConfig) -> None:
    choice = choose(history, policy)
    stays = {found.snapshot.id for found in choice.staying}
    assert choice.odd == () and len(choice.decisions) == len(history)
    full = [found for found in history if found.kind is FULL]
    if full:
        assert full[-1].id in stays
    for name in {found.dump_name for found in history if found.kind is DUMP}:
        assert [found for found in history if found.dump_name == name][-1].id in stays
    newest = full[-1].order if full else 0
    assert all(found.id in stays for found in history if found.kind is EXPRESS and found.order > newest)


@given(histories(), policies)
def test_applied_again_nothing_more_goes(history: list[StoredSnapshot], policy: RetentionConfig) -> None:
    left = [found.snapshot for found in choose(history, policy).staying]
    assert choose(left, policy).going == []


@given(histories(), policies, policies)
def test_a_policy_that_keeps_more_of_everything_keeps_all_that_the_other_does(
    history: list[StoredSnapshot], one_policy: RetentionConfig, other: RetentionConfig
) -> None:
    fields = [name for name in RetentionConfig.model_fields if name != "auto"]
    more = RetentionConfig(**{name: max(getattr(one_policy, name), getattr(other, name)) for name in fields})
    full = [found for found in history if found.kind is not DUMP]
    assert set(kept(choose(full, one_policy))) <= set(kept(choose(full, more)))


@given(histories(), policies)
def test_a_restore_of_a_moment_that_stays_brings_the_dumps_it_brought_before(
    history: list[StoredSnapshot], policy: RetentionConfig
) -> None:
    choice = choose(history, policy)
    stays = {found.snapshot.id for found in choice.staying}
    for full in (found.snapshot for found in choice.staying if found.snapshot.kind is FULL):
        for name in ("db", "other"):
            before = [found for found in history if found.dump_name == name and found.order <= full.order]
            if before:
                assert before[-1].id in stays


@given(histories(), policies, st.data())
def test_made_up_snapshots_push_out_no_true_one(
    history: list[StoredSnapshot], policy: RetentionConfig, data: st.DataObject
) -> None:
    """Whoever can write to the repository adds one from the future: what stayed without it stays with it."""
    order = data.draw(st.integers(1, 50))
    fake = one(order, START + timedelta(days=4000), FULL)
    fake = StoredSnapshot(**{**{f: getattr(fake, f) for f in StoredSnapshot.__slots__}, "id": "f" * 64})
    now = max((found.time for found in history), default=ns(START))
    before = select(history, policy, now=now, zone=UTC)
    after = select([*history, fake], policy, now=now, zone=UTC)
    assert fake in after.odd
    stays = {found.snapshot.id for found in after.staying}
    assert {found.snapshot.id for found in before.staying} | {fake.id} <= stays


def test_of_each_period_the_last_one_stays() -> None:
    days = [one(2 * day + part, START + timedelta(days=day, hours=6 * part)) for day in range(400) for part in (0, 1)]
    policy = NONE.model_copy(update={"daily": 3, "weekly": 2, "monthly": 3, "yearly": 5})
    found = kept(choose(days, policy))
    moments = {START + timedelta(days=order // 2, hours=6 * (order % 2)): why for order, why in found.items()}
    assert {moment.strftime("%Y-%m-%d %H"): why for moment, why in moments.items()} == {
        "2027-02-04 18": Why.NEWEST, "2027-02-03 18": Why.DAILY, "2027-02-02 18": Why.DAILY,
        "2027-01-31 18": Why.WEEKLY, "2026-12-31 18": Why.MONTHLY,
    }  # fmt: skip


def test_what_stands_still_loses_nothing_by_age() -> None:
    history = [one(number, START + timedelta(hours=number)) for number in range(5)]
    policy = NONE.model_copy(update={"keep_within": 86400.0})
    years_later = ns(START + timedelta(days=3650))
    assert select(history, policy, now=years_later, zone=UTC).going == []


def test_days_are_those_of_the_hosts_clock() -> None:
    from zoneinfo import ZoneInfo

    late = [one(1, datetime(2026, 3, 1, 15, 30, tzinfo=UTC)), one(2, datetime(2026, 3, 1, 16, 30, tzinfo=UTC))]
    policy = NONE.model_copy(update={"daily": 2})
    assert len(select(late, policy, now=late[-1].time, zone=UTC).staying) == 1
    assert len(select(late, policy, now=late[-1].time, zone=ZoneInfo("Asia/Shanghai")).staying) == 2


def test_an_express_snapshot_goes_when_a_newer_full_one_exists_and_its_period_is_over() -> None:
    history = [one(1, START, EXPRESS), one(2, START + timedelta(hours=5), EXPRESS), one(3, START + timedelta(hours=6))]
    policy = NONE.model_copy(update={"express": 2 * 3600.0})
    assert kept(choose(history, policy)) == {2: Why.EXPRESS_PERIOD, 3: Why.NEWEST}
    assert kept(choose(history[:2], policy)) == {1: Why.NOT_YET_FULL, 2: Why.NOT_YET_FULL}


def test_a_dump_goes_with_its_full_snapshot_but_not_from_under_a_moment_that_stays() -> None:
    day = timedelta(days=1)
    history = [
        one(1, START), one(2, START, DUMP, of=1), one(3, START + day), one(4, START + day, DUMP, of=3),
        one(5, START + day), one(6, START + 2 * day), one(7, START + 2 * day, DUMP, of=6),
    ]  # fmt: skip
    policy = NONE.model_copy(update={"daily": 2})
    choice = choose(history, policy)
    assert kept(choice) == {4: Why.WITH_FULL, 5: Why.DAILY, 6: Why.NEWEST, 7: Why.NEWEST}
    assert {found.snapshot.order: found.why for found in choice.going} == {
        1: Why.POLICY, 2: Why.DUMP_OF_GONE, 3: Why.POLICY,
    }  # fmt: skip


def test_dumps_of_a_folder_that_never_changes_are_counted_like_full_ones() -> None:
    history = [one(1, START), *(one(day, START + timedelta(days=day), DUMP, of=1) for day in range(2, 100))]
    policy = NONE.model_copy(update={"daily": 7})
    assert sorted(kept(choose(history, policy))) == [1, *range(93, 100)]


def test_a_dump_of_a_change_set_that_found_nothing_new_belongs_to_the_full_one_before() -> None:
    history = [one(1, START), one(5, START, DUMP, of=4), one(8, START + timedelta(days=1), DUMP, of=7)]
    assert sorted(kept(choose(history, NONE.model_copy(update={"daily": 9})))) == [1, 5, 8]


@pytest.mark.parametrize(
    ("dates", "odd"),
    [
        ([1, 2, 3], []), ([1, 1, 1], []), ([1, 9, 2, 3], [1]), ([5, 6, 1, 7], [2]), ([1, 2, 3, 99], [3]), ([], []),
    ],
)  # fmt: skip
def test_dates_that_do_not_fit_their_order_are_flagged(dates: list[int], odd: list[int]) -> None:
    row = [one(place, START + timedelta(days=day)) for place, day in enumerate(dates)]
    found = odd_dates(row, ns(START + timedelta(days=50)))
    assert [snapshot.order for snapshot in found] == odd


def test_the_newest_acknowledged_one_stays_too() -> None:
    history = [one(1, START), one(2, START + timedelta(days=1))]
    assert kept(choose(history, NONE, keep={history[0].id})) == {1: Why.LAST_KNOWN, 2: Why.NEWEST}


def test_a_policys_digest_is_of_its_values_alone() -> None:
    assert policy_digest(RetentionConfig()) == policy_digest(RetentionConfig(auto=True))
    assert policy_digest(RetentionConfig()) != policy_digest(RetentionConfig(daily=31))


def test_a_window_may_go_over_midnight() -> None:
    night = MaintenanceConfig(prune_window="22:30-04:00")
    assert [night.is_open(minute) for minute in (22 * 60 + 29, 22 * 60 + 30, 0, 239, 240)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert [MaintenanceConfig().is_open(minute) for minute in (59, 60, 299, 300)] == [False, True, True, False]

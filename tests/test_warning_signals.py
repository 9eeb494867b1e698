"""Signals: which alert is which, that flapping is damped and counted, that nothing is counted twice or forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pulling import disk, inventory
from tests.warning_desks import HOUR, MINUTE, Office, office_in
from vaultd import alerts
from vaultd.config.response import SIGNALS
from vaultd.disks.model import Disk, Health
from vaultd.warning import signals
from vaultd.warning.fields import Fields
from vaultd.warning.signals import State
from vaultd.warning.words import CATEGORIES, SIGNAL_WORDS

POLICY = '[response]\nquiet = "4h"\n'


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path, POLICY) as made:
        signals.from_alerts(made.desk)  # a daemon was there before
        yield made


def shown(office: Office) -> list[tuple[str, str, str, int]]:
    """What is there, the oldest first: id, state, subject, count."""
    found = office.store.warnings(open_only=False)
    return [(one.id, one.state, one.subject, one.count) for one in reversed(found)]


def flap(office: Office, code: str, times: int, **where: str) -> None:
    for _time in range(times):
        office.store.alerts.raise_(code, **where)
        office.store.alerts.clear(code, **where)


def test_the_table_knows_real_alerts_and_every_signal_has_its_words() -> None:
    assert set(signals.ALERTS) | signals.AWAY <= alerts.KINDS.keys()
    by_other_ways = {"power-lost", "smart-failed", "target-lost"}
    assert set(signals.ALERTS.values()) | by_other_ways == set(SIGNALS) == SIGNAL_WORDS.keys()
    assert {one.category for one in SIGNAL_WORDS.values()} <= CATEGORIES.keys()


def test_an_alert_proposes_level_three_and_tells_who_has_duty(office: Office) -> None:
    office.store.alerts.raise_("mass-change", vault="records", detail={"changed": 900, "files": 1000})
    signals.from_alerts(office.desk)
    signals.from_alerts(office.desk)
    (row,) = office.store.warnings()
    assert (row.state, row.level, row.category, row.signal, row.count) == (
        "proposed", "III", "tampering", "mass-change", 1
    )  # fmt: skip
    assert row.scope == "records" and row.recipients == ("张伟",)
    (notice,) = office.told()
    assert notice.recipients == ("张伟",) and f"warning issue --from {row.id}" in notice.text
    (entry,) = office.entries("warning")
    assert (entry["state"], entry["signal"], entry["count"]) == ("proposed", "mass-change", 1)


def test_no_name_of_a_file_and_no_path_gets_into_a_proposal(office: Office) -> None:
    office.store.alerts.raise_("vault-missing", vault="records", detail={"path": "/srv/records/王某某"})
    office.store.alerts.raise_("ledger", detail={"error": "/srv/records/王某某: no space"})
    signals.from_alerts(office.desk)
    told = " ".join(json.dumps(one, ensure_ascii=False) for one in office.owed("warning"))
    told += " ".join(f"{one.title} {one.text}" for one in office.told())
    assert len(office.store.warnings()) == 2 and "王某某" not in told and "/srv" not in told


def test_ten_thousand_flaps_are_one_proposal_with_a_count(office: Office) -> None:
    """Neither the store nor the ledger grows with them."""
    for number in range(10_000):
        signals.note_states(office.desk, [State("power-lost", "ups@localhost", number % 2 == 0, "ups@localhost")])
    assert shown(office) == [("W-2026-001", "proposed", "ups@localhost", 5000)]
    for _number in range(5_000):
        office.desk.propose("power-lost", "ups@localhost", "", times=1, standing=True)
    assert shown(office) == [("W-2026-001", "proposed", "ups@localhost", 10_000)]
    assert [one["count"] for one in office.owed("warning")] == [1, 10, 100, 1000, 10_000]
    tables = "warning", "warning_revision", "warning_answer", "warning_notice", "warning_signal", "warning_action"
    rows = [office.store.database.reader().execute(f"SELECT count(*) FROM {one}").fetchone()[0] for one in tables]
    assert rows == [1, 5, 0, 1, 0, 0] and len(office.owed()) == 5 and len(office.told()) == 1


def test_an_alert_that_flaps_is_counted_even_when_it_was_over_before_anybody_looked(office: Office) -> None:
    flap(office, "host-key", 12, target="east")
    signals.from_alerts(office.desk)
    assert shown(office) == [("W-2026-001", "proposed", "host-key:east", 12)]
    office.again()
    signals.from_alerts(office.desk)  # a restart counts nothing twice
    flap(office, "host-key", 3, target="east")
    office.again()
    signals.from_alerts(office.desk)
    assert shown(office) == [("W-2026-001", "proposed", "host-key:east", 15)]
    assert [one["count"] for one in office.owed("warning")] == [1, 10]


def test_each_subject_has_a_proposal_of_its_own(office: Office) -> None:
    for vault in ("records", "patients"):
        office.store.alerts.raise_("mass-change", vault=vault)
    office.store.alerts.raise_("ledger")
    office.store.alerts.raise_("ledger-missing")
    signals.from_alerts(office.desk)
    assert sorted(row.subject for row in office.store.warnings()) == [
        "ledger", "ledger-missing", "mass-change:patients", "mass-change:records",
    ]  # fmt: skip


def test_after_it_was_declined_a_signal_is_quiet_for_a_while_and_counts(office: Office) -> None:
    flap(office, "host-key", 1, target="east")
    signals.from_alerts(office.desk)
    office.desk.decline("W-2026-001")
    office.clock.now += 4 * HOUR - MINUTE
    flap(office, "host-key", 30, target="east")
    signals.from_alerts(office.desk)
    assert shown(office) == [("W-2026-001", "declined", "host-key:east", 31)]
    assert [one["state"] for one in office.owed("warning")] == ["proposed", "declined"]
    office.clock.now += 2 * MINUTE
    signals.from_alerts(office.desk)
    assert len(shown(office)) == 1  # it does not stand: it must come again
    flap(office, "host-key", 1, target="east")
    signals.from_alerts(office.desk)
    assert shown(office)[1:] == [("W-2026-002", "proposed", "host-key:east", 1)]


def test_what_still_stands_after_the_quiet_time_is_proposed_again(office: Office) -> None:
    office.store.alerts.raise_("mass-change", vault="records")
    signals.from_alerts(office.desk)
    office.desk.decline("W-2026-001")
    signals.from_alerts(office.desk)
    assert len(shown(office)) == 1
    office.clock.now += 5 * HOUR
    signals.from_alerts(office.desk)
    signals.from_alerts(office.desk)
    assert [one[:2] for one in shown(office)] == [("W-2026-001", "declined"), ("W-2026-002", "proposed")]


def test_a_warning_that_stands_counts_its_signal_and_is_not_proposed_again(office: Office) -> None:
    flap(office, "host-key", 1, target="east")
    signals.from_alerts(office.desk)
    office.desk.issue_proposed("W-2026-001", Fields("II", recipients=["李娜"], measures="先不要连接"))
    flap(office, "host-key", 20, target="east")
    signals.from_alerts(office.desk)
    assert shown(office) == [("W-2026-001", "issued", "host-key:east", 21)]
    row = office.desk.find("W-2026-001")
    assert (row.level, row.measures, row.revision, row.asked) == ("II", "先不要连接", 3, 2)
    assert [one.person for one in office.store.answers(row.id, row.asked)] == ["李娜"]  # counting asks nobody again


def test_the_policy_issues_by_itself_what_it_names(tmp_path: Path) -> None:
    with office_in(tmp_path, '[response.III]\nautomatic = ["host-key"]\nat_once = ["protect"]\n') as office:
        signals.from_alerts(office.desk)
        flap(office, "host-key", 3, target="east")
        office.store.alerts.raise_("mass-change", vault="records")
        signals.from_alerts(office.desk)
        assert {(row.signal, row.state) for row in office.store.warnings()} == {
            ("host-key", "issued"), ("mass-change", "proposed"),
        }  # fmt: skip
        states = [one["state"] for one in office.owed("warning") if one["signal"] == "host-key"]
        assert states == ["proposed", "issued"]
        assert [one.action for one in office.store.warning_actions()] == ["protect"]


def test_what_happened_before_the_first_start_proposes_nothing_but_what_stands(tmp_path: Path) -> None:
    with office_in(tmp_path) as office:
        flap(office, "host-key", 5, target="east")
        office.store.alerts.raise_("mass-change", vault="records")
        signals.from_alerts(office.desk)
        signals.from_alerts(office.desk)
        assert shown(office) == [("W-2026-001", "proposed", "mass-change:records", 1)]


def test_a_clock_set_back_while_a_proposal_is_open_makes_no_second_one(office: Office) -> None:
    flap(office, "host-key", 1, target="east")
    signals.from_alerts(office.desk)
    office.desk.decline("W-2026-001")
    office.clock.now -= 24 * HOUR
    for _time in range(3):
        flap(office, "host-key", 1, target="east")
        signals.from_alerts(office.desk)
    assert shown(office) == [
        ("W-2026-002", "proposed", "host-key:east", 3), ("W-2026-001", "declined", "host-key:east", 1),
    ]  # fmt: skip


# states


def test_a_target_is_lost_when_it_is_away_for_longer_than_the_objective(office: Office) -> None:
    office.store.alerts.raise_("target-unreachable", target="east")
    raised = office.store.alerts.list()[0].raised
    office.clock.now = raised + 14 * MINUTE
    signals.from_alerts(office.desk)
    assert shown(office) == []
    office.clock.now = raised + 16 * MINUTE  # the objective is 15 minutes
    for _time in range(3):
        signals.from_alerts(office.desk)
    ((_number, state, subject, count),) = shown(office)
    assert (state, subject, count) == ("proposed", "east", 1)
    office.store.alerts.clear("target-unreachable", target="east")
    signals.from_alerts(office.desk)
    assert office.store.signals_on() == []


def healthy(key: str, passed: bool | None) -> Disk:
    return replace(disk(key), health=None if passed is None else Health(passed, 0, "reallocated 5"))


def test_a_disk_that_says_it_fails_is_a_signal_once(office: Office) -> None:
    assert signals.disks(None) == []
    for passed in (True, None, False, False, None, False):
        found = inventory([healthy("a", passed), healthy("b", True)], [])
        signals.note_states(office.desk, signals.disks(found))
    ((_number, state, subject, count),) = shown(office)
    assert (state, subject, count) == ("proposed", healthy("a", False).key, 1)
    signals.note_states(office.desk, signals.disks(inventory([healthy("a", True)], [])))
    signals.note_states(office.desk, signals.disks(inventory([healthy("a", False)], [])))
    assert shown(office)[0][3] == 2

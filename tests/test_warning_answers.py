"""Who has duty, who has answered, who is told again and to whom it goes next: counted by the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.warning_desks import HOUR, MINUTE, NIGHT, PEOPLE, Office, office_in
from vaultd.config.reading import parse
from vaultd.config.response import DutyConfig
from vaultd.units import parse_rfc3339
from vaultd.warning import answering, people
from vaultd.warning.faults import WarningError
from vaultd.warning.fields import Fields

POLICY = '[response]\nrepeat = "10m"\nrepeats = 2\n'


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path, POLICY) as made:
        yield made


def answers(office: Office, number: str) -> dict[str, tuple[str, int]]:
    """State, and how often they were told, by person."""
    row = office.desk.find(number)
    return {one.person: (one.state, one.times) for one in answering.of(office.desk, row).rows}


def told_whom(office: Office) -> list[tuple[str, ...]]:
    return [one.recipients for one in office.told()]


def test_who_has_not_answered_is_told_again_and_then_the_next_on_the_roster_is(office: Office) -> None:
    row = office.desk.issue(Fields("II", recipients=["张伟", "李娜"]))
    assert told_whom(office) == [("张伟", "李娜")]
    office.clock.now += 9 * MINUTE
    answering.acknowledge(office.desk, row.id, "李娜")
    assert answering.pursue(office.desk) == 0
    for expected in (2, 3):
        office.clock.now += 10 * MINUTE
        assert answering.pursue(office.desk) == 1 and answering.pursue(office.desk) == 0
        assert answers(office, row.id) == {"张伟": ("asked", expected), "李娜": ("acknowledged", 1)}
        assert told_whom(office) == [("张伟",)]
    office.clock.now += 10 * MINUTE
    assert answering.pursue(office.desk) == 1
    assert answers(office, row.id) == {"张伟": ("escalated", 3), "李娜": ("acknowledged", 1), "王芳": ("asked", 1)}
    (notice,) = office.told()
    assert notice.recipients == ("王芳",) and "it is yours now" in notice.title
    assert answering.of(office.desk, row).open == ("张伟", "王芳")
    answering.acknowledge(office.desk, row.id, "王芳", "telephone")
    assert answering.of(office.desk, row).open == ()  # it went from one to the other, who has answered
    found = [(one["state"], one["person"], one.get("how")) for one in office.entries("warning-answer")]
    assert found == [
        ("acknowledged", "李娜", "command"), ("repeated", "张伟", None), ("repeated", "张伟", None),
        ("escalated", "王芳", None), ("acknowledged", "王芳", "telephone"),
    ]  # fmt: skip


def test_when_nobody_is_left_it_is_an_alert_and_no_more_is_sent(office: Office) -> None:
    row = office.desk.issue(Fields("II", recipients=["张伟"]))
    for _time in range(100):
        office.clock.now += 10 * MINUTE
        answering.pursue(office.desk)
        answering.settle_alerts(office.desk)
    assert answers(office, row.id) == {"张伟": ("escalated", 3), "王芳": ("escalated", 3), "赵敏": ("unheard", 3)}
    assert len(office.owed("warning-answer")) == 2 * 3 + 2  # two repeats of three persons, two escalations
    (alert,) = office.store.alerts.list()
    assert (alert.code, alert.target, alert.times) == ("warning-unanswered", row.id, 1)
    assert alert.detail == {"warning": row.id, "names": "张伟, 王芳, 赵敏"}
    answering.acknowledge(office.desk, row.id, "赵敏", "telephone")
    answering.settle_alerts(office.desk)
    assert office.store.alerts.list() == []


def test_a_restart_forgets_nothing_and_counts_nothing_twice(office: Office) -> None:
    row = office.desk.issue(Fields("II", recipients=["张伟"]))
    office.clock.now += 10 * MINUTE
    assert answering.pursue(office.desk) == 1
    office.again()
    assert answering.pursue(office.desk) == 0
    office.clock.now += 5 * HOUR  # nobody was there: it is told once, not thirty times
    office.again()
    assert answering.pursue(office.desk) == 1 and answering.pursue(office.desk) == 0
    assert answers(office, row.id) == {"张伟": ("asked", 3)}
    assert len(office.owed("warning-answer")) == 2 and len(office.told()) == 3


def test_a_clock_that_was_set_back_by_a_day_stops_nobody_from_being_told(office: Office) -> None:
    row = office.desk.issue(Fields("II", recipients=["张伟"]))
    office.clock.now -= 24 * HOUR
    assert answering.pursue(office.desk) == 1 and answering.pursue(office.desk) == 0
    office.clock.now += 10 * MINUTE
    assert answering.pursue(office.desk) == 1
    assert answers(office, row.id) == {"张伟": ("asked", 3)}


def test_an_adjusted_warning_is_to_be_acknowledged_again_and_a_lifted_one_not(office: Office) -> None:
    row = office.desk.issue(Fields("II", recipients=["张伟"]))
    answering.acknowledge(office.desk, row.id, "张伟")
    office.desk.adjust(row.id, Fields(scope="x"))
    assert answers(office, row.id) == {"张伟": ("asked", 1)}
    office.clock.now += HOUR
    assert answering.pursue(office.desk) == 1
    office.desk.lift(row.id)
    office.clock.now += HOUR
    assert answering.pursue(office.desk) == 0
    with pytest.raises(WarningError, match="it is lifted"):
        answering.acknowledge(office.desk, row.id, "张伟")


def test_answers_of_others_than_recipients_are_refused_and_a_second_one_is_none(office: Office) -> None:
    row = office.desk.issue(Fields("II", recipients=["张伟"]))
    with pytest.raises(WarningError, match="is no recipient"):
        answering.acknowledge(office.desk, row.id, "李娜")
    with pytest.raises(WarningError, match=r"no \[\[person\]\]"):
        answering.acknowledge(office.desk, row.id, "张三")
    assert answering.acknowledge(office.desk, row.id, "张伟")[2] is True
    assert answering.acknowledge(office.desk, row.id, "张伟", "in person")[2] is False
    assert len(office.owed("warning-answer")) == 1


def test_the_list_to_ring_has_numbers_and_ticks(tmp_path: Path) -> None:
    with office_in(tmp_path, '[response.I]\nring = ["李娜"]\n') as office:
        row = office.desk.issue(Fields("I", recipients=["张伟", "王芳"]))
        assert answering.ring_list(office.desk, row) == [("李娜", "101"), ("张伟", "100")]  # 王芳 has no telephone
        answering.rung(office.desk, row.id, "李娜", reached=False)
        answering.rung(office.desk, row.id, "李娜", reached=True)
        assert [(one.person, one.reached) for one in office.store.rings(row.id)] == [("李娜", False), ("李娜", True)]
        names = ("of", "channel", "state", "attempts", "person")
        assert [[one[name] for name in names] for one in office.entries("notice")] == [
            [row.id, "telephone", "failed", 1, "李娜"], [row.id, "telephone", "sent", 2, "李娜"],
        ]  # fmt: skip
        with pytest.raises(WarningError):
            answering.rung(office.desk, row.id, "张三", reached=True)


# the roster


@pytest.mark.parametrize(
    ("values", "moment", "expected"),
    [
        ({}, "2026-11-28T03:00", True),
        ({"hours": "08:00-20:00"}, "2026-11-28T08:00", True),
        ({"hours": "08:00-20:00"}, "2026-11-28T20:00", False),
        ({"hours": "20:00-08:00"}, "2026-11-28T07:59", True),
        ({"hours": "20:00-08:00", "days": ["fri"]}, "2026-11-28T07:59", True),  # Friday's night, on Saturday
        ({"hours": "20:00-08:00", "days": ["sat"]}, "2026-11-28T07:59", False),
        ({"hours": "20:00-08:00", "until": date(2026, 11, 27)}, "2026-11-28T07:59", True),
        ({"since": date(2026, 11, 29)}, "2026-11-28T03:00", False),
        ({"since": date(2026, 11, 28), "until": date(2026, 11, 28)}, "2026-11-28T23:59", True),
    ],
)
def test_shifts(values: dict[str, object], moment: str, expected: bool) -> None:
    one = DutyConfig.model_validate({"person": "张伟", **values})
    assert one.has_duty(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is expected


SHIFTS = """\
[[duty]]
person = "张伟"
hours = "20:00-08:00"
[[duty]]
person = "李娜"
hours = "08:00-20:00"
then = ["赵敏"]
[[duty]]
person = "王芳"
hours = "08:00-12:00"
"""


def test_who_has_duty_and_who_comes_after_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "local_time", lambda at: datetime.fromtimestamp(at / 1e9, UTC))
    with office_in(tmp_path, people=PEOPLE + SHIFTS) as office:
        night = people.duty(office.config, NIGHT)
        assert (night.person, night.also, night.then) == ("张伟", (), ("李娜", "王芳"))
        noon = people.duty(office.config, parse_rfc3339("2026-11-28T09:00:00Z"))
        assert (noon.person, noon.also, noon.then) == ("李娜", ("王芳",), ("赵敏", "王芳", "张伟"))
        assert people.after(office.config, "张伟", NIGHT) == ("李娜", "王芳")
        assert people.after(office.config, "李娜", NIGHT) == ("张伟", "赵敏", "王芳")  # who has duty comes first
        assert people.after(office.config, "赵敏", NIGHT) == ("张伟", "李娜", "王芳")
        assert people.uncovered(office.config, date(2026, 11, 28)) == []


def test_hours_without_anybody_are_named(tmp_path: Path) -> None:
    text = (
        PEOPLE + '[[duty]]\nperson = "张伟"\nhours = "20:00-08:00"\n[[duty]]\nperson = "李娜"\nhours = "08:30-20:00"\n'
    )
    with office_in(tmp_path, people=text) as office:
        found = people.uncovered(office.config, date(2026, 11, 28))
        assert len(found) == 7 and found[0] == ("2026-11-28", 480, 510)
    config = parse(office.file.read_text().replace("08:30", "08:00"), office.file)
    assert people.uncovered(config, date(2026, 11, 28)) == []

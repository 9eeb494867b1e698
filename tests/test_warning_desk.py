"""A warning from its proposal to its end: what is kept, what is on record, who is told, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.warning_desks import HOUR, NIGHT, PEOPLE, Office, office_in
from vaultd.errors import NotAuthorisedError, StateError
from vaultd.store.warningrows import WarningRow
from vaultd.warning import desk as desks
from vaultd.warning import telling
from vaultd.warning.faults import NoWarningError, WarningError
from vaultd.warning.fields import Fields

POLICY = """\
[response]
unit = "应急办"
[response.I]
directed_by = "指挥部"
notify = ["赵敏"]
at_once = ["protect", "hurry"]
urgent = true
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path, POLICY) as made:
        yield made


def test_every_change_is_an_entry_that_supersedes_the_one_before(office: Office) -> None:
    given = Fields(
        "II", "fire", ["指挥部"], NIGHT - HOUR, "三楼机房", "有烟", "转移纸质档案", "保卫科"
    )  # fmt: skip
    issued = office.desk.issue(given)
    adjusted = office.desk.adjust(issued.id, Fields("I", scope="整栋楼"))
    office.desk.lift(issued.id)
    assert (issued.id, issued.revision, adjusted.revision) == ("W-2026-001", 1, 2)
    found = office.entries("warning")
    fields = ("warning", "revision", "state", "level", "category", "recipients", "start", "scope", "cautions",
              "measures", "unit", "who", "on_duty")  # fmt: skip
    rest = (
        ["fire", ["指挥部"], "2026-11-28T02:00:00.000Z"],
        ["有烟", "转移纸质档案", "保卫科", "uid 0 (says test)", "张伟"],
    )
    assert [[one[name] for name in fields] for one in found] == [
        ["W-2026-001", 1, "issued", "II", *rest[0], "三楼机房", *rest[1]],
        ["W-2026-001", 2, "adjusted", "I", *rest[0], "整栋楼", *rest[1]],
        ["W-2026-001", 3, "lifted", "I", *rest[0], "整栋楼", *rest[1]],
    ]
    assert found[2]["request"] == "A-2026-001" and "request" not in found[0]
    assert [one["state"] for one in office.revisions(issued.id)] == ["issued", "adjusted", "lifted"]


def test_the_level_alone_is_enough_and_the_rest_is_by_the_policy(office: Office) -> None:
    row = office.desk.issue(Fields("I"))
    assert (row.category, row.unit, row.start) == ("unspecified", "应急办", NIGHT)
    assert row.recipients == ("赵敏", "李娜", "王芳", "张伟")  # notify, who directs, who has duty
    assert [one.person for one in office.store.answers(row.id, 1)] == sorted(row.recipients)
    (notice,) = office.told()
    assert (notice.of, notice.kind, notice.urgent, notice.drill) == (row.id, "warning", True, False)
    assert set(notice.recipients) == set(row.recipients)
    assert "应急办" in notice.text and "张伟" in notice.text and f"vaultd warning ack {row.id}" in notice.text


def test_what_is_set_in_motion_is_kept_with_the_warning_and_once_only(office: Office) -> None:
    row = office.desk.issue(Fields("II"))
    assert office.store.warning_actions(row.id) == []
    office.desk.adjust(row.id, Fields("I"))
    wanted = office.store.warning_actions(row.id)
    assert [(one.action, one.state, one.level) for one in wanted] == [
        ("hurry", "wanted", "I"),
        ("protect", "wanted", "I"),
    ]
    office.store.put_action(wanted[1]._replace(state="done"))
    office.desk.adjust(row.id, Fields("I", scope="x"))
    assert [one.state for one in office.store.warning_actions(row.id)] == ["wanted", "done"]


def test_a_drill_says_so_everywhere_and_sets_nothing_in_motion(office: Office) -> None:
    row = office.desk.issue(Fields("I", "fire"), drill=True)
    office.desk.adjust(row.id, Fields(scope="x"))
    office.desk.lift(row.id)
    assert office.store.warning_actions(row.id) == []
    assert [one["drill"] for one in office.owed("warning")] == [1, 1, 1]
    assert all(one.drill and one.title.startswith("DRILL") for one in office.told())


def test_lifting_level_one_and_making_less_of_it_need_approvals(office: Office) -> None:
    row = office.desk.issue(Fields("I"))
    office.approvals.refuses = NotAuthorisedError("not yet")
    for change in (lambda: office.desk.lift(row.id), lambda: office.desk.adjust(row.id, Fields("III"))):
        with pytest.raises(NotAuthorisedError):
            change()
    assert office.desk.find(row.id) == row and len(office.owed("warning")) == 1
    office.desk.adjust(row.id, Fields(scope="x"))  # it stays level I
    office.approvals.refuses = None
    lower = office.desk.adjust(row.id, Fields("II"))
    office.desk.lift(row.id)  # of level II nobody is asked
    assert office.approvals.asked == [
        ("warning-lift-1", {"warning": row.id, "issued": 1, "to": "lifted"}),
        ("warning-lift-1", {"warning": row.id, "issued": 1, "to": "III"}),
        ("warning-lift-1", {"warning": row.id, "issued": 2, "to": "II"}),
    ]
    assert lower.level == "II" and [one.get("request") for one in office.owed("warning")][2:] == ["A-2026-001", None]


def test_that_approvals_were_asked_for_is_kept_when_they_are_missing(office: Office) -> None:
    row = office.desk.issue(Fields("I"))
    office.approvals.keep = lambda: office.store.set_meta("asked", row.id)
    office.approvals.refuses = NotAuthorisedError("not yet")
    with pytest.raises(NotAuthorisedError, match="not yet"):
        office.desk.lift(row.id)
    assert office.store.get_meta("asked") == row.id and office.desk.find(row.id) == row


def test_what_was_approved_holds_although_its_signal_is_counted_meanwhile(office: Office) -> None:
    row = office.desk.propose("power-lost", "ups", "", times=1, standing=True)
    assert row is not None
    office.desk.issue_proposed(row.id, Fields("I"))
    office.approvals.refuses = NotAuthorisedError("not yet")
    for _time in range(2):
        with pytest.raises(NotAuthorisedError):
            office.desk.lift(row.id)
        office.desk.propose("power-lost", "ups", "", times=100, standing=True)  # a revision of its own
    assert office.approvals.asked[0] == office.approvals.asked[1]


def test_without_approvals_root_alone_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks.os, "geteuid", lambda: 0)
    assert desks.root_only("warning-lift-1", {}) is None
    monkeypatch.setattr(desks.os, "geteuid", lambda: 1000)
    with pytest.raises(NotAuthorisedError):
        desks.root_only("warning-lift-1", {})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (Fields("IV"), "no such level"),
        (Fields(None), "no such level"),
        (Fields("I", recipients=["张三"]), "no such"),
        (Fields("I", category=" "), "is empty"),
        (Fields("I", scope="a\nb"), "no text on one line"),
        (Fields("I", measures="x" * 2001), "no text on one line"),
        (Fields("I", unit="\x1b[2J"), "no text on one line"),
    ],
)
def test_bad_fields_are_refused_before_anything_is_changed(office: Office, given: Fields, why: str) -> None:
    with pytest.raises(WarningError, match=why):
        office.desk.issue(given)
    assert office.store.warnings(open_only=False) == [] and office.owed() == [] and office.told() == []


def test_impossible_changes_are_refused(office: Office) -> None:
    row = office.desk.issue(Fields("II"))
    with pytest.raises(WarningError, match="nothing of it"):
        office.desk.adjust(row.id, Fields("II"))
    with pytest.raises(WarningError, match="it is issued"):
        office.desk.decline(row.id)
    with pytest.raises(WarningError, match="it is issued"):
        office.desk.issue_proposed(row.id, Fields())
    office.desk.lift(row.id.lower())
    for change in (office.desk.lift, lambda number: office.desk.adjust(number, Fields("I"))):
        with pytest.raises(WarningError, match="it is lifted"):
            change(row.id)
    with pytest.raises(NoWarningError):
        office.desk.find("W-2026-099")


def test_numbers_go_on_in_a_year_and_begin_anew_in_the_next(office: Office) -> None:
    assert [office.desk.issue(Fields("II")).id for _time in range(2)] == ["W-2026-001", "W-2026-002"]
    office.clock.now += 90 * 24 * HOUR
    assert office.desk.issue(Fields("II")).id == "W-2027-001"
    office.clock.now -= 90 * 24 * HOUR  # the clock was wrong
    assert office.desk.issue(Fields("II")).id == "W-2026-003"


def test_the_change_and_its_entry_are_there_together_or_not_at_all(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(telling, "tell_of", full)
    with pytest.raises(StateError):
        office.desk.issue(Fields("I"))
    assert office.store.warnings(open_only=False) == [] and office.owed() == []
    assert office.store.warning_actions("W-2026-001") == []


def test_a_notice_that_cannot_be_handed_over_stays(office: Office) -> None:
    office.desk.issue(Fields("I"))
    office.desk.issue(Fields("II"))
    taken: list[str] = []

    def full(notice: object) -> None:
        raise StateError("the disk is full")

    with pytest.raises(StateError):
        telling.hand_over(office.store, full)
    assert telling.hand_over(office.store, lambda notice: taken.append(notice.of)) == 2
    assert taken == ["W-2026-001", "W-2026-002"] and telling.hand_over(office.store, full) == 0


def test_with_nobody_in_the_configuration_it_is_issued_all_the_same(tmp_path: Path) -> None:
    with office_in(tmp_path, people="") as office:
        row = office.desk.issue(Fields("I", "fire"))
        assert (row.recipients, row.on_duty, row.unit) == ((), "", "ward")
        (notice,) = office.told()
        assert notice.recipients == ()  # the channels for everybody
        assert "on_duty" not in office.entries("warning")[0]


def test_a_role_directs_too_and_one_who_left_the_configuration_is_nobody(tmp_path: Path) -> None:
    with office_in(tmp_path, '[response.II]\ndirected_by = "director"\n', PEOPLE) as office:
        row = office.desk.issue(Fields("II"))
        assert row.recipients == ("李娜",)
        gone: WarningRow = replace(row, recipients=("某人",))
        office.store.put_warning(gone)
        assert office.desk.adjust(row.id, Fields(scope="x")).recipients == ("某人",)
        assert office.store.answers(row.id, 2) == []

"""Custody events: which moves there are, both sides, approvals, emergencies, loans, and what stands in the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.registering import Office, office_in, owed
from vaultd.media import items, moves, people, record, sshsig
from vaultd.media.faults import MediaError
from vaultd.media.machine import MOVES, Status
from vaultd.media.safety import Unsafe
from vaultd.store import Alert
from vaultd.store.mediarows import SignatureRow

POSSIBLE = {
    "in-service": {"remove", "hand-over"},
    "removed": {"send", "hand-over"},
    "in-transit": {"deposit", "hand-over"},
    "deposited": {"send", "return", "hand-over", "check-out", "destroy"},
    "returned": {"install", "hand-over", "check-out"},
    "destroyed": set(),
}
"""From the plan, not from the code."""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


def tomorrow(days: int = 1) -> date:
    return datetime.now().astimezone().date() + timedelta(days=days)


def alerts(office: Office) -> dict[str, Alert]:
    return {one.code: one for one in office.store.alerts.list()}


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.DESTROYED])
def test_impossible_moves_are_refused_and_change_nothing(office: Office, status: Status) -> None:
    label = office.add(location="机房").label
    office.bring(label, status)
    before = office.register.find(label)
    events = len(office.store.events_of_medium(before.id or 0))
    for action in set(MOVES) - POSSIBLE[status] - {"destroy"}:
        with pytest.raises(MediaError, match=r"it is|not checked out"):
            office.hand(action, label, released_by=before.holder, received_by="周护士", place_to="X", due=tomorrow(),
                        place_from="")  # fmt: skip
    assert office.register.find(label) == before
    assert len(office.store.events_of_medium(before.id or 0)) == events


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.DESTROYED])
def test_possible_moves_are_possible(tmp_path: Path, status: Status) -> None:
    for number, action in enumerate(sorted(POSSIBLE[status] - {"destroy"})):
        folder = tmp_path / str(number)
        folder.mkdir()
        with office_in(folder) as office:
            label = office.add(location="机房").label
            office.bring(label, status)
            holder = office.register.find(label).holder
            office.hand(action, label, released_by=holder, received_by="周护士", place_to="X", due=tomorrow())
            wanted = {"remove": "removed", "send": "in-transit", "deposit": "deposited", "return": "returned",
                      "install": "in-service"}.get(action, status)  # fmt: skip
            assert office.register.find(label).status == wanted
            assert office.register.find(label).holder == "周护士"


def test_an_event_has_both_sides_and_all_that_the_plan_asks_for(office: Office) -> None:
    label = office.add(location="机房").label
    office.bring(label, Status.REMOVED)
    done = office.hand(
        "send", label, released_by="张伟", received_by="陈司机", witness="李娜", place_to="档案馆", purpose="防汛转移",
        seal="88412", seal_condition="intact", means=office.means("张伟", "王芳", "李娜"),
    )  # fmt: skip
    found = office.entries("media-custody")[-1]
    assert found["event"] == done.event
    known = {name: found[name] for name in (
        "action", "labels", "released_by", "received_by", "witness", "place_from", "place_to", "purpose", "authority",
        "seal", "seal_condition",
    )}  # fmt: skip
    assert known == {
        "action": "send", "labels": [label], "released_by": "张伟", "received_by": "陈司机", "witness": "李娜",
        "place_from": "机房", "place_to": "档案馆", "purpose": "防汛转移", "authority": "王芳", "seal": "88412",
        "seal_condition": "intact",
    }  # fmt: skip
    assert found["time_source"] in ("host-clock", "host-clock-synchronised")
    assert found["records"] == [record.digest(office.register.find(label)).hex()]
    assert owed(done) == []
    medium = office.register.find(label)
    assert (medium.location, medium.bound_for, medium.seal) == ("", "档案馆", "88412")


def test_something_that_is_already_elsewhere_is_not_handed_over(office: Office) -> None:
    label = office.add(location="机房").label
    office.bring(label, Status.DEPOSITED)
    with pytest.raises(MediaError, match="it is not at 机房: the register has it at 档案馆, with 李娜"):
        office.hand("send", label, released_by="李娜", place_from="机房", place_to="库房")
    with pytest.raises(MediaError, match="张三 does not have it"):
        office.hand("send", label, released_by="张三", place_to="库房")
    assert office.register.find(label).location == "档案馆"


def test_a_box_of_media_moves_as_one_or_not_at_all(office: Office) -> None:
    one, two = office.add(location="机房").label, office.add(location="机房").label
    office.bring(one, Status.REMOVED)
    with pytest.raises(MediaError, match="it is in service"):
        office.hand("send", one, two, place_to="档案馆")
    assert office.register.find(one).status == Status.REMOVED
    office.bring(two, Status.REMOVED)
    done = office.hand("send", one, two, place_to="档案馆")
    assert [medium.status for medium in done.media] == ["in-transit", "in-transit"]
    assert office.entries("media-custody")[-1]["labels"] == [one, two]
    with pytest.raises(MediaError, match="given twice"):
        office.hand("deposit", one, one, released_by="陈司机", received_by="李娜")


@pytest.mark.parametrize(
    ("values", "why"),
    [({"received_by": "张伟"}, "to themselves"), ({"received_by": ""}, "both sides"),
     ({"witness": "陈司机"}, "somebody else than both sides"), ({"approver": ""}, "nobody has approved"),
     ({"approver": "陈司机"}, "is no .*person"), ({"approver": "张伟"}, "who approves is somebody else"),
     ({"place_to": ""}, "no place where it goes"), ({"seal_condition": "wet"}, "no condition"),
     ({"purpose": "a\x1bb"}, "no text on one line")],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_refused(office: Office, values: dict[str, str], why: str) -> None:
    label = office.add(location="机房").label
    office.bring(label, Status.REMOVED)
    with pytest.raises(MediaError, match=why):
        office.hand("send", label, **{"place_to": "档案馆", **values})
    assert office.register.find(label).status == Status.REMOVED


def test_only_the_roles_of_the_configuration_approve(tmp_path: Path) -> None:
    with office_in(tmp_path, approvers=["保密办"]) as office:
        label = office.add(location="机房").label
        with pytest.raises(MediaError, match="has the role 科室负责人"):
            office.hand("remove", label, received_by="张伟", approver="孙主任")
        office.hand("remove", label, received_by="张伟", approver="王芳")


def test_an_approval_is_there_before_unless_it_is_an_emergency(office: Office) -> None:
    label = office.add(location="机房").label
    with pytest.raises(MediaError, match="must be there before"):
        office.hand("remove", label, received_by="张伟", means=office.means("张伟", sheet=""))
    done = office.hand("remove", label, released_by="周护士", received_by="李娜", emergency="机房漏水",
                       means=office.means("李娜"))  # fmt: skip
    assert owed(done) == [("approver", "王芳")]
    (item,) = items.open_items(office.store, tomorrow(0), time.time_ns())
    assert (item.kind, item.subject) == ("approval", done.event)
    assert office.entries("media-custody")[-1]["emergency"] == "机房漏水"
    assert [one["role"] for one in office.entries("media-signature")] == ["released-by", "received-by"]
    row = moves.late_signature(office.register, done.event, "王芳", lambda role, text: _signed(office, role, text))
    assert row.state == "signed"
    assert items.open_items(office.store, tomorrow(0), time.time_ns()) == []
    assert office.entries("media-signature")[-1]["person"] == "王芳"
    with pytest.raises(MediaError, match="has signed already"):
        moves.late_signature(office.register, done.event, "王芳", lambda role, text: _signed(office, role, text))
    with pytest.raises(MediaError, match="has nothing to sign"):
        moves.late_signature(office.register, done.event, "赵院长", lambda role, text: _signed(office, role, text))


def _signed(office: Office, role: str, text: bytes) -> SignatureRow:
    return people.by_key(office.config, role, "王芳", text, sshsig.sign(office.keys["王芳"], text))


def test_a_disk_whose_data_is_not_safe_goes_only_with_a_reason_on_record(office: Office) -> None:
    label = office.add(location="机房", vaults="patients").label

    def unsafe(medium: object) -> list[Unsafe]:
        return [Unsafe("patients", "changes are not off-site", 3, 700)]

    wish = moves.Handing("remove", [label], "张伟", "张伟", approver="王芳", means=office.means())
    with pytest.raises(MediaError, match="vault patients on it is not safe off-site: changes are not off-site"):
        moves.hand(office.register, wish, unsafe)
    assert office.register.find(label).status == "in-service"
    moves.hand(office.register, replace(wish, override="水已到机柜"), unsafe)
    assert office.entries("media-custody")[-1]["override"] == "水已到机柜"
    # An override that was not needed is not put on record as one.
    other = office.add(location="机房").label
    moves.hand(office.register, replace(wish, labels=[other], override="为了保险"))
    assert "override" not in office.entries("media-custody")[-1]


def test_a_loan_has_a_last_day_and_is_overdue_after_it(office: Office) -> None:
    label = office.add(location="库房2", status="deposited").label
    with pytest.raises(MediaError, match="no last day"):
        office.hand("check-out", label, received_by="周护士")
    with pytest.raises(MediaError, match="is over already"):
        office.hand("check-out", label, received_by="周护士", due=tomorrow(-2))
    office.hand("check-out", label, received_by="周护士", due=tomorrow(3))
    medium = office.register.find(label)
    assert (medium.borrower, medium.holder, medium.location) == ("周护士", "周护士", "库房2")
    for action in ("check-out", "send", "return", "hand-over"):
        with pytest.raises(MediaError, match="it is checked out to 周护士 until"):
            office.hand(action, label, released_by="周护士", received_by="李娜", place_to="X", due=tomorrow())
    last = moves.end_of(tomorrow(3))
    items.raise_alerts(office.store, last)
    assert "media-overdue" not in alerts(office)
    items.raise_alerts(office.store, last + 1)
    alert = alerts(office)["media-overdue"]
    assert (alert.code, alert.detail["count"], alert.detail["labels"]) == ("media-overdue", 1, label)
    assert [one.label for one in office.store.media(overdue_at=last + 1)] == [label]
    office.hand("check-in", label, released_by="周护士", received_by="张伟")
    items.raise_alerts(office.store, last + 1)
    assert "media-overdue" not in alerts(office)
    assert office.register.find(label).borrower == ""


def test_what_was_written_down_later_says_so(office: Office) -> None:
    label = office.add(location="机房").label
    office.hand("remove", label, received_by="张伟", moment=record.stated("2026-11-20 03:12Z"))
    found = office.entries("media-custody")[-1]
    assert (found["time"], found["time_source"]) == ("2026-11-20T03:12:00.000Z", "stated")
    other = office.add(location="机房").label
    with pytest.raises(MediaError, match="in the future"):
        office.hand("remove", other, received_by="张伟", moment=record.Moment(time.time_ns() + 10**13, "stated"))


def test_a_hand_over_changes_who_answers_for_it_and_nothing_else(office: Office) -> None:
    label = office.add(location="机房").label
    office.hand("hand-over", label, received_by="李娜")
    medium = office.register.find(label)
    assert (medium.custodian, medium.holder, medium.location, medium.status) == ("李娜", "李娜", "机房", "in-service")
    with pytest.raises(MediaError, match="does not have it"):
        office.hand("hand-over", label, released_by="张伟", received_by="周护士")

"""Persons: editing the file is not enough to be one who approves; and what becomes of keys, roles and directors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.approving import CALLER, PEOPLE, House, all_accepted, house_in
from vaultd import approvals
from vaultd.approvals import ApprovalError, ApprovalMissingError, accepting, persons
from vaultd.config import VaultConfig
from vaultd.doctor import check_persons
from vaultd.errors import LedgerError


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with house_in(tmp_path) as made:
        yield made


def settle(house: House) -> None:
    house.read()
    approvals.settle(house.config, house.store)


def told(house: House) -> list[tuple[str, str]]:
    return [(one["name"], one["state"]) for one in house.entries("person")]


def names(house: House) -> set[str]:
    return set(approvals.accepted(house.config, house.store))


def test_the_first_directors_are_accepted_at_once_on_record_as_such_and_nobody_else(house: House) -> None:
    settle(house)
    assert told(house) == [("赵院长", "first"), ("钱副院长", "first"), ("张伟", "new"), ("王芳", "new")]
    assert names(house) == {"赵院长", "钱副院长"}
    settle(house)
    assert len(told(house)) == 4  # once


def test_where_nobody_is_a_director_nothing_is_asked_for_and_nothing_recorded(tmp_path: Path) -> None:
    people = {"张伟": {"roles": ["operator"]}, "李娜": {"role": "保管员"}}
    with house_in(tmp_path, people) as house:
        assert house.require(vault="a") is None
        assert told(house) == []
        house.people["李娜"]["roles"] = ["director"]
        house.people["李娜"]["ssh_key"] = ""  # without a key they are none
        settle(house)
        assert not persons.enforced(house.store)
        house.new_key("李娜")
        settle(house)
        assert told(house) == [("李娜", "first"), ("张伟", "new")]
        with pytest.raises(ApprovalMissingError):
            house.require(vault="a")


def test_a_person_who_is_added_to_the_file_waits_for_a_director(house: House) -> None:
    settle(house)
    house.people["新主任"] = {"roles": ["director"]}
    house.new_key("新主任")
    settle(house)
    one = house.ask(vault="a")
    for name in ("新主任", ""):
        with pytest.raises(ApprovalError, match=r"new or was changed|nobody who is accepted"):
            house.approve(one, "新主任", name=name)
    with pytest.raises(ApprovalError, match=r"nobody who is accepted"):
        house.accept("新主任", "新主任")
    assert house.accept("新主任", "赵院长").row.state == "used"
    assert house.approve(one, "新主任").missing() == []
    accepted = house.entries("person")[-1]
    assert (accepted["name"], accepted["state"], accepted["by"]) == ("新主任", "accepted", "赵院长")
    signed = house.entries("approval")[0]
    assert (signed["signature"], signed["request"]) == (accepted["signature"], accepted["request"])


def test_who_is_no_director_accepts_nobody(house: House) -> None:
    all_accepted(house, ("张伟",))
    with pytest.raises(ApprovalError, match="they have the roles: operator"):
        house.accept("王芳", "张伟")
    assert names(house) == {"赵院长", "钱副院长", "张伟"}


CHANGES: dict[str, dict[str, Any]] = {
    "roles": {"roles": ["director", "operator"]}, "role": {"role": "院长"}, "user": {"user": "other"},
    "name": {"name": "张伟伟"},
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_person_of_whom_anything_is_changed_waits_again(house: House, what: str) -> None:
    all_accepted(house)
    changed = {**house.people.pop("张伟"), **CHANGES[what]}
    house.people[str(changed.pop("name", "张伟"))] = changed
    house.read()
    assert "张伟" not in names(house)  # at once, before anything has looked
    settle(house)
    assert ("张伟", "gone" if what == "name" else "changed") in told(house)
    assert names(house) == {"赵院长", "钱副院长", "王芳"}


def test_a_telephone_number_gives_nobody_a_right(house: House) -> None:
    all_accepted(house)
    house.people["张伟"]["telephone"] = "+86 10 1"
    house.people["张伟"]["ssh_key"] += " another comment"
    settle(house)
    assert "张伟" in names(house)


def test_a_revoked_key_does_not_approve_and_neither_does_its_successor_before_it_is_accepted(house: House) -> None:
    settle(house)
    old = house.keys["赵院长"]
    house.new_key("赵院长")
    settle(house)
    one = house.ask(vault="a")
    new = house.keys["赵院长"]
    for key in (old, new):
        house.keys["赵院长"] = key
        for name in ("赵院长", ""):
            with pytest.raises(ApprovalError):
                house.approve(one, "赵院长", name=name)
    house.accept("赵院长", "钱副院长")
    house.keys["赵院长"] = old
    with pytest.raises(ApprovalError, match="it does not hold"):
        house.approve(one, "赵院长", name="赵院长")
    with pytest.raises(ApprovalError, match="unknown, or was revoked"):
        house.approve(one, "赵院长")
    house.keys["赵院长"] = new
    assert house.approve(one, "赵院长").missing() == []


def test_who_was_removed_and_comes_back_as_before_waits_again(house: House) -> None:
    all_accepted(house)
    before = house.people.pop("张伟")
    settle(house)
    house.people["张伟"] = before
    settle(house)
    assert "张伟" not in names(house)
    assert told(house)[-2:] == [("张伟", "gone"), ("张伟", "new")]


def test_an_acceptance_is_of_what_was_signed_and_of_nothing_else(house: House) -> None:
    settle(house)
    one = accepting.ask(house.config, house.store, "张伟", CALLER)
    house.people["张伟"]["roles"] = ["director"]
    settle(house)
    with pytest.raises(ApprovalError, match="says something else of them by now"):
        house.approve(one, "赵院长")
    assert "张伟" not in names(house)
    assert house.entries("approval") == []  # nothing of it is on record


def test_without_the_state_the_ledger_knows_who_was_accepted(house: House) -> None:
    all_accepted(house)
    house.entries()
    house.reopen()
    house.people["内鬼"] = {"roles": ["director"]}
    house.new_key("内鬼")
    settle(house)
    assert names(house) == {"赵院长", "钱副院长", "张伟", "王芳"}
    assert [name for name, state in told(house) if state == "first"] == ["赵院长", "钱副院长"]


def test_without_the_state_and_with_directors_gone_nobody_is_first_again(house: House) -> None:
    settle(house)
    house.people = {}
    settle(house)
    house.entries()
    house.reopen()
    house.people = {"内鬼": {"roles": ["director"]}}
    house.new_key("内鬼")
    settle(house)
    assert names(house) == set()
    assert ("内鬼", "new") in told(house)
    with pytest.raises(ApprovalMissingError, match="director"):
        house.require(vault="a")


def test_a_ledger_that_cannot_be_read_makes_nobody_first(house: House) -> None:
    (house.config.ledger_folder / "checkpoint").write_text("nonsense")
    with pytest.raises(LedgerError):
        approvals.settle(house.config, house.store)
    assert names(house) == set()


def test_paper_is_for_when_no_director_is_left_and_is_an_alert_until_somebody_has_looked(house: House) -> None:
    settle(house)
    house.people["新主任"] = {"roles": ["director"]}
    house.new_key("新主任")
    settle(house)
    with pytest.raises(ApprovalError, match="paper is for when no director is left; who can sign: 赵院长"):
        accepting.accept_on_paper(house.config, house.store, "新主任", "2026-61")
    del house.people["赵院长"], house.people["钱副院长"]
    settle(house)
    accepting.accept_on_paper(house.config, house.store, "新主任", "2026-61")
    assert names(house) == {"新主任"}
    assert house.entries("person")[-1]["sheet"] == "2026-61"
    (alert,) = house.store.alerts.list()
    assert alert.code == "person-on-paper"
    house.store.alerts.acknowledge(alert.id, "uid 0")
    assert house.store.alerts.list() == []


def test_removing_all_directors_does_not_end_the_need_for_approvals(house: House) -> None:
    settle(house)
    house.people = {name: one for name, one in PEOPLE.items() if name == "张伟"}
    house.new_key("张伟")
    settle(house)
    with pytest.raises(ApprovalMissingError, match="lacks the approval of: director") as caught:
        house.require(vault="a")
    assert "vaultd person list" in caught.value.hint


def test_doctor_says_who_is_named_who_waits_and_whose_account_is_not_there(house: House, tmp_path: Path) -> None:
    def found(house: House) -> str:
        vault = {"name": "a", "path": "/srv/a", "classification": "secret", "targets": ["east"]}
        config = house.config.model_copy(update={"vault": [VaultConfig.model_validate(vault)]})
        return "\n".join(one.text for one in check_persons(config))

    settle(house)
    said = found(house)
    assert "no director has accepted 张伟, 王芳 yet" in said
    assert "the account zhao of 赵院长 is not there" in said
    all_accepted(house)
    assert "everybody who may approve is accepted" in found(house)
    house.policy = {"forget": ["custodian"]}
    settle(house)
    assert "has the roles custodian, which [approvals] asks for" in found(house)
    (tmp_path / "none").mkdir()
    with house_in(tmp_path / "none", {"李娜": {"role": "保管员"}}) as nobody:
        assert "nobody is named who approves" in found(nobody)

"""Requests and approvals, with real ssh-keygen: what holds, and every way in which one does not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.approving import CALLER, House, all_accepted, house_in
from tests.registering import make_key
from vaultd import approvals
from vaultd.approvals import ApprovalError, ApprovalMissingError, Caller, sshsig
from vaultd.approvals.faults import NoRequestError, SshSignatureError
from vaultd.config.persons import ACTIONS
from vaultd.errors import EXIT_NOT_AUTHORISED, VaultdError
from vaultd.store.approvalrows import ApprovalRow
from vaultd.units import SECOND

DAY = 86400 * SECOND
DOCS = Path(__file__).parent.parent / "docs" / "approvals.md"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with house_in(tmp_path) as made:
        yield made


def missing(house: House, **parameters: object) -> int:
    """The action waits; the number of the request."""
    with pytest.raises(ApprovalMissingError) as caught:
        house.require(**parameters)
    assert caught.value.exit_code == EXIT_NOT_AUTHORISED
    assert f"vaultd approve {caught.value.request};" in caught.value.hint
    return caught.value.request


def test_an_action_waits_is_approved_and_goes_once(house: House) -> None:
    number = missing(house, vault="records")
    assert missing(house, vault="records") == number  # asked for once, whoever tries again
    done = house.approve(number, "赵院长")
    assert (done.row.state, done.missing()) == ("open", [])
    used = house.require(vault="records")
    assert used is not None and used.row.state == "used"
    assert missing(house, vault="records") == number + 1
    states = [(one["request"], one["state"]) for one in house.entries("approval-request")]
    assert states == [("1", "open"), ("1", "used"), ("2", "open")]


def test_an_outsider_checks_an_approval_by_the_commands_of_the_docs(house: House, tmp_path: Path) -> None:
    number = missing(house, vault="records", reason="保密期满")
    house.approve(number, "赵院长")
    (request,) = house.entries("approval-request")
    (approval,) = house.entries("approval")
    text = DOCS.read_text()
    (script,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps(request, ensure_ascii=False))
    (folder / "approval.json").write_text(json.dumps(approval, ensure_ascii=False))
    (folder / "key.pub").write_text(house.people["赵院长"]["ssh_key"] + "\n")

    def check() -> int:
        done = subprocess.run(["sh", "-e", "-c", script], cwd=folder, capture_output=True, text=True)
        assert done.returncode != 0 or 'Good "vaultd-approval" signature' in done.stdout, done
        return done.returncode

    assert check() == 0
    assert (folder / "statement").read_bytes() == approvals.find(house.store, number).statement
    (folder / "request.json").write_text(json.dumps({**request, "action": "destruction"}))
    assert check() != 0
    (folder / "request.json").write_text(json.dumps(request))
    (folder / "key.pub").write_text(house.people["张伟"]["ssh_key"] + "\n")
    assert check() != 0


def test_the_digest_of_the_parameters_is_of_what_show_prints(house: House) -> None:
    one = house.ask(vault="records", paths=["病历/张.pdf"], reason="保密期满")
    shown = subprocess.run(["jq", "-cSj", "."], input=one.row.parameters, capture_output=True, text=True, check=True)
    assert hashlib.sha256(shown.stdout.encode()).hexdigest() == json.loads(one.statement)["parameters"]
    again = house.ask(vault="records", paths=["病历/张.pdf"], reason="保密期满")
    assert again.digest != one.digest  # salted: who is shown one cannot try names


def test_the_statement_is_what_the_docs_say(house: House) -> None:
    one = house.ask(vault="records")
    fields = json.loads(one.statement)
    assert set(fields) == {"action", "expires", "nonce", "origin", "parameters", "request"}
    assert fields["request"] == str(one.number) and len(fields["nonce"]) == 32
    (entry,) = house.entries("approval-request")
    assert {name: entry[name] for name in fields} == fields


def test_an_approval_for_other_parameters_does_not_count(house: House) -> None:
    number = missing(house, vault="records", targets=["east"])
    house.approve(number, "赵院长")
    assert missing(house, vault="records", targets=["east", "west"]) != number
    assert missing(house, action="plain-export", vault="records", targets=["east"]) != number
    assert house.require(vault="records", targets=["east"]) is not None


def test_an_approval_for_something_else_replayed_is_refused(house: House) -> None:
    first, second = missing(house, vault="a"), missing(house, vault="b")
    done = house.approve(first, "赵院长")
    (given,) = done.approvals
    with pytest.raises(ApprovalError, match="it does not hold"):
        approvals.approve(house.config, house.store, second, lambda _text: given.signature, "uid 0")
    with house.store.database.write():  # somebody who can write to the state puts it there
        house.store.add_approval(given._replace(request=second))
    assert missing(house, vault="b") == second


def test_a_request_that_was_used_takes_no_approval(house: House) -> None:
    number = missing(house, vault="a")
    house.approve(number, "赵院长")
    house.require(vault="a")
    with pytest.raises(ApprovalError, match="it was used"):
        house.approve(number, "钱副院长")


def test_two_at_once_use_an_approval_once(house: House) -> None:
    number = missing(house, vault="a")
    house.approve(number, "赵院长")
    ended = list[str]()
    start = threading.Barrier(4)

    def use() -> None:
        start.wait()
        try:
            house.require(vault="a")
            ended.append("used")
        except ApprovalMissingError:
            ended.append("missing")

    threads = [threading.Thread(target=use) for _number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(ended) == ["missing"] * 3 + ["used"]


def test_who_asks_does_not_approve_by_name_or_by_account(house: House) -> None:
    by_name = house.ask(vault="a", caller=Caller("赵院长", "", "uid 0"))
    by_account = house.ask(vault="b", caller=Caller("uid 0 (says zhao)", "zhao", "uid 0 (says zhao)"))
    for one in (by_name, by_account):
        with pytest.raises(ApprovalError, match="they have asked for it"):
            house.approve(one, "赵院长")
        assert house.approve(one, "钱副院长").missing() == []


def test_an_approval_of_who_asks_does_not_count_though_somebody_writes_it_into_the_state(house: House) -> None:
    number = missing(house, caller=Caller("赵院长", "zhao", "uid 0"), vault="a")
    signature = house.sign("赵院长")(approvals.find(house.store, number).statement)
    house.store.add_approval(ApprovalRow(number, "赵院长", "director", signature, "", time.time_ns(), "uid 0"))
    assert missing(house, vault="a") == number


def test_an_approval_in_a_role_that_was_taken_away_does_not_count(tmp_path: Path) -> None:
    with house_in(tmp_path, forget=["operator"]) as house:
        number = missing(house, vault="a")
        house.approve(number, "钱副院长")
        house.people["钱副院长"]["roles"] = ["director"]
        house.read()
        house.accept("钱副院长", "赵院长")  # the same key, and accepted
        assert missing(house, vault="a") == number


def test_an_unknown_person_does_not_approve(house: House, tmp_path: Path) -> None:
    one = house.ask(vault="a")
    stranger = make_key(tmp_path / "stranger")

    def sign(statement: bytes) -> str:
        return sshsig.sign(stranger, statement, approvals.NAMESPACE)

    for name, why in (("周护士", "no \\[\\[person\\]\\]"), ("", "nobody who is accepted has the key SHA256:")):
        with pytest.raises(ApprovalError, match=why) as caught:
            approvals.approve(house.config, house.store, one.number, sign, "uid 0", name)
        assert caught.value.exit_code == EXIT_NOT_AUTHORISED
    assert house.entries("approval") == []


def test_a_forged_signature_is_refused(house: House, tmp_path: Path) -> None:
    one = house.ask(vault="a")
    other = make_key(tmp_path / "other")
    good = house.sign("赵院长")(one.statement)
    changed = good[:-12] + ("A" if good[-12] != "A" else "B") + good[-11:]
    forged = {
        "of another key": sshsig.sign(other, one.statement, approvals.NAMESPACE),
        "in another namespace": sshsig.sign(house.keys["赵院长"], one.statement, "vaultd-media"),
        "of another text": sshsig.sign(house.keys["赵院长"], one.statement + b"\n", approvals.NAMESPACE),
        "a bit of it changed": changed,
    }
    for how, signature in forged.items():
        with pytest.raises(ApprovalError, match="it does not hold"):
            approvals.approve(house.config, house.store, one.number, lambda _text, s=signature: s, "uid 0", "赵院长")
        with house.store.database.write():  # and one that somebody has written into the state does not count
            house.store.add_approval(
                ApprovalRow(one.number, "赵院长", "director", signature, "", time.time_ns(), "uid 0")
            )
        with pytest.raises(ApprovalMissingError):
            house.require(vault="a")
        assert how and house.entries("approval") == []
    for nonsense in ("garbage!", "", "U1NIU0lH"):
        with pytest.raises(SshSignatureError, match="no SSH signature"):
            approvals.approve(
                house.config, house.store, one.number, lambda _text, s=nonsense: sshsig.body_of(s), "uid 0"
            )


def test_a_role_that_is_not_asked_for_does_not_count(house: House) -> None:
    all_accepted(house)
    one = house.ask(vault="a")
    with pytest.raises(ApprovalError, match="they have the roles: auditor"):
        house.approve(one, "王芳")
    house.approve(one, "赵院长")
    with pytest.raises(ApprovalError, match="they have approved it already"):
        house.approve(one, "赵院长")


def test_two_directors_are_two_persons(tmp_path: Path) -> None:
    with house_in(tmp_path, forget=["director", "director", "auditor"]) as house:
        all_accepted(house)
        number = missing(house, vault="a")
        house.approve(number, "赵院长")
        with pytest.raises(ApprovalError, match="approved it already"):
            house.approve(number, "赵院长")
        assert house.approve(number, "王芳").missing() == ["director"]
        assert missing(house, vault="a") == number
        house.approve(number, "钱副院长")
        assert house.require(vault="a") is not None


def test_a_key_that_is_revoked_after_the_approval_takes_it_away(house: House) -> None:
    number = missing(house, vault="a")
    house.approve(number, "赵院长")
    house.new_key("赵院长")
    house.read()
    assert missing(house, vault="a") == number
    house.accept("赵院长", "钱副院长")
    assert missing(house, vault="a") == number  # the old signature is of the old key
    house.approve(number, "赵院长")
    assert house.require(vault="a") is not None


@pytest.mark.parametrize("who", ["the person is gone", "the role is gone"])
def test_a_person_or_role_that_is_removed_after_the_approval_takes_it_away(house: House, who: str) -> None:
    number = missing(house, vault="a")
    house.approve(number, "赵院长")
    if who == "the person is gone":
        del house.people["赵院长"]
    else:
        house.people["赵院长"]["roles"] = ["auditor"]
    house.read()
    assert missing(house, vault="a") == number


def test_an_expired_request_is_refused_and_says_what_the_clock_says(house: House) -> None:
    one = house.ask(vault="a")
    with house.store.database.write() as db:
        db.execute("UPDATE approval_request SET expires=?", (time.time_ns() - DAY,))
    with pytest.raises(ApprovalError, match=r"it was good until .*, and this host's clock says") as caught:
        house.approve(one, "赵院长")
    assert "timedatectl" in caught.value.hint and "ask anew" in caught.value.hint
    assert house.entries("approval") == []
    assert missing(house, vault="a") == one.number + 1
    assert house.store.approval_request(one.number).state == "expired"  # type: ignore[union-attr]


def test_a_clock_that_is_a_day_ahead_refuses_and_when_it_is_right_again_the_request_is_good(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = missing(house, vault="a")
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + DAY + 60 * SECOND)
    with pytest.raises(ApprovalError, match="this host's clock says"):
        house.approve(number, "赵院长")
    approvals.put_aside(house.config, house.store, "daemon")
    monkeypatch.setattr(time, "time_ns", now)
    house.approve(number, "赵院长")
    assert house.require(vault="a") is not None


def test_a_request_of_a_clock_that_was_a_day_ahead_is_not_good_for_two_days(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + DAY)
    number = missing(house, vault="a")
    monkeypatch.setattr(time, "time_ns", now)
    with pytest.raises(ApprovalError, match=r"it was made at .* the clock was wrong then, or is now"):
        house.approve(number, "赵院长")
    assert missing(house, vault="a") != number


def test_what_has_expired_for_certain_is_put_aside_on_record(house: House) -> None:
    one, late = house.ask(vault="a"), approvals.owe(house.config, house.store, "evacuation-late", {"e": "E-1"}, CALLER)
    assert late is not None
    approvals.put_aside(house.config, house.store, "daemon", time.time_ns() + 2 * DAY)
    assert [row.number for row in house.store.approval_requests()] == [one.number, late.number]
    approvals.put_aside(house.config, house.store, "daemon", time.time_ns() + 4 * DAY)
    assert [row.number for row in house.store.approval_requests()] == [late.number]
    assert house.entries("approval-request")[-1]["state"] == "expired"


def test_a_request_that_is_withdrawn_is_over(house: House) -> None:
    number = missing(house, vault="a")
    house.approve(number, "赵院长")
    assert approvals.withdraw(house.config, house.store, number, "uid 0").row.state == "withdrawn"
    with pytest.raises(ApprovalError, match="it was withdrawn"):
        house.approve(number, "钱副院长")
    with pytest.raises(VaultdError, match="it is over"):
        approvals.withdraw(house.config, house.store, number, "uid 0")
    with pytest.raises(NoRequestError):
        approvals.withdraw(house.config, house.store, 99, "uid 0")
    assert missing(house, vault="a") != number


def test_an_approval_is_owed_until_a_director_has_given_it_and_after_a_day_an_alert(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed = approvals.owe(house.config, house.store, "evacuation-late", {"evacuation": "E-2026-001"}, CALLER)
    assert owed is not None and owed.is_late
    assert house.store.approval_counts(time.time_ns()).late == 1
    approvals.raise_alerts(house.store)
    assert not house.store.alerts.is_open("approval-late")
    approvals.raise_alerts(house.store, time.time_ns() + 25 * 3600 * SECOND)
    assert house.store.alerts.is_open("approval-late")
    with pytest.raises(VaultdError, match="the approval stays owed"):
        approvals.withdraw(house.config, house.store, owed.number, "uid 0")
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 300 * DAY)  # it does not expire
    assert house.approve(owed.number, "赵院长").row.state == "used"
    approvals.raise_alerts(house.store, time.time_ns() + 25 * 3600 * SECOND)
    assert not house.store.alerts.is_open("approval-late")
    assert house.store.approval_counts(time.time_ns()).late == 0
    assert [(one["state"], one.get("late")) for one in house.entries("approval-request")] == [("open", 1), ("used", 1)]


def test_a_late_approval_does_not_pass_for_one_before(house: House) -> None:
    owed = approvals.owe(house.config, house.store, "forget", {"vault": "a"}, CALLER)
    assert owed is not None
    assert missing(house, vault="a") != owed.number


def test_parameters_that_were_changed_in_the_state_are_not_those_that_were_approved(house: House) -> None:
    number = missing(house, vault="a")
    house.approve(number, "赵院长")
    with house.store.database.write() as db:
        db.execute("UPDATE approval_request SET parameters=replace(parameters, '\"a\"', '\"b\"')")
    assert missing(house, vault="b") == number


def test_a_policy_that_asks_for_more_now_is_not_satisfied_by_what_was_asked_before(house: House) -> None:
    number = missing(house, vault="a")
    house.approve(number, "赵院长")
    house.policy = {"forget": ["director", "director"]}
    house.read()
    assert missing(house, vault="a") != number


def test_what_the_policy_does_not_ask_for_is_not_asked_for(tmp_path: Path) -> None:
    with house_in(tmp_path, forget=[]) as house:
        assert house.require(vault="a") is None
        with pytest.raises(KeyError):
            house.require(action="anything")


def test_with_a_ledger_that_cannot_be_read_an_emergency_goes_on_and_a_removal_does_not(house: House) -> None:
    (house.config.ledger_folder / "checkpoint").write_text("nonsense")
    with pytest.raises(VaultdError, match="ledger"):
        house.require(vault="a")
    owed = approvals.owe(house.config, house.store, "evacuation-late", {"evacuation": "E-2026-001"}, CALLER)
    assert owed is not None and owed.roles == ["director"]


def test_an_agent_signs_for_who_gives_the_public_half(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one, socket = house.ask(vault="a"), house.folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True) as agent:
        try:
            assert agent.stdout is not None
            agent.stdout.readline()  # it listens when it has said where
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", house.keys["赵院长"]], check=True, env=os.environ.copy())
            house.keys["赵院长"].unlink()
            house.keys["赵院长"] = house.keys["赵院长"].with_suffix(".pub")
            assert house.approve(one, "赵院长").missing() == []
        finally:
            agent.terminate()


def test_the_actions_are_those_of_the_docs() -> None:
    text = DOCS.read_text()
    assert [action for action in ACTIONS if f"`{action}`" not in text] == []

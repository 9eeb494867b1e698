"""Signatures: by people's own keys, checked by ssh-keygen alone from the ledger's entries; and what does not hold."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.registering import Office, holds, make_key, office_in, owed, statement_of
from vaultd.media import moves, people, sshsig
from vaultd.media.faults import MediaError, SignatureError
from vaultd.media.people import Means
from vaultd.store.mediarows import SignatureRow


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


def public(office: Office, name: str) -> str:
    return office.keys[name].with_suffix(".pub").read_text().strip()


def test_an_outsider_checks_every_signature_with_the_ledger_and_ssh_keygen(office: Office, tmp_path: Path) -> None:
    label = office.add(location="机房").label
    office.hand("remove", label, received_by="李娜", means=office.means("张伟", "李娜", "王芳"))
    (event,) = office.entries("media-custody")
    signatures = office.entries("media-signature")
    assert event["signers"] == ["released-by: 张伟", "received-by: 李娜", "approver: 王芳"]
    assert [(one["role"], one["person"]) for one in signatures] == [
        ("released-by", "张伟"), ("received-by", "李娜"), ("approver", "王芳")]  # fmt: skip
    for one in signatures:
        assert one["event"] == event["event"]
        assert holds(public(office, one["person"]), statement_of(event), one["signature"], tmp_path)
        assert not holds(public(office, "赵院长"), statement_of(event), one["signature"], tmp_path)
        other = {**event, "place_from": "别处"}
        assert not holds(public(office, one["person"]), statement_of(other), one["signature"], tmp_path)


def test_who_has_no_key_signs_on_paper_and_who_has_no_sheet_is_refused(office: Office) -> None:
    label = office.add(location="机房").label
    with pytest.raises(MediaError, match="周护士: they have no SSH key"):
        office.hand("remove", label, received_by="周护士", means=office.means("王芳", sheet=""))
    assert office.register.find(label).status == "in-service"
    office.hand("remove", label, received_by="周护士", means=office.means("张伟", "王芳", sheet="2026-41"))
    paper = [one for one in office.entries("media-signature") if "sheet" in one]
    assert [(one["person"], one["sheet"]) for one in paper] == [("周护士", "2026-41")]


def test_a_key_that_is_not_the_persons_own_does_not_sign_for_them(office: Office, tmp_path: Path) -> None:
    label = office.add(location="机房").label
    stolen = Means({"张伟": make_key(tmp_path / "other"), "王芳": office.keys["王芳"]}, "41")
    with pytest.raises(SignatureError, match="the signature of 张伟: it does not hold"):
        office.hand("remove", label, received_by="李娜", means=stolen)
    assert office.register.find(label).status == "in-service"
    assert office.entries("media-custody") == []


def test_who_has_nothing_to_sign_is_not_asked(office: Office) -> None:
    label = office.add(location="机房").label
    with pytest.raises(MediaError, match="nothing to sign"):
        office.hand("remove", label, received_by="李娜", means=office.means("赵院长"))
    with pytest.raises(MediaError, match="no SSH key"):
        office.hand("remove", label, received_by="周护士", means=Means({"周护士": office.keys["张伟"]}, "41"))


def test_an_agent_signs_for_who_gives_the_public_half(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True) as agent:
        try:
            assert agent.stdout is not None
            agent.stdout.readline()  # it listens when it has said where
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", office.keys["张伟"]], check=True, env=os.environ.copy())
            shown = office.keys["张伟"].with_suffix(".pub")
            office.keys["张伟"].unlink()
            sshsig.verify(public(office, "张伟"), b"text", sshsig.sign(shown, b"text"))
        finally:
            agent.terminate()


def test_a_signature_that_was_made_elsewhere_is_taken_when_it_holds(office: Office, tmp_path: Path) -> None:
    label = office.add(location="机房").label
    done = office.hand("remove", label, received_by="李娜", means=office.means("李娜", "王芳"))
    assert owed(done) == [("released-by", "张伟")]
    statement = office.store.media_event(done.event)
    assert statement is not None
    file = tmp_path / "event"
    file.write_bytes(statement.statement.encode())
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "vaultd-media", "-f", office.keys["张伟"], file], check=True
    )
    armoured = file.with_suffix(".sig").read_text()

    def given(text: str):  # type: ignore[no-untyped-def]
        return lambda role, message: people.by_key(office.config, role, "张伟", message, sshsig.body_of(text))

    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", office.keys["张伟"], file], check=True,
                   input=b"y\n")  # fmt: skip
    for wrong in (file.with_suffix(".sig").read_text(), "garbage!", "", armoured.replace("A", "B")):
        with pytest.raises(SignatureError):
            moves.late_signature(office.register, done.event, "张伟", given(wrong))
    assert len(office.store.owed_signatures()) == 1
    moves.late_signature(office.register, done.event, "张伟", given(armoured))
    assert office.store.owed_signatures() == []


def test_a_key_file_that_is_not_there_is_told_before_anything_is_changed(office: Office, tmp_path: Path) -> None:
    label = office.add(location="机房").label
    with pytest.raises(SignatureError, match="no such file"):
        office.hand("remove", label, received_by="李娜", means=Means({"张伟": tmp_path / "none"}, "41"))
    bad = tmp_path / "bad"
    bad.write_text("not a key")
    bad.chmod(0o600)
    with pytest.raises(SignatureError):
        office.hand("remove", label, received_by="李娜", means=Means({"张伟": bad}, "41"))
    assert office.register.find(label).status == "in-service"


def test_a_public_key_with_a_comment_of_commas_and_patterns_is_one_key(office: Office) -> None:
    """What stands behind a key in the configuration is nobody's principal."""
    person = replace_key(office, "张伟", public(office, "张伟") + " *,someone else")
    text = sshsig.sign(office.keys["张伟"], b"text")
    sshsig.verify(person, b"text", text)
    with pytest.raises(SignatureError):
        sshsig.verify(public(office, "李娜"), b"text", text)


def replace_key(office: Office, name: str, key: str) -> str:
    found = office.config.person_named(name)
    assert found is not None
    return str(found.model_copy(update={"ssh_key": key}).ssh_key)


@pytest.mark.parametrize(
    ("action", "taker", "why"),
    [("remove", "张伟", "it is removed"), ("hand-over", "李娜", "张伟 does not have it")],
)
def test_the_same_medium_is_not_moved_twice_while_people_sign(
    office: Office, action: str, taker: str, why: str
) -> None:
    """Signing takes minutes. What somebody else did to the medium meanwhile is seen."""
    label = office.add(location="机房").label
    wish = moves.Handing("remove", [label], "张伟", "张伟", approver="王芳", means=office.means())
    other = replace(wish, action=action, received_by=taker)
    slow = replace(wish, means=office.means("张伟", sheet="42"))
    original = sshsig.sign

    def meanwhile(key: Path, message: bytes) -> str:
        if not office.store.events_of_medium(office.register.find(label).id or 0):
            moves.hand(office.register, other)
        return original(key, message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(people, "collect", lambda *args: _collect(*args, meanwhile))
        with pytest.raises(MediaError, match=why):
            moves.hand(office.register, slow)
    assert [one["action"] for one in office.entries("media-custody")] == [action]


_real = people.collect


def _collect(config, signers, means, statement, sign):  # type: ignore[no-untyped-def]
    if not means.keys:
        return _real(config, signers, means, statement)
    return _real(config, signers, means, statement, sign)


def test_one_signature_that_two_processes_bring_is_taken_once(office: Office) -> None:
    label = office.add(location="机房").label
    done = office.hand("remove", label, received_by="李娜", means=office.means("李娜", "王芳"))

    def paper(role: str, _text: bytes) -> SignatureRow:
        return people.on_paper(role, "张伟", "41")

    def slow(role: str, text: bytes) -> SignatureRow:
        moves.late_signature(office.register, done.event, "张伟", paper)
        return paper(role, text)

    with pytest.raises(MediaError, match="has signed already"):
        moves.late_signature(office.register, done.event, "张伟", slow)
    assert len([one for one in office.entries("media-signature") if one["person"] == "张伟"]) == 1

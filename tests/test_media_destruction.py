"""Destruction: no step before the one that it needs, nobody in two places, and a certificate that can be checked."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.registering import LEVELS, Office, holds, office_in, statement_of
from vaultd.ledger import canonical
from vaultd.media import certifying, destruction, moves, people, record, sshsig
from vaultd.media.destruction import Execution, Request
from vaultd.media.faults import MediaError
from vaultd.media.machine import Status
from vaultd.store.mediarows import SignatureRow

APPROVERS = ("孙主任", "王芳", "赵院长")
DONE = Execution(
    "D-1", "李娜", ("陈司机", "周护士"), "销毁中心", "HSM-20", "2.1", "逐件检查", "周护士", "回收厂", "已异地备份"
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


def deposited(office: Office, count: int = 2) -> list[str]:
    known = {"location": "库房2", "status": "deposited", "make": "Seagate", "model": "ST4000"}
    return [office.add(**known).label for _turn in range(count)]


def ask(office: Office, *labels: str, number: str = "D-1") -> None:
    means = office.means("张伟")
    destruction.request(office.register, Request(labels, "张伟", "期满", "destroy", "消磁后粉碎", number, means=means))


def approve(office: Office, level: int, name: str) -> SignatureRow:
    def row(role: str, statement: bytes) -> SignatureRow:
        return people.by_key(office.config, role, name, statement, sshsig.sign(office.keys[name], statement))

    return destruction.approve(office.register, "D-1", level, name, row)


def approve_all(office: Office) -> None:
    for level, name in enumerate(APPROVERS, 1):
        approve(office, level, name)


def execute(office: Office, **values: object) -> moves.Done:
    given = {"means": office.means("李娜"), **values}
    return destruction.execute(office.register, replace(DONE, **given))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [one for one in Status if one not in (Status.DEPOSITED, Status.DESTROYED)])
def test_only_what_is_deposited_is_put_on_a_list(office: Office, status: Status) -> None:
    label = office.add(location="机房").label
    office.bring(label, status)
    with pytest.raises(MediaError, match="it is"):
        ask(office, label)
    assert office.store.destructions() == []


def test_what_is_on_a_list_stays_where_it_is(office: Office) -> None:
    (label,) = deposited(office, 1)
    ask(office, label)
    for action in ("send", "return", "check-out", "hand-over"):
        with pytest.raises(MediaError, match="on the list D-1 for destruction"):
            office.hand(action, label, received_by="周护士", place_to="X", due=moves._day(2**62))
    with pytest.raises(MediaError, match="on the list D-1"):
        ask(office, label, number="D-2")
    with pytest.raises(MediaError, match="taken"):
        ask(office, *deposited(office, 1), number="D-1")


def test_levels_go_in_order_by_their_roles_and_nobody_twice(office: Office) -> None:
    ask(office, *deposited(office))
    with pytest.raises(MediaError, match="a level before it"):
        approve(office, 2, "王芳")
    with pytest.raises(MediaError, match="has the role 保密办"):
        approve(office, 1, "王芳")
    with pytest.raises(MediaError, match=r"is no .*person"):
        destruction.approve(office.register, "D-1", 1, "周护士", lambda role, _: people.on_paper(role, "周护士", "1"))
    with pytest.raises(MediaError, match=r"approvals are missing: 1 .科室负责人., 2 .保密办., 3"):
        execute(office)
    approve_all(office)
    with pytest.raises(MediaError, match="孙主任 has approved it"):
        approve(office, 1, "孙主任")
    with pytest.raises(MediaError, match="levels 1 to 3"):
        approve(office, 4, "赵院长")


def test_two_who_approve_a_level_at_once_are_one_approval(office: Office) -> None:
    ask(office, *deposited(office, 1))

    def slow(role: str, statement: bytes) -> SignatureRow:
        approve(office, 1, "孙主任")
        return people.by_key(office.config, role, "孙主任", statement, sshsig.sign(office.keys["孙主任"], statement))

    with pytest.raises(MediaError, match="somebody else has approved"):
        destruction.approve(office.register, "D-1", 1, "孙主任", slow)
    assert len([one for one in office.entries("media-signature") if one["role"] == "approval-1"]) == 1


def test_who_asks_does_not_approve(tmp_path: Path) -> None:
    with office_in(tmp_path) as office:
        labels = deposited(office, 1)
        destruction.request(
            office.register, Request(labels, "孙主任", "期满", "purge", "消磁", "D-1", means=office.means("孙主任"))
        )
        with pytest.raises(MediaError, match="has asked for it"):
            approve(office, 1, "孙主任")


@pytest.mark.parametrize(
    ("values", "why"),
    [({"witnesses": ("陈司机",)}, "two witnesses"), ({"witnesses": ("陈司机", "陈司机")}, "three persons"),
     ({"witnesses": ("陈司机", "李娜")}, "three persons"), ({"verified_by": "李娜"}, "somebody else"),
     ({"verified_by": ""}, "somebody else"), ({"place": ""}, "place is missing"), ({"tool": " "}, "tool is missing"),
     ({"verification": ""}, "verification is missing"), ({"destination": ""}, "destination is missing"),
     ({"moment": record.Moment(10**18, "stated")}, "before the request")],
)  # fmt: skip
def test_an_execution_that_lacks_something_is_refused(office: Office, values: dict[str, object], why: str) -> None:
    labels = deposited(office)
    ask(office, *labels)
    approve_all(office)
    with pytest.raises(MediaError, match=why):
        execute(office, **values)
    assert {office.register.find(label).status for label in labels} == {"deposited"}


def test_a_certificate_is_made_once_everybody_has_signed_and_says_everything(office: Office, tmp_path: Path) -> None:
    labels = deposited(office)
    ask(office, *labels)
    with pytest.raises(MediaError, match="not executed yet"):
        certifying.certificate(office.register, "D-1")
    approve_all(office)
    done = execute(office, means=office.means())
    assert {one.status for one in done.media} == {"destroyed"}
    with pytest.raises(MediaError, match="signatures are owed: 李娜"):
        certifying.certificate(office.register, "D-1")
    moves.late_signature(office.register, done.event, "李娜", lambda role, text: people.by_key(
        office.config, role, "李娜", text, sshsig.sign(office.keys["李娜"], text)))  # fmt: skip
    made = certifying.certificate(office.register, "D-1")
    again = certifying.certificate(office.register, "d-1")
    assert again.pdf == made.pdf
    (tmp_path / "c.pdf").write_bytes(made.pdf)
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "c.pdf", "-"], capture_output=True, text=True).stdout
    plain = "".join(text.split())
    medium = office.register.find(labels[0])
    for wanted in (
        # NIST SP 800-88 Rev. 1, section 4.8
        "Seagate", "ST4000", medium.serial, labels[0], "张伟", "SECRET", "destroy", "消磁后粉碎", "HSM-20 2.1",
        "逐件检查", "回收厂", "销毁中心", "李娜", "周护士", "保管员",
        # and the rest
        "D-1", "市第一医院", "期满", "孙主任", "王芳", "赵院长", *LEVELS, "陈司机", "已异地备份", made.keep_until,
        medium.salt.hex(), record.digest(medium).hex(), "sheet2026-41",
    ):  # fmt: skip
        assert "".join(str(wanted).split()) in plain, wanted
    found = office.entries("media-destruction")
    assert [one["state"] for one in found] == ["requested", "executed", "certified"]
    assert found[2]["certificate"] == hashlib.sha256(made.pdf).hexdigest()
    # With the salt of the certificate, an outsider has the record that the ledger vouches for.
    fields = {name: getattr(medium, name) for name in record.RECORD}
    assert hashlib.sha256(medium.salt + canonical.encode(fields)).hexdigest() == found[1]["records"][0]
    approvals = [one for one in office.entries("media-signature") if one["role"].startswith("approval-")]
    assert [one["person"] for one in approvals] == list(APPROVERS)
    for one in approvals:
        public = office.keys[one["person"]].with_suffix(".pub").read_text()
        assert holds(public, statement_of(found[0]), one["signature"], tmp_path)
    assert int(made.keep_until[:4]) - int(found[1]["time"][:4]) == 10


def test_a_certificate_that_was_changed_afterwards_is_not_given_out(office: Office) -> None:
    ask(office, *deposited(office, 1))
    approve_all(office)
    execute(office)
    made = certifying.certificate(office.register, "D-1")
    file = office.config.host.state / "documents" / f"{made.digest}.pdf"
    file.chmod(0o600)
    file.write_bytes(made.pdf.replace(b"/Title", b"/Titel"))
    with pytest.raises(MediaError, match="not the one on record"):
        certifying.certificate(office.register, "D-1")
    file.unlink()
    with pytest.raises(MediaError, match="No such file"):
        certifying.certificate(office.register, "D-1")


def test_nothing_happens_to_what_is_destroyed(office: Office) -> None:
    (label,) = deposited(office, 1)
    ask(office, label)
    approve_all(office)
    execute(office)
    for action in ("send", "hand-over", "check-out"):
        with pytest.raises(MediaError, match="it is destroyed"):
            office.hand(action, label, received_by="周护士", place_to="X", due=moves._day(2**62))
    with pytest.raises(MediaError, match="its record stays"):
        office.register.change(label, {"note": "x"})
    with pytest.raises(MediaError, match="it is executed already"):
        execute(office)
    # Its serial number is free again: the maker may have mended the disk, or used the number twice.
    office.add(serial=office.register.find(label).serial)


def test_what_an_audit_did_not_find_is_not_destroyed_on_paper(office: Office) -> None:
    label, other = deposited(office)
    from vaultd.media import walk

    walk.audit(office.register, "库房2", [other])
    with pytest.raises(MediaError, match="did not find it"):
        ask(office, label)

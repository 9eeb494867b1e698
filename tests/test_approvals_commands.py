"""``vaultd approve|approvals|person`` as people type them, and what waits for approval: with real restic, real keys."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.approving import CALLER, House, house_in
from tests.registering import make_key, office_in
from tests.site import site_in
from vaultd import approvals
from vaultd.approvals import ApprovalError, ApprovalMissingError
from vaultd.cli.main import main
from vaultd.media import destruction
from vaultd.media.destruction import Execution
from vaultd.media.faults import MediaError, SignatureError
from vaultd.media.machine import Status
from vaultd.media.people import Means

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with house_in(tmp_path) as made:
        yield made


@pytest.fixture
def run(house: House, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run vaultd with ``--json``; its object. ``code``: the exit code that is expected."""

    def command(*args: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        ended = main(["--config", str(house.config_file()), "--json", *map(str, args)])
        shown = capsys.readouterr()
        assert ended == code, shown
        found: dict[str, Any] = json.loads(shown.out)
        assert found["version"] == 1
        return found

    return command


def sign_elsewhere(key: Path, file: Path) -> None:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "vaultd-approval", "-f", key, file]
    subprocess.run(command, check=True)


def test_a_request_from_list_to_approval_here_and_elsewhere(house: House, run: Run, tmp_path: Path) -> None:
    number = house.ask(vault="records", paths=["病历/张.pdf"]).number
    (listed,) = run("approvals", "list")["requests"]
    assert (listed["request"], listed["action"], listed["missing"]) == (number, "forget", ["director"])
    shown = run("approvals", "show", number)["request"]
    canonical = subprocess.run(
        ["jq", "-cSj", ".request.parameters"], input=json.dumps({"request": shown}), capture_output=True, check=True,
        text=True,
    )  # fmt: skip
    assert hashlib.sha256(canonical.stdout.encode()).hexdigest() == json.loads(shown["statement"])["parameters"]
    (tmp_path / "request").write_text(run("approve", number, "--print")["text"])
    sign_elsewhere(house.keys["赵院长"], tmp_path / "request")
    done = run("approve", number, "--signature", tmp_path / "request.sig")["request"]
    assert [(one["person"], one["role"]) for one in done["approvals"]] == [("赵院长", "director")]
    assert done["missing"] == []
    assert house.require(vault="records", paths=["病历/张.pdf"]) is not None
    assert run("approvals", "list")["requests"] == []
    assert run("approvals", "list", "--all")["requests"][0]["state"] == "used"


def test_print_gives_the_bytes_and_nothing_else(house: House, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    one = house.ask(vault="records")
    capsysbinary.readouterr()
    assert main(["--config", str(house.config_file()), "approve", str(one.number), "--print"]) == 0
    assert capsysbinary.readouterr().out == one.statement


def test_refusals_have_exit_code_6_and_change_nothing(house: House, run: Run, tmp_path: Path) -> None:
    number = house.ask(vault="records").number
    stranger = make_key(tmp_path / "stranger")
    assert run("approve", number, "--key", stranger, code=6)["error"]["code"] == "approval"
    assert run("approve", number, "--key", house.keys["张伟"], "--as", "张伟", code=6)["error"]["code"] == "approval"
    assert run("approve", number, "--key", tmp_path / "none", "--as", "赵院长", code=1)["error"]["code"] == "signature"
    assert run("approve", 99, "--key", house.keys["赵院长"], code=1)["error"]["code"] == "approval-unknown"
    assert run("approve", number, code=2)["error"]["code"] == "config"
    run("approvals", "withdraw", number)
    assert "withdrawn" in run("approve", number, "--key", house.keys["赵院长"], code=6)["error"]["why"]
    assert house.entries("approval") == []


def test_without_an_option_it_is_the_key_in_the_home_folder_that_is_a_persons(
    house: House, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / ".ssh"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home.parent))
    make_key(home / "id_another")
    (home / "id_bad.pub").write_text("nonsense")
    number = house.ask(vault="records").number
    assert run("approve", number, code=2)["error"]["code"] == "config"
    for suffix in ("", ".pub"):
        (home / f"id_mine{suffix}").write_bytes(Path(f"{house.keys['赵院长']}{suffix}").read_bytes())
    (home / "id_mine").chmod(0o600)
    assert run("approve", number, "--as", "钱副院长", code=2)["error"]["code"] == "config"
    assert [one["person"] for one in run("approve", number)["request"]["approvals"]] == ["赵院长"]


def test_a_person_is_accepted_by_command(house: House, run: Run, tmp_path: Path) -> None:
    assert {one["name"]: one["state"] for one in run("person", "list")["persons"]} == dict.fromkeys(
        house.people, "waiting"
    )
    assert run("person", "accept", "王芳", "--key", house.keys["王芳"], code=6)["error"]["code"] == "approval"
    done = run("person", "accept", "王芳", "--key", house.keys["赵院长"])["request"]
    assert (done["action"], done["state"], done["requester"]) == ("person", "used", "王芳")
    (tmp_path / "request").write_text(run("person", "accept", "张伟", "--print")["text"])
    sign = [
        "ssh-keygen",
        "-q",
        "-Y",
        "sign",
        "-n",
        "vaultd-approval",
        "-f",
        house.keys["钱副院长"],
        tmp_path / "request",
    ]
    subprocess.run(sign, check=True)
    run("person", "accept", "张伟", "--signature", tmp_path / "request.sig")
    listed = run("person", "list")
    assert listed["enforced"] is True
    assert {one["name"]: (one["state"], one["accepted_by"]) for one in listed["persons"]} == {
        "赵院长": ("accepted", ""), "钱副院长": ("accepted", ""), "王芳": ("accepted", "赵院长"),
        "张伟": ("accepted", "钱副院长"),
    }  # fmt: skip
    assert run("person", "accept", "王芳", "--key", house.keys["赵院长"], code=6)["error"]["why"]
    assert run("person", "accept", "谁", "--key", house.keys["赵院长"], code=6)["error"]["why"]
    assert run("person", "accept", "王芳", "--sheet", "1", code=6)["error"]["code"] == "approval"
    assert run("person", "accept", "王芳", "--sheet", "1", "--print", code=2)["error"]["code"] == "config"
    del house.people["王芳"]
    house.people["赵院长"] = {**house.people["赵院长"], "roles": ["auditor"]}
    del house.people["钱副院长"]
    house.new_key("赵院长")
    assert run("person", "accept", "赵院长", "--sheet", "2026-61")["sheet"] == "2026-61"
    assert {one["name"]: one["state"] for one in run("person", "list")["persons"]}["王芳"] == "gone"
    assert "person-on-paper" in {one["code"] for one in run("alert", "list")["alerts"]}


def test_status_shows_what_waits_and_what_is_owed(house: House, run: Run) -> None:
    assert run("status", code=7)["approvals"] == {
        "enforced": False, "open": 0, "late": 0, "late_since": None, "waiting": 0}  # fmt: skip
    house.ask(vault="records")
    assert approvals.owe(house.config, house.store, "evacuation-late", {"evacuation": "E-2026-001"}, CALLER)
    found = run("status", code=7)["approvals"]
    assert {**found, "late_since": None} == {"enforced": True, "open": 1, "late": 1, "late_since": None, "waiting": 2}
    assert found["late_since"]


def test_text_for_people(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(house.config_file())
    assert main(["--config", file, "status"]) == 7
    assert "nobody is named who approves" in capsys.readouterr().out
    one = house.ask(vault="records", paths=["病历/\x1b[31m.pdf"])
    assert main(["--config", file, "approvals", "show", str(one.number)]) == 0
    shown = capsys.readouterr().out
    assert "it lacks the approval of: director" in shown and "\x1b" not in shown
    assert main(["--config", file, "status"]) == 7
    assert "Approvals: 1 waits, 2 persons not accepted yet" in capsys.readouterr().out
    assert main(["--config", file, "approve", str(one.number), "--key", str(house.keys["赵院长"])]) == 0
    assert "run the command again" in capsys.readouterr().out
    for args in (["approvals", "list"], ["person", "list"]):
        assert main(["--config", file, *args]) == 0


# what waits for approval


def test_forget_and_destroying_records_wait_for_a_director(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with site_in(tmp_path) as site:
        site.add_target()
        root = site.add_vault()
        site.vaults["records"]["retention"] = {
            "keep_within": 0, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0, "express": 0}  # fmt: skip
        key = make_key(tmp_path / "director")
        public = key.with_suffix(".pub").read_text().strip()
        person = f'name = "赵院长"\nroles = ["director"]\nuser = "zhao"\nssh_key = "{public}"'
        site.file_tail = f"[[person]]\n{person}\n"
        site.prepare()
        (root / "a").write_text("1")
        site.backup(full=True)
        (root / "a").unlink()
        (root / "b").write_text("2")
        site.backup(full=True)
        before = site.snapshots()
        monkeypatch.setenv("SUDO_USER", "zhang")

        def vaultd(*args: str, code: int = 0) -> dict[str, Any]:
            capsys.readouterr()
            ended = main(["--config", str(site.file), "--json", *args])
            shown = capsys.readouterr()
            assert ended == code, shown
            document: dict[str, Any] = json.loads(shown.out)
            return document

        error = vaultd("forget", "records", "--yes", code=6)["error"]
        assert error["code"] == "approval-missing" and "vaultd approve 1;" in error["hint"]
        error = vaultd("forget", "records", "--path", "a", "--reason", "r", "--yes", code=6)["error"]
        assert "vaultd approve 2;" in error["hint"] and site.snapshots() == before
        asked = vaultd("approvals", "show", "2")["request"]
        assert asked["parameters"]["paths"] == [{"path": "a"}] and asked["account"] == "zhang"
        vaultd("approve", "2", "--key", str(key))
        assert vaultd("forget", "records", "--path", "a", "--reason", "r", "--yes")["destroyed"][0]["files"] == 1
        vaultd("approve", "1", "--key", str(key))
        assert len(vaultd("forget", "records", "--yes")["targets"][0]["done"]["forgotten"]) == 1
        store = site.store()
        assert [row.state for row in store.approval_requests(open_only=False)] == ["used", "used"]
        store.close()


def test_media_are_destroyed_only_with_the_approvals_of_the_policy(tmp_path: Path) -> None:
    with office_in(tmp_path) as office:
        persons = [
            one.model_copy(update={"roles": ["director"]}) if one.name == "赵院长" else one
            for one in office.config.person
        ]
        policy = office.config.approvals.model_copy(update={"destruction": ["director"]})
        config = office.config.model_copy(update={"person": persons, "approvals": policy})
        object.__setattr__(office.register, "config", config)
        office.config = config
        label = office.add(location="机房").label
        wang, sun = office.keys["王芳"], office.keys["孙主任"]
        with pytest.raises(ApprovalMissingError):
            approvals.require(config, office.store, "forget", {}, CALLER)  # there is a director from now on
        with pytest.raises(ApprovalError, match="王芳 is new or was changed"):
            office.bring(label, Status.DEPOSITED)  # who approves is not accepted yet
        for name in ("王芳", "孙主任", "李娜"):
            one = approvals.accepting.ask(config, office.store, name, CALLER)
            sign = approving(office.keys["赵院长"])
            approvals.approve(config, office.store, one.number, sign, "uid 0")
        office.bring(label, Status.DEPOSITED)
        asked = destruction.request(
            office.register,
            destruction.Request([label], "张伟", "期满", "destroy", "粉碎", "D-1", means=office.means("张伟")),
        )
        assert asked.event
        for level, (name, key) in enumerate((("孙主任", sun), ("王芳", wang), ("赵院长", office.keys["赵院长"])), 1):
            destruction.approve(office.register, "D-1", level, name, media_signature(office, name, key))
        wish = Execution("D-1", "李娜", ["陈司机", "周护士"], "销毁中心", "HSM", "", "逐件", "周护士", "回收厂",
                         means=office.means("李娜"))  # fmt: skip
        with pytest.raises(ApprovalMissingError) as caught:
            destruction.execute(office.register, wish)
        assert office.register.find(label).status == "deposited"
        approvals.approve(config, office.store, caught.value.request, approving(office.keys["赵院长"]), "uid 0")
        destruction.execute(office.register, wish)
        assert office.register.find(label).status == "destroyed"


def test_a_transfer_is_approved_by_somebody_who_is_not_here(tmp_path: Path) -> None:
    with office_in(tmp_path, approvers=["保密办"]) as office:
        label = office.add(location="机房").label
        wish = {"received_by": "李娜", "means": office.means("张伟", "李娜", sheet=""), "ask": True}
        with pytest.raises(MediaError, match="they cannot be asked"):  # nobody is a director
            office.hand("remove", label, **wish)
        persons = [
            one.model_copy(update={"roles": ["director"]}) if one.name == "赵院长" else one
            for one in office.config.person
        ]
        office.config = office.config.model_copy(update={"person": persons})
        object.__setattr__(office.register, "config", office.config)
        approvals.settle(office.config, office.store)
        for name in ("王芳", "孙主任"):
            one = approvals.accepting.ask(office.config, office.store, name, CALLER)
            approvals.approve(office.config, office.store, one.number, approving(office.keys["赵院长"]), "uid 0")
        with pytest.raises(ApprovalMissingError, match="person: 王芳") as caught:
            office.hand("remove", label, **wish)
        number = caught.value.request
        for other in ("孙主任", "赵院长"):
            with pytest.raises(ApprovalError, match="they have the roles"):
                approvals.approve(office.config, office.store, number, approving(office.keys[other]), "uid 0")
        approvals.approve(office.config, office.store, number, approving(office.keys["王芳"]), "uid 0")
        with pytest.raises(ApprovalMissingError):  # of another hand-over
            office.hand("remove", label, **{**wish, "received_by": "张伟"})
        with pytest.raises(MediaError):  # one that cannot be done does not use it up
            office.hand("remove", label, **{**wish, "means": Means({"谁": Path("x")})})
        assert office.register.find(label).status == "in-service"
        done = office.hand("remove", label, **wish)
        assert [(one.role, one.state) for one in done.signatures] == [
            ("released-by", "signed"), ("received-by", "signed"), ("approver", "approved")]  # fmt: skip
        (entry,) = [one for one in office.entries("media-signature") if one["role"] == "approver"]
        assert (entry["request"], entry["person"]) == (str(number), "王芳") and "signature" not in entry
        assert office.store.approval_request(number).state == "used"  # type: ignore[union-attr]


def approving(key: Path) -> Callable[[bytes], str]:
    return lambda statement: approvals.sshsig.sign(key, statement, approvals.NAMESPACE)


def media_signature(office: Any, name: str, key: Path) -> Any:
    from vaultd.media import people, sshsig

    return lambda role, statement: people.by_key(office.config, role, name, statement, sshsig.sign(key, statement))


def test_a_media_signature_is_no_approval_and_the_other_way_round(house: House) -> None:
    from vaultd.media import sshsig

    one = house.ask(vault="records")
    with pytest.raises(ApprovalError, match="it does not hold"):
        approvals.approve(
            house.config, house.store, one.number, lambda text: sshsig.sign(house.keys["赵院长"], text), "uid 0"
        )
    with pytest.raises(SignatureError, match="it does not hold"):
        sshsig.verify(house.people["赵院长"]["ssh_key"], one.statement, house.sign("赵院长")(one.statement))

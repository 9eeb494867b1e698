"""``vaultd disks pull-list``, ``release``, ``locate``, ``confirm-bay`` as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.mounting import needs_mounts
from tests.pulling import disk, inventory, leaf, mapped, need
from tests.test_pull_kept import made
from tests.test_pull_release import attached, holder, of
from vaultd import i18n
from vaultd.cli import pull_disk, pull_list
from vaultd.cli.main import main
from vaultd.disks import kept as kept_disks
from vaultd.disks.model import Disk, Inventory
from vaultd.places import database
from vaultd.pull import bays, kept, making
from vaultd.pull.model import Label, Need, PullList
from vaultd.pull.order import compute
from vaultd.status import VaultPlan
from vaultd.store import Store
from vaultd.store.media import Medium

CONFIG = """
[host]
name = "archive-1"
state = "{folder}/state"
[[target]]
name = "east"
host = "127.0.0.1"
port = 1
user = "nobody"
path = "repository"
identity = "{folder}/id"
password_file = "{folder}/password"
[[vault]]
name = "records"
path = "{folder}/vault"
classification = "secret"
priority = 1
custodian = "张伟"
targets = ["east"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "vaultd.toml"
    file.write_text(CONFIG.format(folder=tmp_path))
    (tmp_path / "vault").mkdir()
    (tmp_path / "state").mkdir()
    yield file
    i18n.choose("en")


def run(config: Path, *args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """vaultd as a process, with one of the sandbox's own mounts as its machine."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    words = [sys.executable, "-m", "vaultd", "--config", str(config), *args]
    return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120, **kwargs)


def inside(capsys: pytest.CaptureFixture[str], config: Path, *args: str) -> tuple[int, str, str]:
    """vaultd in this process, so that a test can say which disks there are."""
    capsys.readouterr()
    code = main(["--config", str(config), *args])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_kept_list_is_printed_and_nothing_is_probed(config: Path) -> None:
    kept.write(config.parent / "state", made())
    before = sorted(path.name for path in (config.parent / "state").iterdir())
    done = run(config, "disks", "pull-list")
    assert (done.returncode, done.stderr) == (0, "")
    for wanted in (
        made().number, "X-0007", "李娜", "COPY COMPLETE of records after disk 1",
        "NOT YET OFF-SITE: 3 files, 1.00 TiB", "in use by postgresql.service (process 7, postgres)",
        "$ umount -- $'/srv/\\xff'", "carried after disk", "mdadm needs root", "LEAK if it is left behind",
    ):  # fmt: skip
        assert wanted in done.stdout, wanted
    assert sorted(path.name for path in (config.parent / "state").iterdir()) == before == ["pull-list.json"]
    document = json.loads(run(config, "--json", "disks", "pull-list").stdout)
    assert document.pop("age") > 0 and document.pop("files") == []
    assert document == kept.document(made())


def test_what_the_kept_list_imports_is_little(config: Path) -> None:
    kept.write(config.parent / "state", made())
    words = [sys.executable, "-X", "importtime", "-m", "vaultd", "--config", str(config), "disks", "pull-list"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "vaultd.pull.kept" in names
    heavy = {"pydantic", "sqlite3", "fpdf", "subprocess", "asyncio", "pyudev", "vaultd.store", "vaultd.pull.making"}
    assert names & heavy == set()


def test_a_new_list_is_made_of_this_machine_and_kept(config: Path) -> None:
    """Whatever disk this is: the vault's folder is in the list with it, or it is said why not."""
    done = run(config, "--json", "disks", "pull-list", "--fresh")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [vault["name"] for vault in document["vaults"]] == ["records", "vaultd-state"]
    assert document["vaults"][0]["notes"].count("unprotected") == 1
    assert document["vaults"][0]["custodian"] == "张伟"
    found = kept.read(config.parent / "state")
    assert found is not None and found.number == document["number"]
    assert kept_disks.last(config.parent / "state") is not None


def test_without_a_kept_list_one_is_made(config: Path) -> None:
    done = run(config, "disks", "pull-list")
    assert done.returncode == 0 and "No list is kept yet" in done.stderr
    assert "Pull list PL-" in done.stdout


def test_a_damaged_list_is_an_error_with_a_hint(config: Path) -> None:
    kept.file_in(config.parent / "state").write_text("{")
    done = run(config, "disks", "pull-list")
    assert done.returncode == 1 and "it is damaged" in done.stderr and "--fresh" in done.stderr


def test_the_pages_are_written_for_their_owner_alone(config: Path, tmp_path: Path) -> None:
    kept.write(config.parent / "state", made())
    example = Path(__file__).parent.parent / "config/chassis/example-2u12.toml"
    (config.parent / "chassis.toml").write_bytes(example.read_bytes())
    pdf, svg = tmp_path / "list.pdf", tmp_path / "front.svg"
    done = run(config, "disks", "pull-list", "--pdf", str(pdf), "--svg", str(svg))
    assert done.returncode == 0, done.stderr
    assert pdf.read_bytes().startswith(b"%PDF") and svg.read_text().startswith("<svg")
    assert (pdf.stat().st_mode & 0o777, svg.stat().st_mode & 0o777) == (0o600, 0o600)
    done = run(config, "disks", "pull-list", "--pdf", str(tmp_path / "no/list.pdf"))
    assert done.returncode == 2 and "there is no folder" in done.stderr
    (config.parent / "chassis.toml").write_text("x")
    assert run(config, "disks", "pull-list").returncode == 0  # the list itself needs no picture
    assert run(config, "disks", "pull-list", "--svg", str(svg)).returncode == 2


# one disk


class Machine:
    """The disks that a test says there are."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = state
        self.disks: list[Disk] = []
        self.needs = [Need("records", 1)]
        self.labels: dict[str, Label] = {}
        monkeypatch.setattr(pull_list, "make", lambda _cli: self.make())
        monkeypatch.setattr(pull_disk, "_listed", lambda: self.disks)

    def make(self) -> PullList:
        top = need(1, *(leaf(one.key) for one in self.disks))
        seen = inventory(self.disks, [mapped("records", top)]) if self.disks else Inventory(1, (), ())
        found = bays.apply(bays.read(self.state), seen)
        kept_disks.keep(self.state, found)
        made = compute(found, self.needs, self.labels, "archive-1")
        kept.write(self.state, made)
        return made


@pytest.fixture
def machine(config: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    Store(database(config.parent / "state")).close()
    return Machine(config.parent / "state", monkeypatch)


def events(config: Path) -> list[dict[str, Any]]:
    """What was left for the ledger."""
    store = Store(database(config.parent / "state"))
    try:
        return [{"type": one.type, **one.fields} for one in store.events(10)]
    finally:
        store.close()


@needs_mounts
def test_a_disk_is_released_and_that_is_on_record(
    config: Path, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with attached(tmp_path / "disk.img") as name:
        machine.disks = [of(name), disk("b", "2")]
        machine.labels = {"loop": Label("X-0007")}
        code, out, _err = inside(capsys, config, "disks", "release", "X-0007", "--dry-run")
        assert code == 0 and f"$ losetup -d /dev/{name}" in out and "if not:" in out
        assert events(config) == []
        code, out, err = inside(capsys, config, "--json", "disks", "release", name, "--reason", "fire")
        assert (code, err) == (0, "")
        outcome = json.loads(out)["outcome"]
        assert (outcome["state"], outcome["failed"], outcome["users"]) == ("detached", None, [])
    (one,) = events(config)
    assert one["type"] == "disk-released" and one["state"] == "detached" and one["label"] == "X-0007"
    assert one["vaults"] == ["records"] and one["who"].startswith("uid 0") and "failed" not in one
    assert one["reason"] == "fire"
    store = Store(database(config.parent / "state"))
    assert store.meta_keys("disk-released:") == ["disk-released:loop"]
    store.close()


@needs_mounts
def test_one_that_is_in_use_is_not_and_that_is_on_record_too(
    config: Path, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with attached(tmp_path / "disk.img") as name, holder("held = open(sys.argv[1], 'rb')", f"/dev/{name}") as child:
        machine.disks = [of(name)]
        machine.make()
        code, out, _err = inside(capsys, config, "disks", "release", "#1", "--reason", "fire")
        assert code == 1
        assert "STOPPED at: stop what uses it" in out and f"(process {child.pid})" in out
    (one,) = events(config)
    assert (one["state"], one["failed"], one["steps"]) == ("free", "stop-users", 0)


def test_content_that_is_nowhere_needs_a_reason(
    config: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.disks = [disk("zz", names=("vaultd-no-such",))]
    machine.needs = [Need("records", 1, pending_files=3, pending_bytes=7)]
    code, _out, err = inside(capsys, config, "disks", "release", "ZZ")
    assert code == 1 and "not there any more" in err
    machine.disks = [disk("loop", names=("loop0",))]
    code, _out, err = inside(capsys, config, "disks", "release", "LOOP")
    assert code == 2 and "records: nothing is known of it here" in err and "--reason" in err
    store = Store(database(config.parent / "state"))
    with store.database.write() as db:
        vault = store.vault_id("records")
        db.execute("UPDATE vault SET complete_as_of=1 WHERE id=?", (vault,))
    store.close()
    code, _out, err = inside(capsys, config, "disks", "release", "LOOP")
    assert code == 2 and "records: no target that answers has a full snapshot" in err
    assert events(config) == []


def test_a_name_that_means_no_disk_or_two_is_refused(
    config: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.disks = [disk("a", serial="S"), disk("b", serial="S")]
    for wanted, why in (("S", "2 disks are called that"), ("nothing", "no such disk"), ("#9", "no such number")):
        code, _out, err = inside(capsys, config, "disks", "release", wanted, "--dry-run")
        assert code == 2 and why in err


def test_only_root_releases(config: Path, machine: Machine, capsys: pytest.CaptureFixture[str],
                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert inside(capsys, config, "disks", "release", "a")[0] == 6


def test_a_bay_is_confirmed_by_what_is_read_on_the_disk(
    config: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.disks, machine.labels = [disk("a", "7"), disk("b", "8")], {"a": Label("X-0007")}
    code, _out, err = inside(capsys, config, "disks", "confirm-bay", "sda", "4", "--label", "X-0008")
    assert code == 2 and "X-0008 is not on this disk" in err
    code, _out, err = inside(capsys, config, "disks", "confirm-bay", "sda", "4")
    assert code == 2 and "--label" in err  # nobody is there to be asked
    assert events(config) == [] and not bays.file_in(machine.state).exists()
    code, out, _err = inside(capsys, config, "disks", "confirm-bay", "sda", "4", "--label", "ｘ-0007 ")
    assert code == 0 and "is in bay 4" in out
    found = kept.read(machine.state)
    assert found is not None and {one.disk.key: one.disk.bay and one.disk.bay.text for one in found.pulls} == {
        "a": "4", "b": "8"
    }  # fmt: skip
    (one,) = events(config)
    assert {name: one[name] for name in ("type", "disk", "bay", "firmware", "read")} == {
        "type": "bay-confirmed", "disk": "a", "bay": "4", "firmware": "7", "read": "ｘ-0007",
    }  # fmt: skip
    # Again, by its serial number: what the machine says is still known.
    assert inside(capsys, config, "disks", "confirm-bay", "sda", "5", "--label", "A")[0] == 0
    assert bays.read(machine.state)["a"].firmware == "7"
    assert inside(capsys, config, "disks", "confirm-bay", "sdb", "5", "--label", "B")[0] == 2  # somebody saw a there


def test_no_lamp_is_said(config: Path, machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.disks = [disk("a")]
    code, _out, err = inside(capsys, config, "disks", "locate", "sda")
    assert code == 1 and ("not there any more" in err or "no lamp" in err)


# what is safe off-site


def test_only_what_no_target_has_is_not_safe(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    vault, east, west = store.vault_id("records"), store.target_id("east"), store.target_id("west")
    plan = VaultPlan("records", "/srv", "secret", 2, "张伟", targets=("east", "west", "new"))
    assert making.needs([plan], None)[0].known is False
    assert making.needs([plan], store)[0].known is False  # never looked through
    with store.database.write() as db:
        db.execute("UPDATE vault SET complete_as_of=1 WHERE id=?", (vault,))
        rows = [(east, b"a", 5, 1), (east, b"b", 7, 1), (east, b"c", 9, None), (west, b"b", 7, 1), (west, b"c", 9, 1)]
        db.executemany(
            "INSERT INTO pending(target, vault, path, seq, kind, size, since, unsafe_since) VALUES(?,?,?,1,'f',?,1,?)",
            [(target, vault, path, size, since) for target, path, size, since in rows],
        )
    found = making.needs([plan], store)
    assert found[0] == Need("records", 2, "secret", "张伟", 1, 7)
    assert found[1] == Need("vaultd-state", 2, "secret")
    assert making.needs([replace(plan, targets=("east",))], store)[0].pending_bytes == 12
    assert making.needs([replace(plan, targets=("new",))], store)[0].known is False
    store.close()


def test_what_the_register_says_is_on_the_list(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.add_medium(Medium("X-0007", "secret", "张伟", serial="A", wwn="0x5000a", holder="李娜", salt=b"s"))
    store.add_medium(Medium("X-0008", "secret", "张伟", serial="B", salt=b"s"))
    found = making.labels(inventory(map(disk, "abc"), []), store)
    assert found == {"a": Label("X-0007", "李娜"), "b": Label("X-0008", "张伟")}
    store.close()

"""The kept list: what is written is read again, today's code reads yesterday's file, and a damaged one is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pulling import disk, inventory, leaf, mapped, need
from vaultd.disks.model import Health, Unseen
from vaultd.errors import StateError
from vaultd.pull import kept
from vaultd.pull.model import Do, Label, Need, Procedure, PullList, Step, User, structure
from vaultd.pull.order import compute

GOLDEN = Path(__file__).parent / "pull_golden" / "pull-list.json"


def made() -> PullList:
    """A list in which every field says something."""
    disks = [
        disk("a", "1", health=Health(True, 1_790_000_000_000_000_000, "31 C"), encryption="luks2"),
        disk("b", "2", unseen=Unseen.CONTROLLER, problems=("double-serial",)),
        disk("c", transport="usb", removable=True, rotational=False),
    ]
    maps = [mapped("records", need(1, leaf("a"), leaf("b"))), mapped("病案", leaf("c"), sure=False)]
    needs = [Need("records", 1, "secret", "张伟", 3, 2**40), Need("病案", 2, known=False)]
    found = compute(inventory(disks, maps), needs, {"a": Label("X-0007", "李娜")}, "archive-1", "2U")
    steps = (
        Step(Do.STOP_USERS, ""), Step(Do.UNMOUNT, "/srv/\\xff", ("umount", "--", "/srv/\udcff")),
        Step(Do.DETACH, "M8000 A", write=("/sys/block/sda/device/delete", "1")),
    )  # fmt: skip
    procedure = Procedure(steps, (User(7, "postgres", "postgresql.service"),), False)
    pulls = (replace(found.pulls[0], procedure=procedure), *found.pulls[1:])
    return replace(found, pulls=pulls, problems=("mdadm needs root",))


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    kept.write(tmp_path, made())
    assert kept.read(tmp_path) == made()
    assert kept.file_in(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_file_of_version_1_is_read_and_written_again() -> None:
    """When this fails, change the code and not the file: it is out there."""
    document = json.loads(GOLDEN.read_bytes())
    assert kept.read(GOLDEN.parent) == made()
    now = json.loads(json.dumps(kept.document(made())))
    assert {name: now[name] for name in document} == document
    assert kept.document(made())["disks"][0]["procedure"]["steps"][1]["command"] == "umount -- $'/srv/\\xff'"


def test_there_may_be_none(tmp_path: Path) -> None:
    assert kept.read(tmp_path) is None


def _with(**changes: object) -> bytes:
    return json.dumps({**json.loads(GOLDEN.read_bytes()), **changes}).encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "damaged"),
        (b"[]", "damaged"),
        (b"\xff{}", "damaged"),
        (b"[" * 100_000, "damaged"),
        (_with(version=2), "version 2"),
        (_with(disks=None), "damaged"),
        (_with(disks=[{"number": 1}]), "damaged"),
        (_with(time="yesterday"), "damaged"),
        (_with(host=7), "damaged"),
        (_with(problems="text"), "damaged"),
        (GOLDEN.read_bytes()[:-200], "damaged"),
        (GOLDEN.read_bytes().replace(b'"umount"', b"7"), "damaged"),
        (GOLDEN.read_bytes().replace(b'"unmount"', b'"blast"'), "damaged"),
    ],
)
def test_a_damaged_one_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    kept.file_in(tmp_path).write_bytes(content)
    with pytest.raises(StateError, match=why):
        kept.read(tmp_path)


def test_where_nothing_can_be_written_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateError):
        kept.write(tmp_path / "missing", made())


def test_what_is_pending_makes_no_other_list() -> None:
    first = made()
    later = replace(first, time=first.time + 10**12, pulls=tuple(replace(one, pending_bytes=7) for one in first.pulls))
    assert structure(first) == structure(later)
    assert structure(first) != structure(replace(first, pulls=first.pulls[1:]))

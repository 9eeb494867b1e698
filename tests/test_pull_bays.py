"""Bays that a person has seen win over the machine's word, until the disk has moved; lamps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakesys import FakeSys
from tests.pulling import disk, inventory
from vaultd.disks.model import Bay, Disk
from vaultd.errors import ConfigError, StateError
from vaultd.pull import bays, locate
from vaultd.pull.stack import Reader


def confirm(state: Path, one: Disk, bay: str, *others: Disk) -> None:
    bays.confirm(state, bays.read(state), one, bay, "uid 0", inventory([one, *others], []))


def seen(state: Path, *disks: Disk) -> dict[str, tuple[Bay | None, tuple[str, ...]]]:
    found = bays.apply(bays.read(state), inventory(disks, []))
    return {one.key: (one.bay, one.problems) for one in found.disks}


def test_the_persons_word_wins_until_the_disk_has_moved(tmp_path: Path) -> None:
    confirm(tmp_path, disk("a", "7"), "shelf 2, 柜 4")
    assert seen(tmp_path, disk("a", "7")) == {"a": (Bay("shelf 2, 柜 4", "confirmed"), ())}
    assert seen(tmp_path, disk("a", "8")) == {"a": (Bay("8", "enclosure"), ("moved",))}
    assert bays.file_in(tmp_path).stat().st_mode & 0o777 == 0o600


def test_where_the_machine_says_nothing_the_word_holds(tmp_path: Path) -> None:
    confirm(tmp_path, disk("a"), "4")
    assert seen(tmp_path, disk("a")) == {"a": (Bay("4", "confirmed"), ())}


def test_a_double_slot_is_settled_by_looking(tmp_path: Path) -> None:
    a, b = disk("a", "4", problems=("double-slot",)), disk("b", "4", problems=("double-slot",))
    confirm(tmp_path, a, "4", b)
    assert seen(tmp_path, a, b) == {
        "a": (Bay("4", "confirmed"), ()), "b": (Bay("4", "enclosure"), ("double-slot",))
    }  # fmt: skip
    confirm(tmp_path, b, "5", a)
    assert seen(tmp_path, a, b)["b"] == (Bay("5", "confirmed"), ())


def test_a_bay_in_which_another_disk_was_seen_is_refused(tmp_path: Path) -> None:
    a, b = disk("a", "1"), disk("b", "2")
    confirm(tmp_path, a, "4", b)
    with pytest.raises(ConfigError, match="disk A was seen in it"):
        confirm(tmp_path, b, "4", a)
    confirm(tmp_path, b, "4")  # the other one is gone: a new disk is in its bay
    assert seen(tmp_path, a, b)["a"] == (Bay("1", "enclosure"), ())
    confirm(tmp_path, disk("b", "9"), "5")  # moved since: its old word binds nobody
    confirm(tmp_path, a, "4", disk("b", "9"))


@pytest.mark.parametrize("bay", ["", "  ", "a\nb", "\x1b[2J", "x" * 61])
def test_what_is_no_name_of_a_bay_is_refused(tmp_path: Path, bay: str) -> None:
    with pytest.raises(ConfigError, match="no name of a bay"):
        confirm(tmp_path, disk("a"), bay)
    assert not bays.file_in(tmp_path).exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 1}', b'{"version": 9, "bays": {}}', b"\xff"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    bays.file_in(tmp_path).write_bytes(content)
    with pytest.raises(StateError):
        bays.read(tmp_path)


def test_the_format_stays(tmp_path: Path) -> None:
    row = {"bay": "4", "firmware": "7", "time": 1, "who": "uid 0"}
    bays.file_in(tmp_path).write_text(json.dumps({"version": 1, "bays": {"a": row}}))
    assert bays.read(tmp_path) == {"a": bays.Confirmed("4", "7", 1, "uid 0")}


# lamps


@pytest.fixture
def machine(tmp_path: Path) -> FakeSys:
    found = FakeSys(tmp_path / "root")
    found.block("sda"), found.block("sdb")
    return found


def enclosure(machine: FakeSys, slot: str, name: str) -> Path:
    folder = machine.root / "sys/class/enclosure/0:0:9:0" / slot
    folder.mkdir(parents=True)
    (folder / "locate").write_text("0\n")
    (folder / "device").symlink_to(machine.root / "sys/class/block" / name / "device")
    return folder / "locate"


def test_the_lamp_of_the_right_bay_is_lit_and_put_out(machine: FakeSys) -> None:
    other, own = enclosure(machine, "Slot 01", "sda"), enclosure(machine, "Slot 02", "sdb")
    assert locate.light(disk("b"), Reader(machine.root), on=True) == str(own)
    assert (own.read_text(), other.read_text()) == ("1", "0\n")
    locate.light(disk("b"), Reader(machine.root), on=False)
    assert own.read_text() == "0"


def ledctl(folder: Path, code: int) -> Callable[[], str]:
    folder.mkdir()
    program = folder / "ledctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/said\necho "no \x1b[31mHBA" >&2\nexit {code}\n')
    program.chmod(0o755)
    return (folder / "said").read_text


def test_without_an_enclosure_ledctl_is_asked(
    machine: FakeSys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ledctl(tmp_path / "bin", 0)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert locate.light(disk("b"), Reader(machine.root), on=True) == "ledctl"
    locate.light(disk("b"), Reader(machine.root), on=False)
    assert said() == "locate=/dev/sdb\nlocate_off=/dev/sdb\n"


def test_what_cannot_be_lit_is_said(machine: FakeSys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledctl(tmp_path / "bin", 1)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(locate.LocateError, match=r"no \?\[31mHBA"):
        locate.light(disk("b"), Reader(machine.root), on=True)
    with pytest.raises(locate.LocateError, match="not there any more"):
        locate.light(disk("z"), Reader(machine.root), on=True)


def test_an_enclosure_that_does_not_obey_is_found_out(machine: FakeSys) -> None:
    lamp = enclosure(machine, "Slot 01", "sda")
    lamp.unlink()
    lamp.symlink_to("/dev/null")  # takes everything, and keeps nothing
    with pytest.raises(locate.LocateError, match="does not take it"):
        locate.light(disk("a"), Reader(machine.root), on=True)

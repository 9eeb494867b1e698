"""The helper that runs storage programs: nothing but its list, nothing that hangs, answers kept with their time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.disking import Box, disk
from vaultd.disks import helper, inventory, places, running
from vaultd.disks.helper import Answer, Kept

LEAVE = """
import os, sys, time
if os.fork() == 0:
    time.sleep(60)
print("done", flush=True)
"""


def python(code: str, seconds: float = 20.0, stdin: bytes = b"") -> running.Ended:
    return running.run([sys.executable, "-I", "-S", "-c", code], seconds, stdin=stdin)


# --- running ---------------------------------------------------------------------------------------------------------


def test_a_program_that_ends_gives_what_it_printed() -> None:
    ended = python("import sys; print(sys.stdin.read()[::-1]); print('e', file=sys.stderr); sys.exit(3)", stdin=b"abc")
    assert (ended.code, ended.out, ended.err, ended.stuck) == (3, b"cba\n", b"e\n", False)


def test_a_program_that_hangs_is_ended_and_what_it_printed_so_far_is_kept() -> None:
    ended = python("import time; print('half', flush=True); time.sleep(600)", 2.0)
    assert (ended.code, ended.out, ended.stuck) == (None, b"half\n", False)


def test_a_program_that_takes_no_signal_but_the_last_is_ended() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); signal.signal(1, signal.SIG_IGN); time.sleep(600)"
    assert python(code, 1.0).code is None


def test_what_a_program_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    """A child that holds its output open would hold us."""
    mark = f"vaultd-test-{os.getpid()}"
    ended = running.run([sys.executable, "-I", "-S", "-c", LEAVE, mark], 2.0)
    assert ended.code is None
    assert ended.out == b"done\n"
    deadline = time.monotonic() + 20
    while mark in subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_program_that_prints_without_end_is_ended() -> None:
    ended = python("while True: print('x' * 65536)", 60.0)
    assert ended.code is None
    assert running.OUTPUT < len(ended.out) < running.OUTPUT + (1 << 20)


def test_a_program_that_does_not_read_its_input_is_no_matter() -> None:
    assert python("print('no')", stdin=b"x" * (1 << 22)).out == b"no\n"


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "device", ["../sda", "sda;reboot", "-rf", "/dev/sda", "sd a", "", "nothere9", "sda\n", "a" * 65]
)
def test_only_names_of_devices_that_are_there_get_into_a_command(device: str) -> None:
    with pytest.raises(ValueError, match="no such"):
        helper.command("smart", device)


@pytest.mark.parametrize("key", ["", "sh", "rm", "dmsetup", "smart "])
def test_only_what_is_on_the_list_is_run(key: str) -> None:
    with pytest.raises(ValueError, match="no such command"):
        helper.command(key)


def test_a_command_without_a_device_takes_none() -> None:
    with pytest.raises(ValueError, match="no such command"):
        helper.command("dm-table", next(iter(os.listdir("/sys/class/block")), "sda"))


def test_the_list_only_reads() -> None:
    """Each word of each command, as it is: what writes is not among them, and no key of an encrypted disk is asked."""
    words = {word for command, _root in helper.COMMANDS.values() for word in command}
    assert "--showkeys" not in words
    assert not words & {
        "create",
        "remove",
        "--stop",
        "--fail",
        "--add",
        "close",
        "luksFormat",
        "delete",
        "set",
        "-s",
        "start",
    }
    assert {command[0] for command, _root in helper.COMMANDS.values()} == {
        "dmsetup", "lvs", "pvs", "zpool", "multipath", "blkid", "btrfs", "mdadm", "cryptsetup", "smartctl", "nvme",
        "storcli", "ssacli", "megacli", "arcconf", "lsblk", "findmnt",
    }  # fmt: skip


def test_a_program_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "PATH", "/nonexistent")
    assert helper.ask("dm-table").problem == "missing"


@pytest.mark.parametrize(
    ("script", "problem", "text"),
    [
        ("echo 'x: 0 8 linear 8:0 0'", "", "x: 0 8 linear 8:0 0\n"),
        ("echo half; sleep 600", "time", "half\n"),
        ("exit 4", "failed", ""),
        ("echo enough; exit 4", "", "enough\n"),
        ('[ -z "$SECRET$PYTHONPATH" ] && [ "$LC_ALL" = C.UTF-8 ] && echo clean', "", "clean\n"),
    ],
)
def test_what_becomes_of_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, problem: str, text: str
) -> None:
    program = tmp_path / "zpool"  # one that needs no root
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(helper, "PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SECRET", "x")
    answer = helper.ask("zpool", seconds=2.0)
    assert (answer.problem, answer.text) == (problem, text)


def test_one_that_hangs_holds_up_none_of_the_others() -> None:
    others = threading.Barrier(3)

    def one(key: str, _device: str) -> Answer:
        others.wait(60)  # each answers only once all three are being asked: one after the other, none ever would
        return Answer(1, key)

    found = helper.ask_all([(key, "") for key in ("slow", "a", "b", "a")], one)
    assert {key: answer.text for key, answer in found.items()} == {("slow", ""): "slow", ("a", ""): "a", ("b", ""): "b"}


# --- kept answers ----------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_and_taken_by_who_does_not_ask(tmp_path: Path) -> None:
    asked = []

    def one(key: str, device: str) -> Answer:
        asked.append((key, device))
        return Answer(time.time_ns(), f"{key} {device}", "", 0)

    file = tmp_path / "answers.json"
    first = Kept(file, one)
    first("smart", "sda")
    first.keep()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    leaving = Kept(file, one, leave=frozenset({"smart"}))
    assert leaving("smart", "sda").text == "smart sda"
    assert (leaving("smart", "sdb").text, leaving("smart", "sdb").problem) == ("", helper.LEFT)
    assert len(asked) == 1
    assert Kept(file, one)("smart", "sda").text == "smart sda"
    assert len(asked) == 2


@pytest.mark.parametrize("problem", ["root", "time", "stuck"])
def test_who_cannot_ask_gets_the_last_answer_with_its_time(tmp_path: Path, problem: str) -> None:
    file = tmp_path / "answers.json"
    kept = Kept(file, lambda _key, _device: Answer(17, "old", "", 0))
    kept("dm-table")
    kept.keep()
    answer = Kept(file, lambda _key, _device: Answer(99, "", problem))("dm-table")
    assert (answer.time, answer.text, answer.problem) == (17, "old", problem)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 1}', b'{"version": 1, "answers": [[1]]}', b"\xff"])
def test_a_damaged_file_of_answers_is_as_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "answers.json"
    file.write_bytes(content)
    assert Kept(file, lambda key, _device: Answer(1, key))("zpool").text == "zpool"


def test_health_of_the_disk_before_is_not_that_of_the_one_with_its_name(tmp_path: Path) -> None:
    box = Box(tmp_path)
    disk(box, "sda", 0)
    box.outputs["smart", "sda"] = (
        '{"smartctl": {"exit_status": 0}, "serial_number": "OTHER", "smart_status": {"passed": false}}'
    )
    assert inventory.read(box.machine, ask=box.ask).disks[0].health is None
    box.outputs["smart", "sda"] = box.outputs["smart", "sda"].replace("OTHER", "S0000")
    health = inventory.read(box.machine, ask=box.ask).disks[0].health
    assert health is not None
    assert health.passed is False


# --- where a folder is -----------------------------------------------------------------------------------------------


def test_folders_are_found_and_missing_ones_told(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\nx"
    os.mkdir(name)
    (tmp_path / "link").symlink_to(name)
    found = places.look([name, os.fsencode(tmp_path / "link"), os.fsencode(tmp_path / "none")], 60)
    assert [place.real for place in found[:2]] == [name, name]
    assert found[0].mount == found[1].mount is not None
    assert (found[2].mount, found[2].problem) == (None, os.strerror(2))


def test_a_folder_that_does_not_answer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a dead disk: the process that looks never comes back from one; those after it are asked without it."""
    slow = places._LOOK.replace(
        "        handle = os.open(",
        "        b'dead' in path and __import__('time').sleep(600)\n        handle = os.open(",
    )
    monkeypatch.setattr(places, "_LOOK", slow)
    found = places.look([os.fsencode(tmp_path), os.fsencode(tmp_path / "dead"), os.fsencode(tmp_path)], 3)
    assert [place.problem for place in found] == ["", "time", ""]


def test_when_many_do_not_answer_the_rest_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_LOOK", "import time; time.sleep(600)")
    found = places.look([b"/"] * 1000, 0.2)  # a thousand of them would outlast any test
    assert [place.problem for place in found] == ["time"] * 1000

"""restic never runs unrecorded, never hangs for ever, and never outlives its run."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.resticking import gone, make_repository, none_left, ready_repository, run, wait_for
from vaultd import priority
from vaultd.errors import ResticError, UnreachableError
from vaultd.restic import Repository, commands, process
from vaultd.restic.exit import error_of
from vaultd.restic.features import version


def fake(tmp_path: Path, script: str) -> Repository:
    """A program in restic's place, for what the real one cannot be made to do."""
    program = tmp_path / "restic-stand-in"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    return make_repository(tmp_path, binary=str(program))


def test_start_is_told_before_restic_runs_and_is_that_of_restic(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    mark = tmp_path / "ran"
    repository = fake(tmp_path, f"touch {mark}; echo $$; cut -d' ' -f22 /proc/$$/stat\n")
    lines: list[bytes] = []

    def started(pid: int, start: int) -> None:
        assert not mark.exists()
        told.append((pid, start))

    finished = run(process.run(repository, [], started=started, on_line=lines.append))
    assert finished.code == 0
    assert [int(line) for line in lines] == list(told[0])


def test_restic_gives_way_to_the_rest_of_the_machine(tmp_path: Path) -> None:
    lines: list[bytes] = []
    finished = run(process.run(fake(tmp_path, "cut -d' ' -f19 /proc/$$/stat\n"), [], on_line=lines.append))
    assert (finished.code, lines) == (0, [b"%d" % priority.RESTIC])


def test_restic_does_not_run_when_recording_fails(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    seen: list[int] = []

    def started(pid: int, start: int) -> None:
        seen.append(pid)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run(process.run(fake(tmp_path, f"touch {mark}\n"), [], started=started))
    assert gone(seen[0]) and not mark.exists()


PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from vaultd.restic import Repository, process
def started(pid, start):
    print(pid, start, flush=True)
    if sys.argv[5] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
repository = Repository(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), binary=sys.argv[4])
asyncio.run(process.run(repository, sys.argv[6:], started=started, marker="leftover-1"))
"""


def parent(repository: Repository, how: str, *args: str) -> tuple[subprocess.Popen[bytes], int, int]:
    command = [
        sys.executable, "-c", PARENT, repository.url, str(repository.password_file), str(repository.cache),
        repository.binary, how, *args,
    ]  # fmt: skip
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
    assert child.stdout is not None
    pid, start = child.stdout.readline().split()
    return child, int(pid), int(start)


def reaped(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


def test_restic_never_runs_when_vaultd_is_killed_between_recording_and_start(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    child, pid, start = parent(fake(tmp_path, f"touch {mark}; sleep 60\n"), "die")
    try:
        assert child.wait(20) == -signal.SIGKILL
        wait_for(lambda: gone(pid))
        assert not mark.exists()
        assert process.end_leftover(pid, start, process.boot_id(), "leftover-1") is False
    finally:
        reaped(child)


def test_real_restic_left_by_a_killed_vaultd_is_ended_and_its_lock_can_be_told(tmp_path: Path) -> None:
    repository = ready_repository(tmp_path)
    args = ("backup", "--stdin-from-command", "--", "sleep", "60")
    child, pid, start = parent(repository, "live", *args)
    locks = Path(repository.url) / "locks"
    try:
        wait_for(lambda: any(locks.iterdir()))
        reaped(child)
        assert not gone(pid), "restic goes on without its parent"
        assert process.end_leftover(pid, start, "another boot", "leftover-1") is False
        assert process.end_leftover(pid, start, process.boot_id(), "leftover-1") is True
        assert gone(pid) and none_left(pid, "leftover-1")
        # restic dies of SIGPIPE when it tells its dead parent that it is cleaning up, so its lock may stay.
        assert all(lock.pid == pid for lock in run(commands.list_locks(repository)))
        assert run(commands.snapshots(repository)) == []
        assert process.end_leftover(pid, start, process.boot_id(), "leftover-1") is False
    finally:
        reaped(child)


def test_member_that_outlives_the_leader_is_found_and_ended(tmp_path: Path) -> None:
    note = tmp_path / "member"
    script = f"setsid sleep 61 >/dev/null 2>&1 & sleep 62 >/dev/null 2>&1 & echo $! >{note}; wait\n"
    child, pid, start = parent(fake(tmp_path, script), "live")
    try:
        wait_for(lambda: note.exists() and note.read_text().strip() != "")
        reaped(child)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: gone(pid))
        assert not gone(int(note.read_text()))
        assert process.end_leftover(pid, start, process.boot_id(), "leftover-1") is True
        assert none_left(pid, "leftover-1")
    finally:
        reaped(child)


def test_what_a_killed_vaultd_left_unrecorded_is_told_by_its_owner_and_ended(tmp_path: Path) -> None:
    note = tmp_path / "member"
    script = f"setsid sh -c 'echo >{note}; exec sleep 61' >/dev/null 2>&1 & exec sleep 62 >/dev/null 2>&1\n"
    repository = fake(tmp_path, script)
    child, pid, _start = parent(repository, "live")
    try:
        wait_for(note.exists)
        assert process.end_orphans(repository.cache) == 0, "its owner lives"
        assert not gone(pid)
        reaped(child)
        assert process.end_orphans(tmp_path / "another") == 0
        assert not gone(pid)
        assert process.end_orphans(repository.cache) == 2
        assert gone(pid) and none_left(pid, "leftover-1")
    finally:
        reaped(child)


def test_process_that_only_has_the_same_number_is_left_alone() -> None:
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        start = process.process_start(other.pid)
        assert start is not None
        assert process.end_leftover(other.pid, start - 1, process.boot_id(), "leftover-2") is False
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_stopped_run_is_killed_after_the_stall_time(tmp_path: Path) -> None:
    repository = ready_repository(tmp_path)
    seen: list[int] = []

    async def stopped() -> process.Finished:
        args = ["backup", "--json", "--stdin-from-command", "--", "sleep", "60"]
        task = asyncio.create_task(
            process.run(repository, args, started=lambda pid, _start: seen.append(pid), stall=2, marker="stalled-1")
        )
        await asyncio.sleep(0)
        await asyncio.to_thread(wait_for, lambda: bool(seen))
        os.kill(seen[0], signal.SIGSTOP)
        return await task

    finished = run(stopped())
    assert finished.stalled and finished.code == -signal.SIGKILL
    assert gone(seen[0]) and none_left(seen[0], "stalled-1")


def test_status_lines_that_differ_in_the_clock_alone_are_no_life(tmp_path: Path) -> None:
    # No shell loop: each program that it starts reads some kilobytes, and that counts as life.
    source = (
        "import itertools, time\n"
        "for i in itertools.count():\n"
        '    print(\'{"message_type":"status","seconds_elapsed":%d,"files_done":1}\' % i, flush=True)\n'
        "    time.sleep(0.2)\n"
    )
    program = tmp_path / "status.py"
    program.write_text(source)
    script = f"exec {sys.executable} {program}\n"
    finished = run(process.run(fake(tmp_path, script), [], on_line=lambda _line: None, stall=2))
    assert finished.stalled


def test_status_lines_with_progress_are_life(tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do echo '{\"files_done\":'$i'}'; sleep 0.5; done\n"
    finished = run(process.run(fake(tmp_path, script), [], on_line=lambda _line: None, stall=2))
    assert not finished.stalled and finished.code == 0


def test_endless_retry_of_the_same_operation_is_ended(tmp_path: Path) -> None:
    script = "while :; do echo 'Save(<lock/ab>) returned error, retrying after 1s: sftp: x' >&2; sleep 0.1; done\n"
    finished = run(process.run(fake(tmp_path, script), []))
    assert finished.gave_up and finished.code == -signal.SIGTERM


def test_cancelled_run_leaves_no_process_and_no_lock(tmp_path: Path) -> None:
    repository = ready_repository(tmp_path)
    locks, reading = Path(repository.url) / "locks", tmp_path / "reading"
    seen: list[int] = []

    async def cancelled() -> None:
        # Not sooner: restic cannot lift a lock that it has just made and not yet checked (0.2 s).
        args = ["backup", "--stdin-from-command", "--", "sh", "-c", f"touch {reading}; exec sleep 60"]
        task = asyncio.create_task(
            process.run(repository, args, started=lambda pid, _start: seen.append(pid), marker="cancelled-1")
        )
        await asyncio.sleep(0)
        await asyncio.to_thread(wait_for, reading.exists)
        assert any(locks.iterdir())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gone(seen[0]) and none_left(seen[0], "cancelled-1")

    run(cancelled())
    assert not any(locks.iterdir())


def test_run_that_ignores_the_request_to_end_is_killed_by_a_second_cancellation(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    repository = fake(tmp_path, f"trap '' TERM INT; touch {ready}; while :; do sleep 1; done\n")
    seen: list[int] = []

    async def cancelled() -> None:
        task = asyncio.create_task(
            process.run(repository, [], started=lambda pid, _start: seen.append(pid), marker="stubborn-1")
        )
        await asyncio.sleep(0)
        await asyncio.to_thread(wait_for, ready.exists)
        task.cancel()
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert none_left(seen[0], "stubborn-1")


def test_callback_that_fails_ends_the_run(tmp_path: Path) -> None:
    seen: list[int] = []

    def fail(_line: bytes) -> None:
        raise KeyError("callback")

    with pytest.raises(KeyError, match="callback"):
        run(
            process.run(
                fake(tmp_path, "echo x; sleep 60\n"), [], on_line=fail, started=lambda pid, _start: seen.append(pid)
            )
        )
    assert none_left(seen[0], "")


def test_child_that_outlives_restic_and_holds_its_pipes_does_not_hold_the_run(tmp_path: Path) -> None:
    seen: list[int] = []
    repository = fake(tmp_path, "sleep 60 & echo done\n")
    finished = run(process.run(repository, [], marker="holder-1", started=lambda pid, _start: seen.append(pid)))
    assert finished.code == 0
    assert none_left(seen[0], "holder-1")


def test_restic_that_goes_on_without_its_ssh_is_ended_and_the_line_is_blamed(tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    shutil.copy("/bin/sleep", ssh)
    stand_in = fake(tmp_path, f"{ssh} 2 >/dev/null 2>&1 & exec sleep 300\n")
    repository = dataclasses.replace(stand_in, url="sftp:there:repository")
    finished = run(process.run(repository, [], stall=600))
    assert finished.lost_line and not finished.stalled
    error = error_of(finished, "what")
    assert isinstance(error, UnreachableError) and "line" in error.why


def test_environment_is_from_scratch_and_no_secret_is_in_it_or_in_argv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "correct horse")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    lines: list[bytes] = []
    repository = fake(tmp_path, "tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ\n")
    run(process.run(repository, ["x", b"\xff"], marker="m-1", on_line=lines.append))
    assert b"\xff" in lines and b"VAULTD_RUN=m-1" in lines
    assert not any(b"correct horse" in line for line in lines)
    names = {line.partition(b"=")[0] for line in lines if b"=" in line}
    assert names <= {
        b"PATH", b"HOME", b"LANG", b"TZ", b"RESTIC_REPOSITORY", b"RESTIC_PASSWORD_FILE", b"RESTIC_CACHE_DIR",
        b"RESTIC_PROGRESS_FPS", b"VAULTD_RUN", b"VAULTD_OWNER", b"PWD", b"TMPDIR",
    }  # fmt: skip


def test_control_characters_of_stderr_do_not_reach_a_terminal(tmp_path: Path) -> None:
    finished = run(process.run(fake(tmp_path, "printf 'a\\033[31mb\\377\\n' >&2; exit 1\n"), []))
    assert finished.stderr == "a\ufffd[31mb\ufffd\n"


def test_missing_program_is_said_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ResticError) as raised:
        run(process.run(make_repository(tmp_path, binary="no-such-restic"), []))
    assert raised.value.hint


@pytest.mark.parametrize("says", ["restic 0.14.0 compiled with go1.19", "restic 0.17.9", "something else", ""])
def test_too_old_or_other_program_is_refused(tmp_path: Path, says: str) -> None:
    with pytest.raises(ResticError) as raised:
        run(version(fake(tmp_path, f"echo '{says}'\n").binary))
    assert raised.value.hint


def test_real_restic_is_new_enough() -> None:
    assert run(version()) >= (0, 18, 0)


def test_long_single_line_comes_whole(tmp_path: Path) -> None:
    lines: list[bytes] = []
    script = "printf '{\"x\":\"'; head -c 3000000 /dev/zero | tr '\\0' y; printf '\"}'\n"
    run(process.run(fake(tmp_path, script), [], on_line=lines.append))
    assert len(json.loads(lines[0])["x"]) == 3_000_000

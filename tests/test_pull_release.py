"""A disk is let go for real: loop devices with ext4, bind mounts, an image in a file, swap, processes that hold it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakesys import FakeSys
from tests.mounting import needs_mounts
from tests.pulling import disk
from vaultd.disks import helper
from vaultd.disks.model import Disk, Unseen
from vaultd.pull.model import Do, Step
from vaultd.pull.release import Condition, Release, ReleaseError
from vaultd.pull.stack import Reader

pytestmark = [needs_mounts, pytest.mark.root]

READER = Reader()


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def attached(image: Path, size: int = 8 << 20) -> Iterator[str]:
    """A loop device over a new file; its name. What the test has left of it is taken down."""
    with image.open("wb") as stream:
        stream.truncate(size)
    name = run("losetup", "--find", "--show", str(image)).removeprefix("/dev/")
    try:
        yield name
    finally:
        if READER.backing_file(name) == os.fsencode(image):
            for mount in sorted(READER.stack([name]).mounts.values(), key=lambda one: -one.id):
                subprocess.run(["umount", "--", os.fsdecode(mount.path)], capture_output=True)
            subprocess.run(["losetup", "-d", f"/dev/{name}"], capture_output=True)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[str]:
    with attached(tmp_path / "disk.img") as name:
        run("mkfs.ext4", "-q", f"/dev/{name}")
        (tmp_path / "srv").mkdir()
        run("mount", f"/dev/{name}", str(tmp_path / "srv"))
        yield name


def of(name: str) -> Disk:
    return disk("loop", names=(name,), transport="loop", serial="L1")


def release(name: str, *, stop_users: bool = False, tell: Callable[[Step, bool], None] | None = None) -> Release:
    shown = tell if tell is not None else lambda _step, _done: None
    return Release(of(name), READER, lambda _name: "loop", stop_users=stop_users, tell=shown)


@contextlib.contextmanager
def holder(code: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds something; it has said that it does."""
    child = subprocess.Popen(
        [sys.executable, "-c", f"import sys, time\n{code}\nprint('held', flush=True)\ntime.sleep(600)", *args],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_nested_bind_mounts_and_an_image_inside(loop: str, tmp_path: Path) -> None:
    srv = tmp_path / "srv"
    (srv / "deep/下").mkdir(parents=True)
    (tmp_path / "bind").mkdir()
    run("mount", "--bind", str(srv / "deep"), str(tmp_path / "bind"))
    run("mount", "-t", "tmpfs", "none", str(tmp_path / "bind/下"))
    with attached(srv / "inner.img", 2 << 20) as inner:
        run("mkfs.ext4", "-q", f"/dev/{inner}")
        (tmp_path / "in").mkdir()
        run("mount", f"/dev/{inner}", str(tmp_path / "in"))
        going = release(loop)
        planned = going.plan()
        said = list[tuple[Do, bool]]()
        going.tell = lambda step, done: said.append((step.do, done))
        outcome = going.carry_out(planned)
        assert (outcome.failed, outcome.why, outcome.condition) == (None, "", Condition.DETACHED)
        assert outcome.done == planned.steps
        assert not READER.backing_file(loop) and not READER.backing_file(inner)
    assert said == [(step.do, done) for step in planned.steps for done in (False, True)]
    assert os.fsencode(tmp_path) not in b"".join(mount.path for mount in READER.mounts())


@pytest.mark.parametrize(
    "code",
    [
        "held = open(sys.argv[1] + '/file', 'w')",
        "import os; os.chdir(sys.argv[1])",
        "import ctypes, os; fd = os.open(sys.argv[1] + '/map', os.O_RDWR | os.O_CREAT); os.truncate(fd, 4096);"
        " libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p;"
        " libc.mmap(None, ctypes.c_size_t(4096), 3, 1, fd, ctypes.c_long(0)); os.close(fd)",  # no descriptor is left
    ],
    ids=["open", "cwd", "mmap"],
)
def test_who_uses_it_is_named_and_nothing_is_changed(loop: str, tmp_path: Path, code: str) -> None:
    with holder(code, str(tmp_path / "srv")) as child:
        outcome = release(loop).carry_out(release(loop).plan())
        assert outcome.failed is not None and outcome.failed.do is Do.STOP_USERS
        assert [user.pid for user in outcome.users] == [child.pid]
        assert f"process {child.pid}" in outcome.why and "python" in outcome.why
        assert outcome.condition is Condition.IN_USE and outcome.done == ()
        assert os.path.ismount(tmp_path / "srv")


def test_who_holds_the_device_itself_is_seen(tmp_path: Path) -> None:
    with attached(tmp_path / "raw.img") as name, holder("held = open(sys.argv[1], 'rb')", f"/dev/{name}") as child:
        planned = release(name).plan()
        assert [user.pid for user in planned.users] == [child.pid]
        assert planned.steps[0].do is Do.STOP_USERS


def test_users_are_asked_to_stop(loop: str, tmp_path: Path) -> None:
    with holder("held = open(sys.argv[1] + '/file', 'w')", str(tmp_path / "srv")) as child:
        stopping = release(loop, stop_users=True)
        planned = stopping.plan()
        outcome = stopping.carry_out(planned)
        assert outcome.condition is Condition.DETACHED
        assert child.wait() == -signal.SIGTERM


def test_one_that_does_not_stop_holds_everything_up(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultd.pull.release.STOP_SECONDS", 0.3)
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); held = open(sys.argv[1] + '/file', 'w')"
    with holder(code, str(tmp_path / "srv")) as child:
        going = release(loop, stop_users=True)
        outcome = going.carry_out(going.plan())
        assert outcome.failed is not None and outcome.failed.do is Do.STOP_USERS
        assert child.poll() is None and os.path.ismount(tmp_path / "srv")


def test_our_own_shell_is_not_ended(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Release runs in a child of a process whose working folder is on the disk."""
    code = f"""
import sys
from tests.test_pull_release import release
going = release({loop!r}, stop_users=True)
outcome = going.carry_out(going.plan())
print(outcome.failed.do, outcome.why)
"""
    root = Path(__file__).parent.parent
    parent = f"import os, subprocess, sys; os.chdir({str(tmp_path / 'srv')!r}); " + (
        f"print(subprocess.run([sys.executable, '-c', sys.argv[1]], cwd={str(root)!r}, capture_output=True,"
        " text=True).stdout); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", parent, code], capture_output=True, text=True, timeout=60)
    assert "stop-users this very shell is in it" in done.stdout and "alive" in done.stdout


def test_what_comes_back_in_the_middle_stops_it(loop: str, tmp_path: Path) -> None:
    """After the plan was made somebody opens a file: umount fails, and it says who."""
    with contextlib.ExitStack() as stack:
        child = list[subprocess.Popen[str]]()

        def tell(step: Step, done: bool) -> None:
            if step.do is Do.SYNC and done:
                child.append(stack.enter_context(holder("held = open(sys.argv[1] + '/f', 'w')", str(tmp_path / "srv"))))

        going = release(loop, tell=tell)
        outcome = going.carry_out(going.plan())
        assert outcome.failed is not None and outcome.failed.do is Do.UNMOUNT
        assert "busy" in outcome.why and outcome.condition is Condition.IN_USE
        assert [user.pid for user in outcome.users] == [child[0].pid]


def test_a_lazy_unmount_never_counts(loop: str, tmp_path: Path) -> None:
    """Somebody else unmounts it lazily while a file is open: it is no longer among the mounts, and not free."""
    with holder("held = open(sys.argv[1] + '/file', 'w')", str(tmp_path / "srv")):
        going = release(loop)
        run("umount", "-l", str(tmp_path / "srv"))
        late = release(loop)
        planned = late.plan()
        assert Do.UNMOUNT not in [step.do for step in planned.steps]
        outcome = late.carry_out(planned)
        assert outcome.failed is not None and outcome.condition is not Condition.DETACHED
        assert READER.backing_file(loop)
        assert going.disk == late.disk


def test_an_image_that_the_kernel_would_detach_later_is_not_detached(tmp_path: Path) -> None:
    """losetup -d of a busy device goes well, and does nothing until its last user has ended."""
    with attached(tmp_path / "raw.img") as name:
        planned = release(name).plan()

        with contextlib.ExitStack() as stack:

            def tell(step: Step, done: bool) -> None:
                if step.do is Do.FREE and done:
                    stack.enter_context(holder("held = open(sys.argv[1], 'rb')", f"/dev/{name}"))

            going = release(name, tell=tell)
            outcome = going.carry_out(planned)
            assert outcome.failed is not None and outcome.failed.do is Do.DETACH
            assert outcome.condition is Condition.FREE


def test_a_mount_in_another_view_is_seen(loop: str, tmp_path: Path) -> None:
    """A process with mounts of its own keeps the file system when it is unmounted here."""
    other = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", "echo held; exec sleep 600"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        going = release(loop)
        outcome = going.carry_out(going.plan())
        assert outcome.failed is not None and outcome.failed.do is Do.FREE
        assert other.pid in [user.pid for user in outcome.users]
        assert not os.path.ismount(tmp_path / "srv")
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()


def test_a_swap_file_on_it_is_switched_off(loop: str, tmp_path: Path) -> None:
    file = tmp_path / "srv/swap"
    file.write_bytes(bytes(1 << 20))
    file.chmod(0o600)
    run("mkswap", str(file))
    run("swapon", str(file))
    try:
        going = release(loop)
        planned = going.plan()
        assert [step.do for step in planned.steps if step.do in (Do.SWAP_OFF, Do.UNMOUNT)] == [Do.SWAP_OFF, Do.UNMOUNT]
        assert going.carry_out(planned).condition is Condition.DETACHED
    finally:
        subprocess.run(["swapoff", str(file)], capture_output=True)


def test_a_name_that_is_another_disk_by_now_is_refused(loop: str, tmp_path: Path) -> None:
    """A new disk takes the name of the one that was pulled."""
    other = Release(of(loop), READER, lambda _name: "another")
    with pytest.raises(ReleaseError, match="is another disk now"):
        other.plan()
    answers = iter(["loop"])
    changing = Release(of(loop), READER, lambda _name: next(answers, "another"))
    planned = changing.plan()
    outcome = changing.carry_out(planned)
    assert outcome.failed == planned.steps[0] and "is another disk now" in outcome.why
    assert os.path.ismount(tmp_path / "srv")


def test_a_disk_that_was_swapped_in_the_middle_is_left_alone(loop: str, tmp_path: Path) -> None:
    """By the kernel's own count of appearances, even where the new one says the same serial number."""
    going = release(loop)
    planned = going.plan()
    run("umount", str(tmp_path / "srv"))
    run("losetup", "-d", f"/dev/{loop}")
    with (tmp_path / "new.img").open("wb") as stream:
        stream.truncate(8 << 20)
    run("losetup", f"/dev/{loop}", str(tmp_path / "new.img"))
    try:
        if READER.sequence(loop) == going.sequences[loop]:
            pytest.skip("this kernel does not count appearances")
        outcome = going.carry_out(planned)
        assert outcome.done == () and "is another disk now" in outcome.why
        assert READER.backing_file(loop)
    finally:
        run("losetup", "-d", f"/dev/{loop}")


def test_a_disk_that_vanished_is_refused_and_told(loop: str) -> None:
    with pytest.raises(ReleaseError, match="not there any more"):
        release("sdzz").plan()
    hidden = disk("h", names=(), unseen=Unseen.CONTROLLER)
    with pytest.raises(ReleaseError, match="behind a RAID controller"):
        Release(hidden, READER, lambda _name: "h").plan()
    going = release(loop)
    planned = going.plan()
    going.names = (*going.names, "sdzz")
    outcome = going.carry_out(planned)
    assert "has vanished" in outcome.why and outcome.done == ()


def test_a_program_that_hangs_is_given_up(loop: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "umount").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "umount").chmod(0o755)
    monkeypatch.setattr("vaultd.disks.helper.PATH", f"{folder}:{helper.PATH}")
    monkeypatch.setattr("vaultd.pull.release.SECONDS", 0.3)
    going = release(loop)
    outcome = going.carry_out(going.plan())
    monkeypatch.undo()
    assert outcome.failed is not None and outcome.failed.do is Do.UNMOUNT and "does not end" in outcome.why


def test_what_no_process_holds_and_no_mount_shows_is_found_by_the_kernel(loop: str, tmp_path: Path) -> None:
    """An image inside keeps a file system that somebody has unmounted lazily: only the kernel knows."""
    with attached(tmp_path / "srv/inner.img", 1 << 20):
        run("umount", "-l", str(tmp_path / "srv"))
        going = release(loop)
        planned = going.plan()
        assert [step.do for step in planned.steps] == [Do.FREE, Do.DETACH]
        outcome = going.carry_out(planned)
        assert outcome.failed is not None and outcome.failed.do is Do.FREE and "busy" in outcome.why
        assert READER.backing_file(loop)


# Arrays: on a machine of files, with a program in mdadm's place (real ones: the rig of the data)


class Array:
    """sda and sdb below md0; ``mdadm`` removes it, and may have it assembled again."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, *, again: bool = False) -> None:
        self.machine = FakeSys(root / "machine")
        self.machine.block("sda"), self.machine.block("sdb")
        self.machine.block("md0", "sda", "sdb")
        block = self.machine.root / "sys/class/block"
        self.hold = self.machine.root / "etc/mdadm.conf.d/vaultd-release.conf"
        self.hold.parent.parent.mkdir()
        stop = f"rm {block}/md0 {block}/sd?/holders/md0"
        back = f"(sleep 0.3; ln -s {self.machine.root}/sys/devices/md0 {block}/md0) > /dev/null 2>&1 &" if again else ""
        program = root / "bin/mdadm"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\ncp {self.hold} {root}/seen; echo "$@" > {root}/said; {stop}\n{back}\n')
        program.chmod(0o755)
        monkeypatch.setattr("vaultd.disks.helper.PATH", f"{program.parent}:{helper.PATH}")
        self.going = Release(disk("a", serial="A"), Reader(self.machine.root), lambda _name: "a")


def test_an_array_is_kept_from_assembly_while_it_goes_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = Array(tmp_path, monkeypatch)
    outcome = array.going.carry_out(array.going.plan())
    assert [step.do for step in outcome.done] == [Do.HOLD, Do.ARRAY]
    assert (tmp_path / "seen").read_text() == "AUTO -all\n"
    assert (tmp_path / "said").read_text() == "--stop /dev/md0\n"
    assert not array.hold.exists() and outcome.left == ""
    assert outcome.failed is not None and outcome.failed.do is Do.FREE  # there is no such device in /dev


def test_an_array_that_comes_back_is_a_surprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = Array(tmp_path, monkeypatch, again=True)
    outcome = array.going.carry_out(array.going.plan())
    assert outcome.failed is not None and outcome.failed.do is Do.ARRAY and "assembled again" in outcome.why
    assert not array.hold.exists()


def test_without_the_program_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = Array(tmp_path, monkeypatch)
    monkeypatch.setattr("vaultd.disks.helper.PATH", str(tmp_path / "none"))
    outcome = array.going.carry_out(array.going.plan())
    assert "there is no program mdadm" in outcome.why and outcome.condition is Condition.ASSEMBLED

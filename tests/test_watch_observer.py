"""Kernel events of a real folder become hints, whatever is done to its directories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tests.watching import Heard, flush, wait_for, watching
from vaultd.errors import RootError
from vaultd.watch.hints import HintKind
from vaultd.watch.observer import Fault, Watcher

CHANGED, DIRECTORY, GONE = HintKind.CHANGED, HintKind.DIRECTORY, HintKind.GONE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    (folder / "old" / "deep").mkdir(parents=True)
    (folder / "old" / "file").write_text("one")
    return folder


def test_create_modify_chmod_delete_are_hints(root: Path) -> None:
    with watching(root) as (_watcher, heard):
        (root / "new").write_text("x")
        heard.wait(b"new", CHANGED)
        (root / "old" / "file").write_text("two")
        heard.wait(b"old/file", CHANGED)
        heard.forget()
        (root / "old" / "file").chmod(0o600)
        heard.wait(b"old/file", CHANGED)
        (root / "old" / "file").unlink()
        heard.wait(b"old/file", GONE)
        heard.wait(b"old", CHANGED)  # its own times changed too
        heard.forget()
        (root / "old").chmod(0o700)
        heard.wait(b"old", CHANGED)
        root.chmod(0o700)
        heard.wait(b"", CHANGED)
        assert not heard.faults


def test_links_and_special_files_are_hints(root: Path) -> None:
    with watching(root) as (_watcher, heard):
        os.symlink("nowhere", root / "symlink")
        os.link(root / "old" / "file", root / "hard")
        os.mkfifo(root / "fifo")
        for name in (b"symlink", b"hard", b"fifo"):
            heard.wait(name, CHANGED)


def test_an_unclosed_file_that_is_written_to_is_a_hint(root: Path) -> None:
    with (root / "log").open("wb", buffering=0) as stream, watching(root) as (_watcher, heard):
        stream.write(b"line\n")
        heard.wait(b"log", CHANGED)


def test_reading_makes_no_hint(root: Path) -> None:
    with watching(root) as (watcher, heard):
        (root / "old" / "file").read_bytes()
        os.listdir(root / "old")
        flush(watcher, heard, root)
        assert not heard.has(b"old/file")
        assert not heard.has(b"old")


@pytest.mark.parametrize(
    "name", [b"\xc3\x28\xff", "机密".encode("gbk"), b"new\nline", b"-dash", b"'\"$(x)", b"n" * 255]
)
def test_names_are_bytes(root: Path, name: bytes) -> None:
    with watching(root) as (_watcher, heard):
        os.mkdir(os.fsencode(root) + b"/" + name)
        heard.wait(name, DIRECTORY)
        with open(os.fsencode(root) + b"/" + name + b"/" + name, "wb"):
            pass
        heard.wait(name + b"/" + name, CHANGED)


def test_a_directory_that_appears_is_hinted_and_watched_to_its_depth(root: Path) -> None:
    deep = root / "/".join(["level"] * 30)
    with watching(root) as (_watcher, heard):
        deep.mkdir(parents=True)
        heard.wait(b"level", DIRECTORY)
        wait_for(lambda: _watcher.rewatch().watched == 33, "every level watched")
        heard.forget()
        (deep / "file").write_text("x")
        heard.wait(b"/".join([b"level"] * 30 + [b"file"]), CHANGED)


def test_trees_made_as_fast_as_possible_are_watched_without_a_rewatch(root: Path) -> None:
    """Sub-directories race their parent's watch: each must be found by the event or by the look inside."""
    with watching(root) as (watcher, heard):

        def make(number: int) -> None:
            for index in range(100):
                (root / f"t{number}" / f"{index}" / "a" / "b").mkdir(parents=True)

        makers = [threading.Thread(target=make, args=(number,)) for number in range(4)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        flush(watcher, heard, root)
        heard.forget()
        for number in range(4):
            for index in range(100):
                (root / f"t{number}" / f"{index}" / "a" / "b" / "file").touch()
        for number in range(4):
            for index in range(100):
                heard.wait(b"t%d/%d/a/b/file" % (number, index), CHANGED)
        assert not watcher.overflowed


def test_after_a_rename_of_a_tree_events_carry_the_new_path(root: Path) -> None:
    with watching(root) as (_watcher, heard):
        (root / "old").rename(root / "new")
        heard.wait(b"old", GONE)
        heard.wait(b"new", DIRECTORY)
        (root / "new" / "deep" / "file").touch()
        heard.wait(b"new/deep/file", CHANGED)
        heard.forget()
        (root / "new").rename(root / "third")
        (root / "third" / "deep").rename(root / "deep")
        heard.wait(b"deep", DIRECTORY)
        (root / "deep" / "other").touch()
        heard.wait(b"deep/other", CHANGED)
        (root / "third" / "file").write_text("x")
        heard.wait(b"third/file", CHANGED)
        assert not heard.has(b"new/deep/other")


def test_two_trees_that_swap_their_names_are_told_apart(root: Path) -> None:
    (root / "other" / "inner").mkdir(parents=True)
    with watching(root) as (watcher, heard):
        for _round in range(5):
            (root / "old").rename(root / "swap")
            (root / "other").rename(root / "old")
            (root / "swap").rename(root / "other")
        flush(watcher, heard, root)
        heard.forget()
        (root / "other" / "deep" / "was-old").touch()
        (root / "old" / "inner" / "was-other").touch()
        heard.wait(b"other/deep/was-old", CHANGED)
        heard.wait(b"old/inner/was-other", CHANGED)


def test_a_tree_that_leaves_the_vault_is_no_longer_watched(root: Path, tmp_path: Path) -> None:
    with watching(root) as (watcher, heard):
        before = watcher.rewatch().watched
        (root / "old").rename(tmp_path / "outside")
        heard.wait(b"old", GONE)
        (root / "old" / "deep").mkdir(parents=True)  # the name is used again meanwhile
        (tmp_path / "outside" / "file").write_text("not ours")
        wait_for(lambda: watcher.rewatch().watched == before, "the watches of the tree outside end")
        heard.forget()
        (tmp_path / "outside" / "deep" / "secret").touch()
        (root / "old" / "deep" / "ours").touch()
        heard.wait(b"old/deep/ours", CHANGED)
        assert not any(b"secret" in hint.path for hint in heard.hints)


def test_a_tree_that_comes_from_outside_is_hinted_and_watched(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    with watching(root) as (_watcher, heard):
        (tmp_path / "outside").rename(root / "inside")
        heard.wait(b"inside", DIRECTORY)
        (root / "inside" / "deep" / "file").touch()
        heard.wait(b"inside/deep/file", CHANGED)


def test_a_folder_replaced_by_a_file_and_back_is_hinted_as_a_directory(root: Path) -> None:
    with watching(root) as (watcher, heard):
        shutil.rmtree(root / "old")
        (root / "old").write_text("a file now")
        flush(watcher, heard, root)
        assert [hint.kind for hint in heard.hints if hint.path == b"old"][-1] in (DIRECTORY, CHANGED)
        assert heard.has(b"old", DIRECTORY, GONE)
        heard.forget()
        (root / "old").unlink()
        (root / "old" / "again").mkdir(parents=True)
        heard.wait(b"old", DIRECTORY)
        (root / "old" / "again" / "file").touch()
        heard.wait(b"old/again/file", CHANGED)


def test_symlinked_directories_are_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / "loop").symlink_to(root)
    with watching(root) as (watcher, heard):
        (root / "link").symlink_to(tmp_path / "elsewhere")
        heard.wait(b"link", CHANGED)
        (tmp_path / "elsewhere" / "file").touch()
        flush(watcher, heard, root)
        assert not any(b"link/" in hint.path or b"loop/" in hint.path for hint in heard.hints)
        assert watcher.rewatch().watched == 3


def test_a_storm_on_one_file_is_few_hints(root: Path) -> None:
    with watching(root) as (watcher, heard):
        with (root / "busy").open("wb", buffering=0) as stream:
            for _ in range(20_000):
                stream.write(b"x")
        flush(watcher, heard, root)
        assert sum(hint.path == b"busy" for hint in heard.hints) <= heard.batches


def test_hints_coalesce_while_the_consumer_works(root: Path) -> None:
    heard, hold = Heard(), threading.Event()

    def slow(hints: list[object]) -> None:
        hold.wait(30)
        heard.on_hints(hints)  # type: ignore[arg-type]

    watcher = Watcher(root, "test", slow)
    watcher.start()
    try:
        for index in range(2000):
            (root / f"f{index % 10}").write_text(str(index))
        hold.set()
        flush(watcher, heard, root)
        assert len(heard.hints) < 100
    finally:
        hold.set()
        watcher.stop()


def test_what_was_heard_before_stop_is_handed_over(root: Path) -> None:
    heard = Heard()
    watcher = Watcher(root, "test", heard.on_hints)
    watcher.start()
    (root / "last").touch()
    wait_for(lambda: heard.has(b"last") or len(watcher._book) > 0, "the event is read")
    watcher.stop()
    assert heard.has(b"last")


def test_stop_leaves_no_thread_and_no_file_open(root: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    threads = set(threading.enumerate())
    with watching(root):
        pass
    assert set(threading.enumerate()) <= threads
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_the_inotify_handle_is_not_inherited_by_children(root: Path) -> None:
    with watching(root) as (watcher, _heard):
        assert watcher._reader is not None
        assert not os.get_inheritable(watcher._reader._inotify_fd)


@pytest.mark.parametrize("how", ["move", "delete", "replace"])
def test_the_folder_itself_gone_is_a_fault(root: Path, how: str) -> None:
    with watching(root) as (watcher, heard):
        if how == "delete":
            shutil.rmtree(root)
            wait_for(lambda: not watcher.alive(), "not alive any more")
        else:
            root.rename(root.with_name("moved"))
            if how == "replace":
                root.mkdir()
        wait_for(lambda: Fault.ROOT_GONE in heard.faults, "the fault")


def test_a_missing_folder_is_an_error_at_start(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path / "missing", "test", lambda hints: None)
    with pytest.raises(RootError):
        watcher.start()
    watcher.stop()
    (tmp_path / "file").touch()
    watcher = Watcher(tmp_path / "file", "test", lambda hints: None)
    with pytest.raises(RootError):
        watcher.start()
    watcher.stop()


LIMITED = """
import sys, time
from pathlib import Path
from vaultd.watch.observer import Fault, Watcher
limit = Path("/proc/sys/user/max_inotify_watches")
limit.write_text("50")
faults = []
root = Path(sys.argv[1])
watcher = Watcher(root, "test", lambda hints: None, on_fault=faults.append)
covered = watcher.start()
assert covered.watched == 50, covered
assert covered.unwatched > 0, covered
assert faults == [Fault.WATCH_LIMIT], faults
assert watcher.alive()
limit.write_text("1000")
covered = watcher.rewatch()
assert covered == type(covered)(201, 0), covered
limit.write_text("201")
faults.clear()
(root / "one-more").mkdir()
while not faults:
    time.sleep(0.01)
assert faults == [Fault.WATCH_LIMIT], faults
watcher.stop()
limit.write_text("0")
try:
    Watcher(root, "test", lambda hints: None).start()
except Exception as error:
    assert "limit" in str(error), error
else:
    raise AssertionError("started without a single watch")
print("done")
"""


def test_a_reached_watch_limit_is_a_fault_and_rewatch_mends_it(root: Path) -> None:
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("user namespaces are not allowed here")
    shutil.rmtree(root / "old")
    for index in range(200):
        (root / f"d{index}").mkdir()
    done = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", textwrap.dedent(LIMITED), str(root)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr


def test_a_path_too_long_to_watch_is_a_fault_and_no_crash(root: Path) -> None:
    name = "d" * 250
    handle = os.open(root, os.O_RDONLY)
    try:
        with watching(root) as (watcher, heard):
            for _ in range(20):
                os.mkdir(name, dir_fd=handle)
                deeper = os.open(name, os.O_RDONLY, dir_fd=handle)
                os.close(handle)
                handle = deeper
            flush(watcher, heard, root)
            wait_for(lambda: Fault.UNWATCHED in heard.faults, "the fault")
            assert watcher.alive()
            assert watcher.rewatch().unwatched >= 1
    finally:
        os.close(handle)
        shutil.rmtree(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_unreadable_directory_is_a_fault(root: Path) -> None:
    (root / "closed").mkdir(mode=0o000)
    for folder in (root, *root.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o005)
    script = (
        "import os,sys,pathlib\n"
        "from vaultd.watch.observer import *\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "f=[]; w=Watcher(pathlib.Path(sys.argv[1]),'t',lambda h:None,on_fault=f.append)\n"
        "print(w.start().unwatched, *f); w.stop()"
    )
    done = subprocess.run([sys.executable, "-c", script, str(root)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1", "unwatched"], done.stderr

"""A full snapshot comes back exactly: content, names, modes, owners, times, links, holes, attributes, empty folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.restoring import GBK, ODD_NAMES, ROOT, Stored, at, hard_to_restore, nanoseconds, write
from vaultd.model import Progress
from vaultd.restore.compare import compare, describe, differences
from vaultd.restore.result import Outcome


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    found = Stored(tmp_path_factory.mktemp("exact"))
    hard_to_restore(found.root)
    found.full()
    return found


def test_everything_comes_back_and_so_does_the_folder_itself(stored: Stored, tmp_path: Path) -> None:
    to = tmp_path / "new" / "restored"
    result = stored.restore(to)
    assert compare(stored.root, to) == []
    assert result.outcome is Outcome.DONE
    assert result.exit_code == 0
    assert result.plan.exact
    assert os.listdir(to.parent) == ["restored"]


def test_progress_ends_at_its_totals_and_never_goes_back(stored: Stored, tmp_path: Path) -> None:
    seen: list[Progress] = []
    stored.restore(tmp_path / "restored", on_progress=seen.append)
    assert {(one.phase, one.vault, one.target, one.kind) for one in seen} == {
        ("restore", "patients", "offsite", "full")
    }
    last = seen[-1]
    assert (last.files_done, last.bytes_done) == (last.files_total, last.bytes_total)
    assert last.bytes_done > 40_000_000
    assert [one.bytes_done for one in seen] == sorted(one.bytes_done for one in seen)


def test_sparse_files_keep_their_holes(stored: Stored, tmp_path: Path) -> None:
    stored.restore(tmp_path / "restored")
    status = os.stat(tmp_path / "restored" / "sparse")
    assert status.st_size == 40_000_000
    assert status.st_blocks * 512 < 4_000_000


def test_an_empty_folder_is_filled_and_a_fresh_file_systems_lost_and_found_stays(
    stored: Stored, tmp_path: Path
) -> None:
    to = tmp_path / "mounted"
    (to / "lost+found").mkdir(parents=True)
    stored.restore(to)
    found = describe(to)
    del found[b"lost+found"]
    assert differences(describe(stored.root), found) == []


def test_files_with_odd_names_are_restored_alone(stored: Stored, tmp_path: Path) -> None:
    result = stored.restore(tmp_path / "some", paths=tuple(b"names/" + name for name in ODD_NAMES))
    assert result.outcome is Outcome.DONE
    expected, found = describe(stored.root / "names"), describe(tmp_path / "some" / "names")
    # What the odd names would match if they were taken for patterns stays away.
    assert expected.keys() - found.keys() == {b"weird", b"backXslash"}
    assert all(found[path] == expected[path] for path in found)


def test_paths_may_be_folders_absolute_or_several_and_missing_ones_are_told(stored: Stored, tmp_path: Path) -> None:
    wanted = (bytes(stored.root / "links"), b"folder " + GBK, b"./plain.txt/", b"not there", b"links/hard")
    result = stored.restore(tmp_path / "some", paths=wanted)
    assert result.outcome is Outcome.PARTIAL
    assert result.exit_code == 3
    assert result.missing == [b"not there"]
    assert sorted(os.listdir(bytes(tmp_path / "some"))) == sorted([b"links", b"folder " + GBK, b"plain.txt"])
    found, expected = describe(tmp_path / "some"), describe(stored.root)
    for path in (b"links", b"folder " + GBK + b"/inside \xff"):
        assert found[path] == expected[path]
    # A group of hard links that comes back in part is linked among itself.
    assert found[b"plain.txt"].linked == found[b"links/hard"].linked == b"links/hard"


def test_the_moment_asked_for_is_the_newest_full_snapshot_not_after_it(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    for hour in (8, 12, 16):
        write(stored.root / "file", f"of {hour}")
        stored.full(time=at(hour))
    for asked, content in ((12, "of 12"), (15, "of 12"), (23, "of 16")):
        result = stored.restore(tmp_path / str(asked), at=nanoseconds(at(asked)), latest=False)
        assert (tmp_path / str(asked) / "file").read_text() == content
    assert result.plan.next is None
    assert stored.plan(at=nanoseconds(at(9))).next == nanoseconds(at(12))


@pytest.mark.parametrize("name", [b"vault", GBK + b" [x]*: \n", b"-v"], ids=ascii)
def test_the_vaults_folder_may_have_any_name(tmp_path: Path, name: bytes) -> None:
    root = Path(os.fsdecode(os.path.join(bytes(tmp_path), b"srv", name)))
    stored = Stored(tmp_path / "s", root)
    write(root / "a" / "file", "content")
    os.chmod(root, 0o711)
    os.utime(root, ns=(10**18, 10**18))
    stored.full()
    write(root / "a" / "file", "newer content")
    stored.express("a/file")
    stored.restore(tmp_path / "restored")
    assert compare(root, tmp_path / "restored") == []


@pytest.mark.root
@pytest.mark.skipif(not ROOT, reason="needs root")
def test_another_user_restores_everything_but_owners_and_is_told(stored: Stored) -> None:
    # Not below pytest's folder, which every pytest of the machine closes to others when it starts.
    with tempfile.TemporaryDirectory(prefix="vaultd-", dir="/tmp") as made:
        folder = Path(made)
        os.chmod(folder, 0o777)
        _restore_as_another_user(stored, folder)


def _restore_as_another_user(stored: Stored, folder: Path) -> None:
    password = folder / "password"
    shutil.copy(stored.repository.password_file, password)
    shutil.copytree(stored.path, folder / "repository")
    subprocess.run(["chmod", "-R", "a+rX", folder / "repository", password], check=True)
    script = f"""
import asyncio, json, os
from pathlib import Path
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.restore.plan import Request, choose
from vaultd.restore.run import Restore
repository = Repository({str(folder / "repository")!r}, Path({str(password)!r}), Path({str(folder / "cache")!r}))
plan = choose(asyncio.run(commands.snapshots(repository)), Request("patients"))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(json.dumps(asyncio.run(Restore(repository, plan, Path({str(folder / "out")!r})).run()).as_json()))
"""
    os.mkdir(folder / "cache")
    os.chmod(folder / "cache", 0o777)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["owners"] is False
    assert told["other_owners"] == len(describe(stored.root)) - 1  # all but the folder itself, whose owner is not asked
    found = differences(describe(stored.root), describe(folder / "out"), ignore=frozenset({"sparse", "uid", "gid"}))
    # trusted.* attributes and device files are root's alone.
    assert {(one.path, one.what) for one in found} == {
        (b"device", "missing"), (b"plain.txt", "xattrs"), (b"hard", "xattrs"), (b"links/hard", "xattrs"),
    }  # fmt: skip
    assert [one["path"] for one in told["problems"]["listed"]] == ["device"]
    assert told["outcome"] == "partial"

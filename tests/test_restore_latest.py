"""Latest content: the newest full snapshot, the express files after it, and an honest list of what may be wrong."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.restoring import Stored, at, nanoseconds, write
from vaultd.restore import together
from vaultd.restore.compare import compare, describe, differences
from vaultd.restore.result import Outcome


@pytest.fixture(params=[1, 1000], ids=["together", "one by one"])
def least(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways bring the same."""
    monkeypatch.setattr(together, "LEAST", request.param)


@pytest.mark.usefixtures("least")
def test_express_files_come_over_the_full_snapshot_and_are_listed(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    root = stored.root
    write(root / "a" / "changed", "old")
    write(root / "a" / "same", "same")
    write(root / "deleted later", "d")
    (root / "kept").mkdir()
    stored.full()
    write(root / "a" / "changed", "newer")
    stored.express("a/changed")
    write(root / "a" / "changed", "newest")
    write(root / "new" / "deep" / "file", "new")
    os.chmod(root / "new" / "deep", 0o710)
    os.chmod(root / "a", 0o750)
    stored.express("a/changed", "new/deep/file")
    result = stored.restore(tmp_path / "restored")
    assert compare(root, tmp_path / "restored") == []
    assert result.outcome is Outcome.DONE
    assert not result.plan.exact
    told = result.as_json()
    assert [one["kind"] for one in told["snapshots"]] == ["full", "express", "express"]
    assert [(one["change"], one["path"]) for one in told["snapshots"][2]["changes"]["listed"]] == [
        ("added", "new"), ("replaced", "a/changed"),
    ]  # fmt: skip
    assert told["snapshots"][2]["changes"]["added"] == told["snapshots"][2]["changes"]["replaced"] == 1
    exact = stored.restore(tmp_path / "exact", latest=False)
    assert exact.plan.exact
    assert (tmp_path / "exact" / "a" / "changed").read_text() == "old"


@pytest.mark.usefixtures("least")
def test_what_was_deleted_after_the_full_snapshot_may_be_back_and_is_named(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    for name in ("folder/kept", "folder/removed", "untouched/file", "top"):
        write(stored.root / name, name)
    stored.full()
    os.unlink(stored.root / "folder" / "removed")
    write(stored.root / "folder" / "added", "added")
    stored.express("folder/added")
    result = stored.restore(tmp_path / "restored")
    # folder/kept cannot be told from folder/removed; what is in folders that did not change is certain.
    assert result.reappeared == [b"folder/kept", b"folder/removed"]
    assert (tmp_path / "restored" / "folder" / "removed").exists()


@pytest.mark.usefixtures("least")
def test_a_file_that_became_a_folder_and_a_folder_that_became_a_file_are_put_beside(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    root = stored.root
    write(root / "was a file", "file")
    write(root / "was a folder" / "inside", "inside")
    stored.full(time=at(8))
    os.unlink(root / "was a file")
    write(root / "was a file" / "now inside", "new inside")
    shutil.rmtree(root / "was a folder")
    write(root / "was a folder", "now a file")
    stored.express("was a file/now inside", "was a folder", time=at(9))
    result = stored.restore(tmp_path / "restored")
    assert {path: entry.kind for path, entry in describe(tmp_path / "restored").items()} == {
        b"": "folder",
        b"was a file": "file",
        b"was a file.vaultd-20261122T090000Z": "folder",
        b"was a file.vaultd-20261122T090000Z/now inside": "file",
        b"was a folder": "folder",
        b"was a folder/inside": "file",
        b"was a folder.vaultd-20261122T090000Z": "file",
    }
    assert (tmp_path / "restored" / "was a folder.vaultd-20261122T090000Z").read_text() == "now a file"
    assert sorted(kind for kind, *_rest in result.express(1)) == ["beside", "beside"]


@pytest.mark.usefixtures("least")
def test_a_replaced_file_leaves_its_other_names_with_their_content(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    write(stored.root / "one", "old")
    os.link(stored.root / "one", stored.root / "two")
    stored.full()
    os.unlink(stored.root / "two")
    write(stored.root / "two", "new")
    stored.express("two")
    result = stored.restore(tmp_path / "restored")
    assert (tmp_path / "restored" / "one").read_text() == "old"
    assert (tmp_path / "restored" / "two").read_text() == "new"
    assert result.express(1) == [("replaced", b"two", 1, 1)]


def test_before_the_first_full_snapshot_the_batches_come_back(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    for name in ("a/1", "a/sub/2", "b/3", "c/4", "top"):
        write(stored.root / name, name)
    os.chmod(stored.root / "b", 0o700)
    stored.batch("a")
    stored.batch("b", "c")
    stored.express("top")
    result = stored.restore(tmp_path / "restored")
    assert compare(stored.root, tmp_path / "restored") == []
    assert not result.plan.exact


def test_paths_of_latest_content_are_looked_for_in_every_snapshot(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    write(stored.root / "a" / "old", "old")
    write(stored.root / "b", "b")
    stored.full()
    write(stored.root / "a" / "[new]", "new")
    stored.express("a/[new]", "b")
    result = stored.restore(tmp_path / "restored", paths=(b"a",))
    assert result.outcome is Outcome.DONE
    expected = {path: one for path, one in describe(stored.root).items() if path.startswith(b"a")}
    found = describe(tmp_path / "restored")
    del found[b""]
    assert differences(expected, found) == []


def test_latest_at_a_moment_takes_no_later_express_files(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    write(stored.root / "file", "8")
    stored.full(time=at(8))
    for hour in (9, 10):
        write(stored.root / "file", str(hour))
        stored.express("file", time=at(hour))
    stored.restore(tmp_path / "restored", at=nanoseconds(at(10) - timedelta(seconds=1)), latest=True)
    assert (tmp_path / "restored" / "file").read_text() == "9"


def test_a_dump_is_restored_by_its_name_and_told_beside_the_folder(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s")
    write(stored.root / "file", "f")
    stored.full()
    stored.dump("records", "first")
    newest = stored.dump("records", "second")
    result = stored.restore(tmp_path / "vault")
    assert os.listdir(tmp_path / "vault") == ["file"]
    assert [one["id"] for one in result.as_json()["dumps"]] == [newest]
    assert result.plan.exact
    stored.restore(tmp_path / "dump", dump="records")
    assert {path.name: path.read_text() for path in (tmp_path / "dump").iterdir()} == {"records.sql": "second"}

"""`vaultd verify` and what can happen to a repository: each damage costs exactly the files that it costs, and they are
named. The real restic over a real sshd."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import fill
from tests.restoring import GBK
from tests.verifying import VerifySite, damaged, overwrite


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifySite]:
    """Two targets, one vault, two full snapshots; the second one has a pack of its own."""
    made = VerifySite(tmp_path_factory.mktemp("verify"))
    try:
        made.add_target()
        made.add_target("second")
        made.host["stall_seconds"] = 8
        vault = made.add_vault()
        fill(vault, 4)
        top = os.fsencode(vault)
        for name in (GBK, b"new\nline"):
            Path(os.fsdecode(top + b"/" + name)).write_bytes(b"odd " + name)
        (vault / "empty").write_bytes(b"")
        os.link(vault / "folder 0" / "file 0", vault / "hard link")
        os.symlink("empty", vault / "symlink")
        os.mkfifo(vault / "fifo")
        with (vault / "sparse").open("wb") as stream:
            stream.truncate(3 << 20)
        made.ready()
        assert {one.error for one in made.backup(full=True)} == {None}
        fill(vault / "folder 0", 2, 900)
        (vault / "folder 1" / "file 1").write_bytes(b"second version")
        assert {one.error for one in made.backup(full=True)} == {None}
        yield made
    finally:
        made.close()


def newest_pack(site: VerifySite) -> set[str]:
    """The ids of the blobs in the pack that came with the second snapshot."""
    newest = max(site.packs(), key=lambda pack: pack.file.stat().st_mtime_ns)
    return {blob for blob, _offset, _length in newest.blobs}


def test_all_that_is_whole_is_as_on_record(site: VerifySite) -> None:
    found = site.verify_all()
    assert [(one["target"], one["state"], one["count"]) for one in found] == [
        ("offsite", "done", 0), ("second", "done", 0)
    ]  # fmt: skip
    files = len(site.on_disk())
    for one in found:
        assert one["counts"] == {
            "ok": files, "another version": 0, "damaged": 0, "missing": 0, "unreadable": 0, "unknown": 0,
            "destroyed": 0,
        }  # fmt: skip
        assert (one["files"], one["kind"], one["error"]) == (files, "full", None)
        assert one["bytes"] == sum(path.stat().st_size for path in site_files(site))
    assert not list((site.state / "verify").iterdir()), "names and hashes are left behind"


def site_files(site: VerifySite) -> list[Path]:
    root = Path(site.vaults["records"]["path"])
    return [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]


def test_a_deleted_pack_costs_its_files_and_no_others(site: VerifySite) -> None:
    with site.spoilt():
        (pack,) = [one for one in site.packs() if {blob for blob, _at, _size in one.blobs} == newest_pack(site)]
        pack.file.unlink()
        found = site.verify("records", "--target", "offsite", code=4)
        lost = site.files_of({blob for blob, _at, _size in pack.blobs})
        assert len(lost) == 3 and damaged(found) == damaged(found, "damaged") == lost
        assert found["counts"]["ok"] == len(site.on_disk()) - len(lost)
        changed = next(one for one in found["differences"] if one["path"] == "folder 1/file 1")
        assert changed["good"] == {
            "target": "second", "snapshot": site.snapshots("second")[-1]["id"], "time": changed["good"]["time"],
            "sha256": changed["expected"], "same": True, "read": True,
        }  # fmt: skip


def test_where_no_other_target_has_it_an_earlier_version_is_named(site: VerifySite) -> None:
    with site.spoilt(), site.spoilt("second"):
        for target in ("offsite", "second"):
            newest = max(site.packs(target=target), key=lambda pack: pack.file.stat().st_mtime_ns)
            newest.file.unlink()
        found = site.verify("records", "--target", "offsite", code=4)
        good = {one["path"]: one["good"] for one in found["differences"]}
        assert good["folder 1/file 1"]["same"] is False and good["folder 1/file 1"]["read"] is True
        first = {site.snapshots(target, kind="full")[0]["id"] for target in ("offsite", "second")}
        assert good["folder 1/file 1"]["snapshot"] in first
        assert [name for name, one in good.items() if one is not None and one["read"]] == ["folder 1/file 1"]


def test_a_truncated_pack_costs_what_lay_behind_the_cut(site: VerifySite) -> None:
    with site.spoilt():
        pack = min(site.packs(), key=lambda one: one.file.stat().st_mtime_ns)
        offsets = sorted(offset for blob, offset, _length in pack.blobs if site.files_of({blob}))
        cut = offsets[len(offsets) // 2] + 1
        overwrite(pack.file, cut, None)
        found = site.verify("records", "--target", "offsite", code=4)
        lost = site.files_of({blob for blob, offset, length in pack.blobs if offset + length > cut})
        assert lost and damaged(found) == damaged(found, "damaged") == lost


def test_a_flipped_bit_costs_the_one_file_that_it_is_in(site: VerifySite) -> None:
    with site.spoilt():
        pack = min(site.packs(), key=lambda one: one.file.stat().st_mtime_ns)
        blob, offset, length = next(one for one in pack.blobs if site.files_of({one[0]}))  # one is of an old version
        overwrite(pack.file, offset + length // 2, b"\x10")
        found = site.verify("records", "--target", "offsite", code=4)
        lost = site.files_of({blob})
        assert lost and damaged(found) == damaged(found, "damaged") == lost
        assert found["counts"]["ok"] == len(site.on_disk()) - len(lost)


def test_without_its_index_nothing_can_be_read_and_everything_is_named(site: VerifySite) -> None:
    with site.spoilt() as repo:
        for file in (repo / "index").iterdir():
            file.unlink()
        found = site.verify("records", "--target", "offsite", code=4)
        assert found["counts"]["unreadable"] == len(site.on_disk()) == len(damaged(found, "unreadable"))
        assert "not found" in found["differences"][0]["why"]


def test_what_restic_has_cached_does_not_answer_for_the_target(site: VerifySite) -> None:
    with site.spoilt():
        for pack in site.packs("tree"):  # vaultd's usual cache has them: they went through it
            pack.file.unlink()
        names = {path.name for path in (site.state / "cache").rglob("*")}
        assert {pack.file.name for pack in site.packs("tree")} & names
        found = site.verify("records", "--target", "offsite", code=4)
        assert found["counts"]["ok"] == 0 and found["counts"]["unreadable"] == len(site.on_disk())


def test_a_deleted_snapshot_is_told_and_the_one_before_it_is_verified(site: VerifySite) -> None:
    with site.spoilt() as repo:
        older, newest = [one["id"] for one in site.snapshots(kind="full")]
        (repo / "snapshots" / newest).unlink()
        found = site.verify("records", "--target", "offsite", code=4)
        assert found["missing_snapshots"] == [newest] and found["snapshots"] == [older]
        assert found["count"] == 1 and found["counts"]["ok"] == found["files"] > 0
        (repo / "snapshots" / older).unlink()
        found = site.verify("records", "--target", "offsite", code=4)
        assert found["missing_snapshots"] == [newest] and damaged(found, "missing") == set(map_names(site))


def map_names(site: VerifySite) -> set[str]:
    from vaultd.names import display

    return {display(path) for path in site.on_disk()}


def test_a_slow_target_is_waited_for_and_a_hanging_one_given_up(site: VerifySite) -> None:
    server, over = site.servers["offsite"], threading.Event()

    def hinder() -> None:
        while not over.wait(0.3):
            server.freeze()
            over.wait(2.0)  # longer than what is taken for an end, where it should not be
            server.thaw()

    thread = threading.Thread(target=hinder)
    thread.start()
    try:
        assert site.verify("records", "--target", "offsite")["counts"]["ok"] == len(site.on_disk())
    finally:
        over.set()
        thread.join()
        server.thaw()
    server.freeze(listener=True)
    try:
        found = site.verify("records", "--target", "offsite", code=5)
    finally:
        server.thaw()
    assert (found["state"], found["count"], found["error"]["code"]) == ("failed", 0, "unreachable")

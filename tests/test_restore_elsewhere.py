"""What one target has lost comes from another: the same version, or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from tests.restoring import VAULT, Stored, at, write
from vaultd.restore import elsewhere
from vaultd.restore.compare import compare
from vaultd.restore.elsewhere import Elsewhere, Other
from vaultd.restore.onrecord import OnRecord
from vaultd.restore.plan import Request
from vaultd.restore.result import Outcome, Result
from vaultd.restore.run import Restore
from vaultd.restore.whole import WholeRestore

ODD = b"folder/\xff \xb2\xa1\n"


def two(tmp_path: Path) -> tuple[Stored, Stored, Path]:
    """Two repositories of one folder, which has files large enough for packs of their own."""
    root = tmp_path / "vault"
    root.mkdir()
    return Stored(tmp_path / "first", root), Stored(tmp_path / "second", root), root


def on_record(root: Path) -> OnRecord:
    found = {}
    for top, _folders, names in os.walk(bytes(root)):
        for name in names:
            path = os.path.join(top, name)
            with open(path, "rb") as stream:
                found[os.path.relpath(path, bytes(root))] = hashlib.sha256(stream.read()).digest()
    return OnRecord(found, 0)


def packs(stored: Stored) -> set[Path]:
    return {one for one in (stored.path / "data").rglob("*") if one.is_file()}


def restored(first: Stored, second: Stored, to: Path, known: OnRecord | None) -> tuple[Result, Elsewhere]:
    plan, listed = first.plan(), second.listed()

    async def go() -> tuple[Result, Elsewhere]:
        restore = Restore(first.repository, plan, to)
        result = await restore.run()
        assert result.outcome is Outcome.PARTIAL
        found = await elsewhere.fill(result, [Other("second", second.repository, listed)], known)
        return result, found

    return asyncio.run(go())


def test_only_the_version_on_record_is_taken(tmp_path: Path) -> None:
    first, second, root = two(tmp_path)
    write(root / "same", os.urandom(3000))
    write(os.path.join(bytes(root), ODD), os.urandom(3000))
    write(root / "other", "the old one")
    second.full(time=at(8))
    write(root / "other", "the one that was lost")
    first.full(time=at(9))
    write(root / "other", "one that came later")
    second.full(time=at(10))
    write(root / "other", "the one that was lost")
    known = on_record(root)
    for pack in packs(first):  # all of the data; the folders' lists are in the cache
        pack.unlink()
    # The tree packs are gone too: restic finds them in its cache.
    to = tmp_path / "to"
    result, found = restored(first, second, to, known)
    assert sorted(found.lost) == sorted([b"same", b"other", ODD])
    assert {one.path for one in found.taken} == {b"same", ODD}
    assert all(one.confirmed for one in found.taken)
    assert found.still == [b"other"]
    assert result.outcome is Outcome.PARTIAL
    assert [one.path for one in result.problems] == ["other"]
    assert not (to / "other").exists() or (to / "other").read_text() != "one that came later"
    (root / "other").unlink()
    (to / "other").unlink(missing_ok=True)
    os.utime(to, ns=(0, os.stat(root).st_mtime_ns))
    assert compare(root, to) == []


def test_without_a_record_what_is_taken_is_not_called_done(tmp_path: Path) -> None:
    first, second, root = two(tmp_path)
    write(root / "file", os.urandom(3000))
    second.full(time=at(8))
    first.full(time=at(9))
    for pack in packs(first):
        pack.unlink()
    result, found = restored(first, second, tmp_path / "to", None)
    assert [(one.path, one.confirmed) for one in found.taken] == [(b"file", False)]
    assert found.still == []
    assert result.outcome is Outcome.PARTIAL
    assert compare(root, tmp_path / "to") == []


def test_a_target_that_gives_nothing_is_given_up_for_the_next(tmp_path: Path) -> None:
    first, second, root = two(tmp_path)
    write(root / "file", "content")
    second.full(time=at(8))
    first.full(time=at(9))
    for folder in ("data", "index"):
        for one in (first.path / folder).rglob("*"):
            if one.is_file():
                one.unlink()
    listed = {"first": first.listed(), "second": second.listed()}
    cache = first.path.parent / "cache"
    cache.rename(cache.with_name("away"))
    notes: list[str] = []
    restore = WholeRestore(
        {"first": first.repository, "second": second.repository}, listed, Request(VAULT), tmp_path / "to",
        on_note=notes.append,
    )  # fmt: skip
    assert restore.plan.target == "first"
    result = asyncio.run(restore.run())
    assert (result.outcome, restore.plan.target, list(restore.skipped)) == (Outcome.DONE, "second", ["first"])
    assert any("trying the next target" in note for note in notes)
    assert compare(root, tmp_path / "to") == []

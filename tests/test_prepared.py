"""What is made ready for the record while restic runs counts only where everything stayed as it was."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faulting import FaultSite, bare_site
from vaultd import manifest
from vaultd.daemon.assembly import Assembly, assemble
from vaultd.ledger.entry import path_of
from vaultd.model import SnapshotKind
from vaultd.protect import changeset, settle
from vaultd.protect.reading import Reading
from vaultd.store import Acknowledgement
from vaultd.watch.scan import scan

RUN = "000000000009-0badcafe"
FILES = 100
"""More than are hashed in a thread."""


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultd.protect.reading.PAGE", 30)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    with bare_site(tmp_path) as made:
        vault = made.add_vault()
        for number in range(FILES):
            folder = vault / f"folder {number % 5}"
            folder.mkdir(exist_ok=True)
            (folder / f"file {number}").write_bytes(b"%d" % number * 7)
        yield made


@pytest.fixture
def assembly(site: FaultSite) -> Iterator[Assembly]:
    config = site.prepare()
    with assemble(config, lambda _progress: None) as made:
        vault = made.vaults["records"]
        scan(made.store, vault.id, vault.targets, vault.root)
        time.sleep(0.03)  # a clock tick: what was written just now could be written again unseen
        yield made


async def read(
    assembly: Assembly, meanwhile: Callable[[], object], refused: frozenset[str] = frozenset(),
    before: Callable[[changeset.ChangeSet], object] | None = None,
) -> set[str]:  # fmt: skip
    """Everything between the start of restic and its acknowledgement, without restic; the names that are bound.

    ``before`` comes after the paths were looked at, and before they are read; ``meanwhile`` after that.
    """
    vault = assembly.vaults["records"]
    store, (target,) = assembly.store, vault.targets
    changes = changeset.take(store, vault, changeset.rows_for_full(store, vault, target, True), None)
    changes.began = time.time_ns()
    if before is not None:
        before(changes)
    async with Reading(assembly.context, vault, SnapshotKind.FULL, RUN, changes) as reading:
        await reading.done()
        assert before is not None or len(reading.ready.bound) == FILES
        meanwhile()
        await reading.look_again(set(refused))
        ready = {one.path for one in reading.ready.bound}
        judged = settle.judge_all(store, vault, changes, reading.hashed, set(refused), ready)
        assert not ready & {one.path for one in judged.bound}
        store.begin_run(RUN, target, vault.id, SnapshotKind.FULL)
        done = Acknowledgement(
            RUN, "s" * 64, target, vault.id, SnapshotKind.FULL, time.time_ns(), FILES, 0, changes.upto,
            bound=judged.bound, retry=judged.retry, settled=judged.settled,
        )  # fmt: skip
        assembly.context.custody.record(done, reading.ready)
    return {os.fsdecode(path) for path in ready | {one.path for one in judged.bound}}


def on_record(site: FaultSite) -> dict[str, str]:
    """What the ledger says of the run; and that its manifest and its places are those of its versions."""
    entries = site.entries()
    (snapshot,) = [one for one in entries if one["type"] == "snapshot"]
    found = {os.fsdecode(path_of(one) or b""): one for one in entries if one.get("change_set") == RUN and "path" in one}
    assert snapshot["versions"] == len(found)
    rows = sorted((os.fsencode(path), bytes.fromhex(one["sha256"])) for path, one in found.items())
    assert snapshot["manifest"] == manifest.digest(rows).hex()
    store = site.store()
    try:
        for path, one in found.items():
            assert store.latest_version(store.vault_id("records"), os.fsencode(path)) == (one["seq"], "bound")
            assert entries[one["seq"]] == one
    finally:
        store.close()
    return {path: one["sha256"] for path, one in found.items()}


def names(*left_out: str) -> set[str]:
    return {f"folder {number % 5}/file {number}" for number in range(FILES)} - set(left_out)


def test_what_stays_as_it_was_is_on_record(site: FaultSite, assembly: Assembly) -> None:
    bound = asyncio.run(read(assembly, lambda: None))
    found = on_record(site)
    assert bound == found.keys() == names()
    root = site.vaults["records"]["path"]
    assert found == {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in found}


def test_what_changed_meanwhile_is_not(site: FaultSite, assembly: Assembly) -> None:
    root = site.vaults["records"]["path"]

    def meanwhile() -> None:
        (root / "folder 0/file 0").write_bytes(b"x" * len(b"0" * 7))
        (root / "folder 1/file 1").unlink()
        (root / "folder 2/file 2").chmod(0o600)

    bound = asyncio.run(read(assembly, meanwhile))
    assert bound == on_record(site).keys() == names("folder 0/file 0", "folder 1/file 1", "folder 2/file 2")


def test_what_changed_before_it_was_hashed_is_not(site: FaultSite, assembly: Assembly) -> None:
    """restic may have read it before that, and it is still as it was hashed afterwards."""
    root = site.vaults["records"]["path"]
    bound = asyncio.run(
        read(assembly, lambda: None, before=lambda _changes: (root / "folder 0/file 0").write_bytes(b"1" * 7))
    )
    assert bound == on_record(site).keys() == names("folder 0/file 0")


def test_what_may_have_changed_in_the_same_clock_tick_is_not(site: FaultSite, assembly: Assembly) -> None:
    def before(changes: changeset.ChangeSet) -> None:
        changes.began = changes.files[b"folder 0/file 0"].ctime + 1_000_000

    bound = asyncio.run(read(assembly, lambda: None, before=before))
    assert "folder 0/file 0" not in bound
    assert bound == on_record(site).keys()


def test_what_restic_could_not_read_is_not(site: FaultSite, assembly: Assembly) -> None:
    refused = frozenset({str(site.vaults["records"]["path"] / "folder 3/file 3")})
    bound = asyncio.run(read(assembly, lambda: None, refused))
    assert bound == on_record(site).keys() == names("folder 3/file 3")


def test_what_lies_below_a_symlink_now_is_not(site: FaultSite, assembly: Assembly, tmp_path: Path) -> None:
    """``lstat`` of such a path still tells of the very file that was hashed."""
    root = site.vaults["records"]["path"]

    def meanwhile() -> None:
        (root / "folder 4").rename(tmp_path / "elsewhere")
        (root / "folder 4").symlink_to(tmp_path / "elsewhere")

    bound = asyncio.run(read(assembly, meanwhile))
    assert bound == on_record(site).keys() == {name for name in names() if not name.startswith("folder 4/")}


def test_a_hasher_that_died_is_no_reason_to_believe_it(
    site: FaultSite, assembly: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = site.vaults["records"]["path"]

    async def unknown(_self: object) -> None:
        return None

    monkeypatch.setattr("vaultd.hashing.Hasher.moved", unknown)
    bound = asyncio.run(read(assembly, lambda: (root / "folder 0/file 5").write_bytes(b"other")))
    assert bound == on_record(site).keys() == names("folder 0/file 5")


def test_a_version_that_came_on_record_meanwhile_is_in_the_manifest(site: FaultSite, assembly: Assembly) -> None:
    """Another target's run records one of the same vault while this one runs: the manifest made ready is void."""
    vault = assembly.vaults["records"]
    (target,) = vault.targets
    other = "000000000008-0badcafe"

    def meanwhile() -> None:
        store = assembly.store
        store.begin_run(other, target, vault.id, SnapshotKind.EXPRESS)
        rows = store.entries(vault.id, [b"folder 0/file 0"])
        bound = settle.Bound(b"folder 0/another", rows[b"folder 0/file 0"].stat, b"o" * 32)
        assembly.context.custody.record(
            Acknowledgement(
                other, "e" * 64, target, vault.id, SnapshotKind.EXPRESS, 1, 1, 1, store.seq(), bound=[bound]
            )
        )

    asyncio.run(read(assembly, meanwhile))
    entries = site.entries()
    full = next(one for one in entries if one["type"] == "snapshot" and one["change_set"] == RUN)
    rows = {os.fsdecode(path_of(one) or b""): one["sha256"] for one in entries if one["type"] == "version"}
    wanted = sorted((os.fsencode(path), bytes.fromhex(digest)) for path, digest in rows.items())
    assert full["manifest"] == manifest.digest(wanted).hex()


def test_a_ledger_that_fails_meanwhile_is_owed_it_all(site: FaultSite, assembly: Assembly) -> None:
    custody = assembly.context.custody

    def meanwhile() -> None:
        assert custody._log is not None
        custody._log.close()  # its write-ahead files are not open any more

    bound = asyncio.run(read(assembly, meanwhile))
    assert bound == names()
    assert assembly.store.count_unrecorded() >= FILES
    custody._retry_at = 0.0
    assert custody.open()
    assert assembly.store.count_unrecorded() == 0
    found = {os.fsdecode(path_of(one) or b"") for one in site.entries("version")}
    assert found == names()


def test_nothing_is_staged_any_more_when_a_run_has_failed(site: FaultSite, assembly: Assembly) -> None:
    def meanwhile() -> None:
        raise RuntimeError("the line broke")

    with pytest.raises(RuntimeError, match="the line broke"):
        asyncio.run(read(assembly, meanwhile))
    with assembly.store.database.write() as db:
        assert db.execute("SELECT count(*) FROM staged").fetchone() == (0,)
    assert site.entries("version") == []

"""Everything that a target stores is read back, what only older snapshots need too; and express snapshots of versions
that another target has put on record."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import pytest

from tests.restoring import VAULT, Stored, write
from tests.site import until
from tests.test_verify_destroyed import Recorded
from tests.test_verify_verdicts import LATER, spoil
from tests.verifying import VerifySite, overwrite, verify_site
from vaultd.errors import RepositoryError, UnreachableError
from vaultd.ledger.events import SnapshotMade
from vaultd.restic import commands
from vaultd.restic.blobs import DamagedError, Opener, master_key
from vaultd.restic.fetch import Local
from vaultd.store import Store
from vaultd.verify import bulk, packs
from vaultd.verify.packs import Sweep, Swept
from vaultd.verify.result import Verdict

ALL = 1 << 40


class TwoVersions:
    """A repository with two versions of its files, of which the newer snapshot has one only, and a state."""

    def __init__(self, folder: Path) -> None:
        self.stored = Stored(folder / "s")
        for version in ("old", "new"):
            write(self.stored.root / "file", f"{version} content " * 1000)
            write(self.stored.root / f"large {version}", os.urandom(700_000))
            self.stored.full()
        (self.stored.root / "large old").unlink()
        self.stored.full()
        self.store = Store(folder / "state.db")
        self.target = self.store.target_id("offsite")
        self.local = Local(self.stored.path)
        self.sweep = self.of(self.local)

    def of(self, fetch: Local) -> Sweep:
        return Sweep(self.store, self.target, self.stored.repository, lambda: nullcontext(fetch))

    def renew(self) -> None:
        asyncio.run(self.sweep.renew())

    def read(self, most: int = ALL, before: int | None = None, sweep: Sweep | None = None) -> Swept:
        moment = time.time_ns() if before is None else before
        return asyncio.run((sweep or self.sweep).read(most, moment))

    def files(self) -> list[Path]:
        return sorted(one for one in (self.stored.path / "data").rglob("*") if one.is_file())


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoVersions]:
    made = TwoVersions(tmp_path)
    yield made
    made.store.close()


def test_every_pack_is_read_back_once_within_the_period_the_oldest_turn_first(two: TwoVersions) -> None:
    assert two.store.pack_coverage(two.target, 0).packs == 0
    two.renew()
    files, begun = two.files(), time.time_ns()
    found = two.store.pack_coverage(two.target, begun)
    assert (found.packs, found.read_packs, found.faults) == (len(files), 0, 0) and len(files) >= 4
    assert found.oldest is not None and found.oldest <= begun
    first = two.read(1)
    assert (first.packs, first.faults, first.error) == (1, [], None)
    assert two.store.pack_coverage(two.target, begun).read_packs == 1
    rest = two.read(before=begun)
    assert (rest.packs, rest.size + first.size) == (len(files) - 1, sum(one.stat().st_size for one in files))
    found = two.store.pack_coverage(two.target, begun)
    assert (found.read_packs, found.read_bytes) == (found.packs, found.bytes)
    assert two.read(before=begun).packs == 0
    ids = [pack.hex() for pack, _size in two.store.due_packs(two.target, time.time_ns())]
    assert set(ids) == {one.name for one in files}
    # What was read longest ago is next; a list that is renewed changes nothing of that.
    two.renew()
    again = two.read(1)
    assert again.packs == 1
    assert [pack.hex() for pack, _size in two.store.due_packs(two.target, time.time_ns())][-1] == ids[0]


@pytest.mark.parametrize(
    ("damage", "fault"), [("flip", "damaged"), ("cut", "damaged"), ("longer", "damaged"), ("gone", "gone")]
)
def test_damage_that_only_an_older_snapshot_has_is_found(two: TwoVersions, damage: str, fault: str) -> None:
    two.renew()
    pack = pack_of(two.stored, two.stored.listed()[0].id, "large old")
    kept = pack.read_bytes()
    if damage == "gone":
        pack.unlink()
    elif damage == "longer":
        pack.chmod(0o600)
        pack.write_bytes(kept + b"x")
    else:
        overwrite(pack, len(kept) // 2, b"\x01" if damage == "flip" else None)
    found = two.read()
    assert (found.faults, found.error) == ([pack.name], None)
    assert found.packs == len(two.store.due_packs(two.target, time.time_ns())) + 1, "it is not due again today"
    assert two.store.pack_faults(two.target) == [(bytes.fromhex(pack.name), fault)]
    coverage = two.store.pack_coverage(two.target, 0)
    assert (coverage.faults, coverage.read_packs) == (1, coverage.packs - 1)
    packs.settle(two.store, "offsite")
    (alert,) = two.store.alerts.list()
    assert (alert.code, alert.target, alert.detail) == ("packs-damaged", "offsite", {"packs": 1})
    entry = found.entry("offsite", "daemon")
    assert (entry.damaged, entry.ids, entry.state) == (1, [pack.name], "done")
    # Mended, it counts as never read, and the alert is over.
    pack.write_bytes(kept)
    packs.mended(two.store, "offsite")
    assert two.store.alerts.list() == []
    assert two.read(1).faults == [] and two.store.pack_faults(two.target) == []


def pack_of(stored: Stored, snapshot: str, name: str) -> Path:
    """The pack with the first blob of a file."""
    where = f"{snapshot}:{stored.root}"
    node = asyncio.run(commands.cat_tree(stored.repository, where))[os.fsencode(name)]
    opener = Opener(asyncio.run(master_key(stored.repository)))
    for file in sorted((stored.path / "data").rglob("*")):
        if file.is_file() and node["content"][0] in {one.id.hex() for one in opener.pack(file.name, file.read_bytes())}:
            return file
    raise AssertionError("no such blob")


def test_a_pack_with_the_right_name_and_other_content_in_it_is_damaged(two: TwoVersions) -> None:
    """As a client with broken memory writes it: what its header promises is not what is in it."""
    opener = Opener(asyncio.run(master_key(two.stored.repository)))
    raw = bytearray(two.files()[0].read_bytes())
    raw[5] ^= 1
    name = hashlib.sha256(raw).hexdigest()
    for blob in opener.pack(name, bytes(raw))[:1]:
        with pytest.raises(DamagedError):
            opener.blob(blob, bytes(raw)[blob.offset : blob.offset + blob.length])
    for cut in (b"", b"\x00" * 4, b"\xff" * 40, bytes(raw[:-3]), bytes(raw[1:])):
        with pytest.raises(DamagedError):
            opener.pack(hashlib.sha256(cut).hexdigest(), cut)
    (two.stored.path / "data" / name[:2]).mkdir(exist_ok=True)
    (two.stored.path / "data" / name[:2] / name).write_bytes(raw)
    two.store.set_packs(two.target, [(bytes.fromhex(name), len(raw))])
    assert two.read().faults == [name]


def test_what_was_cleared_away_meanwhile_is_no_damage(two: TwoVersions) -> None:
    two.renew()
    known = two.store.pack_coverage(two.target, 0).packs
    oldest = two.stored.listed()[0].id

    async def clear() -> None:
        await commands.forget_all(two.stored.repository, [oldest])
        await commands.prune(two.stored.repository, everything=True)

    asyncio.run(clear())
    found = two.read()
    assert (found.faults, two.store.pack_faults(two.target)) == ([], [])
    assert two.store.pack_coverage(two.target, 0).packs < known
    assert two.store.pack_coverage(two.target, 0).packs == len(two.files())


def test_a_line_that_breaks_is_no_damage_and_a_disk_that_cannot_read_is(two: TwoVersions) -> None:
    two.renew()

    class Broken(Local):
        error: Exception = UnreachableError("the line broke")

        def part(self, path: str, offset: int, length: int) -> bytes:
            raise self.error

    broken = Broken(two.stored.path)
    found = two.read(sweep=two.of(broken))
    assert (found.packs, found.faults) == (0, []) and isinstance(found.error, UnreachableError)
    assert found.entry("offsite", "daemon").state == "failed"
    broken.error = RepositoryError("offsite", "Input/output error")
    found = two.read(1, sweep=two.of(broken))
    assert (found.packs, len(found.faults), found.error) == (1, 1, None)


def test_a_damaged_file_of_the_index_is_told_and_the_rest_is_read(two: TwoVersions) -> None:
    index = next((two.stored.path / "index").iterdir())
    whole = index.read_bytes()
    overwrite(index, 30, b"\x01")
    (two.stored.path / "index" / "stray").write_text("of somebody else")
    two.renew()
    assert two.store.pack_faults(two.target) == [(bytes.fromhex(index.name), "damaged")]
    packs.settle(two.store, "offsite")
    assert two.store.alerts.is_open("packs-damaged", target="offsite")
    found = two.read()
    assert (found.faults, found.error) == ([], None) and found.packs >= 2
    index.write_bytes(whole)
    two.renew()
    packs.settle(two.store, "offsite")
    assert two.store.alerts.list() == []
    assert two.store.pack_coverage(two.target, 0).packs == len(two.files())


def test_it_can_be_ended_between_two_packs_and_what_was_read_stays_so(two: TwoVersions) -> None:
    two.renew()

    class Slow(Local):
        reads = 0

        def part(self, path: str, offset: int, length: int) -> bytes:
            self.reads += 1
            if self.reads == 2:
                loop.call_soon_threadsafe(task.cancel)
                while not sweep._stop.is_set():  # until it is heard
                    time.sleep(0.001)
            return super().part(path, offset, length)

    slow = Slow(two.stored.path)
    sweep = two.of(slow)

    async def go() -> None:
        nonlocal loop, task
        loop, task = asyncio.get_running_loop(), asyncio.create_task(sweep.read(ALL, time.time_ns()))
        with contextlib.suppress(asyncio.CancelledError):
            await task

    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[Swept]
    begun = time.time_ns()
    asyncio.run(go())
    found = two.store.pack_coverage(two.target, begun)
    assert 1 <= found.read_packs <= 2 < found.packs and found.faults == 0 and slow.reads == 2


# the daemon


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VerifySite]:
    with verify_site(tmp_path) as made:
        yield made


def test_the_daemon_finds_what_an_older_snapshot_has_lost(site: VerifySite) -> None:
    site.file_tail = '[verify]\nperiod = "15s"\nwindow = "always"\n'
    vault = site.ready()
    old = os.urandom(300_000)
    (vault / "file").write_bytes(old)
    site.backup(full=True)
    (vault / "file").write_bytes(os.urandom(300_000))
    site.backup(full=True)
    site.start()
    site.wait_protected()

    def stored() -> dict[str, object]:
        (target,) = site.status()["targets"]
        return dict((target["verification"] or {}).get("stored") or {})

    until(lambda: stored().get("share") == 1.0, "all that is stored is read back")
    found = stored()
    assert found["packs"] == found["read_packs"] == len(site.packs()) + len(site.packs("tree"))
    digest = hashlib.sha256(old).hexdigest()
    (pack,) = [one for one in site.packs() if digest in {blob for blob, _at, _size in one.blobs}]
    _blob, offset, length = next(one for one in pack.blobs if one[0] == digest)
    overwrite(pack.file, offset + length // 2, b"\x01")
    until(lambda: site.alert("packs-damaged"), "the damage is found")
    until(lambda: stored()["damaged"] == 1, "the status says so")
    # The files of now are whole, and told as such: the two are different things.
    assert site.verify("records")["count"] == 0
    assert site.alert("verify-difference") is None
    until(lambda: any(one["damaged"] for one in site.entries("packs-read")), "it is on record")
    (entry,) = [one for one in site.entries("packs-read") if one["damaged"]][:1]
    assert entry["ids"] == [pack.file.name] and entry["who"] == "daemon"
    site.stop()
    # Named file by file by the repair, which ends the alert when it has mended it: from the live folder here.
    answer = site.cli("repair", "records", "--target", "offsite", "--dry-run")
    assert [one["path"].rpartition("/")[2] for one in answer.json["files"]] == ["file"]
    (vault / "file").write_bytes(old)
    answer = site.cli("repair", "records", "--target", "offsite")
    assert answer.json["state"] == "done", answer
    assert site.alert("packs-damaged") is None


# express snapshots of versions that came on record with another target


class TwoTargets(Recorded):
    """``put_bare``: an express snapshot whose versions another target's run has put on record before."""

    def put_bare(self, *names: str) -> str:
        self.change_set = "elsewhere"
        self.note(*[self.version(name) for name in names])
        moment = datetime.now().astimezone() + LATER
        made = self.stored.express(*names, time=moment)
        (found,) = [one for one in self.stored.listed() if one.id == made]
        log = self.log.open()
        log.append([SnapshotMade(VAULT, "offsite", "express", found.change_set, made, str(found.time), len(names), 0,
                                 0, {}, "r", bytes(32), None)])  # fmt: skip
        log.seal()
        log.close()
        return made


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoTargets:
    monkeypatch.setattr(bulk, "LEAST_FILES", 1)
    made = TwoTargets(tmp_path)
    for name in ("one", "two", "three"):
        write(made.root / name, f"content of {name}")
    made.put("one", "two", "three")
    return made


def test_an_express_snapshot_of_versions_that_another_target_recorded_is_verified_too(targets: TwoTargets) -> None:
    write(targets.root / "one", "new content of one")
    write(targets.root / os.fsdecode(b"\xb2\xa1 GBK"), "a name that restic cannot show")
    first = targets.put_bare("one", os.fsdecode(b"\xb2\xa1 GBK"))
    write(targets.root / "one", "newest content of one")
    second = targets.put_bare("one")
    result = targets.verify()
    assert set(result.snapshots[1:]) == {first, second}
    assert (result.counts[Verdict.OK], result.count, result.counts[Verdict.OTHER]) == (6, 0, 0)
    spoil(targets, hashlib.sha256(b"new content of one").hexdigest())
    result = targets.verify()
    assert [(one.path, one.snapshot, one.verdict) for one in result.differences] == [(b"one", first, Verdict.DAMAGED)]

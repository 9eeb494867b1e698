"""What each file is called, by a ledger that was written for the case: the real restic, the ledger's real writer."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.ledgering import make_log
from tests.restoring import GBK, HOST, VAULT, Stored, write
from tests.verifying import overwrite
from vaultd import manifest
from vaultd.ledger.events import Body, FileVersion, SnapshotMade
from vaultd.restic.commands.common import collect_json
from vaultd.restic.fetch import Local
from vaultd.verify import bulk, plan
from vaultd.verify.result import Asked, Difference, Kind, Result, Verdict
from vaultd.verify.run import Verification

LATER = timedelta(hours=1)
"""So much after its files a snapshot of the tests claims to be: none of them is young then."""


class Case:
    """A vault with snapshots in a local repository, and a ledger that says what the test wants it to say."""

    def __init__(self, folder: Path, bulk: bool = False) -> None:
        self.folder, self.bulk = folder, bulk
        self.stored = Stored(folder / "s")
        self.root = self.stored.root
        self.log = make_log(folder / "ledger")
        self.rows: dict[bytes, bytes] = {}
        self.count = 0

    def version(self, name: str, content: bytes | None = None, **more: Any) -> FileVersion:
        """The version of a file as it is on the disk, or as if it had another content."""
        path = self.root / name
        content = path.read_bytes() if content is None else content
        mtime = path.stat().st_mtime_ns if path.exists() else 5
        values = {"size": len(content), "mtime_ns": str(mtime), **more}
        digest = hashlib.sha256(content).digest()
        return FileVersion(VAULT, os.fsencode(name), "bound", self._set, sha256=digest, **values)

    @property
    def _set(self) -> str:
        return f"{self.count:012d}-x"

    def full(self, *versions: Body, young: bool = False, wrong: bool = False, kind: str = "full", **more: Any) -> str:
        """A snapshot, and what is on record of it."""
        moment = datetime.now().astimezone() + (timedelta(0) if young else LATER)
        if kind == "full":
            made = self.stored.full(time=moment, **more)
        else:
            made = self.stored.express(*more.pop("files"), time=moment, **more)
        self.record(made, moment, versions, kind, wrong=wrong)
        return made

    def record(self, made: str, moment: datetime, versions: Any, kind: str, *, wrong: bool = False) -> None:
        log = self.log.open()
        rows = {one.path: one.sha256 for one in versions}
        if kind == "full":
            self.rows.update(rows)
            rows = self.rows
        digest = bytes(32) if wrong else manifest.digest(sorted(rows.items()))
        entry = SnapshotMade(
            VAULT, "offsite", kind, self._set, made, str(int(moment.timestamp()) * 10**9), len(rows), 0, len(versions),
            {}, "r", digest, log.size if kind == "full" else None,
        )  # fmt: skip
        log.append([*versions, entry])
        log.seal()
        log.close()
        self.count += 1

    def note(self, *bodies: Body) -> None:
        """More on record, after the snapshot."""
        log = self.log.open()
        log.append(list(bodies))
        log.close()

    def verify(self, asked: Asked | None = None, target: str | None = "offsite") -> Result:
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        fetching = (lambda: nullcontext(Local(self.stored.path))) if self.bulk else None
        one = Verification(
            self.stored.repository, VAULT, target, self.log.folder, HOST, work, asked or Asked(), fetching=fetching
        )  # fmt: skip
        return asyncio.run(one.run())

    def differences(self) -> dict[str, Difference]:
        return {os.fsdecode(one.path): one for one in self.verify().differences}


@pytest.fixture(params=["streamed", "pack by pack"])
def case(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    """However the files are read, they are called the same."""
    monkeypatch.setattr(bulk, "LEAST_FILES", 1)
    monkeypatch.setattr(bulk, "MOST_BLOBS", 2)  # of a pack, at once
    made = Case(tmp_path, request.param == "pack by pack")
    for name in ("one", "sub/two", "sub/three"):
        write(made.root / name, f"content of {name}")
    return made


def test_content_that_is_not_what_was_bound_is_damage_though_restic_finds_nothing(case: Case) -> None:
    """As a writer through mmap leaves it: the same size and time, other bytes."""
    other = bytes(reversed((case.root / "one").read_bytes()))
    snapshot = case.full(case.version("one", other), case.version("sub/two"), case.version("sub/three"))
    result = case.verify()
    (found,) = result.differences
    assert (found.path, found.verdict, found.snapshot) == (b"one", Verdict.DAMAGED, snapshot)
    assert (found.expected, found.found) == (
        hashlib.sha256(other).digest(), hashlib.sha256((case.root / "one").read_bytes()).digest()
    )  # fmt: skip
    assert (result.counts[Verdict.OK], result.exit_code, found.good) == (2, 4, None)


@pytest.mark.parametrize("change", [{"mtime_ns": "7"}, {"size": 3}])
def test_a_file_that_changed_while_the_snapshot_was_made_is_another_version_and_no_damage(
    case: Case, change: dict[str, Any]
) -> None:
    case.full(case.version("one", b"as it was hashed", **change), case.version("sub/two"), case.version("sub/three"))
    result = case.verify()
    assert (result.counts[Verdict.OTHER], result.counts[Verdict.OK]) == (1, 2)
    assert (result.differences, result.exit_code) == ([], 0)


def test_what_is_on_record_and_not_in_the_snapshot_is_missing_unless_it_went_later(case: Case) -> None:
    case.full(
        *map(case.version, ("one", "sub/two", "sub/three")), case.version("gone", b"g"), case.version("away", b"a")
    )
    case.note(FileVersion(VAULT, b"away", "deleted", "later"))
    assert {name: one.verdict for name, one in case.differences().items()} == {"gone": Verdict.MISSING}
    assert case.verify().counts[Verdict.OTHER] == 1


def test_what_is_in_the_snapshot_and_was_never_on_record_is_told(case: Case) -> None:
    write(case.root / "sub" / "planted", "never on record")
    write(case.root / "recorded later", "heard of after the snapshot")
    case.full(*map(case.version, ("one", "sub/two", "sub/three")))
    case.note(case.version("recorded later"))
    assert {name: one.verdict for name, one in case.differences().items()} == {"sub/planted": Verdict.UNKNOWN}
    assert case.verify().counts[Verdict.OTHER] == 1


def test_what_came_just_before_the_snapshot_may_not_have_been_heard_of(case: Case) -> None:
    write(case.root / "just now", "new")
    case.full(*map(case.version, ("one", "sub/two", "sub/three")), young=True)
    result = case.verify()
    assert (result.counts[Verdict.OTHER], result.count) == (1, 0)


def test_devices_and_fifos_are_no_files(case: Case) -> None:
    os.mkfifo(case.root / "sub" / "fifo")
    os.symlink("one", case.root / "link")
    case.full(*map(case.version, ("one", "sub/two", "sub/three")))
    result = case.verify()
    assert (result.files, result.counts, result.exit_code) == (3, {Verdict.OK: 3}, 0)


def test_express_snapshots_that_are_younger_are_verified_too(case: Case) -> None:
    full = case.full(*map(case.version, ("one", "sub/two", "sub/three")))
    write(case.root / "one", "changed")
    write(case.root / "sub" / "two", "changed too")
    bad = case.version("sub/two", b"changed TOO")
    express = case.full(case.version("one"), bad, kind="express", files=["one", "sub/two"])
    result = case.verify()
    assert result.snapshots == [full, express]
    assert (result.counts[Verdict.OK], [(one.path, one.snapshot) for one in result.differences]) == (
        4, [(b"sub/two", express)]
    )  # fmt: skip
    next((case.stored.path / "snapshots").glob(express)).unlink()
    result = case.verify()
    assert (result.missing, result.snapshots, result.exit_code) == ([express], [full], 4)


def test_rows_that_do_not_give_the_manifest_on_record_are_a_difference(case: Case) -> None:
    case.full(*map(case.version, ("one", "sub/two", "sub/three")), wrong=True)
    result = case.verify()
    assert (result.state, result.exit_code) == ("failed", 4)
    assert result.error is not None and "manifest" in result.error.what


def test_without_a_snapshot_on_record_there_is_nothing_to_compare_with(case: Case) -> None:
    case.stored.full()
    result = case.verify()
    assert result.error is not None and (result.error.code, result.exit_code) == ("ledger", 1)


def test_a_repository_alone_is_known_by_its_snapshots(case: Case) -> None:
    case.full(*map(case.version, ("one", "sub/two", "sub/three")))
    result = case.verify(target=None)
    assert (result.target, result.counts[Verdict.OK], result.exit_code) == ("offsite", 3, 0)


def test_only_what_changed_since_a_moment(case: Case) -> None:
    os.utime(case.root / "one", ns=(1, 1000))
    case.full(*map(case.version, ("one", "sub/two", "sub/three")))
    result = case.verify(Asked(Kind.CHANGED, since=2000))
    assert (result.files, result.counts[Verdict.OK]) == (2, 2)


def test_a_sample_reads_a_part_and_finds_what_is_in_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "START_SECONDS", 1e-4)  # so few files are else read as a whole: that is quicker
    for number in range(60):
        write(case.root / f"part {number % 6}" / str(number), f"{number}", mtime=10**9 * (number + 5))
    names = [path.relative_to(case.root).as_posix() for path in case.root.rglob("*") if path.is_file()]
    case.full(*map(case.version, names))
    result = case.verify(Asked(Kind.SAMPLE, 0.05, 7))
    assert result.exit_code == 0 and 3 <= result.files < len(names)


def test_what_cannot_be_opened_is_left_to_restic_which_says_what_is_lost(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A medium file of several blobs and many small ones; one bit of one small file is another. Packs are opened in
    another process here."""
    monkeypatch.setattr(bulk, "FEW_PACKS", 0)
    write(case.root / "medium", os.urandom(3_000_000))
    write(case.root / "empty", b"")
    write(case.root / os.fsdecode(GBK), "not UTF-8")
    write(case.root / 'quote " and \\ and \n', "escaped in restic's trees")
    names = [os.fsdecode(os.path.relpath(path, bytes(case.root))) for path in files_below(bytes(case.root))]
    case.full(*map(case.version, names))
    assert case.verify().counts == {Verdict.OK: len(names)}
    lost = (case.root / "sub" / "two").read_bytes()
    spoil(case, hashlib.sha256(lost).hexdigest())
    result = case.verify()
    assert [(one.path, one.verdict) for one in result.differences] == [(b"sub/two", Verdict.DAMAGED)]
    assert result.counts[Verdict.OK] == len(names) - 1


def files_below(root: bytes) -> list[bytes]:
    return [os.path.join(folder, name) for folder, _folders, names in os.walk(root) for name in names]


def spoil(case: Case, blob: str) -> None:
    """Flip a bit of a blob in its pack."""
    repository = case.stored.repository
    for name in os.listdir(case.stored.path / "index"):
        index = asyncio.run(collect_json(repository, ["cat", "index", name, "--no-lock"], "x"))
        for pack in index["packs"]:
            for one in pack["blobs"]:
                if one["id"] == blob:
                    file = case.stored.path / "data" / pack["id"][:2] / pack["id"]
                    overwrite(file, one["offset"] + 20, b"\x01")
                    return
    raise AssertionError("no such blob")

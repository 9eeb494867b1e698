"""Records that were destroyed on purpose are told as such: from that moment on, and no others."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.ledgering import make_log
from tests.restoring import VAULT, write
from tests.test_verify_verdicts import LATER, Case, spoil
from tests.verifying import VerifySite, verify_site
from vaultd.custody.forms import fitting
from vaultd.errors import LedgerError
from vaultd.ledger.destroyed import destroyed
from vaultd.ledger.events import RecordsDestroyed, RepositoryMoved
from vaultd.ledger.reading import Reader
from vaultd.model import StoredSnapshot
from vaultd.restic import commands
from vaultd.verify import bulk
from vaultd.verify.result import Verdict

SALT = bytes(range(16))


def act(*paths: str, vault: str = VAULT, target: str = "offsite", rewritten: int = 1) -> RecordsDestroyed:
    digests = [hashlib.sha256(SALT + os.fsencode(path)).hexdigest() for path in paths]
    return RecordsDestroyed(vault, target, digests, SALT, 1, rewritten, 1, len(paths), "r", "uid 0", bytes(32))


class Recorded(Case):
    """Snapshots are on record with the change sets of their tags: a copy has the same."""

    change_set = "x"

    @property
    def _set(self) -> str:
        return self.change_set

    def put(self, *names: str, kind: str = "full") -> StoredSnapshot:
        moment = datetime.now().astimezone() + LATER
        made = self.stored.full(time=moment) if kind == "full" else self.stored.express(*names, time=moment)
        (found,) = [one for one in self.stored.listed() if one.id == made]
        self.change_set = found.change_set
        self.record(made, moment, [self.version(name) for name in names], kind)
        return found

    def take_out(self, *paths: str) -> None:
        """As ``forget --path`` does it: copies without these paths, then the originals go."""
        before, repository = [one.id for one in self.stored.listed()], self.stored.repository
        wanted = [bytes(self.root / path) for path in paths]

        async def go() -> None:
            await commands.rewrite(repository, before, wanted, self.folder / "lists")
            copied = {one.change_set for one in await commands.snapshots(repository) if one.id not in before}
            old = [one.id for one in await commands.snapshots(repository)
                   if one.id in before and one.change_set in copied]  # fmt: skip
            await commands.forget_all(repository, old)

        asyncio.run(go())


@pytest.fixture(params=["streamed", "pack by pack"])
def case(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr(bulk, "LEAST_FILES", 1)
    made = Recorded(tmp_path, request.param == "pack by pack")
    for name in ("stays", "gone", "goner", "secret/a", "secret/deep/b", "secrets/c"):
        write(made.root / name, f"content of {name}")
    return made


NAMES = ("stays", "gone", "goner", "secret/a", "secret/deep/b", "secrets/c")


def test_what_was_destroyed_is_told_as_such_in_the_copy_and_nothing_else_is_excused(case: Recorded) -> None:
    made = case.put(*NAMES)
    case.take_out("gone", "goner", "secret", "secrets")
    (copy,) = case.stored.listed()
    assert copy.id != made.id
    # Two paths were named: what only begins like them is missing, and is not excused.
    case.note(act("gone", "secret"))
    result = case.verify()
    assert (result.missing, result.snapshots, result.exit_code) == ([], [copy.id], 4)
    assert {one.path for one in result.differences} == {b"goner", b"secrets/c"}
    assert (result.counts[Verdict.OK], result.counts[Verdict.DESTROYED]) == (1, 3)
    case.note(act("goner", "secrets/c", rewritten=0))
    result = case.verify()
    assert (result.exit_code, result.count, result.counts[Verdict.DESTROYED]) == (0, 0, 5)
    assert result.entry("x").counts == {"ok": 1, "destroyed": 5}


@pytest.mark.parametrize("other", [{"vault": "another"}, {"target": "another"}])
def test_an_entry_of_another_vault_or_target_excuses_nothing(case: Recorded, other: dict[str, str]) -> None:
    made = case.put(*NAMES)
    case.take_out("gone")
    case.note(act("gone", **other))
    result = case.verify()
    assert (result.missing, result.exit_code) == ([made.id], 4)
    assert {one.path for one in result.differences} == {os.fsencode(name) for name in NAMES}


def test_an_entry_from_before_the_snapshot_excuses_nothing(case: Recorded) -> None:
    case.note(act("gone", "secret"))
    made = case.put(*NAMES)
    case.take_out("gone")
    result = case.verify()
    assert (result.missing, result.counts[Verdict.DESTROYED]) == ([made.id], 0)
    # Nor does it where the snapshot is there by its own id: one that was written without them.
    (case.root / "gone").unlink()
    again = case.stored.full(time=datetime.now().astimezone() + LATER)
    (found,) = [one for one in case.stored.listed() if one.id == again]
    case.change_set = found.change_set
    case.record(again, datetime.now().astimezone() + LATER, [], "full")
    result = case.verify()
    assert ([one.path for one in result.differences], result.missing, result.exit_code) == ([b"gone"], [], 4)


def test_what_was_to_be_destroyed_and_is_there_damaged_is_damage(case: Recorded) -> None:
    case.put(*NAMES)
    spoil(case, hashlib.sha256(b"content of gone").hexdigest())
    case.note(act("gone"))
    result = case.verify()
    assert [(one.path, one.verdict) for one in result.differences] == [(b"gone", Verdict.DAMAGED)]


def test_an_earlier_version_is_found_in_the_copy_of_its_snapshot(case: Recorded) -> None:
    case.put(*NAMES)
    old = hashlib.sha256(b"content of stays").digest()
    write(case.root / "stays", "newer content of stays")
    case.put("stays")
    case.take_out("gone")
    case.note(act("gone"))
    spoil(case, hashlib.sha256(b"newer content of stays").hexdigest())
    (found,) = case.verify().differences
    assert (found.path, found.verdict) == (b"stays", Verdict.DAMAGED)
    assert found.good is not None
    assert (found.good.sha256, found.good.same, found.good.read) == (old, False, True)
    assert found.good.snapshot in {one.id for one in case.stored.listed()}


def test_an_express_snapshot_with_nothing_left_in_it_is_not_missed(case: Recorded) -> None:
    case.put(*NAMES)
    write(case.root / "gone", "newer content of gone")
    express = case.put("gone", kind="express")
    asyncio.run(commands.forget_all(case.stored.repository, [express.id]))
    result = case.verify()
    assert (result.missing, result.exit_code) == ([express.id], 4)
    case.note(act("gone"))
    result = case.verify()
    assert (result.missing, result.exit_code, result.counts[Verdict.DESTROYED]) == ([], 0, 1)


def test_a_moved_repository_has_copies_of_what_is_on_record(case: Recorded) -> None:
    made = case.put(*NAMES)
    case.take_out("secrets")  # any copy has another id
    assert case.verify().missing == [made.id]
    case.note(RepositoryMoved("another", "a", "b", 1, "uid 0"))
    assert case.verify().missing == [made.id]
    case.note(RepositoryMoved("offsite", "a", "b", 1, "uid 0"))
    result = case.verify()
    assert (result.missing, [one.path for one in result.differences]) == ([], [b"secrets/c"])


def test_an_entry_too_large_for_the_ledger_is_read_from_its_document(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    many = [f"file {number}" for number in range(1000)]
    log = made.open()
    log.append([fitting(tmp_path, act(*many, "a/b"))])
    log.close()
    found = destroyed(Reader(made.folder), VAULT, "offsite")
    assert found.covers(b"file 999", 0) and found.covers(b"a/b/c", 0)
    assert (
        not found.covers(b"a", 0)
        and not found.covers(b"file 1000", 0)
        and not found.covers(b"a/b", found.acts[0].entry)
    )
    (document,) = (tmp_path / "documents").iterdir()
    document.chmod(0o600)
    document.write_bytes(document.read_bytes().replace(b'"r"', b'"s"'))
    with pytest.raises(LedgerError, match="not those that were put on record"):
        destroyed(Reader(made.folder), VAULT, "offsite")
    document.unlink()
    with pytest.raises(LedgerError, match="cannot be read"):
        destroyed(Reader(made.folder), VAULT, "offsite")


# from end to end


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VerifySite]:
    with verify_site(tmp_path) as made:
        yield made


def test_after_forget_path_verify_manifest_and_drill_are_content(site: VerifySite) -> None:
    site.host |= {"full_seconds": 0, "full_share": 0.001}
    vault = site.ready()
    for name in ("stays", "gone", "secret/a", "secret/deep/b"):
        write(vault / name, f"content of {name}")
    site.backup(full=True)
    write(vault / "secret" / "later", "only in an express snapshot")
    site.backup()
    (vault / "gone").unlink()
    shutil.rmtree(vault / "secret")
    paths = ["--path", "gone", "--path", "secret"]
    answer = site.cli("forget", "records", *paths, "--reason", "declassified", "--yes")
    assert answer.code == 0, answer
    write(vault / "stays 2", "new")
    site.backup()  # what the command has left goes on record with it
    assert len(site.entries("destroyed-records")) == 1
    # Neither the state's word, that they went, nor the backlog: a machine with the ledger alone says the same.
    found = site.verify()
    assert (found["count"], found["missing_snapshots"], found["counts"]["ok"]) == (0, [], 2)
    assert found["counts"]["destroyed"] == 4
    with contextlib.closing(site.store()) as store:
        assert store.count_differences(store.target_id("offsite")) == 0
    assert "verify-difference" not in site.alerts()
    newest = max(site.snapshots(kind="full"), key=lambda one: str(one["time"]))
    restored, bag = site.folder / "restored", site.folder / "bag"
    answer = site.cli("restore", "records", "--exact", "--snapshot", newest["id"], "--to", str(restored))
    assert answer.code == 0, answer
    answer = site.cli("manifest", "records", "--from", str(restored), "--to", str(bag))
    assert (answer.code, answer.json["destroyed"], answer.json["count"]) == (0, 3, 0)
    noted = [json.loads(line) for line in (bag / "names.jsonl").read_text().splitlines()]
    assert [(one["path"], one["kind"]) for one in noted] == [
        (name, "destroyed") for name in ("gone", "secret/a", "secret/deep/b")
    ]
    assert hashlib.sha256((bag / "ledger" / "manifest").read_bytes()).hexdigest() == answer.json["manifest"]
    # Made again, and with one file less that nobody has destroyed.
    assert site.cli("manifest", "records", "--to", str(bag)).json["destroyed"] == 3
    (bag / "data" / "stays").unlink()
    answer = site.cli("manifest", "records", "--to", str(bag))
    assert (answer.code, [one["path"] for one in answer.json["differences"]]) == (4, ["stays"])
    drill = site.cli("drill", "restore", "records", "--without-kit")
    assert (drill.code, drill.json["differences"]["count"]) == (0, 0)


def test_the_bag_does_not_believe_its_own_list(site: VerifySite) -> None:
    """Whoever takes a file out of a bag and writes that it was destroyed gets no bag."""
    vault = site.ready()
    for name in ("one", "two"):
        write(vault / name, name)
    os.symlink("one", vault / "link")
    site.backup(full=True)
    bag = site.folder / "bag"
    assert site.cli("restore", "records", "--exact", "--to", str(bag / "data")).code == 0
    assert site.cli("manifest", "records", "--to", str(bag)).code == 0
    (bag / "data" / "two").unlink()
    with (bag / "names.jsonl").open("a") as stream:
        stream.write('{"path": "two", "kind": "destroyed"}\n')
    answer = site.cli("manifest", "records", "--to", str(bag))
    assert (answer.code, [one["path"] for one in answer.json["differences"]]) == (4, ["two"])

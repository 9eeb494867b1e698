"""The ledger's writer: what is acknowledged stays, what was signed is never taken back, wherever it dies."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledgering import ORIGIN, all_entries, assert_holds, body, make_log, root_of, some
from vaultd.errors import BusyError, LedgerError, LedgerStoppedError
from vaultd.ledger import checkpoint, create, entry, epochs, note, private, wal
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.events import TYPES, CheckpointKept, FileVersion
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.log import Log
from vaultd.ledger.verify import verify


def signed(folder: Path) -> Checkpoint:
    return checkpoint.parse(LogFolder(folder).read_note(folder / "checkpoint").text)


@pytest.mark.parametrize("size", [2, 255, 256, 257, 511, 513, 66_000])
def test_a_log_is_the_tree_of_its_entries(tmp_path: Path, size: int) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    log.append(some(size - 2))
    log.seal()
    log.close()
    found = signed(made.folder)
    assert found == Checkpoint(ORIGIN, size, root_of(all_entries(made.folder)))
    assert made.open().size == size


def test_every_checkpoint_but_the_newest_is_named_by_an_entry(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    for number in range(5):
        log.append([body(number)])
        log.seal()
    log.close()
    named = [one for one in map(entry.decode, all_entries(made.folder)) if one["type"] == CheckpointKept.TYPE]
    sizes = LogFolder(made.folder).kept_sizes()
    assert [one["size"] for one in named] == sizes[:-1]
    for one in named:
        kept = (made.folder / "checkpoints" / str(one["size"])).read_bytes()
        assert one["digest"] == hashlib.sha256(kept).hexdigest()


def test_what_is_not_signed_is_there_after_the_next_start(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    first = log.append(some(300))
    log.close()
    before = all_entries(made.folder)
    again = made.open()
    assert again.size == first + 300
    assert again.unsigned == 301  # and the entry that names the checkpoint
    again.seal()
    assert all_entries(made.folder) == before
    again.close()


def test_times_never_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    log.append([body(1)])
    monkeypatch.setattr("vaultd.ledger.log.time.time_ns", lambda: 1_000_000_000)
    log.append([body(2)])
    log.close()
    again = made.open()
    again.append([body(3)])
    again.close()
    times = [entry.decode(one)["t"] for one in all_entries(made.folder)]
    assert times == sorted(times)
    assert times[-1] > "2026"


@given(st.binary(min_size=1, max_size=40), st.integers(0, 2**60), st.text(max_size=9), st.binary(max_size=32))
def test_versions_are_written_as_canonical_json(path: bytes, size: int, vault: str, digest: bytes) -> None:
    """The quick way writes what the slow one does."""
    for one in (
        FileVersion(vault, path, "bound", "x", size % 2**53, size, digest, digest[:3] or None),
        FileVersion(vault, path, "deleted", "x"),
    ):
        (quick,) = entry.encode_all([one], ORIGIN, 7, "2026-11-23T00:00:00.000000Z")
        fields = entry.decode(quick)
        assert entry.fields_of(one) == {key: fields[key] for key in fields.keys() - entry.BASE}
        assert entry.path_of(fields) == path


def test_every_type_has_a_row_in_the_documentation() -> None:
    text = (Path(__file__).parent.parent / "docs" / "ledger.md").read_text("utf-8")
    for name, kind in TYPES.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert all(f"`{field}`" in row for field in kind.__slots__), name


def test_too_large_an_entry_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    before = log.size
    with pytest.raises(ValueError, match="an entry of 7"):
        log.append([body(1), FileVersion("v", b"x" * 70_000, "deleted", "y")])
    assert log.size == before
    log.append([body(1)])
    log.close()


# -- dying -------------------------------------------------------------------------------------------------------------

STEPS = (
    "encoded", "on record", "tiles written", "signed", "kept", "checkpoint replaced", "write-ahead files new",
    "write-ahead files removed", "covered tiles removed",
)  # fmt: skip

CHILD = """
import os, signal, sys
from pathlib import Path
from tests.ledgering import body
from vaultd.ledger import private
from vaultd.ledger.log import Log

folder, wanted, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
met = 0

def step(name):
    global met
    met += name == wanted
    if met == times:
        os.kill(os.getpid(), signal.SIGKILL)

log = Log(folder, private.read(folder.with_name("ledger.key"), sys.argv[4]), step=step)
for number in range(60):
    first = log.append([body(1000 * number + more) for more in range(9)])
    os.write(1, b"on record %d %d\\n" % (first, 1000 * number))
    if number % 4 == 3:
        os.write(1, b"signed %b\\n" % log.seal().hex().encode())
"""


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("times", [1, 2, 9])
def test_killed_at_a_step(tmp_path: Path, name: str, times: int) -> None:
    """What it said before its death holds: entries on record are there, every checkpoint is one of this log."""
    made = make_log(tmp_path / "ledger")
    begun = signed(made.folder)
    child = [sys.executable, "-c", CHILD, str(made.folder), name, str(times), ORIGIN]
    ran = subprocess.run(child, capture_output=True, cwd=Path(__file__).parent.parent, timeout=120)
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    log = made.open()
    log.append([body(7)])
    log.seal()
    log.close()
    entries = all_entries(made.folder)
    for line in ran.stdout.splitlines():
        word, *rest = line.decode().split()
        if word == "signed":
            found = note.parse(bytes.fromhex(rest[0]))
            assert_holds(made.folder, checkpoint.parse(found.text))
            continue
        first, number = int(rest[1]), int(rest[2])
        for more in range(9):
            own = entry.decode(entries[first + more])
            assert {key: own[key] for key in own.keys() - entry.BASE} == entry.fields_of(body(number + more))
    assert_holds(made.folder, begun)
    assert [entry.decode(one)["seq"] for one in entries] == list(range(len(entries)))
    assert sorted(path.name for path in (made.folder / "wal").iterdir()) == [f"{len(entries)}.a", f"{len(entries)}.b"]
    for size in LogFolder(made.folder).kept_sizes():
        kept = checkpoint.parse(LogFolder(made.folder).read_note(made.folder / "checkpoints" / str(size)).text)
        assert kept.root == root_of(entries[:size])


@pytest.fixture(scope="module")
def unsealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_log(tmp_path_factory.mktemp("unsealed") / "ledger")
    log = made.open()
    for number in range(4):
        log.append(some(5, 10 * number))
    log.close()
    return made.folder


def copied(folder: Path, to: Path) -> tuple[Path, list[bytes]]:
    """A log of its own, that somebody may damage; and its entries."""
    shutil.copytree(folder.parent, to, dirs_exist_ok=True)
    return to / folder.name, all_entries(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_write_ahead_file_damaged_anywhere_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, unsealed: Path, data: st.DataObject
) -> None:
    folder, entries = copied(unsealed, tmp_path_factory.mktemp("log"))
    copies = wal.paths(folder / "wal", 1)
    damaged = data.draw(st.sampled_from(copies))
    content = bytearray(damaged.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[at:]
    damaged.write_bytes(content)
    log = Log(folder, private.read(folder.with_name("ledger.key"), ORIGIN))
    assert log.lost == 0 or log.size == len(entries)
    log.seal()
    log.close()
    assert all_entries(folder) == entries


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_torn_in_both_copies_only_the_tail_goes(
    tmp_path_factory: pytest.TempPathFactory, unsealed: Path, data: st.DataObject
) -> None:
    """A power cut tears both at the same place at worst: what was whole before is there, and the log goes on."""
    folder, entries = copied(unsealed, tmp_path_factory.mktemp("log"))
    content = wal.paths(folder / "wal", 1)[0].read_bytes()
    at = data.draw(st.integers(0, len(content)))
    for path in wal.paths(folder / "wal", 1):
        path.write_bytes(content[:at] + b"\0" * data.draw(st.integers(0, 50)))
    log = Log(folder, private.read(folder.with_name("ledger.key"), ORIGIN))
    kept = log.size
    log.append([body(99)])
    log.seal()
    log.close()
    whole, frames = 1, 0
    for one in entries[1:]:
        frames += 8 + len(one)
        whole += frames <= at
    assert kept == whole
    assert all_entries(folder)[:kept] == entries[:kept]


def test_entries_of_unsigned_tiles_survive_the_write_ahead_files(tmp_path: Path) -> None:
    """Killed between tiles and signature, and then both copies are gone: the tiles agree with their entries."""
    made = make_log(tmp_path / "ledger")

    class Dead(Exception):
        pass

    def step(name: str) -> None:
        if name == "tiles written":
            raise Dead

    log = Log(made.folder, made.signer, step=step)
    log.append(some(600))
    with pytest.raises(Dead):
        log.seal()
    log.close()
    entries = all_entries(made.folder)
    for path in wal.paths(made.folder / "wal", 1):
        path.write_bytes(b"")
    again = made.open()
    again.seal()
    again.close()
    assert all_entries(made.folder) == entries


def test_unsigned_tiles_of_lost_entries_are_not_in_the_way(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    log.append(some(600))
    log.close()
    for index in (0, 1):  # a bundle without its tile proves nothing
        (made.folder / f"tile/entries/{index:03d}").write_bytes(b"\0\1x" * 256)
    (made.folder / "tile/0/000.p/77").write_bytes(b"x" * 32 * 77)
    for path in wal.paths(made.folder / "wal", 1):
        path.write_bytes(path.read_bytes()[:5000])
    again = made.open()
    kept = again.size
    assert 2 < kept < 600
    again.append(some(700))
    again.seal()
    again.close()
    assert signed(made.folder).root == root_of(all_entries(made.folder))


# -- an older log ------------------------------------------------------------------------------------------------------


def test_a_log_older_than_what_was_seen_of_it_signs_nothing(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    log.append(some(10))
    log.seal()
    seen = log.signed
    log.close()
    for larger in (Checkpoint(ORIGIN, seen.size + 1, seen.root), Checkpoint(ORIGIN, seen.size, b"x" * 32)):
        with pytest.raises(LedgerStoppedError):
            Log(made.folder, made.signer, known=larger)
    Log(made.folder, made.signer, known=seen).close()
    assert signed(made.folder) == seen


@pytest.mark.parametrize("what", ["checkpoints", "newest", "tile", "bundle"])
def test_a_log_that_lacks_something_signed_is_not_written_to(tmp_path: Path, what: str) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    log.append(some(300))
    log.seal()
    log.close()
    size = signed(made.folder).size
    if what == "checkpoints":
        for path in (made.folder / "checkpoints").iterdir():
            path.unlink()
    elif what == "newest":
        (made.folder / f"checkpoints/{size}").unlink()
    else:
        (made.folder / f"tile/{'0' if what == 'tile' else 'entries'}/001.p/{size - 256}").unlink()
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    with pytest.raises(LedgerError):
        made.open()
    assert {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()} == before


# -- keys --------------------------------------------------------------------------------------------------------------


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    with pytest.raises(BusyError):
        made.open()
    log.close()
    made.open().close()


def test_another_key_writes_nothing(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    with pytest.raises(LedgerError, match="its key is another one"):
        Log(made.folder, private.generate(ORIGIN))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    made = make_log(tmp_path / "ledger")
    made.key_file.chmod(mode)
    with pytest.raises(LedgerError, match=f"its mode is 0{mode:o}"):
        private.read(made.key_file, ORIGIN)


def test_a_missing_key_and_one_that_is_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file"):
        private.read(tmp_path / "none", ORIGIN)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(LedgerError, match="no Ed25519 key"):
        private.read(tmp_path / "text", ORIGIN)


def test_a_root_key_goes_on_paper_and_comes_back(tmp_path: Path) -> None:
    key = private.generate("x/root")
    words = private.as_words(key)
    assert private.from_words(f" {words.upper()}\n", "x/root").verifier == key.verifier
    other = words[:-1] + ("a" if words[-1] != "a" else "b")
    for wrong in (other, words[5:], "", "0" * 56):
        with pytest.raises(LedgerError, match="not a root key"):
            private.from_words(wrong, "x/root")


def test_rotation_hands_over_and_erases_the_old_key(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    epoch = create.rotate(made.folder, made.key_file, made.root, "uid 0")
    keys = epochs.read(made.folder)
    assert keys.newest == epoch
    assert epoch.first == signed(made.folder).size
    assert entry.decode(all_entries(made.folder)[epoch.first - 1])["key"] == epoch.key.encoded()
    assert verify(made.folder, root=made.root.verifier).epochs == 2
    new = private.read(made.key_file, ORIGIN)
    assert new.verifier == epoch.key != made.signer.verifier
    assert not made.key_file.with_name("ledger.key.next").exists()
    log = Log(made.folder, new)
    log.append([body(1)])
    log.seal()
    log.close()
    note.verify(LogFolder(made.folder).read_note(made.folder / "checkpoint"), [new.verifier])
    with pytest.raises(LedgerError):
        Log(made.folder, made.signer)


def test_a_wrong_root_key_changes_nothing(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    before = made.key_file.read_bytes()
    with pytest.raises(LedgerError, match="not the root key"):
        create.rotate(made.folder, made.key_file, private.generate(made.root.name), "uid 0")
    assert made.key_file.read_bytes() == before
    assert len(epochs.read(made.folder).epochs) == 1


def test_a_rotation_cut_short_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_log(tmp_path / "ledger")
    finish = create.finish_rotation
    calls = iter([finish, None])

    def once(folder: Path, key_file: Path) -> epochs.Keys:
        found = next(calls)
        if found is None:
            raise KeyboardInterrupt
        return found(folder, key_file)

    monkeypatch.setattr(create, "finish_rotation", once)
    with pytest.raises(KeyboardInterrupt):
        create.rotate(made.folder, made.key_file, made.root, "uid 0")
    assert private.read(made.key_file, ORIGIN).verifier == made.signer.verifier
    keys = finish(made.folder, made.key_file)
    assert private.read(made.key_file, ORIGIN).verifier == keys.newest.key
    Log(made.folder, private.read(made.key_file, ORIGIN)).close()
    verify(made.folder)


def test_a_continued_log_names_the_one_before(tmp_path: Path) -> None:
    root = create.make(tmp_path / "ledger", tmp_path / "ledger.key", "ward")
    old = (tmp_path / "ledger/checkpoint").read_text("utf-8")
    previous = create.set_aside(tmp_path / "ledger", tmp_path / "ledger.key")
    again = create.make(tmp_path / "ledger", tmp_path / "ledger.key", "ward", previous=previous, reason="disk failed")
    assert again.name != root.name
    first = entry.decode(all_entries(tmp_path / "ledger")[0])
    assert (first["previous"], first["reason"]) == (old, "disk failed")
    assert (tmp_path / "ledger-1/checkpoint").read_text("utf-8") == old


# -- threads -----------------------------------------------------------------------------------------------------------


def test_appending_goes_on_while_it_is_signed(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    log = made.open()
    over, signed_often, seals, written = threading.Event(), threading.Event(), 0, [0, 0, 0]

    def write(number: int) -> None:
        while written[number] < 40 or not signed_often.is_set():
            log.append([body(100_000 * number + written[number])])
            written[number] += 1

    def sign() -> None:
        nonlocal seals
        while not over.is_set():
            seals += log.seal() is not None
            if seals > 2:
                signed_often.set()

    signer = threading.Thread(target=sign)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in (signer, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    signer.join()
    log.seal()
    log.close()
    entries = all_entries(made.folder)
    assert len([one for one in entries if b'"type":"checkpoint"' not in one]) == 1 + sum(written)
    assert seals > 2
    for size in LogFolder(made.folder).kept_sizes():
        kept = checkpoint.parse(LogFolder(made.folder).read_note(made.folder / "checkpoints" / str(size)).text)
        assert kept.root == root_of(entries[:size])
    assert made.open().size == len(entries)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    made = make_log(tmp_path / "ledger")
    old = os.umask(0)
    try:
        log = made.open()
        log.append(some(300))
        log.seal()
        log.close()
    finally:
        os.umask(old)
    for path in made.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path

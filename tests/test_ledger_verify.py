"""The verifier of the ledger on logs that the real writer made: good ones hold, each fault is said as what it is."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import logs
from tests.logs import Made, changed
from vaultd.ledger import epochs, log, wal
from vaultd.ledger.checkpoint import Checkpoint, parse
from vaultd.ledger.note import Note
from vaultd.ledger.note import parse as parse_note
from vaultd.ledger.tree import EMPTY
from vaultd.ledger.verify import TEXTS, Code, Finding, Report, reading, verify

SIZES = (1, 40, 256, 300)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return logs.make(tmp_path_factory.mktemp("original") / "ledger", *SIZES[1:], rotated=40)


@pytest.fixture
def made(original: Made, tmp_path: Path) -> Made:
    """A log of 300 entries, four checkpoints and two keys, for each test its own."""
    shutil.copytree(original.folder, tmp_path / "ledger")
    return Made(tmp_path / "ledger", original.root, list(original.signers), dict(original.notes))


def finding(made: Made, **options: Any) -> Finding:
    with pytest.raises(Finding) as caught:
        verify(made.folder, **options)
    assert str(caught.value)
    assert caught.value.meaning
    return caught.value


def found(made: Made, **options: Any) -> tuple[Code, str | None, int | None]:
    one = finding(made, **options)
    return one.code, one.file, one.entry


def forge(made: Made, edit: Callable[[list[bytes]], None], sizes: tuple[int, ...] = SIZES) -> None:
    """Make another history with the real keys: only what the entries say can be wrong."""
    entries = made.entries()
    edit(entries)
    files: dict[str, bytes | None] = {name: None for name in logs.content(made.folder) if not name.startswith("keys/")}
    logs.put(made.folder, files | logs.forged(made, entries, sizes))


def spoiled(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def set_fields(index: int, **fields: Any) -> Callable[[list[bytes]], None]:
    def edit(entries: list[bytes]) -> None:
        entries[index] = changed(entries[index], **fields)

    return edit


# Good logs


@pytest.mark.parametrize("size", [2, 255, 256, 257, 700])
def test_a_good_log_holds(tmp_path: Path, size: int) -> None:
    made = logs.make(tmp_path / "ledger", size)
    told = list[tuple[int, int]]()
    report = verify(made.folder, root=made.root.verifier, on_progress=lambda done, total: told.append((done, total)))
    note = made.notes[size]
    root = parse(note.decode().partition("\n\n")[0] + "\n").root
    assert report == Report(logs.ORIGIN, size, root, report.time, 2, 1, 0, note)
    assert f'"t":"{report.time}"'.encode() in made.entries()[-1]
    assert told[-1] == (size, size)


def test_a_log_of_one_entry_holds(tmp_path: Path) -> None:
    report = verify(logs.make(tmp_path / "ledger").folder)
    assert (report.size, report.checkpoints, report.unsigned) == (1, 1, 0)


def test_a_log_with_several_keys_and_checkpoints_holds(tmp_path: Path) -> None:
    made = logs.make(tmp_path / "ledger", 256, 300, 511, 512, 513, rotated=256)
    made.rotate()
    made.seal(700)
    report = verify(made.folder)
    assert (report.size, report.checkpoints, report.epochs) == (700, 7, 3)
    assert verify(made.folder, outside=list(made.notes.values())) == report


def test_a_key_that_was_changed_and_has_not_signed_yet_is_announced_by_an_unsigned_entry(made: Made) -> None:
    made.rotate()
    assert (verify(made.folder).epochs, verify(made.folder).unsigned) == (3, 2)
    for copy in wal.COPIES:
        (made.folder / "wal" / f"300.{copy}").unlink()
    assert found(made) == (Code.KEY_ENTRY, "keys/2", None)


def test_the_folder_may_be_behind_a_link(made: Made, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(made.folder)
    assert verify(tmp_path / "link").size == 300


# What is written and not signed yet


def test_entries_on_record_are_counted(made: Made) -> None:
    writer = made.open()
    logs.fill(writer, 900)
    writer.close()
    report = verify(made.folder)
    assert (report.size, report.unsigned) == (300, 600)


@pytest.mark.parametrize("damaged", wal.COPIES)
def test_one_write_ahead_file_is_enough(made: Made, damaged: str) -> None:
    writer = made.open()
    logs.fill(writer, 310)
    writer.close()
    (made.folder / "wal" / f"300.{damaged}").write_bytes(b"\0" * 5000)
    assert verify(made.folder).unsigned == 10
    (made.folder / "wal" / f"300.{damaged}").unlink()
    assert verify(made.folder).unsigned == 10


def test_a_frame_is_read_from_the_copy_that_has_it_whole(made: Made) -> None:
    writer = made.open()
    logs.fill(writer, 310)
    writer.close()

    def spoil(copy: str, index: int) -> None:
        path = made.folder / "wal" / f"300.{copy}"
        content = bytearray(path.read_bytes())
        content[content.index(b'"seq":%d' % index)] ^= 1
        path.write_bytes(content)

    spoil("a", 303)
    spoil("b", 306)
    assert verify(made.folder).unsigned == 10
    spoil("b", 303)
    assert verify(made.folder).unsigned == 3


def steps(made: Made) -> dict[str, list[Report]]:
    """What the verifier says at each step of a writer: where it is killed, that is what is there."""
    said = dict[str, list[Report]]()

    def step(name: str) -> None:
        said.setdefault(name, []).append(verify(made.folder))

    writer = log.Log(made.folder, made.signers[-1][1], step=step)
    for size in (310, 512, 600, 1100):
        logs.fill(writer, size)
        writer.seal()
    writer.close()
    return said


def test_a_log_holds_at_each_step_of_its_writer(made: Made) -> None:
    said = steps(made)
    assert {name: [report.size for report in reports] for name, reports in said.items() if name != "encoded"} == {
        "write-ahead files new": [300, 310, 512, 600, 1100], "write-ahead files removed": [300, 310, 512, 600, 1100],
        "on record": [300, 300, 310, 310, 512, 512, 600, 600], "tiles written": [300, 310, 512, 600],
        "signed": [300, 310, 512, 600], "kept": [300, 310, 512, 600], "checkpoint replaced": [310, 512, 600, 1100],
        "covered tiles removed": [310, 512, 600, 1100],
    }  # fmt: skip
    assert [report.unsigned for report in said["kept"]] == [10, 202, 88, 500]


@pytest.mark.parametrize("name", ["tiles written", "signed", "kept", "checkpoint replaced"])
@pytest.mark.parametrize("change", ["entry", "tile", "upper", "further"])
def test_tiles_beyond_the_checkpoint_must_be_those_of_the_write_ahead_files(
    made: Made, name: str, change: str
) -> None:  # fmt: skip
    at = {"entry": "tile/entries/001", "tile": "tile/0/001", "upper": "tile/1/000.p/3", "further": "tile/0/003.p/9"}

    def stop(step: str) -> None:
        if step == name:
            raise InterruptedError

    writer = log.Log(made.folder, made.signers[-1][1], step=stop)
    logs.fill(writer, 800)
    with pytest.raises(log.LedgerError):
        writer.seal()
    writer.close()
    assert verify(made.folder).unsigned == (0 if name == "checkpoint replaced" else 500)
    path = made.folder / at[change]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(spoiled(path.read_bytes()) if path.exists() else b"x" * 288)
    signed = {"entry": Code.BUNDLE, "tile": Code.TILE, "upper": Code.TILE, "further": Code.EXTRA}
    code = signed[change] if name == "checkpoint replaced" else Code.UNSIGNED
    assert finding(made).code == code or (change, finding(made).code) == ("entry", Code.TILE)


def test_only_the_checkpoint_that_a_crash_kept_back_may_be_newer(made: Made) -> None:
    logs.put(made.folder, {"checkpoint": made.notes[256]})
    assert finding(made).code == Code.CHECKPOINT_GONE  # the write-ahead files begin after a newer one
    for copy in wal.COPIES:
        (made.folder / "wal" / f"300.{copy}").unlink()
    assert finding(made).code == Code.UNSIGNED  # tiles that nothing explains
    for path in [*made.folder.glob("tile/*/001.p"), *made.folder.glob("tile/1/000.p/2")]:
        shutil.rmtree(path)
    assert found(made) == (Code.CHECKPOINT_NEWEST, "checkpoint", None)


def kept_back(made: Made) -> Made:
    """A log whose writer was killed before it showed the checkpoint of 310 that it had kept."""

    def stop(step: str) -> None:
        if step == "kept":
            raise InterruptedError

    writer = log.Log(made.folder, made.signers[-1][1], step=stop)
    logs.fill(writer, 310)
    with pytest.raises(log.LedgerError):
        writer.seal()
    writer.close()
    assert verify(made.folder).size == 300
    return made


def test_a_checkpoint_that_was_kept_back_is_looked_at(made: Made) -> None:
    path = kept_back(made).folder / "checkpoints" / "310"
    checkpoint = Checkpoint(logs.ORIGIN, 310, bytes(32))
    path.write_bytes(Note(checkpoint.text(), (made.signers[-1][1].sign(checkpoint.text()),)).encoded())
    assert found(made) == (Code.CHECKPOINT_ROOT, "checkpoints/310", None)
    path.write_bytes(Note(checkpoint.text(), (logs.new_key().sign(checkpoint.text()),)).encoded())
    assert found(made) == (Code.CHECKPOINT_SIGNATURE, "checkpoints/310", None)


def test_two_checkpoints_are_never_kept_back(made: Made) -> None:
    shutil.copy(kept_back(made).folder / "checkpoints" / "310", made.folder / "checkpoints" / "305")
    assert found(made) == (Code.CHECKPOINT_NEWEST, "checkpoint", None)


KILLED_AT = [
    "on record",
    "tiles written",
    "signed",
    "kept",
    "checkpoint replaced",
    "write-ahead files new",
    "covered tiles removed",
]


@pytest.mark.parametrize("name", KILLED_AT)
def test_a_log_holds_after_its_writer_was_killed_and_started_again(made: Made, name: str) -> None:
    killed = False

    def stop(step: str) -> None:
        if killed and step == name:
            raise InterruptedError

    for size in (520, 530, 800):
        killed = False
        writer = log.Log(made.folder, made.signers[-1][1], step=stop)
        logs.fill(writer, size - 3)
        killed = True
        with pytest.raises((log.LedgerError, InterruptedError)):
            logs.fill(writer, size)
            writer.seal()
        writer.close()
        verify(made.folder)
        made.open().close()
        report = verify(made.folder)
        assert report.size + report.unsigned >= size - 3 + (name != "on record") * 3
    made.seal(900)
    assert verify(made.folder).size == 900


def frames(made: Made, start: int, entries: list[bytes]) -> None:
    wal.WriteAhead(made.folder / "wal", start, entries).close()


def test_write_ahead_files_must_agree_with_what_is_signed(made: Made) -> None:
    frames(made, 256, made.entries()[256:])
    assert verify(made.folder).unsigned == 0  # a crash left older ones
    frames(made, 250, [*made.entries()[250:280], changed(made.entries()[280], salt="00" * 16)])
    assert found(made) == (Code.UNSIGNED, "wal/250.a", 280)


def test_write_ahead_files_must_agree_with_each_other(made: Made) -> None:
    writer = made.open()
    logs.fill(writer, 305)
    tail = writer._tail
    writer.close()
    frames(made, 290, [*made.entries()[290:], *tail[:3]])
    assert verify(made.folder).unsigned == 5
    frames(made, 290, [*made.entries()[290:], *tail[:3], changed(tail[3], salt="00" * 16)])
    assert found(made) == (Code.UNSIGNED, "wal/300.a", 303)


def test_no_entry_is_missing_before_the_write_ahead_files(made: Made) -> None:
    frames(made, 302, [])
    assert found(made) == (Code.CHECKPOINT_GONE, "wal/302.a", None)


def test_unsigned_entries_are_looked_at_too(made: Made) -> None:
    frames(made, 300, [changed(made.entries()[-1], seq=301)])
    assert found(made) == (Code.ENTRY_PLACE, None, 300)


# A writer that writes meanwhile


@pytest.mark.parametrize("again", [0, 5])
def test_a_writer_that_signs_at_any_moment_is_no_fault(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    """Before each of the verifier's looks at the folder in turn the writer signs more; and once more a little later."""
    real = {name: getattr(reading.Reader, name) for name in ("open", "names")}
    moment = looks = 0

    def hooked(name: str) -> Callable[..., Any]:
        def look(reader: reading.Reader, *args: Any) -> Any:
            nonlocal looks
            looks += 1
            if looks == moment or (again and looks == moment + again):
                logs.fill(writer, writer.size + 230)  # the partial tiles of before are covered then
                writer.seal()
            return real[name](reader, *args)

        return look

    for name in real:
        monkeypatch.setattr(reading.Reader, name, hooked(name))
    while looks >= moment:
        moment, looks = moment + 1, 0
        folder = tmp_path / str(moment)
        shutil.copytree(made.folder, folder)
        writer = log.Log(folder, made.signers[-1][1])
        report = verify(folder)
        assert report.size in (300, 530, 760)
        assert report.size == writer.signed.size or looks >= moment
        writer.close()
    assert moment > 30


def test_a_writer_in_another_thread_is_no_fault(made: Made) -> None:
    sealed, sizes = list[int](), list[int]()

    def write() -> None:
        writer = made.open()
        for _ in range(30):
            logs.fill(writer, writer.size + 37)
            writer.seal()
            sealed.append(writer.signed.size)
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while thread.is_alive():
            sizes.append(verify(made.folder).size)
    finally:
        thread.join()
    assert sizes == sorted(sizes)
    assert {300, *sealed}.issuperset(sizes)
    assert verify(made.folder).size == sealed[-1] == 300 + 30 * 37


def test_entries_that_hold_are_not_changed_meanwhile(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer fills a bundle that was read while it was partial, and somebody changes an entry of it."""

    def meanwhile(*_args: object) -> int:
        made.seal(512)
        entries = made.entries()
        entries[290] = changed(entries[290], salt="00" * 16)
        files = logs.tiles(entries, (512,))
        logs.put(made.folder, {name: files[name] for name in ("tile/entries/001", "tile/0/001")})
        raise Finding(Code.UNSIGNED)

    monkeypatch.setattr("vaultd.ledger.verify.rest.check", meanwhile)
    assert found(made) == (Code.BUNDLE, "tile/entries/001", None)


# Checkpoints from elsewhere


def test_checkpoints_from_elsewhere_agree(made: Made) -> None:
    cosigned = made.notes[256] + logs.new_key("witness.example/w1").sign("another text\n").line().encode()
    assert verify(made.folder, outside=[*made.notes.values(), cosigned]).size == 300


def test_a_larger_checkpoint_elsewhere_shows_that_the_folder_was_rolled_back(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "older")
    made.seal(310)
    made.folder = tmp_path / "older"
    assert verify(made.folder).size == 300
    assert found(made, outside=[made.notes[256], made.notes[310]]) == (Code.OUTSIDE_LARGER, None, None)
    assert finding(made, outside=[made.notes[256], made.notes[310]]).outside == 1


@pytest.mark.parametrize("size", [100, 256, 300])
def test_another_root_elsewhere_shows_that_the_log_was_rewritten(made: Made, size: int) -> None:
    text = Checkpoint(logs.ORIGIN, size, bytes(32)).text()
    other = Note(text, (made.signer(size).sign(text),)).encoded()
    assert found(made, outside=[made.notes[40], other]) == (Code.OUTSIDE_DIFFERS, None, None)
    assert finding(made, outside=[made.notes[40], other]).outside == 1


def test_a_checkpoint_elsewhere_must_be_of_this_log(made: Made, tmp_path: Path) -> None:
    text = Checkpoint("example.org/other", 40, bytes(32)).text()
    mine = made.signers[0][1]
    other_origin = Note(text, (mine.sign(text),)).encoded()
    late = made.notes[256].partition(b"\n\n")[0].decode() + "\n"
    for note in (
        b"",
        b"x" * 99,
        logs.make(tmp_path / "other").notes[1],
        other_origin,
        Note(late, (mine.sign(late),)).encoded(),
    ):
        assert finding(made, outside=[made.notes[1], note]).code == Code.OUTSIDE_UNKNOWN


# Keys


def test_the_root_key_on_paper_must_be_that_of_the_folder(made: Made) -> None:
    assert verify(made.folder, root=made.root.verifier).epochs == 2
    assert found(made, root=logs.new_key(made.root.name).verifier) == (Code.ROOT_KEY, "keys/root", None)


def test_a_certificate_must_hold(made: Made) -> None:
    epoch = epochs.Epoch(1, 42, made.signers[1][1].verifier)
    (made.folder / "keys" / "1").write_bytes(epochs.certify(epoch, made.root))  # not by the key before it
    assert found(made) == (Code.KEYS, "keys", None)


def test_a_certificate_has_its_signatures_in_their_order(made: Made) -> None:
    path = made.folder / "keys" / "1"
    certificate = parse_note(path.read_bytes())
    assert len(certificate.signatures) == 2
    path.write_bytes(Note(certificate.text, certificate.signatures[::-1]).encoded())
    assert found(made) == (Code.KEYS, "keys", None)


def test_the_first_key_signs_from_the_beginning_on(made: Made) -> None:
    epoch = epochs.Epoch(0, 1, made.signers[0][1].verifier)
    (made.folder / "keys" / "0").write_bytes(epochs.certify(epoch, made.root))
    assert found(made) == (Code.KEYS, "keys", None)


@pytest.mark.parametrize("fields", [{"epoch": 2}, {"key": "another"}])
def test_a_change_of_the_key_must_be_on_record(made: Made, fields: dict[str, Any]) -> None:
    forge(made, set_fields(41, **fields))
    assert found(made) == (Code.KEY_ENTRY, "keys/1", 41)


# Checkpoints


def test_a_checkpoint_that_is_none(made: Made) -> None:
    logs.put(made.folder, {"checkpoint": b"nothing\n"})
    assert found(made) == (Code.CHECKPOINT_FORM, "checkpoint", None)


def test_a_checkpoint_of_another_log(made: Made) -> None:
    text = Checkpoint("example.org/other", 300, bytes(32)).text()
    logs.put(made.folder, {"checkpoint": Note(text, (made.signers[1][1].sign(text),)).encoded()})
    assert found(made) == (Code.CHECKPOINT_FORM, "checkpoint", None)


def test_a_checkpoint_under_another_name(made: Made) -> None:
    logs.put(made.folder, {"checkpoints/256": made.notes[40]})
    assert found(made) == (Code.CHECKPOINT_FORM, "checkpoints/256", None)


def test_a_checkpoint_by_the_key_of_another_epoch(made: Made) -> None:
    text = made.notes[256].partition(b"\n\n")[0].decode() + "\n"
    logs.put(made.folder, {"checkpoints/256": Note(text, (made.signers[0][1].sign(text),)).encoded()})
    assert found(made) == (Code.CHECKPOINT_SIGNATURE, "checkpoints/256", None)


def test_a_checkpoint_that_somebody_else_signed_too(made: Made) -> None:
    text = made.notes[256].partition(b"\n\n")[0].decode() + "\n"
    signatures = (made.signers[1][1].sign(text), logs.new_key("example.org/other").sign(text))
    logs.put(made.folder, {"checkpoints/256": Note(text, signatures).encoded()})
    assert found(made) == (Code.CHECKPOINT_SIGNATURE, "checkpoints/256", None)


def test_a_checkpoint_of_other_entries(made: Made) -> None:
    text = Checkpoint(logs.ORIGIN, 256, bytes(32)).text()
    logs.put(made.folder, {"checkpoints/256": Note(text, (made.signers[1][1].sign(text),)).encoded()})
    assert found(made) == (Code.CHECKPOINT_ROOT, "checkpoints/256", None)


def test_the_newest_checkpoint_is_kept_byte_for_byte(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ed25519 signs the same text the same way; whoever has the key can do otherwise. Here: a key that does."""
    other = made.notes[300][:-5] + b"AAA=\n"
    logs.put(made.folder, {"checkpoint": other})
    monkeypatch.setattr("vaultd.ledger.note.VerifierKey.verifies", lambda *_args: True)
    assert found(made) == (Code.CHECKPOINT_NEWEST, "checkpoint", None)


def test_an_entry_names_a_checkpoint_that_is_gone(made: Made) -> None:
    (made.folder / "checkpoints" / "40").unlink()
    assert found(made) == (Code.CHECKPOINT_ENTRY, "checkpoints/40", 40)


@pytest.mark.parametrize("fields", [{"size": 39}, {"digest": "00" * 32}])
def test_an_entry_names_another_checkpoint(made: Made, fields: dict[str, Any]) -> None:
    entries = made.entries()
    forge(made, set_fields(256, **fields))
    if "digest" in fields:  # ``forged`` has put the right one there
        assert verify(made.folder).size == 300
        files = logs.tiles([*entries[:256], changed(entries[256], **fields), *entries[257:]], SIZES)
        logs.put(made.folder, {name: value for name, value in files.items() if name in logs.content(made.folder)})
    assert finding(made).code == Code.CHECKPOINT_ENTRY
    assert finding(made).entry == 256


def test_a_checkpoint_that_no_entry_names(made: Made) -> None:
    forge(made, lambda _entries: None, (1, 40, 100, 256, 300))
    assert found(made) == (Code.CHECKPOINT_UNNAMED, "checkpoints/100", None)


def test_an_empty_log(made: Made) -> None:
    text = Checkpoint(logs.ORIGIN, 0, EMPTY).text()
    logs.put(made.folder, {"checkpoint": Note(text, (made.signers[0][1].sign(text),)).encoded()})
    assert found(made) == (Code.BEGIN, None, None)


# Bundles and tiles


def test_a_bundle_with_one_entry_less(made: Made) -> None:
    entries = logs.tiles(made.entries()[:255], (255,))
    logs.put(made.folder, {"tile/entries/000": entries["tile/entries/000.p/255"]})
    assert found(made) == (Code.BUNDLE, "tile/entries/000", None)


def test_a_bundle_that_ends_in_an_entry(made: Made) -> None:
    path = made.folder / "tile/entries/000"
    path.write_bytes(path.read_bytes()[:-1])
    assert found(made) == (Code.BUNDLE, "tile/entries/000", None)


@pytest.mark.parametrize(("name", "entry"), [("0/000", 17), ("0/001.p/44", 273), ("1/000.p/1", None)])
def test_a_tile_with_another_hash(made: Made, name: str, entry: int | None) -> None:
    path = made.folder / "tile" / name
    content = path.read_bytes()
    at = 0 if entry is None else 17 * 32
    path.write_bytes(content[:at] + bytes(32) + content[at + 32 :])
    assert found(made) == (Code.TILE, f"tile/{name}", entry)


def test_full_tiles_of_upper_levels(tmp_path: Path) -> None:
    made = logs.make(tmp_path / "ledger", 65_537)
    assert verify(made.folder).size == 65_537
    path = made.folder / "tile/1/000"
    path.write_bytes(spoiled(path.read_bytes()))
    assert found(made) == (Code.TILE, "tile/1/000", None)


@pytest.mark.parametrize("name", ["0/000.p/40", "entries/000.p/40"])
def test_covered_partial_tiles_are_looked_at_and_may_go(made: Made, name: str) -> None:
    content = logs.tiles(made.entries(), SIZES)[f"tile/{name}"]
    logs.put(made.folder, {f"tile/{name}": content})
    assert verify(made.folder).size == 300
    logs.put(made.folder, {f"tile/{name}": spoiled(content)})
    assert found(made) == (Code.TILE if name[0] == "0" else Code.BUNDLE, f"tile/{name}", None)
    logs.put(made.folder, {f"tile/{name}": None})
    assert verify(made.folder).size == 300


def test_a_partial_tile_of_a_size_that_was_never_signed(made: Made) -> None:
    logs.put(made.folder, {"tile/0/000.p/41": logs.tiles(made.entries(), (41,))["tile/0/000.p/41"]})
    assert found(made) == (Code.EXTRA, "tile/0/000.p/41", None)


def test_a_partial_tile_of_an_older_size_stays_until_the_full_one_is_there(made: Made) -> None:
    made.seal(310)
    (made.folder / "tile/0/001.p/44").unlink()
    assert found(made) == (Code.MISSING, "tile/0/001.p/44", None)


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint", "checkpoints", "checkpoints/300", "keys", "keys/root", "keys/0", "tile", "tile/entries/000",
        "tile/entries/001.p/44", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1",
    ],
)  # fmt: skip
def test_what_is_missing_is_named(made: Made, name: str) -> None:
    path = made.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    told = {"checkpoints": "checkpoints/300", "tile": "tile/entries/000"}
    if name == "checkpoints":
        assert finding(made).code == Code.CHECKPOINT_ENTRY  # the first one that is missed
    else:
        assert found(made) == (Code.MISSING, told.get(name, name), None)


def test_a_file_in_place_of_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Finding) as caught:
        verify(tmp_path / "file")
    assert (caught.value.code, caught.value.file) == (Code.NOT_A_FILE, ".")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Finding) as caught:
        verify(tmp_path / "nowhere")
    assert caught.value.code == Code.MISSING


@pytest.mark.parametrize(
    "name",
    [
        "new", "checkpoint.old", ".hidden", "checkpoints/0", "checkpoints/01", "checkpoints/x", "keys/other", "keys/00",
        "wal/x", "wal/1.c", "tile/x/000", "tile/64/000", "tile/00/000", "tile/README", "tile/0/0000", "tile/0/x",
        "tile/0/x000/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/y00", "tile/0/x01/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ],
)  # fmt: skip
def test_what_does_not_belong_there_is_named(made: Made, name: str) -> None:
    (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (made.folder / name).touch()
    one = finding(made)
    assert one.code == Code.EXTRA
    assert one.file is not None
    assert name.startswith(one.file)


def test_a_key_too_many_is_no_certificate(made: Made) -> None:
    (made.folder / "keys" / "2").touch()
    assert found(made) == (Code.KEYS, "keys", None)
    (made.folder / "keys" / "2").rename(made.folder / "keys" / "7")
    assert found(made) == (Code.MISSING, "keys/2", None)


def test_what_a_crash_leaves_over_belongs_there(made: Made) -> None:
    for name in (
        ".checkpoint.0123456789ab",
        "checkpoints/.310.0123456789ab",
        "keys/.2.0123456789ab",
        "wal/new.3",
        "wal/7.a-new",
    ):
        (made.folder / name).write_bytes(b"half")
    (made.folder / "SPEC").mkdir(exist_ok=True)
    (made.folder / "tile/2").mkdir()
    assert verify(made.folder).size == 300


@pytest.mark.parametrize("name", [".checkpoint", "checkpoints/.310", "keys/.2"])
def test_a_crash_leaves_no_folder_over(made: Made, name: str) -> None:
    (made.folder / f"{name}.0123456789ab").mkdir()
    assert finding(made).code == (Code.NOT_A_FILE if "/" in name else Code.EXTRA)


def test_too_many_tiles_beyond_the_log_are_not_all_kept_in_mind(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultd.ledger.verify.rest.MOST_BEYOND", 3)
    (made.folder / "tile/7").mkdir()
    for number in range(4):
        assert number < 1 or finding(made).code == Code.UNSIGNED
        (made.folder / f"tile/7/00{number}").touch()
    assert found(made) == (Code.EXTRA, "tile/7/003", None)


def test_too_many_names_are_not_all_kept_in_mind(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultd.ledger.verify.there.MOST", 20)
    (made.folder / "tile/7").mkdir()
    for number in range(21):
        assert number < 1 or finding(made).code == Code.UNSIGNED
        (made.folder / f"tile/7/{number:03}").touch()
    assert finding(made).code == Code.EXTRA


# Entries that the real key signed


@pytest.mark.parametrize(
    ("index", "fields", "code"),
    [
        (10, {"v": 2}, Code.ENTRY_FORM),
        (10, {"v": True}, Code.ENTRY_FORM),
        (10, {"salt": None}, Code.ENTRY_FORM),
        (10, {"seq": 11}, Code.ENTRY_PLACE),
        (10, {"origin": "example.org/other"}, Code.ENTRY_PLACE),
        (10, {"type": "unknown"}, Code.ENTRY_TYPE),
        (10, {"further": 1}, Code.ENTRY_FIELDS),
        (10, {"vault": None}, Code.ENTRY_FIELDS),
        (10, {"vault": 7}, Code.ENTRY_FIELDS),
        (10, {"size": "7"}, Code.ENTRY_FIELDS),
        (10, {"size": True}, Code.ENTRY_FIELDS),
        (10, {"sha256": "AB"}, Code.ENTRY_FIELDS),
        (10, {"sha256": "abc"}, Code.ENTRY_FIELDS),
        (10, {"mtime_ns": 7}, Code.ENTRY_FIELDS),
        (10, {"mtime_ns": "-0"}, Code.ENTRY_FIELDS),
        (10, {"salt": "00"}, Code.ENTRY_FIELDS),
        (10, {"path": None}, Code.ENTRY_FIELDS),
        (10, {"path_b64": "/w=="}, Code.ENTRY_FIELDS),  # and a path
        (10, {"path": None, "path_b64": "YQ=="}, Code.ENTRY_FIELDS),  # "a", which is UTF-8
        (10, {"path": None, "path_b64": "/x=="}, Code.ENTRY_FIELDS),  # padding bits
        (10, {"path": None, "path_b64": "档"}, Code.ENTRY_FIELDS),
        (10, {"path": None, "path_b64": 7}, Code.ENTRY_FIELDS),
        (5, {"exceptions": {"unread": "1"}}, Code.ENTRY_FIELDS),
        (5, {"exceptions": [1]}, Code.ENTRY_FIELDS),
        (5, {"time_ns": "1.5"}, Code.ENTRY_FIELDS),
        (10, {"t": "1999-01-01T00:00:00.000000Z"}, Code.ENTRY_TIME),
        (10, {"t": "9999-13-01T00:00:00.000000Z"}, Code.ENTRY_TIME),
        (10, {"t": "9999-12-01T00:00:00.00000Z"}, Code.ENTRY_TIME),
        (10, {"t": "9999-12-01 00:00:00.000000Z"}, Code.ENTRY_TIME),
        (10, {"t": "9999-12-01T00:00:00.000000+00:00"}, Code.ENTRY_TIME),
        (0, {"type": "alert", "code": "c", "state": "s", "host": None, "software": None}, Code.BEGIN),
        (7, {"type": "begin", "host": "h", "software": "s", "code": None, "state": None, "vault": None}, Code.BEGIN),
    ],
)
def test_an_entry_that_the_writer_would_not_write(made: Made, index: int, fields: dict[str, Any], code: Code) -> None:
    forge(made, set_fields(index, **fields))
    assert found(made) == (code, None, index)


@pytest.mark.parametrize(
    "spelling",
    [lambda one: one.replace(b":", b": ", 1), lambda one: one + b" ", lambda _one: b"[]", lambda _one: b"\xff"],
)
def test_an_entry_in_another_spelling(made: Made, spelling: Callable[[bytes], bytes]) -> None:
    def edit(entries: list[bytes]) -> None:
        entries[10] = spelling(entries[10])

    forge(made, edit)
    assert found(made) == (Code.ENTRY_FORM, None, 10)


def test_every_later_entry_follows_in_time(made: Made) -> None:
    forge(made, set_fields(10, t="9999-12-01T00:00:00.000000Z"))
    assert found(made) == (Code.ENTRY_TIME, None, 11)


# Files that are none


def as_link(path: Path) -> None:
    kept = next(one for one in path.parents if one.name == "ledger").with_name("kept")
    path.rename(kept)
    path.symlink_to(kept)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_socket(path: Path) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def as_device(path: Path) -> None:
    path.unlink()
    try:
        os.mknod(path, 0o600 | 0o20000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("makes no devices")


FILES = ["checkpoint", "checkpoints/40", "keys/0", "keys/root", "tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"]


@pytest.mark.parametrize("kind", [as_link, as_folder, as_pipe, as_socket, as_device])
@pytest.mark.parametrize("name", [*FILES, "lock", "wal/300.a"])
def test_what_is_no_plain_file_is_not_read(made: Made, name: str, kind: Callable[[Path], None]) -> None:
    kind(made.folder / name)
    one = finding(made)
    assert one.file == name
    named_otherwise = kind is as_folder and name in ("wal/300.a", "tile/entries/000", "tile/0/000")
    assert one.code == (Code.EXTRA if named_otherwise else Code.NOT_A_FILE)


@pytest.mark.parametrize("kind", [as_link, as_folder, as_pipe, as_socket, as_device])
def test_what_takes_the_place_of_a_file_after_all_names_were_looked_at_is_not_read_either(
    made: Made, kind: Callable[[Path], None]
) -> None:
    kind(made.folder / "checkpoint")
    with pytest.raises(Finding) as caught:
        reading.Reader(made.folder).find("checkpoint", 1000)
    assert (caught.value.code, caught.value.file) == (Code.NOT_A_FILE, "checkpoint")


@pytest.mark.parametrize("name", ["checkpoints", "keys", "tile", "wal", "tile/0", "tile/0/001.p"])
def test_a_folder_behind_a_link_is_not_entered(made: Made, name: str) -> None:
    as_link(made.folder / name)
    assert found(made) == (Code.NOT_A_FILE, name, None)


def test_what_is_behind_a_link_is_not_read(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be on a server that does not answer."""
    as_link(made.folder / "tile" / "0")
    monkeypatch.setattr(reading.Reader, "open", lambda *_args: pytest.fail("a file was opened"))
    assert found(made) == (Code.NOT_A_FILE, "tile/0", None)


@pytest.mark.parametrize("name", ["tile/0", "tile/entries", "tile", "checkpoints", "keys"])
def test_a_file_in_place_of_a_folder(made: Made, name: str) -> None:
    shutil.rmtree(made.folder / name)
    (made.folder / name).touch()
    assert finding(made).code == (Code.EXTRA if "/" in name else Code.NOT_A_FILE)
    assert finding(made).file == name


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_end_is_not_read_to_its_end(made: Made, name: str) -> None:
    os.truncate(made.folder / name, 1 << 40)
    assert found(made) == (Code.TOO_LARGE, name, None)


def test_a_write_ahead_file_without_end_tells_nothing(made: Made) -> None:
    os.truncate(made.folder / "wal" / "300.a", 1 << 40)
    assert verify(made.folder).unsigned == 0


@pytest.mark.parametrize("name", [*FILES, "wal/300.a"])
def test_what_cannot_be_read_is_named(made: Made, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refused(path: Path, flags: int, *mode: int) -> int:
        if str(path).endswith(f"/ledger/{name}"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", refused)
    one = finding(made)
    assert (one.code, one.file, one.why) == (Code.UNREADABLE, name, "Permission denied")


def test_names_that_a_terminal_would_obey_are_shown(made: Made) -> None:
    (made.folder / "tile" / "\x1b[2J").mkdir()
    assert finding(made).file == "tile/\\x1b[2J"
    (made.folder / "tile" / "\x1b[2J").rmdir()
    (made.folder / os.fsdecode(b"tile/\xff")).touch()
    assert finding(made).file == "tile/\\xff"


def test_every_code_has_its_text() -> None:
    assert TEXTS.keys() == set(Code)
    texts: Mapping[Code, tuple[str, str]] = TEXTS
    assert all(what and meaning for what, meaning in texts.values())

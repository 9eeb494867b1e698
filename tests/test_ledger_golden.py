"""A ledger that was written once and is kept in tests/ledger_golden: today's code reads it, and writes it again byte by
byte. When this fails, ledgers that are out there cannot be read or continued any more: change the code, not the files.

``python -m tests.test_ledger_golden`` made it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.ledgermaking import ORIGIN, ROOT, SIGNER, entry_at, grow, proof_of, signer
from vaultd import files
from vaultd.errors import LedgerError
from vaultd.ledger import checkpoint, entry, epochs, events, log, note, proof, tree
from vaultd.ledger.epochs import Epoch
from vaultd.ledger.events import Body
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.log import Log

GOLDEN = Path(__file__).parent / "ledger_golden"
LEDGER = GOLDEN / "ledger"
PROTECTED = ("checkpoint", "checkpoints", "keys", "tile")
SECOND = signer(3)
"""The key of epoch 1."""

PROOFS = ((0, 1), (0, 300), (15, 20), (255, 257), (256, 300), (299, 300))
"""Index and size of each proof that is kept."""


class Determined:
    """In place of the clock and of chance."""

    def __init__(self) -> None:
        self.now = 1_790_000_000_123_456_789
        self.drawn = 0

    def time_ns(self) -> int:
        """Every entry two seconds and a bit after the one before, but for a clock that is set back once."""
        self.now += 2_000_001_000 if self.drawn != 6 else -3_600_000_000_000
        return self.now

    def urandom(self, count: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_128(b"salt %d" % self.drawn).digest(count)


def bodies() -> list[Body]:
    """One of every type that somebody writes (``begin`` and ``checkpoint`` come by themselves, ``key`` later)."""
    digest, odd = hashlib.sha256(b"digest").digest(), "1998/档案\n\t\x7f\u2028 😀.pdf".encode()
    return [
        events.DaemonState("started", "vaultd 0.1.0", 4711, "2f7b0a4c-0000-4000-8000-000000000001"),
        events.ConfigurationLoaded("/etc/vaultd/vaultd.toml", digest, "root"),
        events.TargetTrusted("bunker", ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"], "ana (uid 1000)"),
        events.HostKeyRefused("bunker", 'it says "ssh-ed25519 \\ ☃"'),
        events.FileVersion("records", odd, "bound", "c1", 0, "-1", digest, digest),
        events.FileVersion("records", b"1998/\xb5\xb5\xb0\xb8.doc", "in-motion", "c1", 2**53 - 1, "1", digest),
        events.FileVersion("records", b"1998/gone", "deleted", "c1"),
        events.SnapshotMade("records", "bunker", "full", "c1", "ab" * 32, "1790000000123456789", 2, 2**40, 3,
                            {"unread": 0, "retry": 1, "in_motion": 1}, "cd" * 32, digest, 4),
        events.SnapshotMade("records", "bunker", "dump", "c2", "ef" * 32, "1790000000123456789", 1, 5, 0, {},
                            dump="pg_dump", digest=digest),
        events.RunEnded("records", "bunker", "express", "c3", "failed", "线路断了"),
        events.RunEnded("records", "bunker", "express", "c4", "partial", left=7),
        events.Restored("records", "bunker", ["ab" * 32], "/restored", "root", "complete", 2, 2**40, "1790000000", 0),
        events.AlertChanged("target-unreachable", "raised", target="bunker"),
        events.AlertChanged("target-unreachable", "acknowledged", target="bunker", who="ana (uid 1000)"),
        events.AlertChanged("target-unreachable", "cleared", target="bunker"),
        events.DocumentKept("restore", digest, 70_000),
        events.Given("alert", {"code": "ledger", "state": "raised", "at": "2026-09-21T14:13:20.000000Z"}),
        events.DaemonState("stopped", "vaultd 0.1.0", 4711, "2f7b0a4c-0000-4000-8000-000000000001"),
    ]  # fmt: skip


LATER: list[Body] = [
    events.Exported("records", "/export", "uid 0 (says ana)", 2, 2**40, hashlib.sha256(b"digest").digest(), ORIGIN, 7),
    events.VaultDescribed("records", "protected", "/srv/档案", "secret", 1, "张伟", 900_000, ["bunker", "annex"]),
    events.KitCreated("1f2e3d4c", 3, 5, ["bunker"], ["ab12"], "uid 0 (says ana)", "2028-01-31", 1),
    events.KitRevoked("1f2e3d4c", ["bunker"], ["annex"], "uid 0"),
    events.KitOpened("1f2e3d4c", ["1", "3", "5"], "uid 0", "bunker", "ab12", 0),
    events.RepositoryMoved("bunker", "ab12", "cd34", 17, "uid 0"),
    events.Drilled("records", "bunker", ["ab12"], "done", 61, 12, 2**33, 90, "uid 0", "1f2e3d4c", 0),
    events.Forgotten("records", "bunker", ["ab12"], hashlib.sha256(b"policy").digest(), "uid 0"),
    events.Pruned("bunker", 2**33, "ok", "uid 0"),
    events.RecordsDestroyed(
        "records", "bunker", ["ab12"], b"salt", 9, 3, 9, 1, "released", "uid 0", hashlib.sha256(b"paper").digest()
    ),
    events.Repaired("bunker", "records", "partial", 2, 7, 6, 1, "uid 0", ["annex"]),
    events.Verified(
        "records",
        "bunker",
        "sample",
        "done",
        ["ab12"],
        3,
        2**33,
        {"ok": 2, "damaged": 1},
        1,
        "uid 0",
        7,
        "1758463996000000000",
        ["wards/3"],
        ["cd34"],
    ),
    events.PacksRead("bunker", "done", 12, 2**28, 1, "daemon", ["ab12"]),
    events.BayConfirmed("wwn-0x5000c500a1b2c3d4", "ZA1", "3", "slot 4", "X-0007", "uid 0 (says ana)"),
    events.DiskReleased(
        "wwn-0x5000c500a1b2c3d4", "ZA1", "3", "open", 4, ["records"], 2, 2**33, "uid 0", "crypt", "fire", "X-0007"
    ),
    events.PullListChanged("PL-20261128-1a2b3c", ["wwn-1", "wwn-2"], ["wwn-2"], ["wwn-3"], ["wwn-1"]),
    events.MediumRegistered(
        "SY-2026-00001", "changed", hashlib.sha256(b"record").digest(), "in-service", "secret", "张伟", "uid 0",
        ["slot"], "台账.csv",
    ),
    events.MediaMoved(
        "3f9a0c1d2e", "send", ["SY-2026-00001"], ["ab12"], "张伟", "陈司机", "2026-11-28T05:10:31.000Z", "host-clock",
        "archive", "uid 0", ["released-by: 张伟", "received-by: 陈司机", "approver: 王芳"], "李娜", "机房", "档案馆",
        "防汛", "王芳", "88412", "intact", "2026-12-15", "水已到机柜", "机房漏水",
    ),
    events.MediaSigned("3f9a0c1d2e", "released-by", "张伟", "uid 0", "U1NIU0lH", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRk"),
    events.MediaSigned("3f9a0c1d2e", "received-by", "陈司机", "uid 0", sheet="2026-41"),
    events.MediaAudited("库房2", 3, 2, ["SY-2026-00003"], ["SY-2026-00004"], ["EY-1"], "uid 0"),
    events.MediaDestruction(
        "4f9a0c1d2e", "D-2026-001", "executed", ["SY-2026-00001"], ["ab12"], "2026-11-28T05:10:31.000Z", "stated",
        "archive", "uid 0", ["executor: 李娜"], "李娜", "期满", "销毁中心", "destroy", "粉碎", "HSM-20", "2.1",
        "逐件检查", "周护士", "回收厂", "已异地备份",
    ),
    events.MediaDestruction(
        "5f9a0c1d2e", "D-2026-001", "certified", ["SY-2026-00001"], ["ab12"], "2026-11-28T05:10:31.000Z", "host-clock",
        "archive", "uid 0", [], certificate=hashlib.sha256(b"paper").digest(), keep_until="2036-12-31",
    ),
    events.MediaStocked("封条", "seal", 187, 50, "值班室", "uid 0", "2026-11-28", "张伟"),
    events.PersonChanged("王芳", "new", "director", hashlib.sha256(b"person").digest(), "SHA256:47DEQpj8"),
    events.PersonChanged(
        "王芳", "accepted", "director", hashlib.sha256(b"person").digest(), "SHA256:47DEQpj8HBSa+/TImW+5JC", "李娜",
        "U1NIU0lH", "SHA256:abc", "2026-41",
    ),
    events.ApprovalRequested(
        "6f9a0c1d2e", "open", "evacuation-end", hashlib.sha256(b"parameters").digest(), "00ff", "张伟",
        "2026-11-29T05:10:31Z", ["director"], 1, "uid 0",
    ),
    events.Approved("6f9a0c1d2e", "evacuation-end", "王芳", "director", "U1NIU0lH", "SHA256:abc", "uid 0"),
    events.WarningChanged(
        "W-2026-001", 2, "adjusted", "I", "fire", ["张伟", "王芳"], "2026-11-28T05:10:31Z", "三楼机房", "勿乘电梯",
        "立即转移", "信息科", "uid 0", "张伟", "power-lost", 3, "6f9a0c1d2e", 1,
    ),
    events.WarningAnswered("W-2026-001", 2, "acknowledged", "王芳", "uid 0", "telephone", 1),
    events.StepTicked(
        "E-2026-001", "theft", "list", "done", "张伟", "2026-11-28T05:10:31Z", "host-clock", "uid 0", "监控已查",
        ["硬盘两块, 4000 元"], 1,
    ),
    events.NoticeSent("7f9a0c1d2e", "W-2026-001", "warning", "failed", "wecom", 5, "王芳", "timeout", "uid 0", 1),
    events.EvacuationChanged(
        "E-2026-001", "ordered", "I", "fire", "2026-11-28T05:10:31Z", "uid 0", "2f7b0a4c", "保安", "张伟", "王芳",
        "W-2026-001", "fire", ["bunker"], ["SY-2026-00001"], "6f9a0c1d2e", "冒烟", 1,
    ),
    events.EvacuationTier(
        "E-2026-001", 1, "bunker", "safe", ["records"], 12, 2**33, "2026-11-28T05:10:31Z", 90_000, 900_000, 1
    ),
    events.EvacuationBatch("E-2026-001", 1, "records", "bunker", "broken", "c9", 12, 2**33, 20_000, "line", 1),
    events.EvacuationDisk(
        "E-2026-001", "SY-2026-00001", "signed-off", "张伟", "2026-11-28T05:10:31Z", "stated", "uid 0", "陈司机",
        "88412", "3f9a0c1d2e", 1,
    ),
    events.EvacuationMeasured("E-2026-001", "payload-safe", "bunker", 9_000, 20, 2**20, 0, 1),
    events.ImprovementNoted("I-1", "E-2026-001", "open", "备用线路", "李娜", "2026-12-31", "uid 0"),
    events.StepTicked(
        "E-2026-001", "fire", "people-first", "open", "", "2026-11-28T05:10:31Z", "host-clock", "uid 0",
        text="先救人", role="值班员", limit_ms=60_000,
    ),
]  # fmt: skip
"""Of every type that came after the golden ledger was written, which no later code may change either: later.jsonl."""


def write(folder: Path) -> None:
    """The golden ledger. Needs a clock and salts that are determined."""
    older = signer(4, "archive.example/older")
    text = checkpoint.Checkpoint(older.name, 0, tree.EMPTY).text()
    previous = note.Note(text, (older.sign(text),)).encoded().decode()
    begin = events.Begin("archive", "vaultd 0.1.0", previous, "its key was lost")
    log.create(folder, SIGNER, ROOT, begin)
    with closing(Log(folder, SIGNER)) as first:
        for body in bodies():
            first.append([body])
        grow(first, 20)
        grow(first, 256)
        grow(first, 257)
        # The key changes: the entry that names the new one is the last before the first size that the new one signs.
        first.append([events.KeyRotated(1, SECOND.verifier.encoded(), "root")])
        new = Epoch(1, first.size, SECOND.verifier)
    files.create_exclusive(folder / "keys" / "1", epochs.certify(new, ROOT, SIGNER))
    with closing(Log(folder, SECOND)) as second:
        second.seal()
        grow(second, 300)


def protected(folder: Path) -> dict[str, bytes]:
    """What the format protects."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name.partition("/")[0] in PROTECTED}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    determined = Determined()
    monkeypatch.setattr(time, "time_ns", determined.time_ns)
    monkeypatch.setattr(os, "urandom", determined.urandom)
    write(tmp_path / "ledger")
    monkeypatch.undo()
    yield tmp_path / "ledger"


def test_the_same_entries_are_the_same_bytes(written: Path) -> None:
    golden, now = protected(LEDGER), protected(written)
    assert sorted(now) == sorted(golden)
    assert [name for name in sorted(golden) if now[name] != golden[name]] == []


def test_every_type_is_in_it() -> None:
    folder = LogFolder(LEDGER)
    found = [entry.decode(entry_at(folder, index, 300)) for index in range(300)]
    assert [one["seq"] for one in found] == list(range(300))
    assert {one["type"] for one in found} | {one.TYPE for one in LATER} == events.TYPES.keys()
    assert {one["origin"] for one in found} == {ORIGIN}
    times = [one["t"] for one in found]
    assert times == sorted(times) and len(set(times)) < len(times)  # once the clock was set back
    assert len({one["salt"] for one in found}) == 300
    paths = [path for one in found if (path := entry.path_of(one)) is not None]
    assert b"1998/\xb5\xb5\xb0\xb8.doc" in paths
    assert "1998/档案\n\t\x7f\u2028 😀.pdf".encode() in paths


def test_types_that_came_later_have_their_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each: a new type adds a line, and changes none."""
    monkeypatch.setattr(os, "urandom", Determined().urandom)
    now = entry.encode_all(LATER, ORIGIN, 300, "2026-09-21T14:13:32.123462Z")
    assert b"".join(line + b"\n" for line in now) == (GOLDEN / "later.jsonl").read_bytes()


def test_its_checkpoints_and_keys_hold() -> None:
    folder = LogFolder(LEDGER)
    keys = epochs.read(LEDGER)
    assert (keys.root, [one.first for one in keys.epochs]) == (ROOT.verifier, [0, 259])
    assert folder.kept_sizes() == [1, 20, 256, 257, 259, 300]
    for size in folder.kept_sizes():
        kept = folder.read_note(folder.kept_file(size))
        key = SECOND.verifier if size >= 259 else SIGNER.verifier
        assert note.verify(kept, [key]) == [key]
        root = tree.root_hash(lambda height, at, size=size: folder.node(size, height, at), size)
        assert checkpoint.parse(kept.text) == checkpoint.Checkpoint(ORIGIN, size, root)
    assert folder.checkpoint_file.read_bytes() == folder.kept_file(300).read_bytes()


@pytest.mark.parametrize(("index", "size"), PROOFS)
def test_its_proofs_hold_and_are_made_again(index: int, size: int) -> None:
    folder, kept = LogFolder(LEDGER), (GOLDEN / f"{index}-{size}.tlog-proof").read_bytes()
    assert proof_of(folder, index, size) == kept
    found = proof.parse(kept)
    signed = checkpoint.parse(note.parse(found.checkpoint).text)
    leaf = tree.leaf_hash(entry_at(folder, index, size))
    assert tree.root_from_inclusion(leaf, found.index, signed.size, found.hashes) == signed.root


def test_it_can_be_continued(tmp_path: Path) -> None:
    shutil.copytree(LEDGER, tmp_path / "ledger")
    with closing(Log(tmp_path / "ledger", SECOND)) as found:
        assert found.size == 300
        found.append([events.RunEnded("records", "bunker", "full", "c9", "failed")])
        assert found.seal() is not None
        assert found.size == 302
    before, after = protected(LEDGER), protected(tmp_path / "ledger")
    assert {name for name in before if after.get(name) != before[name]} == {"checkpoint"}


def test_a_key_does_not_sign_before_its_own_first_size(tmp_path: Path) -> None:
    """Both write-ahead files lost the entry that names it: the signature would be that of a key without the right."""
    folder = tmp_path / "ledger"
    log.create(folder, SIGNER, ROOT, events.Begin("archive", "vaultd 0.1.0"))
    files.create_exclusive(folder / "keys" / "1", epochs.certify(Epoch(1, 4, SECOND.verifier), ROOT, SIGNER))
    with closing(Log(folder, SECOND)) as found:
        found.append([])
        with pytest.raises(LedgerError, match="is damaged"):
            found.seal()
    assert LogFolder(folder).kept_sizes() == [1]
    with closing(Log(folder, SECOND)) as found:
        found.append([events.RunEnded("records", "bunker", "full", "c9", "failed")] * 2)
        assert found.seal() is not None


def test_one_entry_as_text() -> None:
    """For a person who wants to see what an entry looks like."""
    assert entry_at(LogFolder(LEDGER), 7, 300).decode() == (
        '{"change_set":"c1","mtime_ns":"1","origin":"archive.example/ledger","path_b64":"MTk5OC+1tbC4LmRvYw==",'
        '"salt":"9a354764d172d0d17f16eba68df1d679","seq":7,'
        '"sha256":"0bf474896363505e5ea5e5d6ace8ebfb13a760a409b1fb467d428fc716f9f284","size":9007199254740991,'
        '"state":"in-motion","t":"2026-09-21T14:13:32.123462Z","type":"version","v":1,"vault":"records"}'
    )


def main() -> None:
    """Make the golden ledger and its proofs. Refuses to overwrite them."""
    determined = Determined()
    GOLDEN.mkdir()
    time.time_ns, os.urandom = determined.time_ns, determined.urandom
    write(LEDGER)
    for name in ("SPEC", "wal"):
        shutil.rmtree(LEDGER / name)
    (LEDGER / "lock").unlink()
    for index, size in PROOFS:
        (GOLDEN / f"{index}-{size}.tlog-proof").write_bytes(proof_of(LogFolder(LEDGER), index, size))


if __name__ == "__main__":
    main()

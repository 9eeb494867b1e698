"""How old the newest anchor of each kind is, from the kept files alone; and what is kept is checked."""

from __future__ import annotations

import os
import time

import pytest

from tests.anchoring import Ledger
from tests.stamping import Authority, stamping
from tests.test_anchor_witness import Cosigner, text_of
from tests.witnessing import Reply, told
from vaultd.anchor import due, kept, mirror, timestamp, verify, witness
from vaultd.config import Config
from vaultd.config.ledger import LedgerConfig, TimestampConfig, WitnessConfig

DAY = 86400.0


@pytest.fixture
def ledger(config):
    return Ledger(config.ledger_folder)


@pytest.fixture
def whole(config, tmp_path):
    """The configuration with a witness and an authority."""
    witnesses = [WitnessConfig(name="w1", url="http://127.0.0.1:1", key=Cosigner().key.encoded())]
    stamps = [TimestampConfig(name="tsa", url="http://127.0.0.1:1", ca=tmp_path / "ca.pem")]
    return config.model_copy(update={"ledger": LedgerConfig(witness=witnesses, timestamp=stamps)})


def aged(ledger, size, seconds):
    """As if a checkpoint had been signed then."""
    moment = time.time() - seconds
    os.utime(ledger.folder.kept_file(size), (moment, moment))


def test_nothing_is_anchored_yet(whole: Config, ledger):
    found = due.standings(whole, ledger.folder)
    assert [(one.kind, one.name, one.size, one.at, one.behind) for one in found] == [
        ("mirror", "offsite", None, None, 1), ("witness", "w1", None, None, 1), ("timestamp", "tsa", None, None, 1),
    ]  # fmt: skip
    assert due.newest(found) is None and not any(one.overdue(7 * DAY) for one in found)
    aged(ledger, 1, 8 * DAY)
    assert all(one.overdue(7 * DAY) for one in due.standings(whole, ledger.folder))


def test_each_kind_tells_its_own_time(whole: Config, ledger, tmp_path):
    cosigner, authority = Cosigner(), Authority(tmp_path / "tsa")
    long_ago = int(time.time()) - 300
    mirror.publish(whole, whole.target[0], ledger.folder, ledger.note())
    with told(lambda _method, _path, body: Reply(200, cosigner.line(text_of(body), long_ago))) as server:
        config = WitnessConfig(name="w1", url=server.url, key=cosigner.key.encoded())
        witness.submit(config, ledger.folder, ledger.note())
    ledger.grow(9)
    with stamping(authority.answer) as server:
        stamped = timestamp.stamp(
            TimestampConfig(name="tsa", url=server.url, ca=authority.root), ledger.folder, ledger.note()
        )
    found = {one.kind: one for one in due.standings(whole, ledger.folder)}
    assert (found["mirror"].size, found["mirror"].behind) == (1, ledger.size - 1)
    assert (found["witness"].size, found["witness"].at) == (1, long_ago)
    assert found["witness"].age() >= 300 and found["mirror"].age(0.0) == 0.0
    assert (found["timestamp"].size, found["timestamp"].behind) == (ledger.size, 0)
    assert found["timestamp"].at == stamped.time.timestamp() and found["timestamp"].uncovered_since is None
    assert due.newest(list(found.values())) == found["timestamp"]
    assert not found["mirror"].is_anchor and found["witness"].is_anchor


def test_an_alert_is_due_for_what_was_signed_and_is_not_covered(whole: Config, ledger):
    mirror.publish(whole, whole.target[0], ledger.folder, ledger.note())
    record = kept.file_of(ledger.folder, kept.MIRROR, "offsite", 1)
    os.utime(record, (time.time() - 30 * DAY,) * 2)

    def overdue():
        return due.standings(whole, ledger.folder)[0].overdue(7 * DAY)

    assert not overdue()  # old, and it covers everything
    ledger.grow()
    assert not overdue()  # something new, a moment ago
    aged(ledger, ledger.size, 8 * DAY)
    assert overdue()
    os.utime(record)  # published late, but lately
    assert not overdue()


def test_a_proved_target_has_an_anchor_beside_its_mirror(whole: Config, ledger):
    kept.keep(ledger.folder, kept.ANCHORED, "offsite", 1, ledger.note())
    kinds = [one.kind for one in due.standings(whole, ledger.folder, {"offsite"})]
    assert kinds == ["mirror", "anchor", "witness", "timestamp"]
    assert due.newest(due.standings(whole, ledger.folder, {"offsite"})).kind == "anchor"
    assert due.newest(due.standings(whole, ledger.folder)) is None


def test_the_log_itself_is_not_read(whole: Config, ledger, monkeypatch):
    ledger.grow(300)
    mirror.publish(whole, whole.target[0], ledger.folder, ledger.note())
    folder = ledger.folder
    monkeypatch.setattr(folder, "content", lambda tile: pytest.fail(f"{tile.path} was read"))
    monkeypatch.setattr(folder, "read_note", lambda path: pytest.fail(f"{path} was read"))
    assert due.standings(whole, folder)[0].behind == 0


def test_a_damaged_file_counts_as_none(whole: Config, ledger):
    for kind, name in ((kept.WITNESS, "w1"), (kept.TIMESTAMP, "tsa")):
        kept.keep(ledger.folder, kind, name, 1, b"nonsense")
    assert [one.size for one in due.standings(whole, ledger.folder)] == [None, None, None]


def test_what_is_kept_is_never_overwritten(ledger):
    assert kept.keep(ledger.folder, kept.WITNESS, "w1", 1, b"first")
    assert not kept.keep(ledger.folder, kept.WITNESS, "w1", 1, b"second")
    assert kept.file_of(ledger.folder, kept.WITNESS, "w1", 1).read_bytes() == b"first"
    for folder in (ledger.path / "anchors", ledger.path / "anchors" / "witness"):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_kept_mirrors_are_compared_with_the_log(ledger, tmp_path):
    fork = ledger.copied(tmp_path / "fork")
    fork.grow(word="another")
    ledger.grow()
    kept.keep(ledger.folder, kept.MIRROR, "offsite", ledger.size, fork.note())
    kept.keep(ledger.folder, kept.ANCHORED, "offsite", 1, ledger.note(1))
    kept.keep(ledger.folder, kept.ANCHORED, "offsite", 7, b"nonsense")
    found = {(one.kind, one.size): one for one in verify.verify(LedgerConfig(), ledger.folder)}
    assert found["mirror", ledger.size].error is not None
    assert found["mirror", ledger.size].error.checkpoint is not None
    (ledger.path / "anchors" / "witness").mkdir()
    (ledger.path / "anchors" / "witness" / "stray").touch()
    (stray,) = [one for one in verify.verify(LedgerConfig(), ledger.folder) if one.kind == kept.WITNESS]
    assert stray.size is None and "does not belong there" in stray.problem
    assert found["anchored", 1].problem == ""
    assert found["anchored", 7].error is not None and found["anchored", 7].error.checkpoint is None

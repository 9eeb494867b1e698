"""Time stamps from ``openssl ts`` over HTTP, checked by it too; and authorities that lie."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

import pytest

from tests.anchoring import Ledger
from tests.stamping import Authority, stamping
from tests.witnessing import Reply, told
from vaultd.anchor import kept, timestamp, verify
from vaultd.anchor.faults import InconsistentError, NoAnswerError, TimestampError
from vaultd.config.ledger import LedgerConfig, TimestampConfig
from vaultd.demo.sshd import free_port
from vaultd.errors import ConfigError


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa") / "other")


def configured(server, authority):
    return TimestampConfig(name="tsa", url=server.url, ca=authority.root)


def test_a_checkpoint_is_stamped_and_openssl_accepts_what_is_kept(ledger, authority):
    with stamping(authority.answer) as server:
        config = configured(server, authority)
        done = timestamp.stamp(config, ledger.folder, ledger.note())
        assert (done.authority, done.size, done.new) == ("tsa", 1, True)
        assert abs((done.time - datetime.now(UTC)).total_seconds()) < timestamp.MOST_SKEW
        ledger.grow(20)
        assert timestamp.stamp(config, ledger.folder, ledger.note()).size == ledger.size
        assert not timestamp.stamp(config, ledger.folder, ledger.note()).new
    for size in (1, ledger.size):
        file = kept.file_of(ledger.folder, kept.TIMESTAMP, "tsa", size)
        assert file.suffix == ".tsr" and file.stat().st_mode & 0o777 == 0o600
        signed = str(ledger.folder.kept_file(size))
        told_by = authority.openssl("ts", "-verify", "-in", str(file), "-data", signed, "-CAfile", str(authority.root))
        assert b"Verification: OK" in told_by
    found = list(verify.verify(LedgerConfig(timestamp=[config]), ledger.folder))
    assert [(one.size, one.problem) for one in found] == [(1, ""), (ledger.size, "")]
    assert all(one.at is not None for one in found)


def test_the_request_is_one_that_openssl_understands(ledger, authority):
    with stamping(authority.answer) as server:
        timestamp.stamp(configured(server, authority), ledger.folder, ledger.note())
    (_method, _path, request) = server.asked[0]
    (authority.folder / "seen").write_bytes(request)
    shown = authority.openssl("ts", "-query", "-in", "seen", "-text").decode()
    digest = hashlib.sha256(ledger.note()).hexdigest()
    lines = "".join(line.partition(" - ")[2][:49] for line in shown.splitlines() if " - " in line)
    assert digest in lines.replace(" ", "").replace("-", "")
    assert "Hash Algorithm: sha256" in shown and "Certificate required: yes" in shown and "Nonce: 0x" in shown


def refused(ledger, authority, answer):
    with stamping(answer) as server, pytest.raises(TimestampError) as caught:
        timestamp.stamp(configured(server, authority), ledger.folder, ledger.note())
    assert kept.sizes(ledger.folder, kept.TIMESTAMP, "tsa") == []
    return str(caught.value)


def test_a_stamp_over_something_else_is_refused(ledger, authority):
    answer = authority.answer(authority.request(b"something else", "-no_nonce"))
    assert "Nonce" in refused(ledger, authority, lambda _request: answer)


def test_an_old_answer_to_the_same_request_is_refused(ledger, authority):
    answer = authority.answer(authority.request(ledger.note()))
    assert "Nonce" in refused(ledger, authority, lambda _request: answer)
    answer = authority.answer(authority.request(ledger.note(), "-no_nonce"))
    assert "Nonce" in refused(ledger, authority, lambda _request: answer)


def test_the_right_nonce_over_another_hash_is_refused(ledger, authority):
    def answer(request):
        at = request.index(bytes.fromhex("0420"))  # the hash: an OCTET STRING of 32 bytes
        return authority.answer(request[: at + 2] + bytes(32) + request[at + 34 :])

    assert "Mismatch" in refused(ledger, authority, answer)


def test_an_authority_that_leads_elsewhere_is_refused(ledger, authority, other):
    assert refused(ledger, authority, other.answer)


def test_the_signers_own_certificate_is_no_root(ledger, tmp_path):
    mine = Authority(tmp_path / "mine")
    with stamping(mine.answer) as server, pytest.raises(TimestampError):
        config = TimestampConfig(name="tsa", url=server.url, ca=mine.folder / "tsa.pem")
        timestamp.stamp(config, ledger.folder, ledger.note())


def test_a_refusal_says_why(ledger, authority):
    def answer(request):
        return authority.answer(
            request.replace(bytes.fromhex("608648016503040201"), bytes.fromhex("608648016503040202"))
        )

    assert refused(ledger, authority, answer)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"nonsense", b"\x30\x03\x02\x01\x00", b"\x30\x05\x30\x03\x02\x01\x00", b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x80", b"\x30", b"\x30\x00", b"\x30\x09\x30\x03\x02\x01\x00\x30\x02\x05\x00",
    ],
)  # fmt: skip
def test_what_is_no_answer(ledger, authority, content):
    assert refused(ledger, authority, lambda _request: content)


def test_a_cut_or_changed_answer(ledger, authority):
    for change in (
        lambda whole: whole[:-1], lambda whole: whole[: len(whole) // 2], lambda whole: whole[:-10] + bytes(10),
        lambda whole: whole + b"more",
    ):  # fmt: skip
        assert refused(ledger, authority, lambda request, change=change: change(authority.answer(request)))


def test_a_clock_that_is_wrong_is_told(ledger, authority, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    assert "its time is another" in refused(ledger, authority, authority.answer)


@pytest.mark.parametrize(("status", "error"), [(404, TimestampError), (302, TimestampError), (503, NoAnswerError)])
def test_other_answers(ledger, authority, status, error):
    with told(lambda *_request: Reply(status, b"")) as server, pytest.raises(error):
        timestamp.stamp(configured(server, authority), ledger.folder, ledger.note())
    assert len(server.asked) == 1


def test_one_that_is_down_hangs_or_never_ends(ledger, authority):
    config = TimestampConfig(name="tsa", url=f"http://127.0.0.1:{free_port()}/tsa", ca=authority.root)
    with pytest.raises(NoAnswerError):
        timestamp.stamp(config, ledger.folder, ledger.note())
    for reply in (Reply(200, b"x" * 1000, drip=1000.0), Reply(200, b"x" * 1_000_000)):
        with told(lambda *_request, reply=reply: reply) as server, pytest.raises(NoAnswerError):
            timestamp.stamp(configured(server, authority), ledger.folder, ledger.note(), 0.5)


def test_certificates_that_are_missing_or_none(ledger, tmp_path):
    config = TimestampConfig(name="tsa", url="http://127.0.0.1:1", ca=tmp_path / "ca.pem")
    for content in (None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        if content is not None:
            config.ca.write_bytes(content)
        with pytest.raises(ConfigError):
            timestamp.stamp(config, ledger.folder, ledger.note())


def test_kept_stamps_are_checked_again(ledger, authority, other):
    with stamping(authority.answer) as server:
        config = configured(server, authority)
        timestamp.stamp(config, ledger.folder, ledger.note())
    file = kept.file_of(ledger.folder, kept.TIMESTAMP, "tsa", 1)
    good = file.read_bytes()

    def problem(configuration=config):
        (found,) = verify.verify(LedgerConfig(timestamp=[configuration]), ledger.folder)
        return found.problem

    assert not problem()
    assert problem(config.model_copy(update={"ca": other.root}))
    assert "cannot be used" in problem(config.model_copy(update={"ca": ledger.path / "keys" / "root"}))
    (no_longer,) = verify.verify(LedgerConfig(), ledger.folder)
    assert "no longer in the configuration" in no_longer.problem
    for bad in (b"", good[:-1], authority.answer(authority.request(b"something else"))):
        file.write_bytes(bad)
        assert problem()
    file.write_bytes(good)
    ledger.grow()
    file.rename(file.with_name(f"{ledger.size}.tsr"))  # a stamp of another checkpoint
    assert problem()
    file.with_name(f"{ledger.size}.tsr").rename(file.with_name("99.tsr"))  # of none that we have
    assert problem()


def test_a_note_that_is_not_of_this_log_is_not_stamped(ledger, authority, tmp_path):
    other_log = Ledger(tmp_path / "other", "theatre.example/records")
    with stamping(authority.answer) as server, pytest.raises(InconsistentError):
        timestamp.stamp(configured(server, authority), ledger.folder, other_log.note())
    assert server.asked == []

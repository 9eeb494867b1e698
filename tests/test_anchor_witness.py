"""The witness client against a real witness of another author, and against ones that lie, hang or refuse."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import struct
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.anchoring import Ledger
from tests.witnessing import RealWitness, Reply, told
from vaultd.anchor import cosignature, kept, verify, witness
from vaultd.anchor.faults import InconsistentError, NoAnswerError, ShorterError, WitnessError
from vaultd.config.ledger import LedgerConfig, WitnessConfig
from vaultd.demo.sshd import free_port
from vaultd.errors import ConfigError, LedgerStoppedError
from vaultd.ledger import checkpoint, note
from vaultd.ledger.log import Log
from vaultd.ledger.note import Signature, SignerKey, VerifierKey


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def real(tmp_path, ledger):
    server = RealWitness(tmp_path / "witness")
    server.trust(ledger.origin, ledger.signer.verifier.encoded())
    with server:
        yield server


def configured(server, key=None, name="w1"):
    return WitnessConfig(name=name, url=server.url, key=key or server.key)


class Cosigner:
    """A key that cosigns, for witnesses that are told what to say."""

    def __init__(self, name="witness.example/told"):
        self.private = Ed25519PrivateKey.generate()
        self.key = VerifierKey(name, self.private.public_key().public_bytes_raw(), note.COSIGNATURE)

    def line(self, text, at=None):
        at = int(time.time()) if at is None else at
        value = struct.pack(">Q", at) + self.private.sign(cosignature.message(text, at))
        return Signature(self.key.name, self.key.key_id, value).line().encode()


@pytest.fixture
def cosigner():
    return Cosigner()


def text_of(body):
    return body.partition(b"\n\n")[2].rpartition(b"\n\n")[0].decode() + "\n"


# -- a real one


def test_a_real_witness_cosigns_checkpoint_after_checkpoint_by_proofs_of_ours(real, ledger):
    config = configured(real)
    done = witness.submit(config, ledger.folder, ledger.note())
    assert (done.witness, done.size, done.new) == ("w1", 1, True)
    assert abs(done.time - time.time()) < witness.MOST_SKEW
    file = kept.file_of(ledger.folder, kept.WITNESS, "w1", 1)
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    assert content.startswith(ledger.note()) and len(note.parse(content).signatures) == 2
    for entries in (1, 5, 248, 1, 300, 700):
        ledger.grow(entries)
        assert witness.submit(config, ledger.folder, ledger.note()).new
    again = witness.submit(config, ledger.folder, ledger.note())
    assert not again.new and again.size == ledger.size
    found = list(verify.verify(LedgerConfig(witness=[config]), ledger.folder))
    assert len(found) == 7 and not any(one.problem for one in found) and all(one.at for one in found)


def test_a_witness_that_has_seen_more_than_we_remember_is_told_what_it_needs(real, ledger):
    config = configured(real)
    ledger.grow(20)
    witness.submit(config, ledger.folder, ledger.note())
    kept.file_of(ledger.folder, kept.WITNESS, "w1", ledger.size).unlink()  # the first answer is 409 then
    ledger.grow(20)
    assert witness.submit(config, ledger.folder, ledger.note()).new


def test_an_older_checkpoint_than_the_witness_has_is_refused_and_no_alarm(real, ledger):
    config, old = configured(real), ledger.note()
    ledger.grow()
    witness.submit(config, ledger.folder, ledger.note())
    with pytest.raises(WitnessError, match="newer checkpoint already"):
        witness.submit(config, ledger.folder, old)


def test_a_log_that_was_brought_back_from_before_is_found_too_short_with_proof(real, ledger, tmp_path):
    config, old = configured(real), ledger.copied(tmp_path / "restored")
    ledger.grow(3)
    witness.submit(config, ledger.folder, ledger.note())
    with pytest.raises(ShorterError) as caught:
        witness.submit(config, old.folder, old.note())
    assert caught.value.size == ledger.size
    assert caught.value.checkpoint == checkpoint.parse(note.parse(ledger.note()).text)
    with pytest.raises(LedgerStoppedError):
        Log(old.path, old.signer, known=caught.value.checkpoint)


@pytest.mark.parametrize("more", [0, 4])
def test_a_rewritten_log_gets_no_cosignature_and_learns_what_the_witness_has(real, ledger, tmp_path, more):
    config, fork = configured(real), ledger.copied(tmp_path / "fork")
    ledger.grow(3)
    fork.grow(3 + more, word="another")
    witness.submit(config, ledger.folder, ledger.note())
    with pytest.raises(InconsistentError) as caught:
        witness.submit(config, fork.folder, fork.note())
    assert not isinstance(caught.value, ShorterError)
    assert caught.value.checkpoint is not None and caught.value.checkpoint.size == ledger.size
    assert kept.sizes(fork.folder, kept.WITNESS, "w1") == []
    assert ledger.origin in real.evidence()


def test_a_witness_that_does_not_know_the_log_or_its_key(real, tmp_path):
    unknown = Ledger(tmp_path / "unknown", "nobody.example/records")
    with pytest.raises(WitnessError, match="does not know this log"):
        witness.submit(configured(real), unknown.folder, unknown.note())
    other = Ledger(tmp_path / "other")  # the same name, another key
    with pytest.raises(WitnessError, match="does not know the key"):
        witness.submit(configured(real), other.folder, other.note())


def test_a_witness_with_another_key_than_the_configured_one(real, ledger, cosigner):
    with pytest.raises(WitnessError, match="has not signed it"):
        witness.submit(configured(real, cosigner.key.encoded()), ledger.folder, ledger.note())
    same_name = VerifierKey(real.key.partition("+")[0], cosigner.key.public, note.COSIGNATURE)
    with pytest.raises(WitnessError, match="has not signed it"):
        witness.submit(configured(real, same_name.encoded()), ledger.folder, ledger.note())
    assert kept.sizes(ledger.folder, kept.WITNESS, "w1") == []


def test_a_witness_that_is_down_and_comes_back(real, ledger):
    config = configured(real)
    witness.submit(config, ledger.folder, ledger.note())
    ledger.grow()
    real.stop()
    with pytest.raises(NoAnswerError) as caught:
        witness.submit(config, ledger.folder, ledger.note())
    assert caught.value.exit_code == 5
    real.start()
    assert witness.submit(config, ledger.folder, ledger.note()).new


# -- told ones


def submit(ledger, server, cosigner, timeout=20.0):
    return witness.submit(configured(server, cosigner.key.encoded()), ledger.folder, ledger.note(), timeout)


def test_the_request_is_what_the_protocol_says(ledger, cosigner):
    def reply(_method, _path, body):
        return Reply(200, cosigner.line(text_of(body)))

    ledger.grow(9)
    with told(reply) as server:
        submit(ledger, server, cosigner)
        first = ledger.size
        ledger.grow(5)
        submit(ledger, server, cosigner)
    (method, path, one), (_method, _path, two) = server.asked
    assert (method, path) == ("POST", "/add-checkpoint")
    assert one == b"old 0\n\n" + ledger.note(first)
    head, _blank, rest = two.partition(b"\n\n")
    lines = head.split(b"\n")
    assert lines[0] == b"old %d" % first and rest == ledger.note()
    assert all(len(base64.b64decode(line, validate=True)) == 32 for line in lines[1:]) and len(lines) > 1


def test_the_example_of_the_specification_is_verified():
    # tlog-cosignature has no key for its example; so one of ours, byte for byte by its text.
    cosigner = Cosigner("witness.example.com/w1")
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    message = b"cosignature/v1\ntime 1679315147\n" + text.encode()
    assert cosignature.message(text, 1679315147) == message
    digest = hashlib.sha256(b"witness.example.com/w1\n\x04" + cosigner.key.public).digest()
    value = struct.pack(">Q", 1679315147) + cosigner.private.sign(message)
    signed = note.Note(text, (Signature("witness.example.com/w1", digest[:4], value),))
    assert cosignature.of(signed, cosigner.key).time == 1679315147


@pytest.mark.parametrize("key", ["", "w+00000000+AAAA", "log"])
def test_a_key_that_is_no_witness_key_is_a_fault_of_the_configuration(ledger, key):
    key = ledger.signer.verifier.encoded() if key == "log" else key or "nonsense"
    config = WitnessConfig(name="w1", url="http://127.0.0.1:1", key=key)
    with pytest.raises(ConfigError):
        witness.submit(config, ledger.folder, ledger.note())


def wrong_signature(cosigner, text):
    line = cosigner.line(text + "another")
    return line


def cut_short(cosigner, text):
    name, mark, value = cosigner.line(text).decode().rpartition(" ")
    raw = base64.b64decode(value)
    return f"{name}{mark}{base64.b64encode(raw[:-1]).decode()}\n".encode()


@pytest.mark.parametrize(
    "lie",
    [
        wrong_signature,
        cut_short,
        lambda cosigner, text: b"",
        lambda cosigner, text: b"nonsense",
        lambda cosigner, text: b"\xff\xfe",
        lambda cosigner, text: cosigner.line(text).rstrip(b"\n"),
        lambda cosigner, text: cosigner.line(text).replace(b"\n", b"\r\n"),
        lambda cosigner, text: b"\n" + cosigner.line(text),
        lambda cosigner, text: b"injected\n\n" + cosigner.line(text),
        lambda cosigner, text: Cosigner().line(text),
        lambda cosigner, text: cosigner.line(text, 0),
        lambda cosigner, text: cosigner.line(text, 1),
        lambda cosigner, text: cosigner.line(text, int(time.time()) - 3600),
        lambda cosigner, text: cosigner.line(text, int(time.time()) + 3600),
        lambda cosigner, text: cosigner.line(text, 2**63),
        lambda cosigner, text: cosigner.line(text) + wrong_signature(cosigner, text),
    ],
)
def test_an_answer_that_does_not_hold_is_not_kept(ledger, cosigner, lie):
    with (
        told(lambda _method, _path, body: Reply(200, lie(cosigner, text_of(body)))) as server,
        pytest.raises(WitnessError),
    ):
        submit(ledger, server, cosigner)
    assert kept.sizes(ledger.folder, kept.WITNESS, "w1") == []


def test_signatures_of_others_in_an_answer_are_not_kept(ledger, cosigner):
    def reply(_method, _path, body):
        text = text_of(body)
        return Reply(200, Cosigner("witness.example/other").line(text) + cosigner.line(text))

    with told(reply) as server:
        submit(ledger, server, cosigner)
    names = [one.name for one in note.parse(kept.file_of(ledger.folder, kept.WITNESS, "w1", 1).read_bytes()).signatures]
    assert names == [ledger.origin, cosigner.key.name]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Reply(400), WitnessError), (Reply(403), WitnessError), (Reply(404), WitnessError), (Reply(302), WitnessError),
        (Reply(204), WitnessError), (Reply(413), WitnessError), (Reply(429), NoAnswerError),
        (Reply(500), NoAnswerError), (Reply(503), NoAnswerError), (Reply(422), InconsistentError),
        (Reply(409, b"1\n"), WitnessError),
        (Reply(409, b"", "text/x.tlog.size"), WitnessError), (Reply(409, b"-1\n", "text/x.tlog.size"), WitnessError),
        (Reply(409, b"01\n", "text/x.tlog.size"), WitnessError),
        (Reply(409, b"9" * 100_000, "text/x.tlog.size"), WitnessError),
        (Reply(409, b"0\n", "text/x.tlog.size"), WitnessError),  # as we said: it contradicts itself
        (Reply(409, b"7\n", "text/x.tlog.size"), ShorterError), (Reply(200, b"x" * 1_000_000), NoAnswerError),
    ],
)  # fmt: skip
def test_other_answers(ledger, cosigner, answer, error):
    with told(lambda *_request: answer) as server, pytest.raises(error) as caught:
        submit(ledger, server, cosigner)
    assert type(caught.value) is error
    assert len(server.asked) <= 3  # also where it is asked what it shows; a redirect is not followed
    if isinstance(caught.value, InconsistentError):
        assert caught.value.checkpoint is None  # a claim without proof stops nothing
    assert kept.sizes(ledger.folder, kept.WITNESS, "w1") == []


def test_one_that_changes_its_mind_is_not_asked_for_ever(ledger, cosigner):
    ledger.grow(50)
    sizes = iter(range(1, 50))
    with (
        told(lambda *_request: Reply(409, b"%d\n" % next(sizes), "text/x.tlog.size")) as server,
        pytest.raises(WitnessError, match="another size"),
    ):
        submit(ledger, server, cosigner)
    assert len(server.asked) == 3


@pytest.mark.parametrize("drip", [0.05, 1000.0])
def test_one_that_drips_or_hangs_is_left_in_time(ledger, cosigner, drip):
    with (
        told(lambda *_request: Reply(200, b"x" * 100_000, drip=drip)) as server,
        pytest.raises(NoAnswerError, match="did not answer in time"),
    ):
        submit(ledger, server, cosigner, timeout=0.5)


@pytest.mark.parametrize(
    "url", ["http://", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://[", "https://127.0.0.1:1"]
)
def test_an_address_that_leads_nowhere(ledger, cosigner, url):
    config = WitnessConfig(name="w1", url=url, key=cosigner.key.encoded())
    with pytest.raises(NoAnswerError):
        witness.submit(config, ledger.folder, ledger.note(), 2.0)


def test_a_server_that_speaks_no_http(ledger, cosigner, offsite):
    config = WitnessConfig(name="w1", url=f"http://127.0.0.1:{offsite.port}", key=cosigner.key.encoded())
    with pytest.raises(NoAnswerError):
        witness.submit(config, ledger.folder, ledger.note(), 5.0)
    config = WitnessConfig(name="w1", url=f"https://127.0.0.1:{free_port()}", key=cosigner.key.encoded())
    with pytest.raises(NoAnswerError):
        witness.submit(config, ledger.folder, ledger.note(), 5.0)


# -- what is kept


def test_kept_cosignatures_are_checked_by_the_configured_key_and_against_the_log(ledger, cosigner, tmp_path):
    with told(lambda _method, _path, body: Reply(200, cosigner.line(text_of(body)))) as server:
        config = configured(server, cosigner.key.encoded())
        witness.submit(config, ledger.folder, ledger.note())
    file = kept.file_of(ledger.folder, kept.WITNESS, "w1", 1)
    good = file.read_bytes()

    def problems(configuration=config):
        return [one.problem for one in verify.verify(LedgerConfig(witness=[configuration]), ledger.folder)]

    assert problems() == [""]
    (no_longer,) = verify.verify(LedgerConfig(), ledger.folder)
    assert "no longer in the configuration" in no_longer.problem
    assert "has not signed it" in problems(config.model_copy(update={"key": Cosigner().key.encoded()}))[0]
    for bad in (good[:-1], good.replace(b"\n1\n", b"\n2\n"), ledger.note(), b"", good + good, b"\xff"):
        file.write_bytes(bad)
        assert problems()[0]
    signature = note.parse(good).signatures[1]
    changed = dataclasses.replace(signature, value=bytes(8) + signature.value[8:])
    file.write_bytes(note.Note(note.parse(good).text, (note.parse(good).signatures[0], changed)).encoded())
    assert "is wrong" in problems()[0]
    file.write_bytes(good)
    file.rename(file.with_name("7"))
    assert problems()[0]
    file.with_name("7").rename(file.with_name("seven"))
    assert "does not belong there" in problems()[0]

    fork = ledger.copied(tmp_path / "fork")
    fork.grow(word="another")
    ledger.grow()
    text = note.parse(fork.note()).text
    file.with_name("seven").unlink()
    file.with_name(str(fork.size)).write_bytes(fork.note() + cosigner.line(text))
    (found,) = verify.verify(LedgerConfig(witness=[config]), ledger.folder)
    assert found.error is not None and found.error.checkpoint is not None  # both histories, both signed


def test_a_key_of_the_log_is_not_taken_for_a_witness(ledger):
    signer = SignerKey("w", Ed25519PrivateKey.generate())
    with pytest.raises(ValueError, match="not the key of a witness"):
        cosignature.parse_key(signer.verifier.encoded())

"""SPEC/verify.sh: what it proves and what it refuses, on logs of the real writer, without anything of this machine's
environment."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledgermaking import ORIGIN, ROOT, SIGNER, entry_at, make, proof_of, signer
from tests.test_ledger_golden import GOLDEN, LEDGER, PROOFS
from vaultd.ledger import epochs, proof, spec, tree
from vaultd.ledger.checkpoint import LARGEST, Checkpoint
from vaultd.ledger.epochs import Epoch
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.note import Note, SignerKey
from vaultd.ledger.proof import Proof

SIZES = (1, 2, 3, 255, 256, 257, 700)
KEY = SIGNER.verifier.encoded()
PATH = "/usr/bin:/bin"
LOCALES = ("C", "C.UTF-8")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> LogFolder:
    return make(tmp_path_factory.mktemp("shell") / "ledger", SIZES)


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def verify(log: LogFolder, tmp_path: Path) -> Run:
    def run(leaf: bytes, encoded: bytes, *keys: str, locale: str = "C") -> subprocess.CompletedProcess[str]:
        (tmp_path / "leaf").write_bytes(leaf)
        (tmp_path / "one.tlog-proof").write_bytes(encoded)
        return script(log, tmp_path, str(tmp_path / "leaf"), str(tmp_path / "one.tlog-proof"), *(keys or (KEY,)),
                      locale=locale)  # fmt: skip

    return run


def script(log: LogFolder, where: Path, *words: str, locale: str = "C") -> subprocess.CompletedProcess[str]:
    command = ["env", "-i", f"PATH={PATH}", f"LC_ALL={locale}", "bash", str(log.path / "SPEC" / "verify.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=where, stdin=subprocess.DEVNULL)


def refused(done: subprocess.CompletedProcess[str], why: str) -> None:
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("verify.sh: not proved: ") and done.stderr.count("\n") == 1
    assert why in done.stderr


@pytest.mark.parametrize("size", SIZES)
def test_every_place_of_every_size_is_proved(log: LogFolder, verify: Run, size: int) -> None:
    places = {0, 1, size // 3, size // 2, 254, 255, 256, 511, size - 1} & set(range(size))
    for number, index in enumerate(sorted(places)):
        leaf, locale = entry_at(log, index, size), LOCALES[number % 2]
        done = verify(leaf, proof_of(log, index, size), locale=locale)
        said = f"proved: entry {index} is in the log {ORIGIN} of {size} entries\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


@pytest.mark.parametrize("locale", LOCALES)
def test_the_key_may_be_in_a_file(log: LogFolder, verify: Run, tmp_path: Path, locale: str) -> None:
    leaf, good = entry_at(log, 5, 257), proof_of(log, 5, 257)
    (tmp_path / "vkey").write_text(f"{KEY}\n")
    assert verify(leaf, good, str(tmp_path / "vkey"), locale=locale).returncode == 0
    (tmp_path / "vkey").write_text(f"{KEY}\n{KEY}\n")
    refused(verify(leaf, good, str(tmp_path / "vkey"), locale=locale), "more than one line")
    (tmp_path / "vkey").write_text(KEY)
    refused(verify(leaf, good, str(tmp_path / "vkey"), locale=locale), "line feed")


@pytest.mark.parametrize("locale", LOCALES)
def test_a_certificate_and_the_root_key_stand_for_the_key(log: LogFolder, verify: Run, locale: str) -> None:
    leaf, good = entry_at(log, 5, 257), proof_of(log, 5, 257)
    certificate = str(log.path / "keys" / "0")
    for root in (ROOT.verifier.encoded(), str(log.path / "keys" / "root")):
        done = verify(leaf, good, certificate, root, locale=locale)
        assert done.returncode == 0, done
        assert done.stdout.endswith(f" {ORIGIN} of 257 entries, by its key number 0 that the root key certifies\n")
    refused(verify(leaf, good, certificate, locale=locale), "give the root key")
    other = signer(9, ROOT.name).verifier.encoded()
    refused(verify(leaf, good, certificate, other, locale=locale), "is not signed by")
    refused(verify(leaf, good, KEY, ROOT.verifier.encoded(), locale=locale), "goes a certificate")


@pytest.mark.parametrize(("index", "size"), PROOFS)
def test_the_golden_proofs_hold_with_the_certificate_of_their_key(verify: Run, index: int, size: int) -> None:
    leaf, kept = entry_at(LogFolder(LEDGER), index, size), (GOLDEN / f"{index}-{size}.tlog-proof").read_bytes()
    epoch, root = int(size >= 259), str(LEDGER / "keys" / "root")
    done = verify(leaf, kept, str(LEDGER / "keys" / str(epoch)), root)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"by its key number {epoch} that the root key certifies\n")
    refused(verify(leaf, kept, str(LEDGER / "keys" / str(1 - epoch)), root), "")


def test_certificates_that_do_not_hold_are_refused(log: LogFolder, verify: Run, tmp_path: Path) -> None:
    leaf, good, root = entry_at(log, 5, 257), proof_of(log, 5, 257), ROOT.verifier.encoded()

    def with_certificate(content: bytes) -> subprocess.CompletedProcess[str]:
        (tmp_path / "certificate").write_bytes(content)
        return verify(leaf, good, str(tmp_path / "certificate"), root)

    real = epochs.certify(Epoch(0, 0, SIGNER.verifier), ROOT)
    assert with_certificate(real).returncode == 0
    assert with_certificate(epochs.certify(Epoch(1, 257, SIGNER.verifier), ROOT, signer(9))).returncode == 0
    refused(with_certificate(epochs.certify(Epoch(1, 258, SIGNER.verifier), ROOT)), "from 258 on")
    refused(with_certificate(epochs.certify(Epoch(0, 0, signer(1, "other").verifier), ROOT)), "of another log")
    refused(with_certificate(epochs.certify(Epoch(0, 0, SIGNER.verifier), signer(9, ROOT.name))), "not signed by")
    refused(with_certificate(real.replace(b"\n0\n0\n", b"\n0\n1\n")), "is wrong")
    refused(with_certificate(real.replace(b"\n0\n0\n", b"\n0\n00\n")), "is wrong")
    refused(with_certificate(real.replace(b"\n\n", b"\n")), "other lines")


def changed_hash(good: bytes, number: int) -> bytes:
    found = proof.parse(good)
    hashes = list(found.hashes)
    hashes[number] = hashes[number][:-1] + bytes([hashes[number][-1] ^ 1])
    return Proof(found.index, tuple(hashes), found.checkpoint).encoded()


def test_another_leaf_and_another_place_are_refused(log: LogFolder, verify: Run) -> None:
    leaf, good = entry_at(log, 300, 700), proof_of(log, 300, 700)
    for other in (leaf + b"\n", leaf[:-1], b"", entry_at(log, 301, 700), leaf.replace(b"bound", b"bount")):
        refused(verify(other, good), "do not lead to the root")
    for index in (0, 299, 301, 44):
        refused(verify(leaf, good.replace(b"\nindex 300\n", b"\nindex %d\n" % index)), "do")
    refused(verify(leaf, good.replace(b"\nindex 300\n", b"\nindex 700\n")), "has no entry 700")


def test_each_hash_counts(log: LogFolder, verify: Run) -> None:
    leaf, good = entry_at(log, 300, 700), proof_of(log, 300, 700)
    hashes = proof.parse(good).hashes
    assert len(hashes) == 10
    for number in range(len(hashes)):
        refused(verify(leaf, changed_hash(good, number)), "do not lead to the root")
    lines = good.split(b"\n")
    refused(verify(leaf, b"\n".join([*lines[:4], *lines[5:]])), "fewer hashes")
    refused(verify(leaf, b"\n".join([*lines[:4], *lines[3:]])), "more hashes")
    refused(verify(leaf, b"\n".join([*lines[:3], lines[2], lines[2], *lines[5:]])), "do not lead")


def test_a_checkpoint_of_another_size_or_another_key_is_refused(log: LogFolder, verify: Run) -> None:
    leaf, good = entry_at(log, 5, 257), proof.parse(proof_of(log, 5, 257))
    for size in (256, 700):
        refused(verify(leaf, Proof(5, good.hashes, log.kept_file(size).read_bytes()).encoded()), "hashes")
    encoded = good.encoded()
    refused(verify(leaf, encoded.replace(b"\n257\n", b"\n256\n")), "is wrong")
    root = Checkpoint(ORIGIN, 257, bytes(32))
    forged = Note(root.text(), (SIGNER.sign(root.text()),)).encoded()
    refused(verify(leaf, Proof(5, good.hashes, forged).encoded()), "do not lead")
    refused(verify(leaf, encoded, signer(9).verifier.encoded()), "is not signed by")
    refused(verify(leaf, encoded, signer(1, "another.example").verifier.encoded()), "is of the log")
    resigned = Note(root.text(), (signer(9).sign(root.text()),)).encoded()
    refused(verify(leaf, Proof(5, good.hashes, resigned).encoded()), "is not signed by")


def test_every_bit_of_the_signature_counts(log: LogFolder, verify: Run) -> None:
    leaf, good = entry_at(log, 1, 3), proof_of(log, 1, 3)
    head, _space, value = good.removesuffix(b"\n").rpartition(b" ")
    raw = bytearray(base64.b64decode(value))
    assert len(raw) == 68
    for at in (0, 3, 4, 35, 36, 67):
        flipped = bytes([*raw[:at], raw[at] ^ 0x10, *raw[at + 1 :]])
        refused(verify(leaf, head + b" " + base64.b64encode(flipped) + b"\n"), "wrong" if at > 3 else "not signed by")
    for length in (4, 67, 69):
        other = base64.b64encode((bytes(raw) + b"\0")[:length])
        refused(verify(leaf, head + b" " + other + b"\n"), "empty signature" if length == 4 else "is wrong")


def test_strangers_signatures_do_not_count_and_do_not_harm(log: LogFolder, verify: Run) -> None:
    leaf, good = entry_at(log, 1, 3), proof_of(log, 1, 3)
    stranger: SignerKey = signer(9, "见证人.example")
    line = stranger.sign("text\n").line().encode()
    own = good.rindex(b"\xe2\x80\x94")
    for locale in LOCALES:
        assert verify(leaf, good + line, locale=locale).returncode == 0
        assert verify(leaf, good[:own] + line + good[own:], locale=locale).returncode == 0
        refused(verify(leaf, good[:own] + line, locale=locale), "is not signed by")
    wrong = signer().sign("another text\n").line().encode()
    refused(verify(leaf, good + wrong), "is wrong")
    refused(verify(leaf, good + line.replace("见".encode(), b"\xff")), "not plain text in UTF-8")


def test_the_names_of_signatures_have_no_space_of_unicode(log: LogFolder, verify: Run) -> None:
    leaf, good = entry_at(log, 1, 3), proof_of(log, 1, 3)
    spaces = [one for one in map(chr, range(0x80, 0x110000)) if one.isspace()]
    assert len(spaces) == 19
    for one in (*spaces, "\N{ZERO WIDTH SPACE}", "\N{SOFT HYPHEN}", "\U0010ffff"):
        done = verify(leaf, good + SIGNER.sign("text\n").line().replace(ORIGIN, f"a{one}b").encode())
        if one in spaces:
            refused(done, "has a space")
        else:
            assert done.returncode == 0, one


SPELLINGS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("header", lambda good: good.replace(b"@v1", b"@v2"), "does not begin"),
    ("header gone", lambda good: good.partition(b"\n")[2], "does not begin"),
    ("empty", lambda _good: b"", "is empty"),
    ("header alone", lambda good: good[:23], "index"),
    ("index gone", lambda good: good.replace(b"index 1\n", b""), "index"),
    ("index twice", lambda good: good.replace(b"index 1\n", b"index 1\nindex 1\n"), "base64"),
    ("index with zero", lambda good: good.replace(b"index 1\n", b"index 01\n"), "not a number"),
    ("index octal", lambda good: good.replace(b"index 1\n", b"index 0x1\n"), "not a number"),
    ("index command", lambda good: good.replace(b"index 1\n", b"index a[$(id)]\n"), "not a number"),
    ("index negative", lambda good: good.replace(b"index 1\n", b"index -1\n"), "not a number"),
    ("index beyond", lambda good: good.replace(b"index 1\n", b"index 9223372036854775808\n"), "larger than any log"),
    ("index wraps", lambda good: good.replace(b"index 1\n", b"index 18446744073709551617\n"), "larger than any log"),
    ("size spelled", lambda good: good.replace(b"\n3\n", b"\n03\n"), "not a number"),
    ("size beyond", lambda good: good.replace(b"\n3\n", b"\n9223372036854775808\n"), "larger than any log"),
    ("no line feed", lambda good: good[:-1], "line feed"),
    ("line feed more", lambda good: good + b"\n", "not a signature"),
    ("line more", lambda good: good + b"more\n", "not a signature"),
    ("carriage returns", lambda good: good.replace(b"\n", b"\r\n"), "control characters"),
    ("zero byte", lambda good: good.replace(b"index", b"in\0dex"), "control characters"),
    ("separator gone", lambda good: good.replace(b"\n\narchive", b"\narchive"), "base64"),
    ("separator twice", lambda good: good.replace(b"\n\narchive", b"\n\n\narchive"), "three lines"),
    ("extension line", lambda good: good.replace(b"\n\n\xe2", b"\nmore\n\n\xe2"), "three lines"),
    ("no signatures", lambda good: good[: good.rindex(b"\xe2\x80\x94")], "three lines"),
    ("hyphen", lambda good: good.replace(b"\xe2\x80\x94", b"-"), "not a signature"),
    ("two spaces", lambda good: good.replace(b"\xe2\x80\x94 ", b"\xe2\x80\x94  "), "not a signature"),
    ("extra empty", lambda good: good.replace(b"index 1\n", b"extra \nindex 1\n"), "base64"),
    ("extra spelled", lambda good: good.replace(b"index 1\n", b"extra d2h5=\nindex 1\n"), "base64"),
    ("extra after", lambda good: good.replace(b"index 1\n", b"index 1\nextra d2h5\n"), "base64"),
    ("too long", lambda good: good + b"x" * (1 << 20), "too long"),
    ("short hash", lambda good: good.replace(b"index 1\n", b"index 1\nAAAA\n"), "32 bytes"),
    ("long hash", lambda good: good.replace(b"index 1\n", b"index 1\n" + b"AAAA" * 11 + b"\n"), "32 bytes"),
]


@pytest.mark.parametrize(("change", "why"), [row[1:] for row in SPELLINGS], ids=[row[0] for row in SPELLINGS])
def test_no_other_spelling_passes(log: LogFolder, verify: Run, change: Callable[[bytes], bytes], why: str) -> None:
    leaf, good = entry_at(log, 1, 3), proof_of(log, 1, 3)
    assert change(good) != good
    refused(verify(leaf, change(good), locale=LOCALES[len(why) % 2]), why)


def test_no_other_padding_passes(log: LogFolder, verify: Run) -> None:
    """The last letter of base64 has bits that say nothing: only zeros are right."""
    leaf, good = entry_at(log, 1, 3), proof_of(log, 1, 3)
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    found = 0
    for at in range(1, len(good) - 1):
        if good[at : at + 1] == b"=" and good[at - 1 : at] != b"=":
            other = letters[letters.index(good[at - 1]) + 1]
            refused(verify(leaf, good[: at - 1] + bytes([other]) + good[at:]), "is not base64")
            refused(verify(leaf, good[:at] + good[at + 1 :]), "is not base64")
            found += 1
    assert found == 4  # two hashes, the root, the signature


@pytest.mark.parametrize(
    "wrong",
    ["", "a+b", KEY[:-4], KEY.replace("+", " "), f"{KEY}=", f" {KEY}", KEY.replace(ORIGIN, "archive.example/ledges"),
     SIGNER.verifier.encoded().upper(), "/does/not/exist"],
)  # fmt: skip
def test_what_is_no_key_is_refused(log: LogFolder, verify: Run, wrong: str) -> None:
    refused(verify(entry_at(log, 1, 3), proof_of(log, 1, 3), wrong), "key")


def test_an_extra_line_is_nothing_that_counts(log: LogFolder, verify: Run) -> None:
    found = proof.parse(proof_of(log, 1, 3))
    assert verify(entry_at(log, 1, 3), Proof(1, found.hashes, found.checkpoint, b"\0why\xff").encoded()).returncode == 0


@pytest.mark.parametrize("size", [2**32, 2**62 + 12345, LARGEST])
def test_sizes_up_to_the_largest(verify: Run, size: int) -> None:
    """Nobody has such a log: the hashes beside the way are made up, and the root follows from them."""
    for index in (0, size // 3, size - 1):
        hashes = tuple(hashlib.sha256(b"%d" % number).digest() for number in range(steps(index, size)))
        root = tree.root_from_inclusion(tree.leaf_hash(b"leaf"), index, size, hashes)
        text = Checkpoint(ORIGIN, size, root).text()
        signed = Note(text, (SIGNER.sign(text),)).encoded()
        done = verify(b"leaf", Proof(index, hashes, signed).encoded())
        assert (done.returncode, done.stderr) == (0, ""), (index, size)
        assert f"entry {index} is in the log {ORIGIN} of {size} entries" in done.stdout


def steps(index: int, size: int) -> int:
    """How many hashes a proof has: RFC 6962, section 2.1.1, word for word."""
    if size == 1:
        return 0
    split = 1 << (size - 1).bit_length() - 1
    return 1 + (steps(index, split) if index < split else steps(index - split, size - split))


def test_wrong_usage_and_missing_programs(log: LogFolder, tmp_path: Path) -> None:
    done = script(log, tmp_path, "leaf", "proof")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: verify.sh LEAF PROOF KEY")
    refused(script(log, tmp_path, "no leaf", "no proof", KEY), "there is no file no leaf")
    here = tmp_path / "bin"
    here.mkdir()
    for name in ("bash", "sha256sum", "base64", "xxd"):
        (here / name).symlink_to(Path("/usr/bin") / name)
    command = ["/usr/bin/env", "-i", f"PATH={here}", "bash", str(log.path / "SPEC" / "verify.sh"), "a", "b", "c"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "verify.sh: the program openssl is missing\n")


def test_every_ledger_has_the_texts_and_an_older_one_gets_them(log: LogFolder) -> None:
    names = {
        "README.md", "signed-note.md", "tlog-checkpoint.md", "tlog-cosignature.md", "tlog-proof.md", "tlog-tiles.md",
        "tlog-witness.md", "verify.sh",
    }  # fmt: skip
    where = log.path / spec.FOLDER
    assert {path.name for path in where.iterdir()} == names
    assert {path.stat().st_mode & 0o777 for path in where.iterdir()} == {0o600}
    assert where.stat().st_mode & 0o777 == 0o700
    inode = (where / "verify.sh").stat().st_ino
    (where / "README.md").write_text("older")
    (where / "tlog-tiles.md").unlink()
    spec.install(log.path)
    assert {path.name: path.read_bytes() for path in where.iterdir()} == spec.texts()
    assert (where / "verify.sh").stat().st_ino == inode

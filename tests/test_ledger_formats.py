"""The ledger's formats against their definitions, the examples of their texts, and known answers of other programs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from vaultd.ledger import checkpoint, note, proof, tree
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.note import Note, Signature, SignerKey, VerifierKey
from vaultd.ledger.proof import Proof
from vaultd.ledger.tiles import ENTRIES, Tile, levels, tile_at, tiles_of

# The Merkle tree

LEAVES = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [  # of the first 1 to 8 of them: the test vectors of Certificate Transparency's reference implementation
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def nodes(leaves: Sequence[bytes]) -> tree.NodeHash:
    def node(height: int, index: int) -> bytes:
        return tree.complete_hash(b"".join(leaves[index << height : index + 1 << height]))

    return node


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


def some(count: int) -> list[bytes]:
    return [tree.leaf_hash(b"entry %d" % number) for number in range(count)]


def test_roots_are_those_of_the_reference_implementation() -> None:
    hashes = [tree.leaf_hash(leaf) for leaf in LEAVES]
    assert [tree.root_hash(nodes(hashes), size).hex() for size in range(1, 9)] == ROOTS
    assert tree.root_hash(nodes([]), 0).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.integers(0, 300), st.data())
def test_proofs_lead_to_the_root_and_no_other_does(size: int, data: st.DataObject) -> None:
    hashes = some(size)
    node, root = nodes(hashes), by_definition(hashes)
    assert tree.root_hash(node, size) == root
    old = data.draw(st.integers(0, size))
    steps = tree.consistency_proof(node, old, size)
    tree.check_consistency(old, by_definition(hashes[:old]), size, root, steps)
    for wrong in _wrong(steps, data):
        with pytest.raises(ValueError):
            tree.check_consistency(old, by_definition(hashes[:old]), size, root, wrong)
    if old > 0:
        with pytest.raises(ValueError, match="differ"):
            tree.check_consistency(old, tree.leaf_hash(b"another"), size, root, steps)
    if size:
        index = data.draw(st.integers(0, size - 1))
        steps = tree.inclusion_proof(node, index, size)
        assert tree.root_from_inclusion(hashes[index], index, size, steps) == root
        assert tree.root_from_inclusion(tree.leaf_hash(b"another"), index, size, steps) != root
        for wrong in _wrong(steps, data):
            try:
                assert tree.root_from_inclusion(hashes[index], index, size, wrong) != root
            except ValueError:
                continue


def _wrong(steps: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    found = [[*steps, bytes(32)]]
    if steps:
        at = data.draw(st.integers(0, len(steps) - 1))
        found += [steps[:-1], [*steps[:at], bytes(32), *steps[at + 1 :]]]
    return found


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        tree.inclusion_proof(nodes(some(size)), index, size)
    with pytest.raises(ValueError, match="no leaf"):
        tree.root_from_inclusion(bytes(32), index, size, [])


def test_an_empty_tree_has_one_root() -> None:
    tree.check_consistency(0, tree.EMPTY, 0, tree.EMPTY, [])
    for one, other in ((tree.EMPTY, bytes(32)), (bytes(32), bytes(32))):
        with pytest.raises(ValueError, match="differ"):
            tree.check_consistency(0, one, 0, other, [])


def test_a_smaller_tree_holds_no_larger_one() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        tree.consistency_proof(nodes(some(3)), 4, 3)
    with pytest.raises(ValueError, match="cannot hold"):
        tree.check_consistency(4, bytes(32), 3, bytes(32), [])


# Tiles


def test_a_tree_of_70000_has_the_tiles_that_the_specification_says() -> None:
    found = list(tiles_of(70_000))
    of = {level: [tile for tile in found if tile.level == level] for level in (ENTRIES, 0, 1, 2)}
    assert len(found) == sum(map(len, of.values()))
    for level in (ENTRIES, 0):
        assert [tile.width for tile in of[level]] == [256] * 273 + [112]
    assert [tile.width for tile in of[1]] == [256, 17]
    assert [tile.width for tile in of[2]] == [1]
    assert list(tiles_of(256)) == [Tile(ENTRIES, 0), Tile(0, 0), Tile(1, 0, 1)]
    assert (list(tiles_of(0)), levels(0)) == ([], 0)


def test_paths_of_tiles() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(2, 0, 1).path == "tile/2/000.p/1"
    assert Tile(ENTRIES, 1000, 255).path == "tile/entries/x001/000.p/255"
    assert Tile(1, 5, 7).full == Tile(1, 5)
    with pytest.raises(ValueError, match="no tile"):
        tile_at(0, 1, 256)


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_what_a_larger_tree_adds_is_what_the_smaller_does_not_have(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert set(tiles_of(large)) - set(tiles_of(small)) == set(tiles_of(large, small))


# Signed notes, checkpoints, proofs

EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = """This is an example message.

\N{EM DASH} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()

SIGNER = SignerKey("example.com/ledger", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def signed(text: str) -> bytes:
    return Note(text, (SIGNER.sign(text),)).encoded()


def test_the_example_of_the_specification_verifies() -> None:
    key = note.parse_key(EXAMPLE_KEY)
    found = note.parse(EXAMPLE)
    assert note.verify(found, [key]) == [key]
    assert (found.encoded(), key.encoded()) == (EXAMPLE, EXAMPLE_KEY)


def test_a_note_is_as_it_was_written_years_ago() -> None:
    """A golden vector, made by openssl: Ed25519 signs without chance."""
    assert (
        signed("example.com/ledger\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
        == (
            "example.com/ledger\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"
            "\N{EM DASH} example.com/ledger "
            "k3J95nsx4xtc00UezaxVolDaafT+vRA0WwvjGE8j2+oY8gBaLcSn87w+1tyiREbyJ8eNlQZINcLqPnkB3qW8RXGkSg8=\n"
        ).encode()
    )
    assert SIGNER.verifier.encoded() == "example.com/ledger+93727de6+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"


def test_signatures_of_strangers_are_ignored_and_wrong_ones_are_not() -> None:
    stranger = SignerKey("example.com/other", Ed25519PrivateKey.generate())
    text = "text\n"
    both = note.parse(Note(text, (stranger.sign(text), SIGNER.sign(text))).encoded())
    assert note.verify(both, [SIGNER.verifier]) == [SIGNER.verifier]
    with pytest.raises(ValueError, match="no known key"):
        note.verify(note.parse(Note(text, (stranger.sign(text),)).encoded()), [SIGNER.verifier])
    forged = Signature(SIGNER.name, SIGNER.verifier.key_id, stranger.sign(text).value)
    with pytest.raises(ValueError, match="is wrong"):
        note.verify(Note(text, (SIGNER.sign(text), forged)), [SIGNER.verifier])


def test_a_key_that_has_signed_twice_is_one_key_and_a_witness_does_not_sign_notes() -> None:
    text = "text\n"
    twice = note.parse(Note(text, (SIGNER.sign(text), SIGNER.sign(text))).encoded())
    assert note.verify(twice, [SIGNER.verifier, SIGNER.verifier]) == [SIGNER.verifier]
    witness = VerifierKey("example.com/witness", SIGNER.verifier.public, note.COSIGNATURE)
    with pytest.raises(ValueError, match="does not sign notes"):
        note.verify(twice, [witness])


def test_a_note_may_have_sixteen_large_signatures_of_strangers_with_odd_names() -> None:
    text = "text\n"
    strangers = [Signature(f"a\N{ZERO WIDTH SPACE}b\u00ad{number}", bytes(4), bytes(4635)) for number in range(16)]
    found = note.parse(Note(text, (*strangers, SIGNER.sign(text))).encoded())
    assert note.verify(found, [SIGNER.verifier]) == [SIGNER.verifier]


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_note_with_another_byte_anywhere_is_refused(at: int, byte: int) -> None:
    good = signed("example.com/ledger\n7\n" + base64.b64encode(bytes(32)).decode() + "\n")
    at %= len(good)
    changed = good[:at] + bytes([byte]) + good[at + 1 :]
    if changed == good:
        return
    with pytest.raises(ValueError):
        note.verify(note.parse(changed), [SIGNER.verifier])


@pytest.mark.parametrize(
    "wrong",
    [
        b"", b"\n", b"text\n", b"text\n\n", EXAMPLE[:-1], EXAMPLE + b"\n", EXAMPLE.replace(b"\n", b"\r\n"),
        EXAMPLE.replace(b"aQM=", b"aQN="),  # other padding bits, the same bytes
        EXAMPLE.replace(b"aQM=", b"aQM"), EXAMPLE.replace(b" Uw2", b"  Uw2"), EXAMPLE.replace(b"This", b"Th\x00s"),
        EXAMPLE.replace(b"This", b"Th\xffs"), EXAMPLE.replace(b"example.com/foo Uw", b"exam+ple Uw"),
        b"x" * 1_100_000 + b"\n" + EXAMPLE,
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError):
        note.parse(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "", "a+b", EXAMPLE_KEY.replace("530d903a", "530d903b"), EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("+Aeky", "+Auky"), EXAMPLE_KEY[:-4], EXAMPLE_KEY.replace("example", "exa mple"),
        EXAMPLE_KEY.replace("U2k", "U2l"),
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        note.parse_key(wrong)


def test_checkpoints_come_back() -> None:
    made = Checkpoint("example.com/behind-the-sofa", 20852163, hashlib.sha256(b"root").digest())
    assert checkpoint.parse(made.text()) == made
    assert checkpoint.parse(Checkpoint("a", 0, tree.EMPTY).text()).size == 0
    spaced = Checkpoint("go.sum database tree", 1, bytes(32))  # names like this are in use
    assert checkpoint.parse(spaced.text()) == spaced


@pytest.mark.parametrize(
    "text",
    [
        "", f"a\n0\n{base64.b64encode(bytes(32)).decode()}\n",
        "a\n1\n", "a\n1\nAA==\n", f"a\n01\n{base64.b64encode(bytes(32)).decode()}\n",
        f"a\n-1\n{base64.b64encode(bytes(32)).decode()}\n", f"a\n{2**63}\n{base64.b64encode(bytes(32)).decode()}\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode()}\nextension\n", f"\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"a\n\N{ARABIC-INDIC DIGIT ONE}\n{base64.b64encode(bytes(32)).decode()}\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode().replace('A=', 'B=')}\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        checkpoint.parse(text)


@pytest.mark.parametrize("extra", [None, b"why"])
def test_proofs_come_back(extra: bytes | None) -> None:
    hashes = some(300)
    made = Proof(7, tuple(tree.inclusion_proof(nodes(hashes), 7, 300)), signed("text\n"), extra)
    assert proof.parse(made.encoded()) == made
    alone = Proof(0, (), signed("text\n"), extra)
    assert proof.parse(alone.encoded()) == alone


def test_the_example_of_a_proof_is_read() -> None:
    text = (
        "c2sp.org/tlog-proof@v1\nindex 73894\ngSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"
        "B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\nexample.com/fancylog\n109482\n"
    )
    found = proof.parse(text.encode())
    assert (found.index, len(found.hashes)) == (73894, 2)
    assert found.checkpoint.startswith(b"example.com/fancylog\n109482\n")


@pytest.mark.parametrize(
    "change",
    [(b"@v1", b"@v2"), (b"index 7", b"index 07"), (b"index 7", b"index -7"), (b"index 7", b""), (b"\n\n", b"\n"),
     (b"index 7\n", b"index 7\nAA==\n"), (b"extra d2h5", b"extra d2h5="), (b"extra d2h5", b"extra "),
     (b"index 7", b"index 9999999999999999999"), (b"index", b"index\xff")],
)  # fmt: skip
def test_what_is_no_proof_is_refused(change: tuple[bytes, bytes]) -> None:
    good = Proof(7, (bytes(32),), b"note", b"why").encoded()
    with pytest.raises(ValueError):
        proof.parse(good.replace(*change))

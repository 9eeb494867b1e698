"""The ledger as programs see it that nobody here wrote (tests/ledgerchecking.py): right, and tampered with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.tlog import ConsistencyProof, InclusionProof

from tests.ledgerchecking import Refused, build, by_go, by_scales, proofs_for
from tests.ledgermaking import ORIGIN, ROOT, SIGNER, create, entry_at, grow, hashes_for, make, opened, proof_of, signer
from tests.test_ledger_golden import GOLDEN, LEDGER
from vaultd.ledger import checkpoint, proof, tree
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.note import Note, SignerKey
from vaultd.ledger.tiles import levels, width_at

SMALL = (1, 255, 256, 257)
SIZES = (*SMALL, 65_536, 70_000)
KEY = SIGNER.verifier.encoded()
PAPER = ROOT.verifier.encoded()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("go"))


class Grown:
    """One log, and what both readers said of it at each of its sizes."""

    def __init__(self, path: Path, program: Path) -> None:
        self.folder = LogFolder(path)
        self.go = dict[int, dict[str, Any]]()
        self.scales = dict[int, dict[str, Any]]()
        create(path)
        with opened(path) as log:
            for size in SIZES:
                if size > 1:
                    grow(log, size)
                # The proof of one entry rests on all hashes of its tile: one in 256 reaches every tile.
                stride = 1 if size in SMALL else 256
                self.go[size] = by_go(program, path, PAPER, stride)
                self.scales[size] = by_scales(path, KEY, stride)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Grown:
    return Grown(tmp_path_factory.mktemp("grown") / "ledger", program)


def proved(size: int) -> int:
    """How many entries were proved at a size."""
    return size if size in SMALL else len({*range(0, size, 256), size - 1})


@pytest.mark.parametrize("size", SIZES)
def test_the_go_projects_reader_finds_everything_right(grown: Grown, size: int) -> None:
    found, checkpoints = grown.go[size], list(SIZES[: SIZES.index(size) + 1])
    assert (found["origin"], found["size"], found["entries"], found["epochs"]) == (ORIGIN, size, size, 1)
    assert found["checkpoints"] == checkpoints
    assert found["tree_proofs"] == 2 * (len(checkpoints) - 1)
    assert found["record_proofs"] == (size + 1 if size in SMALL else -(-size // 256) + 1)
    widths = [width_at(level, size) for level in range(levels(size))]
    assert found["tiles"] >= sum(-(-width // 256) for width in widths)
    assert found["bundles"] >= -(-size // 256)


@pytest.mark.parametrize("size", SIZES)
def test_tlog_scales_finds_everything_right(grown: Grown, size: int) -> None:
    checkpoints = list(SIZES[: SIZES.index(size) + 1])
    assert grown.scales[size] == {"size": size, "checkpoints": checkpoints, "record_proofs": proved(size)}


def test_proofs_of_vaultd_hold_for_both(grown: Grown, program: Path, tmp_path: Path) -> None:
    """The files .tlog-proof that vaultd writes, of every kept checkpoint."""
    made, scales = [], 0
    for size in SIZES:
        for index in sorted({0, 1, 254, 255, 256, size // 2, 65_535, 65_536, size - 1} & set(range(size))):
            leaf, encoded = entry_at(grown.folder, index, size), proof_of(grown.folder, index, size)
            made.append((f"{index}-{size}", leaf, encoded))
            root = checkpoint.parse(grown.folder.read_note(grown.folder.kept_file(size)).text).root
            InclusionProof(index, size, list(proof.parse(encoded).hashes)).check(tree.leaf_hash(leaf), root)
            scales += 1
    folder = proofs_for(tmp_path / "proofs", made)
    assert by_go(program, grown.folder.path, PAPER, 1 << 20, folder)["proof_files"] == len(made) == scales
    name, leaf, _encoded = made[-1]
    (folder / f"{name}.leaf").write_bytes(leaf + b" ")
    with pytest.raises(Refused, match=name):
        by_go(program, grown.folder.path, PAPER, 1 << 20, folder)


def test_proofs_of_consistency_are_those_of_tlog_scales(grown: Grown) -> None:
    reader = TilesReader(LocalBackend(grown.folder.path))
    reader.set_size(SIZES[-1])
    roots = {size: reader.mth(0, size) for size in SIZES}
    assert tree.leaf_hash(reader.get_entry(0)) == roots[1]
    for old, new in [*pairwise(SIZES), *((1, size) for size in SIZES), *((size, SIZES[-1]) for size in SIZES)]:
        ours = tree.consistency_proof(lambda height, at, size=new: grown.folder.node(size, height, at), old, new)
        ConsistencyProof(old, new, ours).check(roots[old], roots[new])
        theirs = reader.get_consistency_proof(old, new).node_hashes
        assert theirs == ours
        tree.check_consistency(old, roots[old], new, roots[new], theirs)
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        assert tuple(reader.get_inclusion_proof(index, SIZES[-1]).node_hashes) == hashes_for(
            grown.folder, index, SIZES[-1]
        )


def test_the_golden_ledger_with_its_two_keys_is_right(program: Path) -> None:
    found = by_go(program, LEDGER, PAPER)
    assert (found["size"], found["epochs"], found["checkpoints"]) == (300, 2, [1, 20, 256, 257, 259, 300])
    proofs = {path.stem: path.read_bytes() for path in GOLDEN.glob("*.tlog-proof")}
    assert len(proofs) == 6
    for name, encoded in proofs.items():
        index, size = map(int, name.split("-"))
        root = checkpoint.parse(LogFolder(LEDGER).read_note(LEDGER / "checkpoints" / str(size)).text).root
        leaf = tree.leaf_hash(entry_at(LogFolder(LEDGER), index, size))
        InclusionProof(index, size, list(proof.parse(encoded).hashes)).check(leaf, root)


# Tampered with

LAST = 700
PARTIAL = "002.p/188"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("good") / "ledger", (1, 256, 600, LAST)).path


def flip(name: str, at: int = -1) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[at] ^= 1
        (folder / name).write_bytes(content)

    return change


def cut(name: str, left: int = -1) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:left]) and None


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def swapped(folder: Path) -> None:
    """Two neighbours of one bundle change places."""
    path = folder / "tile/entries/000"
    content = path.read_bytes()
    first = 2 + int.from_bytes(content[:2], "big")
    second = first + 2 + int.from_bytes(content[first : first + 2], "big")
    path.write_bytes(content[first:second] + content[:first] + content[second:])


def signed(size: int, key: SignerKey, root: bytes | None = None) -> Callable[[Path], None]:
    """A checkpoint that the log never signed."""

    def change(folder: Path) -> None:
        real = checkpoint.parse(LogFolder(folder).read_note(folder / "checkpoints" / str(size)).text)
        text = Checkpoint(ORIGIN, size, real.root if root is None else root).text()
        for name in (f"checkpoints/{size}", *(["checkpoint"] if size == LAST else [])):
            (folder / name).write_bytes(Note(text, (key.sign(text),)).encoded())

    return change


def shorter(folder: Path) -> None:
    """The newest checkpoint says that there are fewer entries, with the root of all of them."""
    text = LogFolder(folder).read_note(folder / "checkpoint").text.replace(f"\n{LAST}\n", "\n699\n")
    for name in ("checkpoints/699", "checkpoint"):
        (folder / name).write_bytes(Note(text, (SIGNER.sign(text),)).encoded())
    (folder / "checkpoints" / str(LAST)).unlink()


def both_checkpoints(folder: Path) -> None:
    """A bit of the signature, in both places."""
    for name in ("checkpoint", f"checkpoints/{LAST}"):
        flip(name, -10)(folder)


BOTH: dict[str, Callable[[Path], None]] = {
    "bit of an entry": flip("tile/entries/001", 1000),
    "bit of the last entry": flip(f"tile/entries/{PARTIAL}"),
    "bit of an entry's length": flip("tile/entries/000", 1),
    "entries change places": swapped,
    "bundle cut": cut("tile/entries/000"),
    "bundle gone": gone("tile/entries/000"),
    "last bundle gone": gone(f"tile/entries/{PARTIAL}"),
    "bit of a hash": flip("tile/0/000", 5000),
    "bit of the last hash": flip(f"tile/0/{PARTIAL}"),
    "bit of a hash above": flip("tile/1/000.p/2", 40),
    "tile cut": cut("tile/0/001", 4096),
    "tile gone": gone("tile/0/001"),
    "tile above gone": gone("tile/1/000.p/2"),
    "bit of the signature": both_checkpoints,
    "bit of the root": lambda folder: [flip(name, 30)(folder) for name in ("checkpoint", "checkpoints/700")] and None,
    "another checkpoint shown": lambda folder: shutil.copy(folder / "checkpoints/600", folder / "checkpoint") and None,
    "signed by another key": signed(LAST, signer(9)),
    "older one signed by another key": signed(256, signer(9)),
    "another root, the real key": signed(LAST, SIGNER, bytes(32)),
    "another root of an older one, the real key": signed(256, SIGNER, bytes(32)),
    "another root of the first, the real key": signed(1, SIGNER, bytes(32)),
    "another size, the real key": shorter,
}
GO_ONLY: dict[str, Callable[[Path], None]] = {  # tlog-scales does not look there
    "bit of an older partial tile": flip("tile/0/002.p/88"),
    "bit of an older partial bundle": flip("tile/entries/002.p/88"),
    "bit of a certificate": flip("keys/0", -10),
    "another root key": lambda folder: (
        (folder / "keys/root").write_text(f"{signer(9, ROOT.name).verifier.encoded()}\n") and None
    ),
    "file that is no tile": lambda folder: (folder / "tile/0/003.bak").write_bytes(b"") and None,
    "tile beyond the end": lambda folder: shutil.copy(folder / "tile/0/001", folder / "tile/0/003") and None,
}


def tampered(good: Path, where: Path, change: Callable[[Path], None]) -> Path:
    folder = where / "ledger"
    shutil.copytree(good, folder)
    change(folder)
    return folder


def test_nothing_is_refused_that_was_not_tampered_with(good: Path, program: Path) -> None:
    assert by_go(program, good, PAPER)["checkpoints"] == [1, 256, 600, LAST]
    assert by_scales(good, KEY)["record_proofs"] == LAST


@pytest.mark.parametrize("change", BOTH.values(), ids=BOTH.keys())
def test_both_refuse(good: Path, tmp_path: Path, program: Path, change: Callable[[Path], None]) -> None:
    folder = tampered(good, tmp_path, change)
    with pytest.raises(Refused):
        by_go(program, folder, PAPER)
    with pytest.raises(Refused):
        by_scales(folder, KEY)


@pytest.mark.parametrize("change", GO_ONLY.values(), ids=GO_ONLY.keys())
def test_the_go_projects_reader_refuses(
    good: Path, tmp_path: Path, program: Path, change: Callable[[Path], None]
) -> None:
    with pytest.raises(Refused):
        by_go(program, tampered(good, tmp_path, change), PAPER)


LARGE: dict[str, Callable[[Path], None]] = {
    "entry": flip("tile/entries/200", 4711),
    "hash": flip("tile/0/255"),
    "hash above": flip("tile/1/000"),
    "hash at the top": flip("tile/2/000.p/1"),
    "last": flip("tile/0/273.p/112"),
}


@pytest.mark.parametrize("change", LARGE.values(), ids=LARGE.keys())
def test_one_bit_in_seventy_thousand_entries(grown: Grown, program: Path, change: Callable[[Path], None]) -> None:
    """In place: a flipped bit flips back."""
    change(grown.folder.path)
    try:
        with pytest.raises(Refused):
            by_go(program, grown.folder.path, PAPER, 256)
        with pytest.raises(Refused):
            by_scales(grown.folder.path, KEY, 256)
    finally:
        change(grown.folder.path)

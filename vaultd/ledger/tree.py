"""The Merkle tree of RFC 6962, section 2.1: hashes, proofs of inclusion and of consistency, and their verification.

A complete subtree is named by its height and its index: (h, k) spans the leaves k * 2**h to (k + 1) * 2**h. Whoever
makes proofs says where the hashes of complete subtrees come from (``NodeHash``): tiles, or a list in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

NodeHash = Callable[[int, int], bytes]
"""The hash of a complete subtree, by height and index."""

HASH_SIZE = 32
EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, one beside the other."""
    return hashlib.sha256(b"\1" + left + right).digest()


def complete_hash(hashes: bytes) -> bytes:
    """The hash of a complete subtree: ``hashes`` is a row of 2**n of them."""
    while len(hashes) > HASH_SIZE:
        hashes = b"".join(
            hashlib.sha256(b"\1" + hashes[at : at + 2 * HASH_SIZE]).digest()
            for at in range(0, len(hashes), 2 * HASH_SIZE)
        )
    return hashes


def range_hash(node: NodeHash, begin: int, end: int) -> bytes:
    """MTH(D[begin:end]), for a range that is a subtree of some tree. Not empty."""
    count = end - begin
    height = count.bit_length() - 1
    if count == 1 << height and begin & (count - 1) == 0:
        return node(height, begin >> height)
    left = begin + _split(count)
    return node_hash(range_hash(node, begin, left), range_hash(node, left, end))


def root_hash(node: NodeHash, size: int) -> bytes:
    """The root of the tree of the first ``size`` leaves."""
    return range_hash(node, 0, size) if size else EMPTY


def inclusion_proof(node: NodeHash, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]): from the leaf's sibling up. Raises ValueError when the tree has no such leaf."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    proof, begin, end = list[bytes](), 0, size
    while end - begin > 1:
        left = begin + _split(end - begin)
        if index < left:
            proof.append(range_hash(node, left, end))
            end = left
        else:
            proof.append(range_hash(node, begin, left))
            begin = left
    return proof[::-1]


def consistency_proof(node: NodeHash, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]). Empty when ``old`` is 0 or ``new``. Raises ValueError when the new tree is the smaller."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} cannot hold one of {old}")
    if old in (0, new):
        return []
    proof, begin, end, whole = list[bytes](), 0, new, True
    while end != old:
        left = begin + _split(end - begin)
        if old <= left:
            proof.append(range_hash(node, left, end))
            end = left
        else:
            proof.append(range_hash(node, begin, left))
            begin, whole = left, False
    if not whole:
        proof.append(range_hash(node, begin, end))
    return proof[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that a proof leads to (RFC 9162, section 2.1.3.2). Raises ValueError when its length is wrong."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    found = leaf
    for step, is_left in _climb(index, size - 1, proof):
        found = node_hash(step, found) if is_left else node_hash(found, step)
    return found


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Whether one tree begins with the other (RFC 9162, section 2.1.4.2). Raises ValueError when that is not proved."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} cannot hold one of {old}")
    if old in (0, new):
        if proof:
            raise ValueError("the proof is too long")
        if (old == new and old_root != new_root) or (not old and old_root != EMPTY):
            raise ValueError("the roots differ")
        return
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if _roots_from_consistency(old, new, steps) != (old_root, new_root):
        raise ValueError("the roots differ")


def _roots_from_consistency(old: int, new: int, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    if not steps:
        raise ValueError("the proof is too short")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = steps[0]
    for step, is_left in _climb(at, last, steps[1:]):
        if is_left:
            first, second = node_hash(step, first), node_hash(step, second)
        else:
            second = node_hash(second, step)
    return first, second


def _climb(at: int, last: int, steps: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each step of a proof, from the node ``at`` of a row whose last one is ``last`` up to the root, and whether it is
    the left one of two. Raises ValueError when there are too many or too few."""
    for step in steps:
        if last == 0:
            raise ValueError("the proof is too long")
        is_left = bool(at & 1) or at == last
        while is_left and not at & 1 and at:  # alone at the end of its row: nothing is hashed there
            at, last = at >> 1, last >> 1
        yield step, is_left
        at, last = at >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")


def _split(count: int) -> int:
    """The largest power of two below a count of at least 2."""
    return 1 << (count - 1).bit_length() - 1

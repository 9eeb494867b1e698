"""The smallest sets of disks that carry a whole copy: against brute force, and against arrays that were really
assembled from every subset of their members."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disking import CORPUS, needs_corpus
from vaultd.disks import copies, rules
from vaultd.disks.model import Kind, Layer

NAMES = "abcdef"


def disk(name: str) -> Layer:
    return Layer(Kind.DISK, name, disk=name)


@st.composite
def stacks(draw: st.DrawFn, depth: int = 3) -> Layer:
    """Layers of any shape over at most six disks; shared ones among them, and now and then memory, needs that nothing
    can meet, or a rule that is not known."""
    if depth == 0 or draw(st.integers(0, 3)) == 3:
        return draw(st.sampled_from([disk(name) for name in NAMES] + [Layer(Kind.MEMORY, "")]))
    below = tuple(draw(st.lists(stacks(depth=depth - 1), min_size=2, max_size=4)))
    groups = []
    for _group in range(draw(st.integers(1, 2))):
        members = draw(st.lists(st.sampled_from(range(len(below))), min_size=1, max_size=4, unique=True))
        need = len(members) + 1 if draw(st.integers(0, 19)) == 19 else draw(st.integers(1, len(members)))
        groups.append((need, tuple(members)))
    return Layer(Kind.MD, "", below=below, groups=() if draw(st.integers(0, 19)) == 19 else tuple(groups))


def subsets(names: str) -> Iterator[frozenset[str]]:
    for count in range(len(names) + 1):
        yield from map(frozenset, itertools.combinations(names, count))


def holds(layer: Layer, disks: frozenset[str]) -> bool:
    """The meaning of a layer, said again in the plainest way."""
    if not layer.below:
        return layer.disk in disks
    there = [holds(one, disks) for one in layer.below]
    return bool(layer.groups) and all(sum(there[one] for one in members) >= need for need, members in layer.groups)


@settings(max_examples=200)
@given(stacks())
def test_the_smallest_sets_are_those_of_brute_force(top: Layer) -> None:
    able = [one for one in subsets(NAMES) if holds(top, one)]
    expected = {one for one in able if not any(other < one for other in able)}
    found, whole = copies.smallest(top)
    assert whole
    assert set(found) == expected
    assert all(copies.carries(top, one) == (one in able) for one in subsets(NAMES))


@given(stacks())
def test_no_set_has_a_disk_that_holds_nothing_of_it(top: Layer) -> None:
    every = copies.every(top)
    assert all(one <= every for one in copies.smallest(top)[0])


def test_too_many_sets_are_not_all_listed_but_each_is_smallest() -> None:
    """A raid10 of 40 disks has a million."""
    pairs = tuple((1, (2 * number, 2 * number + 1)) for number in range(20))
    top = Layer(Kind.MD, "", below=tuple(disk(f"d{number:02}") for number in range(40)), groups=pairs)
    found, whole = copies.smallest(top)
    assert not whole
    assert found
    for one in found:
        assert copies.carries(top, one)
        assert not any(copies.carries(top, one - {left}) for left in one)


def test_as_many_as_can_be_listed_are() -> None:
    pairs = tuple((1, (2 * number, 2 * number + 1)) for number in range(10))
    top = Layer(Kind.MD, "", below=tuple(disk(f"d{number:02}") for number in range(20)), groups=pairs)
    found, whole = copies.smallest(top)
    assert whole
    assert len(found) == 2**10 == copies.LIMIT


# --- arrays that were assembled ------------------------------------------------------------------------------------


def assembled() -> dict[str, dict[frozenset[str], bool]]:
    """Name of an array -> subset of its members -> whether it was assembled and read back."""
    found = dict[str, dict[frozenset[str], bool]]()
    for line in (CORPUS / "rig-ours/t3-redundancy-groundtruth.log").read_text().splitlines():
        match = re.fullmatch(r"(raid\w+): ([\w ]+?) +-> (OK|fail)", line)
        if match:
            found.setdefault(match[1], {})[frozenset(match[2].split())] = match[3] == "OK"
    return found


LAYOUTS = {"raid10n2x4": 258, "raid10f2x4": 513, "raid10n2x3": 258, "raid10o2x3": 66049}


@needs_corpus
def test_redundancy_is_that_of_arrays_that_were_really_assembled() -> None:
    arrays = assembled()
    assert {"raid0", "raid1", "raid5", "raid6", *LAYOUTS} <= set(arrays)
    for name, tried in arrays.items():
        members = sorted(frozenset().union(*tried))
        present = {slot: slot for slot in range(len(members))}
        level = re.match(r"raid\d+", name)
        assert level
        groups = rules.raid(level[0], len(members), present, LAYOUTS.get(name, 0))
        assert groups is not None, name
        top = Layer(Kind.MD, name, below=tuple(disk(one) for one in members), groups=groups)
        assert {one: copies.carries(top, one) for one in tried} == tried, name


# --- raid10, against the kernel's placement said the long way --------------------------------------------------------


def placed(disks: int, near: int, far: int, chunk: int) -> set[int]:
    """Where the kernel puts the copies of a chunk (``__raid10_find_phys``, without sets)."""
    found, first = set[int](), (chunk * near) % disks
    for copy in range(near):
        slot = (first + copy) % disks
        found.add(slot)
        for _more in range(far - 1):
            slot = (slot + near) % disks
            found.add(slot)
    return found


@pytest.mark.parametrize("disks", range(2, 8))
@pytest.mark.parametrize(("near", "far"), [(1, 2), (2, 1), (3, 1), (1, 3), (2, 2)])
def test_raid10_needs_one_copy_of_every_chunk(disks: int, near: int, far: int) -> None:
    groups = rules.raid10(disks, near | far << 8, {slot: slot for slot in range(disks)})
    if near * far > disks:
        assert groups is None
        return
    assert groups is not None
    top = Layer(Kind.MD, "", below=tuple(disk(str(slot)) for slot in range(disks)), groups=groups)
    for chosen in subsets("".join(map(str, range(disks)))):
        whole = all(placed(disks, near, far, chunk) & set(map(int, chosen)) for chunk in range(4 * disks))
        assert copies.carries(top, chosen) == whole


def test_a_member_out_of_sync_carries_nothing() -> None:
    groups = rules.raid("raid5", 3, {0: 0, 2: 2})
    assert groups == ((2, (0, 2)),)
    assert copies.smallest(Layer(Kind.MD, "", below=(disk("a"), disk("b"), disk("c")), groups=groups))[0] == (
        frozenset("ac"),
    )


def test_an_array_without_enough_members_in_sync_carries_no_copy() -> None:
    for level, present in (("raid0", {0: 0}), ("raid5", {1: 1}), ("raid10", {0: 0, 1: 1})):
        groups = rules.raid(level, 4, present, 258)
        assert groups is not None
        top = Layer(Kind.MD, "", below=tuple(disk(one) for one in "abcd"), groups=groups)
        assert copies.smallest(top) == ((), True)

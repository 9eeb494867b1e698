"""The smallest sets of disks that carry a whole copy of a layer's content.

A layer says how many of its members are needed (``Layer.groups``); a set of disks carries it when every group has
enough members that it carries in turn. That is monotone: more disks never carry less. The smallest sets are therefore
an antichain, and ``carries`` answers for any set without listing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import comb

from vaultd.disks.model import Layer

LIMIT = 2048
"""How many sets are listed at most; a raid10 of 24 disks has 4,096."""

Sets = tuple[frozenset[str], ...]


class _TooManyError(Exception):
    """More than LIMIT sets."""


def every(top: Layer) -> frozenset[str]:
    """The keys of all disks that hold any byte below a layer, members that are out of sync among them."""
    return frozenset(layer.disk for layer in layers(top) if layer.disk is not None)


def layers(top: Layer) -> Iterator[Layer]:
    """A layer and all below it, each once."""
    seen, waiting = set[int](), [top]
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        waiting.extend(reversed(layer.below))


def carries(top: Layer, disks: frozenset[str]) -> bool:
    """Whether a set of disks carries a whole copy."""
    known = dict[int, bool]()

    def of(layer: Layer) -> bool:
        if id(layer) not in known:
            known[id(layer)] = _leaf(layer, disks) if not layer.below else _enough(layer)
        return known[id(layer)]

    def _enough(layer: Layer) -> bool:
        return bool(layer.groups) and all(
            sum(of(layer.below[index]) for index in members) >= need for need, members in layer.groups
        )

    return of(top)


def _leaf(layer: Layer, disks: frozenset[str]) -> bool:
    return layer.disk is not None and layer.disk in disks


def smallest(top: Layer) -> tuple[Sets, bool]:
    """The smallest sets, by size and then by name, and whether these are all.

    Where there are more than LIMIT, some are listed: each is a smallest one, and ``carries`` knows the others.
    """
    try:
        return _sorted(_Lister().of(top)), True
    except _TooManyError:
        return _some(top), False


class _Lister:
    def __init__(self) -> None:
        self.known = dict[int, frozenset[frozenset[str]]]()

    def of(self, layer: Layer) -> frozenset[frozenset[str]]:
        found = self.known.get(id(layer))
        if found is None:
            found = self.known[id(layer)] = self._of(layer)
        return found

    def _of(self, layer: Layer) -> frozenset[frozenset[str]]:
        if not layer.below:
            return frozenset() if layer.disk is None else frozenset({frozenset({layer.disk})})
        if not layer.groups:
            return frozenset()
        whole = frozenset({frozenset[str]()})
        for need, members in layer.groups:
            whole = _product(whole, self._group(layer, need, members))
        return whole

    def _group(self, layer: Layer, need: int, members: tuple[int, ...]) -> frozenset[frozenset[str]]:
        able = [sets for index in members if (sets := self.of(layer.below[index]))]
        if need <= 0 or len(able) < need:
            return frozenset({frozenset[str]()}) if need <= 0 else frozenset()
        if comb(len(able), need) > LIMIT:
            raise _TooManyError
        found = set[frozenset[str]]()
        for chosen in combinations(able, need):
            sets = frozenset({frozenset[str]()})
            for one in chosen:
                sets = _product(sets, one)
            found |= sets
            if len(found) > 4 * LIMIT:
                raise _TooManyError
        return minimal(found)


def _product(left: frozenset[frozenset[str]], right: frozenset[frozenset[str]]) -> frozenset[frozenset[str]]:
    if len(left) * len(right) > 8 * LIMIT:
        raise _TooManyError
    found = minimal(one | other for one in left for other in right)
    if len(found) > LIMIT:
        raise _TooManyError
    return found


def minimal(sets: Iterable[frozenset[str]]) -> frozenset[frozenset[str]]:
    """The sets of which no other one is a part."""
    kept = list[frozenset[str]]()
    for one in sorted(set(sets), key=len):
        if not any(other <= one for other in kept):
            kept.append(one)
    return frozenset(kept)


def _some(top: Layer) -> Sets:
    """Smallest sets found by leaving out one disk after the other, each time beginning with another disk."""
    disks = sorted(every(top))
    if not carries(top, frozenset(disks)):
        return ()
    found = set[frozenset[str]]()
    for start in range(len(disks)):
        left = set(disks)
        for disk in disks[start:] + disks[:start]:
            if carries(top, frozenset(left - {disk})):
                left.discard(disk)
        found.add(frozenset(left))
    return _sorted(minimal(found))


def _sorted(sets: Iterable[frozenset[str]]) -> Sets:
    return tuple(sorted(sets, key=lambda one: (len(one), sorted(one))))

"""The smallest sets of disks that carry a whole copy of a layer's content.

A layer says how many of its members are needed (``Layer.groups``); a set of disks carries it when every group has
enough members that it carries in turn. That is monotone: more disks never carry less. The smallest sets are therefore
an antichain, and ``carries`` answers for any set without listing them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import combinations
from math import comb

from vaultd.disks.model import Layer

LIMIT = 1024
"""How many sets are listed at most; a raid10 of 24 disks has 4,096. More would be no help to anybody."""

STARTS = 6
"""How many smallest sets are looked for when there are more than can be listed."""

Sets = tuple[frozenset[str], ...]


class _TooManyError(Exception):
    """More than LIMIT sets."""


Masks = frozenset[int]
"""Sets of disks, each as the bits of a number: a hundred times as fast to compare as sets of keys."""


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
    return _Question(top).of(disks)


class _Question:
    """A layer made ready to be asked for many sets: those below stand before those above, each once."""

    def __init__(self, top: Layer) -> None:
        self.rows = list[tuple[str | None, tuple[tuple[int, tuple[int, ...]], ...]]]()
        self._numbers = dict[int, int]()
        self._add(top)

    def _add(self, layer: Layer) -> int:
        if id(layer) not in self._numbers:
            below = [self._add(one) for one in layer.below]
            groups = tuple((need, tuple(below[index] for index in members)) for need, members in layer.groups)
            self._numbers[id(layer)] = len(self.rows)
            self.rows.append((None if layer.below else layer.disk, groups if layer.below else ()))
        return self._numbers[id(layer)]

    def of(self, disks: Collection[str]) -> bool:
        """Whether these carry it."""
        there = list[bool]()
        for disk, groups in self.rows:
            if groups:
                enough = True
                for need, members in groups:
                    if sum([there[one] for one in members]) < need:
                        enough = False
                        break
                there.append(enough)
            else:
                there.append(disk is not None and disk in disks)
        return there[-1]


def smallest(top: Layer) -> tuple[Sets, bool]:
    """The smallest sets, by size and then by name, and whether these are all.

    Where there are more than LIMIT, some are listed: each is a smallest one, and ``carries`` knows the others.
    """
    names = sorted(every(top))
    try:
        masks = _Lister({name: 1 << number for number, name in enumerate(names)}).of(top)
    except _TooManyError:
        return _some(top, names), False
    return _sorted(frozenset(name for number, name in enumerate(names) if mask >> number & 1) for mask in masks), True


class _Lister:
    def __init__(self, bits: dict[str, int]) -> None:
        self.bits = bits
        self.known = dict[int, Masks]()

    def of(self, layer: Layer) -> Masks:
        found = self.known.get(id(layer))
        if found is None:
            found = self.known[id(layer)] = self._of(layer)
        return found

    def _of(self, layer: Layer) -> Masks:
        if not layer.below:
            return frozenset() if layer.disk is None else frozenset({self.bits[layer.disk]})
        if not layer.groups:
            return frozenset()
        whole: Masks = frozenset({0})
        for need, members in layer.groups:
            whole = _product(whole, self._group(layer, need, members))
        return whole

    def _group(self, layer: Layer, need: int, members: tuple[int, ...]) -> Masks:
        able = [sets for index in members if (sets := self.of(layer.below[index]))]
        if need <= 0:
            return frozenset({0})
        if len(able) < need:
            return frozenset()
        if comb(len(able), need) > LIMIT:
            raise _TooManyError
        found = set[int]()
        for chosen in combinations(able, need):
            together: Masks = frozenset({0})
            for one in chosen:
                together = _product(together, one)
            found |= together
            if len(found) > 4 * LIMIT:
                raise _TooManyError
        return _minimal(found)


def _product(left: Masks, right: Masks) -> Masks:
    """One of the left together with one of the right, each way."""
    apart = not _all(left) & _all(right)
    if len(left) * len(right) > (LIMIT if apart else 4 * LIMIT):
        raise _TooManyError
    found = {one | other for one in left for other in right}
    if apart:
        return frozenset(found)  # none of them is a part of another, as none was before
    kept = _minimal(found)
    if len(kept) > LIMIT:
        raise _TooManyError
    return kept


def _all(masks: Masks) -> int:
    whole = 0
    for mask in masks:
        whole |= mask
    return whole


def _minimal(masks: Iterable[int]) -> Masks:
    """Those of which no other one is a part."""
    kept = list[int]()
    for one in sorted(set(masks), key=int.bit_count):
        if not any(other & one == other for other in kept):
            kept.append(one)
    return frozenset(kept)


def _some(top: Layer, names: list[str]) -> Sets:
    """Smallest sets found by leaving out one disk after the other, each time beginning with another disk."""
    question = _Question(top)
    if not question.of(names):
        return ()
    found = set[frozenset[str]]()
    for start in range(0, len(names), max(1, len(names) // STARTS)):
        left = set(names)
        for name in names[start:] + names[:start]:
            left.discard(name)
            if not question.of(left):
                left.add(name)
        found.add(frozenset(left))
    return _sorted(found)


def _sorted(sets: Iterable[frozenset[str]]) -> Sets:
    return tuple(sorted(sets, key=lambda one: (len(one), sorted(one))))

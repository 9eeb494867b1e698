"""The order in which disks are pulled. No I/O: an inventory, the vaults' needs and the register's labels go in.

1. Vault by vault, by priority; of one priority those first of which most is not safe off-site. Of the smallest sets of
   disks that carry a whole copy, the one that adds fewest to what is out already; then the one with most content that
   no target has; then by bay. A set with a disk that is gone, or that says it fails, comes after all others.
2. Then every other disk that holds any byte: nothing is left behind. What anybody could read goes first.

A vault without such a set (its rule is not known, part of it is remote, its array has lost too much) gets all of its
disks in its turn, and no promise.

Notes of a disk: ``gone``, ``failing``, ``unseen`` (something hides what is behind it), ``behind`` (it is
behind a RAID controller), ``double-slot`` (its bay is that
of another disk too), ``slot-differs`` (the machine says two things of its bay), ``moved`` (it is not where somebody has
seen it), ``double-serial``, ``no-bay``, ``unknown`` (a map names it and the inventory does not).
Notes of a vault: ``no-copy``, ``unsure`` (a layer could not be seen, or its rule is a guess), ``remote``, ``memory``,
``hidden`` (nothing says what lies below), ``tpm`` (cannot be opened on another machine), ``no-map`` (nobody knows on
which disks it is), ``unprotected`` (nothing says what of it is safe off-site).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vaultd.disks.copies import layers
from vaultd.disks.model import Disk, DiskMap, Inventory, Kind, Layer, Unseen
from vaultd.pull.model import Label, Need, Pull, PullList, VaultLine

LAST = 99
"""Priority of a vault that a map names and nobody has given one."""

_SAID = frozenset({"gone", "unknown", "double-slot", "double-serial", "slot-differs", "moved"})
"""Problems of a disk that whoever pulls it must know."""

_LEAVES = {Kind.REMOTE: "remote", Kind.MEMORY: "memory", Kind.UNKNOWN: "hidden"}


def compute(
    inventory: Inventory, needs: Iterable[Need], labels: Mapping[str, Label] | None = None, host: str = "",
    chassis: str = "", *, unsafe_first: bool = False,
) -> PullList:  # fmt: skip
    """The pull list of an inventory. ``unsafe_first``, in an evacuation: vaults whose content is all off-site come
    after all others, whatever their priority."""
    return _Order(inventory, list(needs), unsafe_first=unsafe_first).made(labels or {}, host, chassis)


def behind(inventory: Inventory) -> dict[str, frozenset[str]]:
    """For each volume of a RAID controller the disks that may be behind it. Which volume is on which of them nobody
    says, so all of them stand for each: taken together they carry it, and none of them may be left."""
    hidden = [disk for disk in inventory.disks if disk.unseen is Unseen.CONTROLLER]
    members = frozenset(disk.key for disk in hidden if not disk.names)
    return {disk.key: members for disk in hidden if disk.names}


def by_bay(disk: Disk) -> tuple[object, ...]:
    """Sorts disks as a person walks along the chassis: 2 before 10; those without a bay last, by name."""
    text = disk.bay.text if disk.bay is not None else ""
    return (not text, _natural(text), _natural(disk.names[0] if disk.names else disk.key), disk.key)


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"[0-9]+|[^0-9]+", text, re.ASCII)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def readable(top: Layer, disks: Mapping[str, Disk]) -> frozenset[str]:
    """The disks below a layer that hold bytes of it which nothing encrypts on the way."""
    found, seen, waiting = set[str](), set[int](), [top]
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen or layer.kind is Kind.CRYPT:
            continue
        seen.add(id(layer))
        if layer.disk is not None and (layer.disk not in disks or disks[layer.disk].encryption != "opal"):
            found.add(layer.disk)
        waiting.extend(layer.below)
    return frozenset(found)


class _Order:
    """The disks that are out, growing, and what that means for every vault."""

    def __init__(self, inventory: Inventory, needs: list[Need], *, unsafe_first: bool) -> None:
        self.inventory = inventory
        self.maps: dict[str, list[DiskMap]] = {}
        self.hidden = {volume: members for volume, members in behind(inventory).items() if members}
        for one in inventory.maps:
            if one.vault is not None:
                copies = tuple(self._parts(copy) for copy in one.copies if copy)  # no disk at all is no carried copy
                every = self._parts(one.every).union(*copies)
                self.maps.setdefault(one.vault, []).append(replace(one, copies=copies, every=every))
        known = {need.vault for need in needs}
        needs = [*needs, *(Need(vault, LAST) for vault in self.maps if vault not in known)]
        needs.sort(key=lambda need: (unsafe_first and _is_safe(need), *_urgency(need)))
        self.needs = {need.vault: need for need in needs}
        self.disks = {disk.key: disk for disk in inventory.disks}
        for key in sorted({key for found in self.maps.values() for one in found for key in one.every}):
            self.disks.setdefault(key, Disk(key, (), "", "", "", "", 0, "", problems=("unknown",)))
        self.vaults_on: dict[str, list[str]] = {}
        for vault in self.needs:
            for key in {key for one in self.maps.get(vault, ()) for key in one.every}:
                self.vaults_on.setdefault(key, []).append(vault)
        self.clear = {vault: self._readable(vault) for vault in self.needs}
        self.out: list[str] = []
        self.after: dict[str, int] = {}
        self.completes: dict[str, list[str]] = {}

    def _parts(self, keys: frozenset[str]) -> frozenset[str]:
        """The disks that a person can pull, in place of a controller's volumes."""
        return frozenset[str]().union(*(self.hidden.get(key, {key}) for key in keys))

    def _readable(self, vault: str) -> frozenset[str]:
        found = frozenset[str]().union(*(readable(one.top, self.disks) for one in self.maps.get(vault, ())))
        return self._parts(found)

    def made(self, labels: Mapping[str, Label], host: str, chassis: str) -> PullList:
        """The list."""
        for vault in self.needs:
            for one in self.maps.get(vault, ()):
                self._take(self._set_for(one))
        needed = frozenset(self.out)
        self._take(frozenset(self.vaults_on) - needed, self._leak_first)
        bays = Counter(disk.bay.text for disk in self.inventory.disks if disk.bay is not None)
        pulls = tuple(
            self._pull(number, key, key in needed, labels.get(key), bays) for number, key in enumerate(self.out, 1)
        )
        return PullList(
            self.inventory.time, host, pulls, tuple(self._line(vault) for vault in self.needs),
            self.inventory.problems, chassis,
        )  # fmt: skip

    def _set_for(self, one: DiskMap) -> frozenset[str]:
        """The disks to take for a map: nothing when a copy of it is out already."""
        out = frozenset(self.out)
        if any(copy <= out for copy in one.copies):
            return frozenset()
        if not one.copies:
            return one.every
        return min(one.copies, key=lambda copy: self._cost(copy - out))

    def _cost(self, added: frozenset[str]) -> tuple[object, ...]:
        bad = sum(1 for key in added if _bad(self.disks[key]))
        pending = sum(self._pending(key)[1] for key in added)
        return (bad, len(added), -pending, tuple(sorted(by_bay(self.disks[key]) for key in added)))

    def _take(self, keys: frozenset[str], first: Mapping[str, int] | None = None) -> None:
        for key in sorted(keys - set(self.out), key=lambda key: (first[key] if first else 0, by_bay(self.disks[key]))):
            self.out.append(key)
            for vault in self.needs:
                if vault not in self.after and self._is_carried(vault):
                    self.after[vault] = len(self.out)
                    self.completes.setdefault(key, []).append(vault)

    @property
    def _leak_first(self) -> Mapping[str, int]:
        """For what is left over: the priority of what anybody could read on it."""
        return {
            key: min((self.needs[vault].priority for vault in vaults if key in self.clear[vault]), default=LAST + 1)
            for key, vaults in self.vaults_on.items()
        }

    def _is_carried(self, vault: str) -> bool:
        out, found = frozenset(self.out), self.maps.get(vault, [])
        return bool(found) and all(any(copy <= out for copy in one.copies) for one in found)

    def _pending(self, key: str) -> tuple[int, int]:
        needs = [self.needs[vault] for vault in self.vaults_on.get(key, ())]
        return sum(need.pending_files for need in needs), sum(need.pending_bytes for need in needs)

    def _pull(self, number: int, key: str, needed: bool, label: Label | None, bays: Mapping[str, int]) -> Pull:
        disk, vaults = self.disks[key], tuple(self.vaults_on[key])
        files, size = self._pending(key)
        return Pull(
            number, disk, vaults, needed, tuple(self.completes.get(key, ())),
            tuple(vault for vault in vaults if key in self.clear[vault]), files, size, label, _notes(disk, bays),
        )  # fmt: skip

    def _line(self, vault: str) -> VaultLine:
        found = self.maps.get(vault, [])
        numbers = {key: number for number, key in enumerate(self.out, 1)}
        disks = tuple(sorted({numbers[key] for one in found for key in one.every}))
        notes = {"no-map"} if not found else set[str]()
        if not self.needs[vault].known:
            notes.add("unprotected")
        for one in found:
            if not one.copies:
                notes.add("no-copy")
            if not one.sure:
                notes.add("unsure")
            for layer in layers(one.top):
                if layer.kind in _LEAVES:
                    notes.add(_LEAVES[layer.kind])
                if "tpm" in layer.notes:
                    notes.add("tpm")
        return VaultLine(self.needs[vault], self.after.get(vault), disks, tuple(sorted(notes)))


def _is_safe(need: Need) -> bool:
    return need.known and not need.pending_files and not need.pending_bytes


def _urgency(need: Need) -> tuple[object, ...]:
    return (need.priority, need.known, -need.pending_bytes, -need.pending_files, need.vault)


def _bad(disk: Disk) -> bool:
    return bool({"gone", "unknown"} & set(disk.problems)) or _failing(disk)


def _failing(disk: Disk) -> bool:
    return disk.health is not None and disk.health.passed is False


def _notes(disk: Disk, bays: Mapping[str, int]) -> tuple[str, ...]:
    notes = set(disk.problems) & _SAID
    if _failing(disk):
        notes.add("failing")
    if disk.unseen is not None:
        notes.add("unseen" if disk.names else "behind")
    if disk.bay is None:
        notes.add("no-bay")
    elif bays.get(disk.bay.text, 0) > 1:
        notes.add("double-slot")
    return tuple(sorted(notes))

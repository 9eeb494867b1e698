"""The map of each folder: which disks hold a byte of it, and which of them are a whole copy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from vaultd.disks import copies, places
from vaultd.disks.graph import Graph
from vaultd.disks.machine import TABLE_LIMIT, Machine
from vaultd.disks.model import DiskMap, Kind, Layer
from vaultd.i18n import _
from vaultd.names import display
from vaultd.watch.mounts import Mount, mount_of, parse

UNSURE = frozenset(("guessed", "cycle", "gone", "raid-controller", "header"))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to be mapped: an absolute path, and the vault that it is the folder of."""

    path: bytes
    vault: str | None = None


def mounts(machine: Machine) -> list[Mount]:
    """What is mounted on the machine."""
    return parse(machine.read("proc/self/mountinfo", TABLE_LIMIT) or b"")


def maps(graph: Graph, folders: Sequence[Folder]) -> tuple[list[DiskMap], list[str]]:
    """A map for each folder that is there, and texts for those that are not or do not answer."""
    found, problems = list[DiskMap](), list[str]()
    looked = _look(graph, [folder.path for folder in folders])
    by_number = {mount.id: mount for mount in graph.mounts}
    for folder, place in zip(folders, looked, strict=True):
        node = os.fsdecode(folder.path)
        if node in graph.nodes:  # a device itself: what lies below it
            found.append(of(folder, graph.node(node)))
            continue
        if place.problem == "time":
            problems.append(
                _("{path} does not answer; where it lies is told by its name alone").format(path=display(folder.path))
            )
        elif place.problem:
            problems.append(f"{display(folder.path)}: {place.problem}")
            continue
        top = graph.folder(place.real, by_number.get(place.mount) if place.mount is not None else None)
        found.append(of(folder, top, sure=not place.problem))
    return found, problems


def of(folder: Folder, top: Layer, *, sure: bool = True) -> DiskMap:
    """The two answers of a stack."""
    sets, whole = copies.smallest(top)
    every, stack = copies.every(top), list(copies.layers(top))
    doubts = UNSURE
    if len(every) == 1 and all(layer.disk for layer in stack if not layer.below):
        doubts = UNSURE - {"guessed"}  # of one disk there is nothing to choose, whatever the rule
    if any(doubts & set(layer.notes) or (layer.kind is Kind.UNKNOWN and not layer.below) for layer in stack):
        sure = False
    return DiskMap(folder.path, folder.vault, top, every, sets, sure, whole)


def _look(graph: Graph, paths: Sequence[bytes]) -> list[places.Place]:
    """Where the folders are. One on a network file system is not opened: its server may be gone."""
    if not graph.machine.live:
        return [places.Place(None, path) for path in paths]
    far = {path for path in paths if (mount := mount_of(path, graph.mounts)) is not None and mount.network}
    near = [path for path in paths if path not in far]
    seen = dict(zip(near, places.look(near), strict=True))
    return [seen.get(path, places.Place(None, path)) for path in paths]

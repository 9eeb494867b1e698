"""Put what was restored to a stage over a folder: files replace files, each by one rename, and nothing else goes away.

A merge is decided as a whole before it begins and its actions are written down; carried out again after an interruption
they do what is left to do. What cannot have its own name is put beside under ``<name>.vaultd-<time of the snapshot>``:
a file where a folder is, or a folder where a file is.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from vaultd.names import display, join
from vaultd.restore import metadata
from vaultd.restore.engine import Problem
from vaultd.restore.metadata import Metadata

ADDED, REPLACED, BESIDE = "added", "replaced", "beside"


@dataclass(frozen=True, slots=True)
class Action:
    """One rename, from ``source`` in the stage to ``path``. ``kind``: "added", "replaced" or "beside". ``files`` is how
    many files come with it; ``links``: the replaced file had so many other names, which keep the older content."""

    kind: str
    source: bytes
    path: bytes
    files: int = 0
    links: int = 0

    def as_json(self) -> list[Any]:
        """For the plan of the merge: names as latin-1 text, which keeps every byte."""
        return [self.kind, self.source.decode("latin-1"), self.path.decode("latin-1"), self.files, self.links]

    @classmethod
    def from_json(cls, found: Sequence[Any]) -> Action:
        """The inverse of ``as_json``."""
        kind, source, path, files, links = found
        return cls(kind, source.encode("latin-1"), path.encode("latin-1"), files, links)


@dataclass(slots=True)
class Merge:
    """All actions; and the metadata that folders on both sides get after them (``b""``, the folder itself, is the
    caller's), taken beforehand, because every rename changes the times of two folders.

    ``reappeared``: names that are in the folder and not in the staged snapshot, where the folder changed since: these
    may have been deleted in between.
    """

    actions: list[Action] = field(default_factory=list)
    folders: dict[bytes, Metadata] = field(default_factory=dict)
    reappeared: list[bytes] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For the plan of the merge."""
        return {
            "actions": [action.as_json() for action in self.actions],
            "folders": [[path.decode("latin-1"), found.as_json()] for path, found in self.folders.items()],
            "reappeared": [path.decode("latin-1") for path in self.reappeared],
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Merge:
        """The inverse of ``as_json``."""
        return cls(
            [Action.from_json(action) for action in found["actions"]],
            {path.encode("latin-1"): Metadata.from_json(one) for path, one in found["folders"]},
            [path.encode("latin-1") for path in found["reappeared"]],
        )


def decide(stage: bytes, to: bytes, suffix: str, *, root_mtime: int | None, hide: bytes = b"") -> Merge:
    """Decide the merge of the folder ``stage`` into the folder ``to``. Changes nothing.

    ``suffix`` tells whose a file put beside is. ``root_mtime``: what the time of ``to`` itself is to be (it has changed
    while we worked in it); None: nothing is known of deletions, and none are looked for. ``hide`` is a name directly in
    ``to`` that is ours.
    """
    merge = Merge()
    folders = [b""]
    while folders:
        folder = folders.pop()
        staged = sorted(os.listdir(join(stage, folder)))
        there = set(os.listdir(join(to, folder)))
        if not folder:
            there.discard(hide)
        older = sorted(there - set(staged))  # without the names that this merge makes
        for name in staged:
            path = join(folder, name) if folder else name
            if _decide_one(merge, stage, to, path, suffix, there):
                folders.append(path)
        if root_mtime is not None and _changed_since(stage, to, folder, root_mtime):
            merge.reappeared += [join(folder, name) if folder else name for name in older]
        merge.folders[folder] = metadata.read(join(stage, folder))
    return merge


def _changed_since(stage: bytes, to: bytes, folder: bytes, root_mtime: int) -> bool:
    then = os.lstat(join(to, folder)).st_mtime_ns if folder else root_mtime
    return os.lstat(join(stage, folder)).st_mtime_ns != then


def _decide_one(merge: Merge, stage: bytes, to: bytes, path: bytes, suffix: str, there: set[bytes]) -> bool:
    """Decide one name; True: it is a folder on both sides, to be looked into."""
    name = os.path.basename(path)
    status = os.lstat(join(stage, path))
    folder = stat.S_ISDIR(status.st_mode)
    if name not in there:
        merge.actions.append(Action(ADDED, path, path, _count(join(stage, path))))
        return False
    old = os.lstat(join(to, path))
    if stat.S_ISDIR(old.st_mode) != folder:
        beside = free_name(name, suffix, there)
        there.add(beside)
        other = join(os.path.dirname(path), beside) if b"/" in path else beside
        merge.actions.append(Action(BESIDE, path, other, _count(join(stage, path))))
        return False
    if not folder:
        merge.actions.append(Action(REPLACED, path, path, 1, old.st_nlink - 1))
    return folder


def _count(path: bytes) -> int:
    """How many files come with a name: itself, or all below a folder."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return 1
    return sum(
        len(files) + sum(os.path.islink(join(top, one)) for one in folders) for top, folders, files in os.walk(path)
    )


def free_name(name: bytes, suffix: str, there: Container[bytes]) -> bytes:
    """A name for what cannot have its own: one that is not in the folder. ``suffix`` tells whose it is."""
    for number in range(1, 10_000):
        tail = f".vaultd-{suffix}".encode() if number == 1 else f".vaultd-{suffix}-{number}".encode()
        found = name[: 255 - len(tail)] + tail
        if found not in there:
            return found
    raise FileExistsError(name)


def carry_out(merge: Merge, stage: bytes, to: bytes) -> list[Problem]:
    """Do what is left to do of a merge; returns what could not be done."""
    problems: list[Problem] = []
    for action in merge.actions:
        try:
            _rename(join(stage, action.source), join(to, action.path))
        except OSError as error:
            problems.append(Problem(display(action.path), error.strerror or str(error)))
    # From below: a folder that is closed to its owner stays open until all below it is done.
    for folder in sorted(merge.folders, key=lambda path: -path.count(b"/")):
        if folder:
            texts = metadata.write(join(to, folder), merge.folders[folder])
            problems += [Problem(display(folder), text) for text in texts]
    return problems


def _rename(source: bytes, target: bytes) -> None:
    if not os.path.lexists(source):  # done before an interruption
        return
    try:
        os.rename(source, target)
    except PermissionError:
        if os.geteuid() == 0:
            raise
        # A folder that its owner may not write: it gets its mode back when its own turn comes.
        for folder in (os.path.dirname(source), os.path.dirname(target), source):
            with contextlib.suppress(OSError):
                if stat.S_ISDIR(os.lstat(folder).st_mode):
                    os.chmod(folder, stat.S_IMODE(os.lstat(folder).st_mode) | stat.S_IRWXU)
        os.rename(source, target)

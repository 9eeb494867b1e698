"""The changes of the demo, and how it is measured when each is off-site."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vaultd import names
from vaultd.demo.layout import TARGET, VAULT, Layout
from vaultd.i18n import N_, _
from vaultd.model import SnapshotKind
from vaultd.names import display
from vaultd.store import Store

CREATE, MODIFY, RENAME, DELETE, GBK = "create", "modify", "rename", "delete", "gbk-name"
WORDS = {
    CREATE: N_("a new file"), MODIFY: N_("a file changed"), RENAME: N_("a folder renamed"),
    DELETE: N_("a file deleted"), GBK: N_("a GBK file name"),
}  # fmt: skip
GBK_NAME = "ward-3/病历摘要.txt".encode("gbk")


@dataclass(frozen=True, slots=True)
class Change:
    """One change: ``make`` makes it. ``content``: the path whose new content must be off-site, by its hash; None where
    only a full snapshot tells of it. ``to``: the new name of what is renamed; ``files``: how many it is about."""

    kind: str
    path: bytes
    make: Callable[[], None]
    content: bytes | None = None
    to: bytes = b""
    files: int = 1

    def words(self) -> str:
        """What it is, for people."""
        return _(WORDS[self.kind])

    def shown(self) -> str:
        """The path, for people."""
        if self.kind == GBK:
            return self.path.decode("gbk")
        return f"{display(self.path)} \u2192 {display(self.to)}" if self.to else display(self.path)


@dataclass(frozen=True, slots=True)
class Lag:
    """How long a change took to be off-site: seconds from its last write to the acknowledgement of ``snapshot``."""

    change: Change
    seconds: float
    snapshot: str
    kind: str


def all_changes(vault: Path) -> Iterator[Change]:
    """The changes in their order. Each is worked out when its turn comes: it may depend on those before."""
    root = os.fsencode(vault)
    new = b"ward-3/patients/0041.txt"
    yield Change(CREATE, new, lambda: _write(names.join(root, new), b"Patient 0041\nWard 3\nadmitted today\n"), new)
    table = b"ward-3/admissions.csv"
    yield Change(MODIFY, table, lambda: _append(names.join(root, table), b"0041;Zhang Wei;2026-11-22\n"), table)
    folder, files = _folder_to_rename(root)
    renamed = folder + b"-archive"
    yield Change(
        RENAME, folder, lambda: os.rename(names.join(root, folder), names.join(root, renamed)),
        to=renamed, files=files,
    )  # fmt: skip
    draft = b"ward-3/obsolete-draft.txt"
    yield Change(DELETE, draft, lambda: os.unlink(names.join(root, draft)))
    yield Change(GBK, GBK_NAME, lambda: _write(names.join(root, GBK_NAME), "病历摘要\n".encode("gbk")), GBK_NAME)


def _write(path: bytes, content: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(content)


def _append(path: bytes, content: bytes) -> None:
    with open(path, "ab") as stream:
        stream.write(content)


def _folder_to_rename(root: bytes) -> tuple[bytes, int]:
    """The folder (not at the top) with the most files, but no more than a twentieth of all, and how many it has: a
    bigger share would rightly raise the alarm for a mass change."""
    below: dict[bytes, int] = {}
    for top, _folders, found in os.walk(root):
        relative = top[len(root) + 1 :]
        while relative:
            below[relative] = below.get(relative, 0) + len(found)
            relative = names.parent(relative)
    most = sum(count for folder, count in below.items() if b"/" not in folder) // 20
    fitting = [(count, folder) for folder, count in below.items() if b"/" in folder and count <= most]
    count, folder = max(fitting, default=(0, b"ward-3/patients"))
    return (folder, count) if count else (b"ward-3/patients", below[b"ward-3/patients"])


class Measure:
    """Reads the acknowledgements in the state database of the demo's host."""

    def __init__(self, layout: Layout) -> None:
        self._root = os.fsencode(layout.vault)
        self._store = Store(layout.database, read_only=True)
        self._vault = self._store.known("vault", VAULT) or 0
        self._target = self._store.known("target", TARGET) or 0

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def begin(self, change: Change) -> int:
        """Make the change; the moment at which it was made, in nanoseconds."""
        change.make()
        return time.time_ns()

    def lag(self, change: Change, made: int) -> Lag | None:
        """How long the change took to be off-site; None while it is not."""
        for row in reversed(self._store.snapshots(self._vault, limit=50)):
            if row.target != self._target or row.acknowledged < made:
                continue
            if change.content is not None:
                found = self._version(change.content) == row.change_set
            else:  # only a snapshot of everything that was begun after the change is sure to have it
                found = row.kind == SnapshotKind.FULL and row.time >= made
            if found:
                return Lag(change, (row.acknowledged - made) / 1e9, row.snapshot, row.kind)
        return None

    def _version(self, path: bytes) -> str:
        """The change set with which the content that the file has now was acknowledged; empty if it was not yet."""
        with open(names.join(self._root, path), "rb") as stream:
            digest = hashlib.sha256(stream.read()).digest()
        found = [row.change_set for row in self._store.versions(self._vault, path) if row.sha256 == digest]
        return found[-1] if found else ""

    def settled(self) -> bool:
        """Whether everything that is known to have changed is in a full snapshot."""
        return self._store.backlog(self._target, self._vault).since is None

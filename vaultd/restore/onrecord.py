"""What the ledger says that a restore must bring: the SHA-256 of every file of the plan's snapshots.

For a full snapshot every version before its ``manifest_to`` and those of its change set, as its manifest is made; then
the versions of each express snapshot over it. The ledger is believed here: ``vaultd ledger verify`` looks at it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaultd.ledger.chain import older
from vaultd.ledger.destroyed import Destroyed, destroyed
from vaultd.ledger.entry import path_of
from vaultd.ledger.events import FileVersion, SnapshotMade
from vaultd.ledger.reading import Reader
from vaultd.names import is_below, join
from vaultd.restore.plan import Plan

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class OnRecord:
    """``sha256``: by path relative to the vault. ``uncertain``: so many paths that the base has unread or unconfirmed,
    so that another content than on record is no damage. ``destroyed``: paths that were taken out of the base, whose
    entry is ``entry``, on purpose since: they do not come."""

    sha256: Mapping[bytes, bytes]
    uncertain: int
    destroyed: Destroyed = field(default_factory=Destroyed)
    entry: int = 0

    def unexplained(self, found: Iterable[Difference]) -> list[Difference]:
        """The differences but for what is missing because it was destroyed."""
        return [
            one for one in found
            if one.what != "missing" or not self.destroyed.covers(one.path, self.entry)
        ]  # fmt: skip


def of_plan(ledger: Path, plan: Plan) -> OnRecord | None:
    """What is on record for a plan; None where the ledger does not know its full snapshot, or has no manifest of it.

    Raises LedgerError when it cannot be read.
    """
    reader = Reader(ledger)
    vault, entries = plan.request.vault, _snapshots(reader, {one.change_set for one in plan.snapshots})
    base = entries.get(plan.base.change_set)
    if base is None or "manifest_to" not in base:
        return None
    over = [one.change_set for one in plan.over if one.change_set in entries]
    found: dict[bytes, bytes] = {}
    later: dict[str, dict[bytes, bytes | None]] = {one: {} for one in over}
    for before in older(ledger, reader):
        _apply(found, ((path, digest) for _at, path, digest, _set in _versions(Reader(before), vault)))
    for at, path, digest, change_set in _versions(reader, vault):
        if at < int(base["manifest_to"]) or change_set == base["change_set"]:
            _apply(found, [(path, digest)])
        elif change_set in later:
            later[change_set][path] = digest
    for one in over:
        # An express snapshot brings files; what was deleted stays, as it does in the restored folder.
        found.update({path: digest for path, digest in later[one].items() if digest is not None})
    wanted = {
        path: digest
        for path, digest in found.items()
        if not plan.paths or any(is_below(path, above) for above in plan.paths)
    }
    uncertain = sum(count for name, count in base["exceptions"].items() if name != "in_motion")
    return OnRecord(wanted, uncertain, destroyed(reader, vault, plan.target), int(base["seq"]))


def _apply(found: dict[bytes, bytes], rows: Iterable[tuple[bytes, bytes | None]]) -> None:
    for path, digest in rows:
        if digest is None:
            found.pop(path, None)
        else:
            found[path] = digest


def _snapshots(reader: Reader, change_sets: set[str]) -> dict[str, dict[str, Any]]:
    """The entries of these change sets. Not by restic's ids: a copy in another repository has one of its own."""
    found = {}
    for raw in reader.in_order():
        if b'"type":"snapshot"' in raw:
            one = json.loads(raw)
            if one["type"] == SnapshotMade.TYPE and one["change_set"] in change_sets:
                found[str(one["change_set"])] = one
    return found


def _versions(reader: Reader, vault: str) -> Iterator[tuple[int, bytes, bytes | None, str]]:
    for at, raw in enumerate(reader.in_order()):
        if b'"type":"version"' not in raw:
            continue
        one = json.loads(raw)
        if one["type"] != FileVersion.TYPE or one["vault"] != vault:
            continue
        path, digest = path_of(one), one.get("sha256")
        if path is not None:
            yield at, path, None if digest is None else bytes.fromhex(digest), one["change_set"]


def digest_of(path: bytes, tell: Callable[[int], None] = lambda _count: None) -> bytes:
    """SHA-256 of a regular file. Raises OSError; a link is not followed."""
    found = hashlib.sha256()
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while block := os.read(handle, BLOCK):
            found.update(block)
            tell(len(block))
    finally:
        os.close(handle)
    return found.digest()


@dataclass(frozen=True, slots=True)
class Difference:
    """A path that is not as on record: "missing", "changed", or "unknown" (the ledger does not have it)."""

    path: bytes
    what: str


def differences(
    folder: bytes, known: Mapping[bytes, bytes], tell: Callable[[int, int], None] = lambda _files, _bytes: None
) -> list[Difference]:
    """Read every file of a folder and compare it, in order of the paths. ``tell`` gets files and bytes as they come."""
    found, seen = list[Difference](), set[bytes]()
    for top, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            path = join(top, name)
            relative = path[len(folder) :].lstrip(b"/")
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            seen.add(relative)
            digest = digest_of(path, lambda count: tell(0, count))
            tell(1, 0)
            if relative not in known:
                found.append(Difference(relative, "unknown"))
            elif known[relative] != digest:
                found.append(Difference(relative, "changed"))
    found += [Difference(path, "missing") for path in known.keys() - seen]
    return sorted(found, key=lambda one: one.path)

"""Our snapshots' tags: how a repository tells, without any state of ours, which snapshot is which.

``vaultd``                    made by vaultd
``vault=<name>``
``kind=full|express|dump``
``id=<change set>``           ``<order, 12 digits>-<8 hex>``; the order is vaultd's own running number
``root64=<base64 (URL) of the vault's folder>``   restic's own ``paths`` loses bytes that are not UTF-8
``dump=<name>``, ``of=<change set>``   dumps only: which one, and the change set that it belongs to

A snapshot that turned out not to be what it was meant to be (a disk went while restic read it) gets ``kind=withdrawn``
and is nobody's from then on.

restic splits tags at commas, so no value holds one.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.model import SnapshotKind

MINE = "vaultd"
_CHANGE_SET = re.compile(r"[0-9]{12}-[0-9a-f]{8}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Tags:
    """What the tags of one snapshot say. ``root`` is absolute; ``dump`` and ``dump_of`` are empty but for dumps."""

    vault: str
    kind: SnapshotKind
    change_set: str
    root: bytes
    dump: str = ""
    dump_of: str = ""

    @property
    def order(self) -> int:
        """vaultd's running number: later is younger, whatever the clock did."""
        return int(self.change_set.partition("-")[0])


def new_change_set(order: int) -> str:
    """The id of a new change set: its place in the order, and eight random hex digits."""
    return f"{order:012d}-{secrets.token_hex(4)}"


def tags_of(
    vault: str, kind: SnapshotKind, change_set: str, root: bytes, *, dump: str = "", dump_of: str = ""
) -> list[str]:
    """The tags for a new snapshot. Raises ValueError for names that ``parse`` would not read back."""
    if not _NAME.fullmatch(vault) or not _CHANGE_SET.fullmatch(change_set) or not root.startswith(b"/"):
        raise ValueError(f"not a vault, change set and absolute folder: {vault!r}, {change_set!r}, {root!r}")
    tags = [
        MINE,
        f"vault={vault}",
        f"kind={kind.value}",
        f"id={change_set}",
        f"root64={base64.urlsafe_b64encode(root).decode('ascii')}",
    ]
    if dump:
        if not _NAME.fullmatch(dump):
            raise ValueError(f"not a name for a dump: {dump!r}")
        tags.append(f"dump={dump}")
    if dump_of:
        if not _CHANGE_SET.fullmatch(dump_of):
            raise ValueError(f"not a change set: {dump_of!r}")
        tags.append(f"of={dump_of}")
    return tags


def withdrawn_tags(vault: str, change_set: str, root: bytes) -> list[str]:
    """The tags that take a snapshot's word back: ``parse`` and a search for a kind do not find it any more."""
    wrong = f"kind={SnapshotKind.FULL.value}"
    return ["kind=withdrawn" if tag == wrong else tag for tag in tags_of(vault, SnapshotKind.FULL, change_set, root)]


def parse(tags: Iterable[str]) -> Tags | None:
    """What the tags say; None when they are not vaultd's, or not whole (someone else's snapshot: leave it alone)."""
    listed = list(tags)
    values = dict(tag.split("=", 1) for tag in listed if "=" in tag)
    if MINE not in listed or not _NAME.fullmatch(values.get("vault", "")):
        return None
    try:
        kind = SnapshotKind(values.get("kind", ""))
        root = base64.b64decode(values.get("root64", "").encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError, binascii.Error):
        return None
    change_set, dump, dump_of = values.get("id", ""), values.get("dump", ""), values.get("of", "")
    if not _CHANGE_SET.fullmatch(change_set) or not root.startswith(b"/"):
        return None
    if (dump and not _NAME.fullmatch(dump)) or (dump_of and not _CHANGE_SET.fullmatch(dump_of)):
        return None
    return Tags(values["vault"], kind, change_set, root, dump, dump_of)

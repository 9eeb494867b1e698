"""``repair packs`` and ``repair snapshots``; and ``restore`` of listed paths, for their content alone.

Measured with restic 0.18.0, and kept true by tests/test_repair.py:

- ``repair packs`` first saves a copy of each damaged pack as ``pack-<id>`` where it runs, and fails when such a file is
  there; then it stores the blobs that are intact anew, and removes the pack. A pack that is gone is not its business:
  ``repair index`` takes it out of the index.
- Once the index does not have a blob, any backup of the same content stores it again, and every snapshot that needs it
  is whole again: a blob's id is the SHA-256 of its content. Large files are cut in pieces by a number that each
  repository has for itself, so the file must be backed up, not the blob of another repository copied.
- ``repair snapshots --dry-run`` names what each snapshot lacks, a line for each file or folder: without JSON, and names
  are quoted as Go does. What two snapshots have in common is named with the first of them; given ids keep their order.
- ``repair snapshots`` without ``--forget`` copies the snapshots and keeps the old ones, but one whose top folder is
  lost it **removes** at once. Of a file that lacks a part, the copy has the rest under the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaultd import files
from vaultd.i18n import _
from vaultd.restic.commands.look import unquoted
from vaultd.restic.commands.remove import LOCK_WAIT, STALL, exclude_line
from vaultd.restic.exit import error_of
from vaultd.restic.process import Repository, Started, run

_SNAPSHOT = re.compile(rb"snapshot ([0-9a-f]{8,64}) of ")
_LACKS = re.compile(rb'  (file|dir) "(.*)": (.*)')
_PART = 200


@dataclass(frozen=True, slots=True)
class Lacking:
    """Something that a snapshot names and the repository does not have. ``path`` is absolute in the snapshot;
    ``folder``: what is in it is not known any more."""

    snapshot: str
    path: bytes
    folder: bool


async def repair_packs(
    repository: Repository, packs: Sequence[str], copies: Path, *, marker: str = "", started: Started | None = None
) -> None:
    """Save what is intact in damaged packs, and take them away. Copies of them go to the new folder ``copies``."""
    files.make_private_directory(copies)
    for at in range(0, len(packs), _PART):
        finished = await run(
            repository, [*LOCK_WAIT, "repair", "packs", *packs[at : at + _PART]], marker=marker, started=started,
            stall=STALL, folder=copies,
        )  # fmt: skip
        error = error_of(finished, _("damaged packs cannot be repaired"))
        if error is not None:
            raise error


async def lacking(repository: Repository, snapshots: Sequence[str]) -> list[Lacking]:
    """What these snapshots (whole ids, in this order) lack by the index. Changes nothing."""
    return await _repair_snapshots(repository, snapshots, ["--dry-run"], "", None)


async def drop_lacking(
    repository: Repository, snapshots: Sequence[str], *, marker: str = "", started: Started | None = None
) -> None:
    """Copy these snapshots without what they lack. The old ones stay, but for those of which nothing is left."""
    await _repair_snapshots(repository, snapshots, [], marker, started)


async def _repair_snapshots(
    repository: Repository, snapshots: Sequence[str], options: Sequence[str], marker: str, started: Started | None
) -> list[Lacking]:
    found: list[Lacking] = []
    current = [""]

    def on_line(line: bytes) -> None:
        head, lacks = _SNAPSHOT.match(line), _LACKS.fullmatch(line)
        if head is not None:
            short = head[1].decode("ascii")
            current[0] = next((one for one in snapshots if one.startswith(short)), "")
        elif lacks is not None:
            found.append(Lacking(current[0], unquoted(lacks[2].decode("utf-8")), lacks[1] == b"dir"))

    for at in range(0, len(snapshots), _PART):
        finished = await run(
            repository, [*LOCK_WAIT, "repair", "snapshots", *options, *snapshots[at : at + _PART]], marker=marker,
            started=started, on_line=on_line, stall=STALL,
        )  # fmt: skip
        error = error_of(finished, _("the snapshots cannot be looked through"))
        if error is not None:
            raise error
    return found


async def find_packs(repository: Repository, packs: Sequence[str]) -> list[Lacking]:
    """Files that have something in these packs, by the index as it is: each blob with one of the files that it is in.
    What lies in packs of folders cannot be named. Changes nothing."""
    found = dict[tuple[str, str], Lacking]()
    for at in range(0, len(packs), _PART):
        args = ["--no-lock", "find", "--json", "--pack", *packs[at : at + _PART]]
        output = bytearray()
        finished = await run(repository, args, stdout_to=output.extend, stall=STALL)
        error = error_of(finished, _("the damaged files cannot be named"), allowed=(0, 1))
        if error is not None:
            raise error
        for entry in _objects(bytes(output)):
            key = (entry["snapshot"], entry["path"])
            found[key] = Lacking(entry["snapshot"], entry["path"].encode("utf-8", "surrogateescape"), False)
    return list(found.values())


def _objects(output: bytes) -> list[dict[str, str]]:
    try:
        found = json.loads(output or b"[]")
    except ValueError:
        return []  # it ended in the middle: a folder could not be read, which the repair will say
    return [one for one in found if one.get("object_type") == "blob" and "path" in one and "snapshot" in one]


async def fetch(repository: Repository, snapshot: str, paths: Sequence[bytes], to: Path, lists: Path) -> None:
    """Restore these absolute paths of a snapshot below ``to``, as far as they are there: for their content. What cannot
    be restored is left out; a name that no list can hold too. Raises what stopped all of it."""
    files.make_private_directory(lists)
    listed = lists / f"{to.name}.include"
    wanted = [exclude_line(path) for path in paths if not re.search(rb"[\r\n]", path)]
    files.create_exclusive(listed, b"".join(line + b"\n" for line in wanted))
    try:
        args = ["--no-lock", "restore", "--json", "--include-file", str(listed), "--target", str(to), snapshot]
        finished = await run(repository, args, stall=STALL)
    finally:
        listed.unlink(missing_ok=True)
    error = error_of(finished, _("content cannot be fetched"), allowed=(0, 1))
    if error is None and finished.code == 1 and not to.exists():
        error = error_of(finished, _("content cannot be fetched"))
    if error is not None:
        raise error

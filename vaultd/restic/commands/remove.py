"""Commands that take something out of a repository (``forget`` by id, ``rewrite``, ``prune``), and ``check``.

Measured with restic 0.18.0, and kept true by tests/test_restic_remove.py:

- ``forget ID...`` takes an exclusive lock. An id that is not there, and a snapshot that the server does not let it
  remove, are a line on stderr and exit 0; so what is really gone is to be looked for afterwards.
- ``rewrite --exclude-file``: a snapshot that holds none of the paths stays as it is, id and all. Of one that does, a
  copy is saved: same time, host, tags and one tag more, ``rewrite``; its field ``original`` has the old id; its summary
  counts anew. The old one stays. Run again it makes another copy of each old one that is still there.
- Lines of an exclude file: ``$NAME`` is replaced by the environment's, ``$$`` is a dollar; white space around a line
  goes, ``[ ]`` at its end stays; bytes that are not UTF-8 count as they are. A line feed cannot be in one.
- ``rewrite`` and ``prune`` have no JSON; what they print may hold names of files, and is not kept.
- ``check`` exits with 1 and says what is wrong in JSON: ``broken_packs`` of the summary are damaged or too short, a
  pack that is gone is in a message only.
- ``prune`` keeps up to 5 % of unused data unless told ``--max-unused 0``; it refuses while a needed pack is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaultd import files
from vaultd.errors import ConfigError, ResticError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.restic.commands.common import literal
from vaultd.restic.exit import DONE, error_of
from vaultd.restic.process import Finished, Repository, Started, run

LOCK_WAIT = ("--retry-lock", "5m")
"""An exclusive lock waits longer: somebody's backup or restore may be under way."""

STALL = 1800.0
"""Seconds without life: on a large repository ``prune`` and ``check`` compute for long."""

_GONE_PACK = re.compile(r"pack ([0-9a-f]{64}): does not exist")
_BAD_PACK = re.compile(r"pack ([0-9a-f]{64})(?::| contains)")
_LONGEST_ROW = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found. ``faults``: how many; ``broken``: ids of packs that are damaged or too short; ``gone``:
    of packs that are not there; ``texts``: restic's words, which may hold names of files."""

    faults: int
    broken: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.faults == 0


async def forget_all(
    repository: Repository, snapshots: Sequence[str], *, marker: str = "", started: Started | None = None
) -> None:
    """Remove snapshots by their whole ids. Takes an exclusive lock. Which are really gone is to be looked for."""
    what = _("the snapshots cannot be removed")
    for at in range(0, len(snapshots), _LONGEST_ROW):
        part = snapshots[at : at + _LONGEST_ROW]
        finished = await run(repository, [*LOCK_WAIT, "forget", *part], marker=marker, started=started, stall=STALL)
        _raise(finished, what)


async def rewrite(
    repository: Repository,
    snapshots: Sequence[str],
    paths: Sequence[bytes],
    lists: Path,
    *,
    dry: bool = False,
    marker: str = "",
    started: Started | None = None,
) -> int:
    """Copy those of these snapshots that hold one of the absolute ``paths`` (or what is below) without them. Returns
    how many do. ``dry``: only count them. ``lists``: a private folder for the list of paths, which is removed again."""
    what = _("the snapshots cannot be rewritten")
    listed = lists / f"{marker or 'dry'}.exclude"
    files.make_private_directory(lists)
    files.create_exclusive(listed, b"".join(exclude_line(path) + b"\n" for path in paths))
    saved = [0]

    def on_line(line: bytes) -> None:
        saved[0] += line.startswith((b"saved new snapshot ", b"would save new snapshot"))

    try:
        for at in range(0, len(snapshots), _LONGEST_ROW):
            args = [*LOCK_WAIT, "rewrite", *(["--dry-run"] if dry else []), "--exclude-file", str(listed)]
            finished = await run(
                repository, [*args, *snapshots[at : at + _LONGEST_ROW]], marker=marker, on_line=on_line,
                started=started, stall=STALL,
            )  # fmt: skip
            _raise(finished, what)
    finally:
        listed.unlink(missing_ok=True)
    return saved[0]


def exclude_line(path: bytes) -> bytes:
    """The line of an exclude file for just this absolute path. Raises ConfigError for a name that no line can hold."""
    if b"\n" in path or b"\r" in path:
        raise ConfigError(
            _("--path {path}").format(path=display(path)), _("restic takes no name with a line end in it"),
            _("name the folder that it is in"),
        )  # fmt: skip
    return re.sub(rb"\s$", rb"[\g<0>]", literal(path).replace(b"$", b"$$"))


async def prune(
    repository: Repository, *, everything: bool = False, marker: str = "", started: Started | None = None
) -> None:
    """Clear away data that no snapshot needs. ``everything``: also what restic would leave, to save work. Takes an
    exclusive lock."""
    args = [*LOCK_WAIT, "prune", *(["--max-unused", "0"] if everything else [])]
    finished = await run(repository, args, marker=marker, started=started, stall=STALL)
    _raise(finished, _("the repository cannot be pruned"))


async def check(
    repository: Repository, *, subset: str = "", everything: bool = False, locked: bool = True, marker: str = "",
    started: Started | None = None, on_text: Callable[[str], None] | None = None,
) -> Checked:  # fmt: skip
    """Check that all that the snapshots need is there. ``subset``: read so much of the data too, such as "5%" or
    "200M", picked at random; ``everything``: all of it. Takes an exclusive lock, unless nobody can write there
    (``locked`` False). Raises what stopped the check."""
    read = ["--read-data"] if everything else ["--read-data-subset", subset] if subset else []
    said: list[str] = []
    summary: list[dict[str, Any]] = []

    def on_line(line: bytes) -> None:
        found = _message(line)
        if found.get("message_type") == "summary":
            summary.append(found)
        elif found.get("message_type") == "error":
            text = str(found.get("message", "")).strip()
            said.append(text)
            if on_text is not None:
                on_text(text)

    how = LOCK_WAIT if locked else ("--no-lock",)
    finished = await run(
        repository, [*how, "check", "--json", *read], marker=marker, on_line=on_line, on_error_line=on_line,
        started=started, stall=STALL,
    )  # fmt: skip
    if finished.code not in (DONE, 1) or finished.stalled or finished.lost_line or (finished.code and not summary):
        _raise(finished, _("the repository cannot be checked"))
    if not summary:
        raise ResticError(_("the repository cannot be checked"), _("restic ended without saying what it has found"))
    faults = max(int(summary[-1].get("num_errors") or 0), 1 if finished.code else 0)
    gone = {match[1] for text in said for match in _GONE_PACK.finditer(text)}
    broken = {*(summary[-1].get("broken_packs") or ()), *(m[1] for text in said for m in _BAD_PACK.finditer(text))}
    return Checked(faults, tuple(sorted(broken - gone)), tuple(sorted(gone)), tuple(said))


def _message(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _raise(finished: Finished, what: str) -> None:
    error = error_of(finished, what)
    if error is not None:
        raise error

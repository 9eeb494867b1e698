"""One run of ``restic restore``: its arguments, its messages, and what they mean.

Measured with restic 0.18.0:

- ``snapshot:folder`` restores what is below the folder, never the folder's own metadata; it takes any bytes, also ``:``
  and line feeds. To get the folder's metadata, its parent is restored with everything below the folder excluded: that
  makes the folder alone, with mode, owner, times, attributes and ACLs.
- Patterns of ``--include`` and ``--exclude`` are Go's ``filepath.Match`` with a leading ``/`` for the start: ``\\`` takes
  the meaning from ``*?[]\\``, other bytes stand for themselves, line feeds and bytes that are not UTF-8 too. A pattern
  that matches nothing is no error, so what was asked for has to be looked for afterwards. The folders on the way to
  what is included get their metadata as well.
- Hard links inside what is restored come back as such; of a group that is restored in part, those restored are linked.
- Sockets are not stored. FIFOs and devices are. Without ``--sparse`` a sparse file takes its full room.
- What is in the way: a symbolic link is replaced, never followed, for files and for folders; a file that has hard
  links is replaced by a new one, so the others keep their content; a file where a folder must be is replaced; an empty
  folder where a file must be is replaced; a folder with content there is an error for this path, *and gets the file's
  metadata*. That is why express files are put in place by ``merge`` and not by restic.
- An interrupted run leaves files that have their full size but not yet their time and mode 0600. ``--overwrite
  if-changed`` skips what has the right size and time, checks the blocks of everything else and fetches what differs.
- Errors of single paths: exit code 1, JSON on stderr, and the summary is on stdout all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.restic import messages, process
from vaultd.restic.exit import error_of
from vaultd.restic.process import Finished, Repository

_SPECIAL = frozenset(b"*?[]\\")
RETRY_LOCK = "30s"


@dataclass(frozen=True, slots=True)
class Problem:
    """A path that is not, or not wholly, restored. ``path`` is relative to the vault, as restic or the system shows it
    (restic's messages have U+FFFD for bytes that are not UTF-8)."""

    path: str
    message: str


@dataclass(slots=True)
class Ran:
    """How far one run of restic came. Skipped: there already, and right."""

    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    problems: list[Problem] = field(default_factory=list)
    summary: bool = False


@dataclass(frozen=True, slots=True)
class Engine:
    """How restic is run for this restore. ``stall``: seconds without life after which a run is ended."""

    repository: Repository
    marker: str = ""
    stall: float | None = 120.0
    lock: bool = True
    on_step: Callable[[Ran], None] = lambda _ran: None

    async def restore(
        self,
        snapshot: StoredSnapshot,
        folder: bytes,
        to: bytes,
        *,
        include: Sequence[bytes] = (),
        exclude: Sequence[bytes] = (),
        overwrite: str = "always",
        what: str,
    ) -> Ran:
        """Restore what is below ``folder`` of a snapshot. Raises mapped errors; problems of single paths are returned."""
        args: list[str | bytes] = ["restore", "--json", "--sparse", f"--overwrite={overwrite}"]
        args += [f"--retry-lock={RETRY_LOCK}"] if self.lock else ["--no-lock"]
        args += [b"--include=" + pattern for pattern in include]
        args += [b"--exclude=" + pattern for pattern in exclude]
        args += [b"--target=" + to, b"--", snapshot.id.encode("ascii") + b":" + folder]
        ran = Ran()
        finished = await process.run(
            self.repository, args, marker=self.marker, stall=self.stall,
            on_line=lambda line: self._line(ran, line), on_error_line=lambda line: self._line(ran, line),
        )  # fmt: skip
        error = error_of(finished, what)
        if error is not None and not (ran.problems and _only_problems(finished, error, ran)):
            raise error
        return ran

    def _line(self, ran: Ran, line: bytes) -> None:
        match messages.parse(line):
            case messages.Status() | messages.Summary() as found:
                ran.files = found.files_restored + found.files_skipped
                ran.bytes = found.bytes_restored + found.bytes_skipped
                ran.files_total = found.total_files + found.files_skipped
                ran.bytes_total = found.total_bytes + found.bytes_skipped
                ran.summary = ran.summary or isinstance(found, messages.Summary)
                self.on_step(ran)
            case messages.Error() as found:
                ran.problems.append(Problem(found.item.lstrip("/"), found.error.message))
            case _:
                pass

    async def root_metadata(self, snapshot: StoredSnapshot, to: bytes, what: str) -> bytes | None:
        """Restore the vault's folder without its content below ``to``; returns where it is, None if there is none."""
        above, name = os.path.split(snapshot.root.rstrip(b"/"))
        if not name or snapshot.kind is SnapshotKind.DUMP:
            return None
        await self.restore(snapshot, above, to, exclude=[b"/" + escape(name) + b"/*"], what=what)
        return existing(os.path.join(to, name))


def content_folder(snapshot: StoredSnapshot) -> bytes:
    """The folder of the snapshot whose content is wanted. A dump is a file at the top."""
    return b"/" if snapshot.kind is SnapshotKind.DUMP else snapshot.root


def escape(path: bytes) -> bytes:
    """A path as a pattern that matches it alone."""
    return b"".join(b"\\" + bytes([byte]) if byte in _SPECIAL else bytes([byte]) for byte in path)


def existing(path: bytes) -> bytes | None:
    """The path, if there is something."""
    return path if os.path.lexists(path) else None


def _only_problems(finished: Finished, error: VaultdError, ran: Ran) -> bool:
    # restic ends with 1 for errors of single paths and for errors of the line; it writes the summary in the first case
    # only when it came to the end.
    return finished.code == 1 and not finished.stalled and "There were " in finished.stderr and not error_is_line(error)


def error_is_line(error: VaultdError) -> bool:
    """Whether the server or the line is at fault, so that trying again makes sense."""
    return error.code == "unreachable"


def what_text(vault: str) -> str:
    """What is being tried, for messages."""
    return _("restore of vault {vault}").format(vault=vault)

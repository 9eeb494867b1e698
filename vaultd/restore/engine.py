"""One run of ``restic restore``: its arguments, its messages, and what they mean.

Measured with restic 0.18.0:

- ``snapshot:folder`` restores what is below the folder, never the folder's own metadata; it takes any bytes, also ``:``
  and line feeds. To get the folder's metadata, its parent is restored with everything below the folder excluded: that
  makes the folder alone, with mode, owner, times, attributes and ACLs.
- Patterns of ``--include`` and ``--exclude`` are Go's ``filepath.Match`` with a leading ``/`` for the start: ``\\``
  takes the meaning from ``*?[]\\``, other bytes stand for themselves, line feeds and bytes that are not UTF-8 too. A
  pattern that matches nothing is no error, so what was asked for has to be looked for afterwards. The folders on the
  way to what is included get their metadata as well.
- Hard links inside what is restored come back as such; of a group that is restored in part, those restored are linked.
- Sockets are not stored. FIFOs and devices are. Without ``--sparse`` a sparse file takes its full room.
- What is in the way: a symbolic link is replaced, never followed, for files and for folders; a file that has hard
  links is replaced by a new one, so the others keep their content; a file where a folder must be is replaced; an empty
  folder where a file must be is replaced; a folder with content there is an error for this path, *and gets the file's
  metadata*. That is why express files are put in place by ``merge`` and not by restic.
- ``--overwrite always`` (the default) reads what is in place and fetches only what differs, but see
  ``workplace.clear_for_another_run`` for hard links. ``if-changed`` believes size and time.
- Errors of single paths: exit code 1, JSON on stderr, and the summary is on stdout all the same. So it is when the line
  breaks: an error for every path whose data did not come, and the half-filled files get their final time and mode. Only
  what ssh says tells the two apart.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vaultd.errors import TargetFullError, TargetReadOnlyError, UnreachableError
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.names import display, replaced
from vaultd.restic import messages, process
from vaultd.restic.commands.common import literal
from vaultd.restic.exit import error_of
from vaultd.restic.process import Repository

log = logging.getLogger(__name__)

RETRY_LOCK = "30s"


@dataclass(frozen=True, slots=True)
class Problem:
    """A path that is not, or not wholly, restored. ``path`` is relative to the vault, as ``names.display`` shows it
    (from a message of restic: with U+FFFD for each byte that is not UTF-8)."""

    path: str
    message: str


@dataclass(slots=True)
class Ran:
    """How far one run of restic came. Skipped: there already, and right."""

    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    problems: dict[str, Problem] = field(default_factory=dict)


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
        paths: Sequence[bytes] = (),
        without: bytes = b"",
        vault: bytes = b"",
        again: bool = False,
        what: str,
    ) -> Ran:
        """Restore what is below ``folder`` of a snapshot. Raises mapped errors; problems of single paths are returned.

        ``paths`` relative to ``folder``: only these and what is below. ``without``: nothing of this folder's content.
        ``vault``: the name in ``to`` that the vault's own folder gets, where that comes with its content.
        ``again``: there may be remains of another run (``workplace.clear_for_another_run`` has been there): what is in
        place is read and compared, and the whole is read once more at the end.
        """
        args: list[str | bytes] = ["restore", "--json", "--sparse", "--overwrite=always"]
        args += ["--verify"] if again else []
        args += [b"--include=/" + literal(path) for path in paths]
        args += [b"--exclude=/" + literal(without) + b"/*"] if without else []
        args += [b"--target=" + to, b"--", snapshot.id.encode("ascii") + (b":" + folder if folder != b"/" else b"")]
        try:
            return await self._run(
                [f"--retry-lock={RETRY_LOCK}", *args] if self.lock else ["--no-lock", *args], to, vault, what
            )
        except (TargetReadOnlyError, TargetFullError) as error:
            if not self.lock:
                raise
            # A lock is a file in the repository: where nothing can be written, nobody can take away what we read.
            log.info("restoring without a lock: %s", error)
            return await self._run(["--no-lock", *args], to, vault, what)

    async def _run(self, args: Sequence[str | bytes], to: bytes, vault: bytes, what: str) -> Ran:
        ran, said = Ran(), _Said()
        above = [to.decode("utf-8", "replace"), *([replaced(vault) + "/"] if vault else [])]

        def on_error_line(line: bytes) -> None:
            said.add(line)
            self._line(ran, line, above)

        finished = await process.run(
            self.repository, args, marker=self.marker, stall=self.stall,
            on_line=lambda line: self._line(ran, line, above), on_error_line=on_error_line,
        )  # fmt: skip
        # What restic says of single paths must not be taken for what ssh says of the line.
        error = error_of(replace(finished, stderr=said.text()), what)
        if error is not None and (finished.code != 1 or not ran.problems or isinstance(error, UnreachableError)):
            raise error
        return ran

    def _line(self, ran: Ran, line: bytes, above: Sequence[str]) -> None:
        match messages.parse(line):
            case messages.Status() | messages.Summary() as found:
                ran.files = found.files_restored + found.files_skipped
                ran.bytes = found.bytes_restored + found.bytes_skipped
                ran.files_total = found.total_files + found.files_skipped
                ran.bytes_total = found.total_bytes + found.bytes_skipped
                self.on_step(ran)
            case messages.Error() as found:
                path = found.item
                for one in above:
                    path = path.removeprefix(one).lstrip("/")
                ran.problems.setdefault(path, Problem(display(path), found.error.message))
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Source:
    """Where in a snapshot the vault's content is: ``folder``, that is ``name`` in ``above`` (no name: the top)."""

    folder: bytes
    above: bytes
    name: bytes


def source_of(snapshot: StoredSnapshot) -> Source:
    """A dump is a file at the top of its snapshot; everything else is below the vault's absolute path."""
    root = b"/" if snapshot.kind is SnapshotKind.DUMP else b"/" + snapshot.root.strip(b"/")
    above, _slash, name = root.rpartition(b"/")
    return Source(root, above or b"/", name)


@dataclass(slots=True)
class _Said:
    """What restic and ssh said outside of messages about single paths: the first and the last of it."""

    first: list[bytes] = field(default_factory=list)
    last: deque[bytes] = field(default_factory=lambda: deque(maxlen=100))

    def add(self, line: bytes) -> None:
        if isinstance(messages.parse(line), messages.Error):
            return
        if len(self.first) < 100:
            self.first.append(line)
        else:
            self.last.append(line)

    def text(self) -> str:
        return b"\n".join([*self.first, *self.last]).decode("utf-8", "replace")

"""``restic backup``: of folders, of listed files, of a command's output.

Measured with restic 0.18.0, and kept true by tests/test_restic_backup.py:

- A listed or named path that is missing is one line of plain text on stderr even with ``--json`` ("... does not exist,
  skipping") and exit 0; when all are missing, exit 1 and no snapshot. Here both become a ``BackupError`` with
  ``during="missing"``.
- ``--skip-if-unchanged`` without a change: exit 0, a summary without ``snapshot_id``. It compares whole trees, the
  folders above roots and listed files included: it finds a change whenever a time of one of those folders
  differs (a vault in /srv/x: somebody makes /srv/y). Then compare the root's ``subtree`` (``cat_tree``) of both.
  restic touches its TMPDIR itself: a vault beside it never counts as unchanged.
- ``--parent`` with ``--files-from-raw``: a full snapshot serves as parent, listed files are found in it by their
  absolute path; without ``--skip-if-unchanged`` a new snapshot is made each time.
- A listed or contained file that vanishes while restic runs is left out: exit 0, no message at all.
- ``--no-scan``: status lines have no totals; ``files_done`` and ``bytes_done`` go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from vaultd.errors import ResticError, RootError
from vaultd.i18n import _
from vaultd.names import replaced
from vaultd.restic import messages
from vaultd.restic.commands.common import WAIT_FOR_LOCK, literal, nanoseconds
from vaultd.restic.exit import DONE, UNREAD, error_of
from vaultd.restic.process import Finished, Repository, Started, run

Progress = Callable[[int, int], None]
"""Files done and bytes done so far."""

_SKIPPED = b" does not exist, skipping"


@dataclass(frozen=True, slots=True)
class BackupError:
    """What went wrong with one item. ``item``: its absolute path as ``names.replaced`` shows it. ``during``: restic's
    "archival" or "scan", or our own "missing" for a named path that was not there."""

    item: str
    during: str
    message: str


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What a backup has stored. ``snapshot_id`` is None when no snapshot was made: nothing had changed (and
    ``skip_if_unchanged``), every listed file is missing, or ``dry``. Exit 3 is a result with ``errors``. ``began``
    (nanoseconds since 1970): when restic began, by its clock; the snapshot has just this time unless it was given one.
    """

    snapshot_id: str | None
    parent: str | None
    files_new: int
    files_changed: int
    files_total: int
    bytes_total: int
    data_added: int
    data_added_packed: int
    errors: list[BackupError]
    finished: Finished
    began: int | None = None


async def backup(
    repository: Repository,
    *,
    roots: Sequence[bytes] = (),
    files_from: Path | None = None,
    host: str,
    tags: Sequence[str] = (),
    parent: str | None = None,
    time: datetime | None = None,
    stall: float | None = None,
    started: Started | None = None,
    marker: str = "",
    on_progress: Progress | None = None,
    skip_if_unchanged: bool = False,
    exclude: Sequence[bytes] = (),
    connections: int | None = None,
    pack_size: int | None = None,
    readers: int | None = None,
    dry: bool = False,
) -> BackupResult:
    """Store folders (``roots``, absolute) or the files of a NUL-separated list (``files_from``).

    ``time`` has whole seconds in restic. ``exclude`` are absolute paths, taken literally. ``pack_size`` MiB.
    ``readers``: files read at a time (restic's default: 2). Raises RootError when every root is missing, and what
    ``exit.error_of`` says for a run that failed.
    """
    if bool(roots) == (files_from is not None):
        raise ValueError("either roots or files_from")
    args = _common(host, tags, time, connections, pack_size)
    args += ["--parent", parent] if parent else []
    args += ["--skip-if-unchanged"] if skip_if_unchanged else []
    args += ["--read-concurrency", str(readers)] if readers else []
    args += ["--dry-run"] if dry else []
    for path in exclude:
        args += [b"--exclude=" + literal(path)]
    if files_from is not None:
        args += ["--files-from-raw", str(files_from.absolute())]
        listed = {path for path in files_from.read_bytes().split(b"\0") if path}
    else:
        args += ["--", *roots]
        listed = set(roots)
    heard = _Heard(on_progress, listed)
    finished = await run(
        repository, args,
        marker=marker, on_line=heard.line, on_error_line=heard.error_line, started=started, stall=stall,
    )  # fmt: skip
    what = _("the backup failed")
    if finished.code == 1 and heard.missing >= listed:
        if files_from is None:
            raise RootError(what, _("no folder of it is there"))
        return heard.result(parent, finished)
    return heard.checked(parent, finished, what, must_summarise=True)


async def backup_command(
    repository: Repository,
    argv: Sequence[str | bytes],
    *,
    stdin_filename: str,
    host: str,
    tags: Sequence[str] = (),
    time: datetime | None = None,
    stall: float | None = None,
    started: Started | None = None,
    marker: str = "",
    on_progress: Progress | None = None,
    connections: int | None = None,
    pack_size: int | None = None,
) -> BackupResult:
    """Store the standard output of a command (run by restic, with restic's environment) as one file.

    A command that fails (any exit but 0) or cannot be started raises ResticError, and no snapshot is made. No output at
    all: restic makes an **empty snapshot** with exit 3; that is raised as ResticError here, with the id of the snapshot
    in the text: have the command wrapped so that it fails instead.
    """
    args = _common(host, tags, time, connections, pack_size)
    args += ["--stdin-filename", stdin_filename, "--stdin-from-command", "--", *argv]
    heard = _Heard(on_progress, set())
    finished = await run(
        repository, args,
        marker=marker, on_line=heard.line, on_error_line=heard.error_line, started=started, stall=stall,
    )  # fmt: skip
    what = _("the dump failed")
    result = heard.checked(None, finished, what, must_summarise=True)
    if result.errors or finished.code == UNREAD:
        why = result.errors[0].message if result.errors else _("the command printed nothing")
        raise ResticError(
            what,
            _("{why} (empty snapshot {id})").format(why=why, id=(result.snapshot_id or "-")[:8]),
            _("run the command by hand and see what it prints"),
        )
    return result


def _common(
    host: str, tags: Sequence[str], time: datetime | None, connections: int | None, pack_size: int | None
) -> list[str | bytes]:
    args: list[str | bytes] = []
    if connections is not None:
        args += ["-o", f"sftp.connections={connections}"]
    if pack_size is not None:
        args += ["--pack-size", str(pack_size)]
    args += [*WAIT_FOR_LOCK, "backup", "--json", "--no-scan", "--host", host]
    for tag in tags:
        args += ["--tag", tag]
    if time is not None:
        args += ["--time", time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")]
    return args


@dataclass(slots=True)
class _Heard:
    """What a run has said so far."""

    on_progress: Progress | None
    listed: set[bytes]
    summary: messages.Summary | None = None
    errors: list[BackupError] = field(default_factory=list)
    missing: set[bytes] = field(default_factory=set)
    plain: list[bytes] = field(default_factory=list)

    def line(self, line: bytes) -> None:
        message = messages.parse(line)
        if isinstance(message, messages.Summary):
            self.summary = message
            if self.on_progress is not None:
                self.on_progress(message.total_files_processed, message.total_bytes_processed)
        elif isinstance(message, messages.Status) and self.on_progress is not None:
            self.on_progress(message.files_done, message.bytes_done)

    def error_line(self, line: bytes) -> None:
        message = messages.parse(line)
        if isinstance(message, messages.Error):
            self.errors.append(BackupError(message.item, message.during, message.error.message))
        elif message is None:
            self.plain = [*self.plain[-4096:], line]
            if line.endswith(_SKIPPED):
                self._missing(line)

    def _missing(self, line: bytes) -> None:
        # A name with line feeds comes in several lines: go back until a listed path is whole.
        path = line.removesuffix(_SKIPPED)
        candidate, count = path, 1
        while candidate not in self.listed and count < len(self.plain):
            count += 1
            candidate = self.plain[-count] + b"\n" + candidate
        if candidate in self.listed:
            path = candidate
            del self.plain[-count:]
        self.missing.add(path)
        self.errors.append(BackupError(replaced(path), "missing", _("does not exist")))

    def checked(self, parent: str | None, finished: Finished, what: str, *, must_summarise: bool) -> BackupResult:
        error = error_of(finished, what, allowed=(DONE, UNREAD))
        if error is not None:
            raise error
        if must_summarise and self.summary is None:
            raise ResticError(what, _("restic ended without saying what it has stored"))
        return self.result(parent, finished)

    def result(self, parent: str | None, finished: Finished) -> BackupResult:
        said = self.summary or messages.Summary(message_type="summary")
        return BackupResult(
            said.snapshot_id or None, parent, said.files_new, said.files_changed, said.total_files_processed,
            said.total_bytes_processed, said.data_added, said.data_added_packed, self.errors, finished,
            nanoseconds(said.backup_start) if said.backup_start else None,
        )  # fmt: skip

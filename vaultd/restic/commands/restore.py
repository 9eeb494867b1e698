"""``restic restore`` and ``restic dump``: content out of a snapshot."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaultd.errors import HostKeyError, ResticError, UnreachableError
from vaultd.i18n import _
from vaultd.restic import messages
from vaultd.restic.commands.backup import BackupError
from vaultd.restic.commands.common import READ_STALL, WAIT_FOR_LOCK, literal
from vaultd.restic.exit import error_of
from vaultd.restic.process import Finished, Repository, Started, run

RestoreProgress = Callable[[int, int, int, int], None]
"""Files done, files in all, bytes done, bytes in all."""


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What a restore has written. ``errors`` lists the items of which something could not be written."""

    files_total: int
    files_restored: int
    files_skipped: int
    bytes_total: int
    bytes_restored: int
    errors: list[BackupError]
    finished: Finished


async def restore(
    repository: Repository,
    snapshot: str,
    subfolder: bytes,
    target: Path | bytes,
    includes: Sequence[bytes] = (),
    overwrite: str = "never",
    on_progress: RestoreProgress | None = None,
    *,
    lock: bool = True,
    stall: float | None = READ_STALL,
    marker: str = "",
    started: Started | None = None,
) -> RestoreResult:
    """Restore a folder of a snapshot (``subfolder``, absolute in it; ``b""`` or ``b"/"`` is all) into ``target``.

    ``includes`` are paths relative to ``subfolder``, taken literally; none means all of it. ``overwrite``: "always",
    "if-changed", "if-newer" or "never". ``lock=False`` for a repository that cannot be written.
    """
    source = snapshot.encode("ascii") + (b":" + subfolder if subfolder.strip(b"/") else b"")
    args: list[str | bytes] = [*(WAIT_FOR_LOCK if lock else ("--no-lock",)), "restore", "--json", "--sparse"]
    args += ["--overwrite", overwrite]
    for path in includes:
        args += [b"--include=/" + literal(path.lstrip(b"/"))]
    args += [b"--target=" + (target if isinstance(target, bytes) else bytes(target.absolute())), "--", source]
    errors: list[BackupError] = []
    summary: list[messages.Summary] = []

    def on_line(line: bytes) -> None:
        message = messages.parse(line)
        if isinstance(message, messages.Summary):
            summary.append(message)
        if isinstance(message, messages.Status | messages.Summary) and on_progress is not None:
            on_progress(message.files_restored, message.total_files, message.bytes_restored, message.total_bytes)

    def on_error_line(line: bytes) -> None:
        message = messages.parse(line)
        if isinstance(message, messages.Error):
            errors.append(BackupError(message.item, message.during, message.error.message))

    finished = await run(
        repository, args, marker=marker, on_line=on_line, on_error_line=on_error_line, started=started, stall=stall
    )  # fmt: skip
    error = error_of(finished, _("the restore failed"))
    if error is not None and (not errors or isinstance(error, UnreachableError | HostKeyError) or finished.code != 1):
        raise error
    if not summary:
        raise error or ResticError(_("the restore failed"), _("restic ended without saying what it has restored"))
    said = summary[-1]
    return RestoreResult(
        said.total_files, said.files_restored, said.files_skipped, said.total_bytes, said.bytes_restored,
        errors, finished,
    )  # fmt: skip


async def dump(
    repository: Repository,
    snapshot: str,
    path: bytes,
    on_chunk: Callable[[bytes], None],
    *,
    archive: bool = False,
    stall: float | None = READ_STALL,
    marker: str = "",
) -> None:
    """Hand over the stored content of a file (absolute path in the snapshot) in pieces; ``archive``: a folder as tar.

    The pieces are complete only when this returns; an error may come after some of them.
    """
    args: list[str | bytes] = ["--no-lock", "dump", *(("--archive", "tar") if archive else ()), "--", snapshot, path]
    finished = await run(repository, args, stdout_to=on_chunk, stall=stall, marker=marker)
    error = error_of(finished, _("stored content cannot be read"))
    if error is not None:
        raise error


async def dump_into(
    repository: Repository, snapshot: str, path: bytes, pipe: int, *, archive: bool, stall: float | None = READ_STALL,
    marker: str = "",
) -> None:  # fmt: skip
    """As ``dump``, into another process's ``pipe``, which is closed here: nothing of the content comes through this
    process."""
    args: list[str | bytes] = ["--no-lock", "dump", *(("--archive", "tar") if archive else ()), "--", snapshot, path]
    try:
        finished = await run(repository, args, stdout_fd=pipe, stall=stall, marker=marker)
    finally:
        os.close(pipe)  # or its reader would never see the end
    error = error_of(finished, _("stored content cannot be read"))
    if error is not None:
        raise error

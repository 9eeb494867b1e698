"""The JSON lines of ``restic --json`` (0.18) as typed messages.

restic writes ``status``, ``summary`` and ``verbose_status`` to stdout, ``error`` and ``exit_error`` to stderr. A type
that is not known here is ignored, and so is an unknown field: later versions of restic add some.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Status(_Message):
    """How far a run is, twice a second. A backup gives files and bytes done; with ``--no-scan`` no totals. A restore
    says ``files_restored`` and ``bytes_restored``."""

    message_type: Literal["status"]
    percent_done: float = 0
    total_files: int = 0
    files_done: int = 0
    files_restored: int = 0
    files_skipped: int = 0
    total_bytes: int = 0
    bytes_done: int = 0
    bytes_restored: int = 0
    bytes_skipped: int = 0
    error_count: int = 0


class Summary(_Message):
    """The end of a backup (``snapshot_id`` empty: none was made) or of a restore (from ``total_files`` on)."""

    message_type: Literal["summary"]
    snapshot_id: str = ""
    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    total_files_processed: int = 0
    total_bytes_processed: int = 0
    backup_start: str = ""
    total_files: int = 0
    files_restored: int = 0
    files_skipped: int = 0
    files_deleted: int = 0
    total_bytes: int = 0
    bytes_restored: int = 0
    bytes_skipped: int = 0


class ErrorText(_Message):
    """The inner object of ``error``."""

    message: str = ""


class Error(_Message):
    """Something about one item; the run goes on. ``item`` has U+FFFD where a name is not UTF-8."""

    message_type: Literal["error"]
    error: ErrorText = ErrorText()
    during: str = ""
    item: str = ""


class VerboseStatus(_Message):
    """What was done with one item (only with ``--verbose``)."""

    message_type: Literal["verbose_status"]
    action: str = ""
    item: str = ""


class ExitError(_Message):
    """Why the run failed, last on stderr."""

    message_type: Literal["exit_error"]
    code: int = 1
    message: str = ""


class Initialized(_Message):
    """``init`` has made a repository."""

    message_type: Literal["initialized"]
    id: str
    repository: str = ""


Message = Status | Summary | Error | VerboseStatus | ExitError | Initialized

_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="message_type")])


def parse(line: bytes | str) -> Message | None:
    """The message of a line; None for a line that is no message, or one of a type that vaultd does not use."""
    start = "{" if isinstance(line, str) else b"{"
    if not line.startswith(start):  # type: ignore[arg-type]
        return None
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None

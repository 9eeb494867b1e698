"""What the API asks of the daemon: the daemon implements ``Service``, tests implement it with a stand-in.

Times are nanoseconds since 1970. Errors are raised as ``VaultdError`` and reach the client as the same class.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from vaultd.approvals import Caller, Request
from vaultd.model import Progress
from vaultd.store.alerts import Alert

Paths = tuple[bytes, ...]
State = Literal["running", "done", "partial", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one vault at one target in a backup. ``kind`` is "full", "express", or "" when nothing was owed.

    ``sent`` is what went over the line, in bytes. ``unread`` are paths that could not be read, relative to the vault.
    ``error`` is ``VaultdError.as_json()`` of what stopped it.
    """

    vault: str
    target: str
    kind: str = ""
    snapshot: str = ""
    change_set: str = ""
    files: int = 0
    bytes: int = 0
    sent: int = 0
    seconds: float = 0.0
    unread: Paths = ()
    error: dict[str, str | int] | None = None


@dataclass(slots=True)
class Job:
    """A backup that somebody asked for. ``version`` grows with every change; ``wait`` waits for the next.

    The daemon changes a job in its event loop only, through ``show`` and ``end``.
    """

    id: str
    vaults: tuple[str, ...]
    full: bool
    started: int
    state: State = "running"
    version: int = 0
    progress: tuple[Progress, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    error: dict[str, str | int] | None = None
    finished: int | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def show(self, progress: Sequence[Progress]) -> None:
        """Say how far it is: the runs in motion now."""
        self.progress = tuple(progress)
        self._touch()

    def end(
        self, state: State, finished: int, outcomes: Sequence[Outcome] = (), error: dict[str, str | int] | None = None
    ) -> None:
        """It is over: "done", "partial" or "failed"."""
        self.state, self.finished, self.outcomes, self.error = state, finished, tuple(outcomes), error
        self.progress = ()
        self._touch()

    def _touch(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, after: int, seconds: float) -> None:
        """Return when ``version`` is above ``after``, when it is over, or when the time is up."""
        try:
            async with asyncio.timeout(seconds):
                while self.version <= after and self.state == "running":
                    await self._changed.wait()
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """``vaults`` empty: all. ``full``: end with an exact full snapshot. ``who`` is for the log."""

    vaults: tuple[str, ...]
    full: bool
    accept_empty: bool
    who: str


@dataclass(frozen=True, slots=True)
class EvacuationRequest:
    """An order, or what is filled in later. ``said``: the details by their names."""

    level: str | None
    category: str | None
    said: dict[str, str]
    drill: bool
    caller: Caller


class Service(Protocol):
    """The daemon as the API sees it. Called in its event loop; what may take long goes to a thread."""

    async def status(self) -> dict[str, Any]:
        """The status document (``vaultd.status``)."""

    async def request_backup(self, request: BackupRequest) -> Job:
        """Start a backup. Raises ConfigError for an unknown vault, BusyError when too many are running."""

    async def job(self, number: str) -> Job | None:
        """A job by its id; finished ones are kept for a while."""

    async def progress(self) -> Sequence[Progress]:
        """Every run of restic in motion, whoever asked for it."""

    async def alerts(self, open_only: bool) -> Sequence[Alert]:
        """Alerts, newest first."""

    async def acknowledge(self, number: int, who: str) -> bool:
        """Somebody has seen an alert. False when there is none of this number that is not acknowledged."""

    async def retry(self, target: str) -> None:
        """Forget the back-off and try a target now: its host key was trusted, or the line is up again.

        Raises ConfigError for an unknown target.
        """

    async def evacuate(self, request: EvacuationRequest) -> tuple[dict[str, Any], bool]:
        """Order an evacuation. Its document, and whether one went on already. Raises ConfigError, StateError."""

    async def evacuation(self) -> dict[str, Any] | None:
        """The document of the evacuation that goes on (``evacuate.view``)."""

    async def end_evacuation(self, caller: Caller, note: str) -> dict[str, Any] | None:
        """End the one that goes on; its document, or None when there is none. Raises ApprovalMissingError."""

    async def pull_list(self) -> dict[str, Any] | None:
        """The kept pull list (``pull.kept``); None while there is none."""

    async def approval_requests(self, open_only: bool) -> Sequence[Request]:
        """The requests for approval, the oldest first."""

    async def approval_request(self, number: int) -> Request:
        """One of them. Raises NoRequestError."""

    async def approve(self, number: int, signature: str, person: str, who: str) -> Request:
        """Somebody approves. Raises ApprovalError, NoRequestError, SshSignatureError."""

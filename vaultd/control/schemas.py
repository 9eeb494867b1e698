"""What goes over the socket: the JSON contract of the API (docs/json.md). A field is never renamed or taken away in v1.

Moments are RFC 3339 in UTC, sizes bytes, durations seconds. A path that is not UTF-8 has ``path_b64`` beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vaultd import model, names, status, units
from vaultd.control import service
from vaultd.store.alerts import Alert

MOST_VAULTS = 1000


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class BackupBody(_Request):
    """POST /v1/backup."""

    vaults: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=MOST_VAULTS)] = []
    full: bool = False
    accept_empty: bool = False


class ApprovalBody(_Request):
    """POST /v1/approvals/NUMBER: an SSH signature of the request's ``statement``, in base64; ``person``: who signs,
    empty: whoever's key it is."""

    signature: Annotated[str, Field(max_length=8192)]
    person: Annotated[str, Field(max_length=200)] = ""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    version: Literal[1] = 1


class ErrorDetail(BaseModel):
    """``VaultdError.as_json()``."""

    code: str
    exit_code: int
    what: str
    why: str
    hint: str


class ErrorAnswer(_Answer):
    """Any answer that is not 2xx."""

    error: ErrorDetail


class StatusAnswer(BaseModel):
    """GET /v1/status. The parts are described in docs/json.md and made by ``vaultd.status``."""

    model_config = ConfigDict(extra="forbid")
    version: Literal[1]
    host: str
    as_of: str
    daemon: dict[str, Any]
    state: str
    vaults: list[dict[str, Any]]
    targets: list[dict[str, Any]]
    ledger: dict[str, Any]
    kit: dict[str, Any]
    media: dict[str, Any] | None = None
    evacuation: dict[str, Any] | None = None
    approvals: dict[str, Any] | None = None
    warnings: dict[str, Any] | None = None
    alerts: list[dict[str, Any]]
    progress: list[dict[str, Any]]


class ProgressDetail(BaseModel):
    """``model.Progress``: one run in motion."""

    phase: str
    vault: str
    target: str
    kind: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    rate: float
    seconds_left: float | None

    @classmethod
    def of(cls, found: model.Progress) -> ProgressDetail:
        """From the daemon's own value."""
        return cls.model_validate(found, from_attributes=True)


class ProgressAnswer(_Answer):
    """GET /v1/progress."""

    progress: list[ProgressDetail]


class OutcomeDetail(BaseModel):
    """``service.Outcome``: what became of one vault at one target."""

    vault: str
    target: str
    kind: str
    snapshot: str
    change_set: str
    files: int
    bytes: int
    sent: int
    seconds: float
    unread: list[dict[str, str]]
    error: ErrorDetail | None

    @classmethod
    def of(cls, found: service.Outcome) -> OutcomeDetail:
        """From the daemon's own value."""
        return cls(
            vault=found.vault, target=found.target, kind=found.kind, snapshot=found.snapshot,
            change_set=found.change_set, files=found.files, bytes=found.bytes, sent=found.sent, seconds=found.seconds,
            unread=[names.as_json(path) for path in found.unread],
            error=None if found.error is None else ErrorDetail.model_validate(found.error),
        )  # fmt: skip


class JobDetail(BaseModel):
    """``service.Job``."""

    id: str
    job_version: int
    state: Literal["running", "done", "partial", "failed"]
    vaults: list[str]
    full: bool
    started: str
    finished: str | None
    progress: list[ProgressDetail]
    outcomes: list[OutcomeDetail]
    error: ErrorDetail | None

    @classmethod
    def of(cls, job: service.Job) -> JobDetail:
        """From the daemon's own value."""
        return cls(
            id=job.id, job_version=job.version, state=job.state, vaults=list(job.vaults), full=job.full,
            started=units.rfc3339(job.started),
            finished=None if job.finished is None else units.rfc3339(job.finished),
            progress=[ProgressDetail.of(found) for found in job.progress],
            outcomes=[OutcomeDetail.of(found) for found in job.outcomes],
            error=None if job.error is None else ErrorDetail.model_validate(job.error),
        )  # fmt: skip


class JobAnswer(_Answer):
    """POST /v1/backup, GET /v1/jobs/ID."""

    job: JobDetail


class AlertDetail(BaseModel):
    """An alert. ``text`` and ``hint`` are in the daemon's language; a client makes its own from code and detail."""

    id: int
    code: str
    severity: str
    vault: str
    target: str
    detail: dict[str, Any]
    text: str
    hint: str
    raised: str
    seen: str
    times: int
    cleared: str | None
    acknowledged: str | None
    acknowledged_by: str | None

    @classmethod
    def of(cls, found: Alert) -> AlertDetail:
        """From the store's row."""
        return cls.model_validate(status.alert_json(found))


class AlertsAnswer(_Answer):
    """GET /v1/alerts."""

    alerts: list[AlertDetail]


class ApprovalsAnswer(_Answer):
    """GET /v1/approvals. The parts are made by ``vaultd.approvals``."""

    requests: list[dict[str, Any]]


class ApprovalAnswer(_Answer):
    """GET and POST /v1/approvals/NUMBER."""

    request: dict[str, Any]


class AcknowledgedAnswer(_Answer):
    """POST /v1/alerts/NUMBER/ack. ``acknowledged`` is false when it had been before."""

    alert: int
    acknowledged: bool


class RetryAnswer(_Answer):
    """POST /v1/targets/NAME/retry."""

    target: str


class EvacuationBody(BaseModel):
    """POST /v1/evacuations: the order; whatever is left out has its default, or stays as it is."""

    model_config = ConfigDict(extra="forbid")

    level: str | None = None
    category: str | None = None
    report: str | None = Field(default=None, max_length=2000)
    on_duty: str | None = Field(default=None, max_length=200)
    director: str | None = Field(default=None, max_length=200)
    warning: str | None = Field(default=None, max_length=64)
    playbook: str | None = Field(default=None, max_length=64)
    note: str | None = Field(default=None, max_length=4000)
    drill: bool = False


class EvacuationAnswer(_Answer):
    """POST and GET /v1/evacuations. ``joined``: one went on already. ``evacuation``: docs/json-evacuation.md."""

    joined: bool
    document: dict[str, Any] | None


class PullListAnswer(_Answer):
    """GET /v1/pull-list: docs/pull-list.md; null while none is kept."""

    pull_list: dict[str, Any] | None

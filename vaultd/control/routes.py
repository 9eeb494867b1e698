"""The routes: each one names the role that it needs, checks its input, asks the service and answers with a schema.

Errors of the daemon reach the client whole, as ``{"error": ...}``: same words, same exit code. What is not a
``VaultdError`` is a bug: logged by the server, and answered without its text.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from vaultd.approvals import Caller
from vaultd.control import schemas
from vaultd.control.approvals import ApprovalRoutes
from vaultd.control.cache import StatusCache
from vaultd.control.peer import Peer, Policy, Role
from vaultd.control.service import BackupRequest, EvacuationRequest, Service
from vaultd.errors import NotAuthorisedError, VaultdError
from vaultd.i18n import _

log = logging.getLogger(__name__)

MOST_BODY = 64 * 1024
BODY_SECONDS = 10.0
LONGEST_WAIT = 30.0
CLAIM_HEADER = "vaultd-claim"

_STATUS = {
    "config": 400,
    "usage": 400,
    "not-authorised": 403,
    "approval": 403,
    "approval-missing": 403,
    "unknown": 404,
    "approval-unknown": 404,
    "busy": 409,
    "body": 413,
    "slow": 408,
}
_CLAIM = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)

Handler = Callable[[Request, Peer], Awaitable[BaseModel]]


class _Refused(VaultdError):
    """The request itself is wrong."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(_("request to the daemon"), why)
        self.code = code


class Api:
    """The handlers, over one service and one policy."""

    def __init__(self, service: Service, policy: Policy) -> None:
        self.service = service
        self.policy = policy
        self._status = StatusCache(service.status)
        self._approvals = ApprovalRoutes(service)

    def app(self) -> Starlette:
        """The application. Its requests' state holds ``peer``, put there by the server's protocol."""

        def route(path: str, method: str, role: Role, handler: Handler, status: int = 200) -> Route:
            return Route(path, self._guard(role, handler, status), methods=[method])

        return Starlette(
            routes=[
                route("/v1/status", "GET", Role.VIEW, self.status),
                route("/v1/progress", "GET", Role.VIEW, self.progress),
                route("/v1/backup", "POST", Role.OPERATE, self.backup, 202),
                route("/v1/jobs/{id:str}", "GET", Role.VIEW, self.job),
                route("/v1/alerts", "GET", Role.VIEW, self.alerts),
                route("/v1/alerts/{number:int}/ack", "POST", Role.ADMIN, self.acknowledge),
                route("/v1/approvals", "GET", Role.VIEW, self._approvals.list),
                route("/v1/approvals/{number:int}", "GET", Role.VIEW, self._approvals.show),
                route("/v1/approvals/{number:int}", "POST", Role.VIEW, self.approve),
                route("/v1/targets/{name:str}/retry", "POST", Role.ADMIN, self.retry),
                route("/v1/evacuations", "POST", Role.OPERATE, self.evacuate),
                route("/v1/evacuations", "GET", Role.VIEW, self.evacuation),
                route("/v1/pull-list", "GET", Role.VIEW, self.pull_list),
                route("/v1/evacuations/end", "POST", Role.DIRECT, self.end_evacuation),
            ],
            exception_handlers={HTTPException: _http_error, Exception: _bug},
        )

    def _guard(self, role: Role, handler: Handler, status: int) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            peer: Peer = request.state.peer
            try:
                self._authorise(peer, role, request.url.path)
                answer = await handler(request, peer)
            except VaultdError as error:
                return _answer_error(error)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it
            return Response(answer.model_dump_json(), status, media_type="application/json")

        return guarded

    def _authorise(self, peer: Peer, role: Role, what: str) -> None:
        if self.policy.allows(peer, role):
            return
        log.warning("refused %s to uid %d (pid %d)", what, peer.uid, peer.pid)
        needs = {
            Role.ADMIN: _("run it as root"), Role.DIRECT: _("a director may, or root"),
        }.get(role, _("join the group of the control socket, or run it as root"))  # fmt: skip
        if role is Role.OPERATE and peer.uid in self.policy.members:
            needs = _("a person with the role operator or director may, or root")
        raise NotAuthorisedError(_("not allowed"), _("user {uid} may not do this").format(uid=peer.uid), needs)

    async def status(self, _request: Request, _peer: Peer) -> schemas.StatusAnswer:
        """GET /v1/status."""
        found = await self._status.get()
        running = [asdict(one) for one in await self.service.progress()]  # never from the cache
        return schemas.StatusAnswer.model_validate({**found, "progress": running})

    async def progress(self, _request: Request, _peer: Peer) -> schemas.ProgressAnswer:
        """GET /v1/progress."""
        found = await self.service.progress()
        return schemas.ProgressAnswer(progress=[schemas.ProgressDetail.of(one) for one in found])

    async def backup(self, request: Request, peer: Peer) -> schemas.JobAnswer:
        """POST /v1/backup: answers at once with the job; ``accept_empty`` overrules an alert, so it needs an admin."""
        body = await _checked(request, schemas.BackupBody)
        if body.accept_empty:
            self._authorise(peer, Role.ADMIN, "accept_empty")
        who = self._who(request, peer)
        log.info("backup asked for by %s", who)
        asked = BackupRequest(tuple(body.vaults), body.full, body.accept_empty, who)
        return schemas.JobAnswer(job=schemas.JobDetail.of(await self.service.request_backup(asked)))

    async def job(self, request: Request, _peer: Peer) -> schemas.JobAnswer:
        """GET /v1/jobs/ID?after=JOB_VERSION&wait=SECONDS: answers when the job has changed since, or after the wait."""
        found = await self.service.job(request.path_params["id"])
        if found is None:
            raise _Refused("unknown", _("there is no such job"))
        try:
            after, wait = int(request.query_params.get("after", -1)), float(request.query_params.get("wait", 0))
        except ValueError:
            raise _Refused("config", _("after and wait must be numbers")) from None
        if wait > 0:
            await found.wait(after, min(wait, LONGEST_WAIT))
        return schemas.JobAnswer(job=schemas.JobDetail.of(found))

    async def alerts(self, request: Request, _peer: Peer) -> schemas.AlertsAnswer:
        """GET /v1/alerts?all=1."""
        found = await self.service.alerts(open_only=request.query_params.get("all") != "1")
        return schemas.AlertsAnswer(alerts=[schemas.AlertDetail.of(one) for one in found])

    async def acknowledge(self, request: Request, peer: Peer) -> schemas.AcknowledgedAnswer:
        """POST /v1/alerts/NUMBER/ack."""
        number = int(request.path_params["number"])
        done = await self.service.acknowledge(number, self._who(request, peer))
        return schemas.AcknowledgedAnswer(alert=number, acknowledged=done)

    async def approve(self, request: Request, peer: Peer) -> schemas.ApprovalAnswer:
        """POST /v1/approvals/NUMBER: the signature says who approves."""
        body = await _checked(request, schemas.ApprovalBody)
        return await self._approvals.approve(int(request.path_params["number"]), body, self._who(request, peer))

    async def retry(self, request: Request, _peer: Peer) -> schemas.RetryAnswer:
        """POST /v1/targets/NAME/retry."""
        name = str(request.path_params["name"])
        await self.service.retry(name)
        return schemas.RetryAnswer(target=name)

    async def evacuate(self, request: Request, peer: Peer) -> schemas.EvacuationAnswer:
        """POST /v1/evacuations: the order is kept, and being carried out, when this answers."""
        body = await _checked(request, schemas.EvacuationBody)
        said = {name: value for name, value in body.model_dump().items() if isinstance(value, str)}
        level, category = said.pop("level", None), said.pop("category", None)
        caller = self.caller(request, peer)
        log.warning("evacuation ordered by %s", caller.who)
        asked = EvacuationRequest(level, category, said, body.drill, caller)
        found, joined = await self.service.evacuate(asked)
        return schemas.EvacuationAnswer(joined=joined, document=found)

    async def evacuation(self, _request: Request, _peer: Peer) -> schemas.EvacuationAnswer:
        """GET /v1/evacuations: the one that goes on."""
        return schemas.EvacuationAnswer(joined=False, document=await self.service.evacuation())

    async def pull_list(self, _request: Request, _peer: Peer) -> schemas.PullListAnswer:
        """GET /v1/pull-list: the kept one."""
        return schemas.PullListAnswer(pull_list=await self.service.pull_list())

    async def end_evacuation(self, request: Request, peer: Peer) -> schemas.EvacuationAnswer:
        """POST /v1/evacuations/end."""
        body = await _checked(request, schemas.EvacuationBody)
        found = await self.service.end_evacuation(self.caller(request, peer), body.note or "")
        return schemas.EvacuationAnswer(joined=False, document=found)

    def caller(self, request: Request, peer: Peer) -> Caller:
        """Who asks, as approvals and entries have it: a person where the account is one's."""
        who, claim = self._who(request, peer), request.headers.get(CLAIM_HEADER, "")
        member = self.policy.members.get(peer.uid)
        if member is None and peer.uid == 0 and _CLAIM.fullmatch(claim):
            member = next((one for one in self.policy.members.values() if one.account == claim), None)
        if member is None:
            return Caller(who, claim if peer.uid == 0 and _CLAIM.fullmatch(claim) else "", who)
        return Caller(member.name, member.account, who)

    def _who(self, request: Request, peer: Peer) -> str:
        """Who asked, for the log. Under sudo the kernel says root; the name behind it is the caller's claim alone."""
        claim, member = request.headers.get(CLAIM_HEADER, ""), self.policy.members.get(peer.uid)
        if member is not None:
            return f"{member.name} (uid {peer.uid})"
        return f"uid {peer.uid} (says {claim})" if _CLAIM.fullmatch(claim) else f"uid {peer.uid}"


_Body = TypeVar("_Body", bound=BaseModel)


async def _checked(request: Request, kind: type[_Body]) -> _Body:
    """The body as it must be."""
    try:
        return kind.model_validate_json(await _body(request) or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _Refused("config", f"{where}: {first['msg']}" if where else first["msg"]) from None


async def _body(request: Request) -> bytes:
    """The body, limited in size and in the time that it may take."""
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MOST_BODY:
                    raise _Refused("body", _("the body is larger than {limit} bytes").format(limit=MOST_BODY))
                parts.append(part)
    except TimeoutError:
        raise _Refused("slow", _("the body did not arrive in time")) from None
    return b"".join(parts)


def _answer_error(error: VaultdError, status: int | None = None) -> Response:
    body = schemas.ErrorAnswer(error=schemas.ErrorDetail.model_validate(error.as_json()))
    return Response(
        body.model_dump_json(), status or _STATUS.get(error.code, 500), media_type="application/json"
    )  # fmt: skip


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    refused = _Refused("unknown", _("this daemon does not know it; is it of another version?"))
    return _answer_error(refused, status)


async def _bug(_request: Request, _error: Exception) -> Response:
    # Starlette raises it again after this answer, and the server logs it with its trace.
    failed = VaultdError(_("the daemon failed"), "", _("see its log: journalctl -u vaultd"))
    return _answer_error(failed, 500)

"""Approvals over the socket: whoever has an account here looks at what waits and signs it with their own key, without
being root. The signature says who they are; the socket need not know it.
"""

from __future__ import annotations

from starlette.requests import Request

from vaultd.control import schemas
from vaultd.control.peer import Peer
from vaultd.control.service import Service


class ApprovalRoutes:
    """The handlers, over the service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def list(self, asked: Request, _peer: Peer) -> schemas.ApprovalsAnswer:
        """GET /v1/approvals?all=1."""
        found = await self.service.approval_requests(asked.query_params.get("all") != "1")
        return schemas.ApprovalsAnswer(requests=[one.as_json() for one in found])

    async def show(self, asked: Request, _peer: Peer) -> schemas.ApprovalAnswer:
        """GET /v1/approvals/NUMBER."""
        found = await self.service.approval_request(int(asked.path_params["number"]))
        return schemas.ApprovalAnswer(request=found.as_json())

    async def approve(self, number: int, body: schemas.ApprovalBody, who: str) -> schemas.ApprovalAnswer:
        """POST /v1/approvals/NUMBER."""
        done = await self.service.approve(number, body.signature, body.person, who)
        return schemas.ApprovalAnswer(request=done.as_json())

"""Approvals, as commands ask for them right before they do what cannot be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vaultd.i18n import _

if TYPE_CHECKING:
    from vaultd.cli.base import Cli
    from vaultd.store import Store


def needed(cli: Cli, store: Store | None, action: str, parameters: Mapping[str, Any]) -> None:
    """Use the approvals of an action up. Raises ApprovalMissingError (exit code 6) while some are missing. On a host
    without a state there is nobody to ask: the credentials decide there."""
    if store is None:
        return
    from vaultd import approvals

    config = cli.config()
    used = approvals.require(config, store, action, parameters, approvals.caller(config))
    if used is not None:
        names = ", ".join(one.person for one in used.approvals)
        cli.note(_("Approved by {names} (request {number}).").format(names=names, number=used.number))

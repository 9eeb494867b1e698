"""What a warning sets in motion at once, by the policy of its level. The daemon brings the means.

What was wanted is kept before it is begun, and what has begun when the daemon dies is begun again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vaultd.config.model import Config
from vaultd.config.playbooks import names
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.store.warningrows import ActionRow, WarningRow
from vaultd.warning import people
from vaultd.warning.desk import Desk

log = logging.getLogger(__name__)

Act = Callable[[WarningRow], Awaitable[None]]
"""Does it; returns when it is done. Raises VaultdError."""


@dataclass(frozen=True, slots=True)
class Means:
    """``protect_now``: everything pending, at every target. ``evacuate``: start an evacuation; None: there is none
    here. ``hurry``: told whether reconcile scans and verification are to come sooner, each time that is looked at."""

    protect_now: Act
    hurry: Callable[[bool], None]
    evacuate: Act | None = None


def wanted(desk: Desk) -> list[ActionRow]:
    """What is to be done, and what a daemon that died had begun."""
    return desk.store.warning_actions()


async def carry_out(desk: Desk, means: Means, action: ActionRow) -> bool:
    """Do one of them; whether it was done. What fails is kept with its reason, and logged. Raises StateError."""
    row = desk.find(action.warning)
    if not row.standing:
        await _keep(desk, action, "failed", _("the warning was lifted before"))
        return False
    await _keep(desk, action, "begun")
    log.warning("warning %s, level %s: %s", row.id, row.level, action.action)
    try:
        await _act(action.action, means)(row)
    except VaultdError as error:
        log.error("warning %s: %s: %s", row.id, action.action, error)
        await _keep(desk, action, "failed", str(error))
        return False
    await _keep(desk, action, "done")
    return True


def _act(action: str, means: Means) -> Act:
    if action == "protect":
        return means.protect_now
    if action == "evacuate":
        return means.evacuate or _no_evacuation
    return _noted


async def _no_evacuation(_row: WarningRow) -> None:
    hint = _("order it: vaultd evacuate start")
    raise VaultdError(_("an evacuation"), _("this vaultd cannot start one by itself"), hint)


async def _noted(_row: WarningRow) -> None:
    """Hurrying lasts as long as the warning does: ``hurried``."""


def hurried(desk: Desk) -> bool:
    """Whether a warning stands whose level asks for more scans and more verification."""
    policy = desk.config.response
    return any(
        row.standing and not row.drill and "hurry" in policy.of(row.level).at_once for row in desk.store.warnings()
    )


async def _keep(desk: Desk, action: ActionRow, state: str, error: str = "") -> None:
    row = action._replace(state=state, at=desk.clock(), error=error)
    await asyncio.to_thread(desk.store.put_action, row)


def playbook_of(config: Config, row: WarningRow) -> str:
    """The playbook for a warning: that of its category, else the one that its level names; empty for none."""
    if row.category in names(config.response.playbooks):
        return row.category
    return config.response.of(row.level).playbook


def directors(config: Config, level: str) -> tuple[str, ...]:
    """The persons who direct at a level."""
    named = config.response.of(level).directed_by
    return people.persons(config, [named]) if named else ()

"""What goes with an order: who has duty and who directs, the steps of the playbook, the approval that is owed for it,
and who is told. None of it holds the order up: what fails here is in the log, and the copying goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from vaultd import approvals
from vaultd.approvals import ApprovalMissingError, Caller
from vaultd.config.model import Config
from vaultd.custody import owe
from vaultd.errors import VaultdError
from vaultd.evacuate import order
from vaultd.evacuate.order import Details
from vaultd.i18n import _, speaking
from vaultd.ledger.events import StepTicked
from vaultd.notices.model import Notice, Tell
from vaultd.store import Store
from vaultd.store.evacuations import Evacuation
from vaultd.units import duration, rfc3339
from vaultd.warning import people, playbook, response, words

log = logging.getLogger(__name__)

LATE, END = "evacuation-late", "evacuation-end"
"""The actions of [approvals]: that one was started, afterwards; that it is ended."""


def filled(config: Config, level: str | None, category: str | None, details: Details) -> Details:
    """What the configuration knows of an order, where nobody has said it: who has duty, who directs, the playbook."""
    try:
        directors = response.directors(config, level or "I")
        known = category in playbook.names(config.response.playbooks)
        return replace(
            details,
            on_duty=details.on_duty or people.duty(config, time.time_ns()).person or None,
            director=details.director or (directors[0] if directors else None),
            playbook=details.playbook or (category if known else config.response.of(level or "I").playbook) or None,
        )
    except VaultdError as error:  # a playbook's file that is wrong
        log.error("the order is not filled in: %s", error)
        return details


def follow(config: Config, store: Store, one: Evacuation, caller: Caller, tell: Tell) -> Evacuation:
    """Once for each order, after it is being carried out: the steps to be done, the approval owed, who is told."""
    if one.detail.get("followed"):
        return one
    state, request = config.host.state, one.detail.get("request")
    with store.database.write(), speaking(config.notify.lang):
        _steps(config, store, one)
        if not one.drill and not request:
            request = _owed(config, store, one, caller)
        detail = {**one.detail, "followed": True, **({"request": request} if request else {})}
        changed = replace(one, detail=detail)
        store.change_evacuation(one.id, detail=detail)
        if request != one.detail.get("request"):
            order.note(store, state, changed, "judged", caller.who)
    say(config, changed, "ordered", tell)
    return changed


def _owed(config: Config, store: Store, one: Evacuation, caller: Caller) -> str | None:
    try:
        found = approvals.owe(approvals.fresh(config), store, LATE, {"evacuation": one.id}, caller)
    except VaultdError as error:
        log.error("the approval of evacuation %s is owed, and is on no list: %s", one.id, error)
        return None
    return None if found is None else str(found.number)


def _steps(config: Config, store: Store, one: Evacuation) -> None:
    """Every step of the playbook is on record as open, with its text and limit then."""
    name = one.detail.get("playbook")
    if not name:
        return
    try:
        book = playbook.load(name, config.response.playbooks)
    except VaultdError as error:
        log.error("playbook %s: %s", name, error)
        return
    drill, ordered = 1 if one.drill else None, rfc3339(one.ordered)
    for step in book.steps:
        limit = None if step.minutes is None else step.minutes * 60_000
        owe(store, config.host.state, StepTicked(
            one.id, name, step.id, "open", "", ordered, "host-clock", one.who, drill=drill, text=str(step.text),
            role=str(step.role), limit_ms=limit,
        ))  # fmt: skip


def end(config: Config, store: Store, one: Evacuation, caller: Caller, note: str = "") -> Evacuation:
    """End it, with the approvals that the policy asks for, which are used up with it; a drill needs none. Raises
    ApprovalMissingError."""
    with store.database.write():
        request = None
        try:
            if not one.drill:
                found = approvals.require(approvals.fresh(config), store, END, {"evacuation": one.id}, caller)
                request = None if found is None else str(found.number)
        except ApprovalMissingError as error:  # what is asked for with it must stay
            missing = error
        else:
            return order.end(store, config.host.state, one, caller.who, Details(note=note or None), request)
    raise missing


def say(config: Config, one: Evacuation, step: str, tell: Tell, more: str = "") -> None:
    """Tell whom the policy names, who has duty and who directs. What cannot be handed over is in the log."""
    try:
        with speaking(config.notify.lang):
            tell(_notice(config, one, step, more))
    except VaultdError as error:
        log.error("nobody is told of evacuation %s: %s", one.id, error)


def _notice(config: Config, one: Evacuation, step: str, more: str) -> Notice:
    titles: dict[str, Callable[[], str]] = {
        "ordered": lambda: _("EVACUATION {id}: level {level}, {category}"),
        "safe": lambda: _("Evacuation {id}: {more}"),
        "copied": lambda: _("Evacuation {id}: all that was pending is safe"),
        "ended": lambda: _("Evacuation {id} has ended"),
    }
    kind = words.category(one.category)
    title = titles[step]().format(id=one.id, level=one.level, category=kind, more=more)
    lines = [title, _("Ordered {seconds} ago by {who}").format(
        seconds=duration((time.time_ns() - one.ordered) / 1e9), who=one.detail.get("on_duty") or one.who)]  # fmt: skip
    if step == "ordered":
        lines.append(_("It is carried out already. See how far it is: vaultd evacuate watch"))
    policy = config.response.of(one.level)
    named: Sequence[str] = [policy.directed_by, *policy.notify] if policy.directed_by else policy.notify
    recipients = dict.fromkeys([*people.persons(config, named), *filter(None, [one.detail.get("on_duty")])])
    return Notice(
        one.id, "evacuation", title, "\n".join(lines), tuple(recipients), policy.urgent and step == "ordered", one.drill
    )

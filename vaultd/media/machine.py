"""Which moves there are. A status is what the register says of a medium; a move is the only way to another one.

::

    in-service --remove--> removed --send--> in-transit --deposit--> deposited --return--> returned
        ^                                        ^---------send----------'  `---destroy--> destroyed   |
        `--------------------------------------- install ----------------------------------------------'

A hand-over changes who answers for a medium, and nothing else. A check-out lends a deposited or returned one to
somebody until a day; while it is out, it can be checked in and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vaultd.i18n import N_, _
from vaultd.media.faults import MediaError
from vaultd.store.mediarows import Medium
from vaultd.units import local


class Status(StrEnum):
    """Where a medium is in its life."""

    IN_SERVICE = "in-service"
    REMOVED = "removed"
    IN_TRANSIT = "in-transit"
    DEPOSITED = "deposited"
    RETURNED = "returned"
    DESTROYED = "destroyed"


STATUS_WORDS = {
    "in-service": N_("in service"), "removed": N_("removed"), "in-transit": N_("in transit"),
    "deposited": N_("deposited"), "returned": N_("returned"), "destroyed": N_("destroyed"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Move:
    """From which statuses, and to which; None: it stays."""

    before: frozenset[Status]
    after: Status | None


_ALIVE = frozenset(Status) - {Status.DESTROYED}

REMOVE, SEND, DEPOSIT, RETURN, INSTALL = "remove", "send", "deposit", "return", "install"
HAND_OVER, CHECK_OUT, CHECK_IN, DESTROY = "hand-over", "check-out", "check-in", "destroy"

MOVES: dict[str, Move] = {
    REMOVE: Move(frozenset({Status.IN_SERVICE}), Status.REMOVED),
    SEND: Move(frozenset({Status.REMOVED, Status.DEPOSITED}), Status.IN_TRANSIT),
    DEPOSIT: Move(frozenset({Status.IN_TRANSIT}), Status.DEPOSITED),
    RETURN: Move(frozenset({Status.DEPOSITED}), Status.RETURNED),
    INSTALL: Move(frozenset({Status.RETURNED}), Status.IN_SERVICE),
    HAND_OVER: Move(_ALIVE, None),
    CHECK_OUT: Move(frozenset({Status.DEPOSITED, Status.RETURNED}), None),
    CHECK_IN: Move(frozenset({Status.DEPOSITED, Status.RETURNED}), None),
    DESTROY: Move(frozenset({Status.DEPOSITED}), Status.DESTROYED),
}
TRANSFERS = (REMOVE, SEND, DEPOSIT, RETURN, INSTALL, HAND_OVER)
"""What ``media transfer`` does."""

FIRST = (Status.IN_SERVICE, Status.DEPOSITED)
"""What a new medium may be: in a machine, or in a cupboard."""


def after(medium: Medium, action: str) -> Status:
    """The status after a move. Raises MediaError for one that is impossible, and says what is possible."""
    move, now = MOVES[action], Status(medium.status)
    what = _("{action} of {label}").format(action=action, label=medium.label)
    if medium.due is not None and action != CHECK_IN:
        raise MediaError(
            what, _("it is checked out to {who} until {day}").format(who=medium.borrower, day=local(medium.due)[:10]),
            _("first: vaultd media check-in {label}").format(label=medium.label),
        )  # fmt: skip
    if medium.due is None and action == CHECK_IN:
        raise MediaError(what, _("it is not checked out"), _("see: vaultd media show {label}").format(
            label=medium.label))  # fmt: skip
    if now not in move.before:
        possible = ", ".join(name for name, one in MOVES.items() if now in one.before and name != CHECK_IN)
        raise MediaError(
            what, _("it is {status}").format(status=_(STATUS_WORDS[now])),
            _("possible from there: {actions}").format(actions=possible) if possible
            else _("nothing happens to it any more"),
        )  # fmt: skip
    return move.after or now

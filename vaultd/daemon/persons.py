"""The persons of the configuration at the daemon's start: who is new, and who may do what on the control socket."""

from __future__ import annotations

import logging

from vaultd import approvals
from vaultd.approvals import accounts
from vaultd.config.model import Config
from vaultd.config.persons import DIRECTOR
from vaultd.control.peer import Member, role_of
from vaultd.errors import LedgerError
from vaultd.store import Store

log = logging.getLogger(__name__)


def settled(config: Config, store: Store) -> dict[int, Member]:
    """Put on record who is new, changed or gone; the members of the control socket by the numbers of their accounts.
    Asks the name service, once. Who is not accepted yet has no director's right there. Raises StateError."""
    try:
        approvals.settle(config, store)
    except LedgerError as error:  # protection goes on; whoever needs an approval is refused by it
        log.error("who may approve is not known: %s", error)
    counted = approvals.accepted(config, store)
    found: dict[int, Member] = {}
    known = accounts.uids(config)
    missing = {person.user for person in config.person if person.user} - {one.user for one in known.values()}
    if missing:
        log.warning("there is no account: %s", ", ".join(sorted(missing)))
    for uid, person in known.items():
        if not person.roles:
            continue  # the group decides, as for anybody
        duties = [one for one in person.roles if one != DIRECTOR or person.name in counted]
        found[uid] = Member(person.name, person.user, role_of(duties))
    return found

"""Accepting a person who is new, or of whom the configuration says something else now."""

from __future__ import annotations

import time

from vaultd.approvals import persons, requests, using
from vaultd.approvals.accounts import Caller
from vaultd.approvals.faults import ApprovalError
from vaultd.approvals.persons import ACCEPTED, WAITING
from vaultd.approvals.requests import Request
from vaultd.config.model import Config
from vaultd.config.persons import PersonConfig
from vaultd.custody import owe
from vaultd.i18n import _
from vaultd.ledger import canonical
from vaultd.ledger.events import PersonChanged
from vaultd.store import Store
from vaultd.store.approvalrows import PersonRow

ACTION = "person"


def parameters(person: PersonConfig) -> dict[str, object]:
    """What is signed to accept somebody: what the configuration says of them, and its digest."""
    return {**persons.described(person), "digest": persons.digest(person).hex()}


def ask(config: Config, store: Store, name: str, caller: Caller) -> Request:
    """The open request to accept a person as they are now; made where there is none. It counts as asked for by
    themselves, whoever types it: nobody accepts themselves. Raises ApprovalError."""
    persons.settle(config, store)
    what = _("acceptance of {name}").format(name=name)
    person = _waiting(config, store, name, what)
    if not persons.enforced(store):
        raise ApprovalError(
            what, _("nobody was ever accepted as a director"),
            _('name one: roles = ["director"] and ssh_key in their [[person]]; the first ones are accepted at once'),
        )  # fmt: skip
    wanted, asked = canonical.encode(parameters(person)), Caller(name, person.user, caller.who)
    roles = config.approvals.roles_for(ACTION)
    with store.database.write():
        found = using.matching(config, store, ACTION, wanted, roles, caller.who)
        return found or requests.make(config, store, ACTION, parameters(person), asked, roles)


def _waiting(config: Config, store: Store, name: str, what: str) -> PersonConfig:
    person = config.person_named(name)
    if person is None:
        raise ApprovalError(
            what, _("they are no [[person]] of the configuration"),
            _("who is: {names}").format(names=", ".join(other.name for other in config.person) or "-"),
        )  # fmt: skip
    if persons.state_of(person, store.persons()) != WAITING:
        raise ApprovalError(what, _("they are accepted already"))
    return person


def accept(
    config: Config, store: Store, name: str, wanted: str, by: str, signature: str, key: str, request: str
) -> None:  # fmt: skip
    """A director has signed for a person as the configuration had them (``wanted``: the digest, in hex). Inside the
    caller's transaction. Raises ApprovalError when they are somebody else by now."""
    person = config.person_named(name)
    if person is None or persons.digest(person).hex() != wanted:
        raise ApprovalError(
            _("acceptance of {name}").format(name=name), _("the configuration says something else of them by now"),
            _("ask anew: vaultd person accept {name}").format(name=name),
        )  # fmt: skip
    row = _put(store, person, by)
    body = PersonChanged(
        name, "accepted", row.roles, row.digest, row.fingerprint or None, by, signature, key, request=request
    )
    owe(store, config.host.state, body)


def accept_on_paper(config: Config, store: Store, name: str, sheet: str) -> None:
    """Where no director is left who could sign: root accepts, by a sheet of paper that says who has decided. It is on
    record as such, and an alert until somebody has acknowledged it. Raises ApprovalError while a director can sign."""
    what = _("acceptance of {name}").format(name=name)
    persons.settle(config, store)
    with store.database.write():
        person = _waiting(config, store, name, what)
        left = persons.directors(config, store)
        if left or not persons.enforced(store):
            who = ", ".join(sorted(left)) or "-"
            raise ApprovalError(
                what, _("paper is for when no director is left; who can sign: {names}").format(names=who),
                _("vaultd person accept {name} --key FILE").format(name=name),
            )  # fmt: skip
        row = _put(store, person, f"sheet {sheet}")
        body = PersonChanged(name, "accepted", row.roles, row.digest, row.fingerprint or None, sheet=sheet)
        owe(store, config.host.state, body)
    store.alerts.raise_("person-on-paper", detail={"name": name, "sheet": sheet})


def _put(store: Store, person: PersonConfig, by: str) -> PersonRow:
    row = PersonRow(
        person.name, ACCEPTED, persons.digest(person), ",".join(person.roles), persons.fingerprint(person),
        time.time_ns(), by,
    )  # fmt: skip
    store.put_person(row)
    return row

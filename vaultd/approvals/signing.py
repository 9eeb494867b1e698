"""Somebody approves a request: with their own key, here or elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from vaultd.approvals import accepting, persons, requests, sshsig, using
from vaultd.approvals.faults import ApprovalError, SshSignatureError
from vaultd.approvals.requests import NAMESPACE, OPEN, USED, Request, find
from vaultd.config.model import Config
from vaultd.config.persons import DIRECTOR, PersonConfig
from vaultd.custody import owe
from vaultd.i18n import _
from vaultd.ledger.events import Approved
from vaultd.store import Store
from vaultd.store.approvalrows import ApprovalRow

Sign = Callable[[bytes], str]
"""Makes a signature, in base64, of what is to be signed."""


def approve(config: Config, store: Store, number: int, sign: Sign, who: str, name: str = "") -> Request:
    """Approve a request. ``name``: who signs; empty: whoever's key it is. Returns the request as it is then: what was
    owed, or somebody who was to be accepted, is settled with the last approval. Raises ApprovalError, NoRequestError,
    SshSignatureError; nothing was changed then."""
    persons.settle(config, store)
    one = find(store, number)
    _check_open(one)
    if name:
        _role_for(config, store, one, _person(config, store, one, name))  # before anybody is asked for a passphrase
    signature = sign(one.statement)
    key = sshsig.signer_of(signature)
    person = _person(config, store, one, name or _name_of(config, store, one, key))
    _verify(one, person, signature)
    with store.database.write():
        one = find(store, number)  # signing may have taken minutes
        _check_open(one)
        role = _role_for(config, store, one, person)
        store.add_approval(ApprovalRow(number, person.name, role, signature, key, time.time_ns(), who))
        owe(store, config.host.state, Approved(str(number), one.row.action, person.name, role, signature, key, who))
        one = find(store, number)
        held = using.holding(config, store, one)
        if not one.missing(held):
            _complete(config, store, one, held, who)
        return find(store, number)


def _complete(config: Config, store: Store, one: Request, held: Sequence[ApprovalRow], who: str) -> None:
    """Nothing more is to be done for an action that went before; somebody who was to be accepted is."""
    if one.row.action == "person":
        wanted = one.parameters
        director = next(row for row in held if row.role == DIRECTOR)  # the policy has one, whatever it is
        accepting.accept(
            config, store, wanted["name"], wanted["digest"], director.person, director.signature, director.key,
            str(one.number),
        )  # fmt: skip
        requests.end(config, store, one, USED, who)
    elif one.is_late:
        requests.end(config, store, one, USED, who)


def _check_open(one: Request) -> None:
    what = _("approval of request {number}").format(number=one.number)
    if one.row.state != OPEN:
        states = {
            USED: _("it was used"),
            requests.EXPIRED: _("it has expired"),
            requests.WITHDRAWN: _("it was withdrawn"),
        }
        raise ApprovalError(what, states[one.row.state], _("ask anew: run the command again that needs the approval"))
    fault = using.clock_fault(one)
    if fault is not None:
        raise ApprovalError(what, *fault)


def _name_of(config: Config, store: Store, one: Request, key: str) -> str:
    for person in persons.accepted(config, store).values():
        if persons.fingerprint(person) == key:
            return person.name
    raise ApprovalError(
        _("approval of request {number}").format(number=one.number),
        _("nobody who is accepted has the key {key}: it is unknown, or was revoked").format(key=key),
        _("see: vaultd person list"),
    )  # fmt: skip


def _person(config: Config, store: Store, one: Request, name: str) -> PersonConfig:
    """Somebody who may approve at all."""
    what = _("approval of request {number} by {name}").format(number=one.number, name=name)
    person = config.person_named(name)
    if person is None:
        raise ApprovalError(
            what, _("they are no [[person]] of the configuration"),
            _("who is: {names}").format(names=", ".join(other.name for other in config.person) or "-"),
        )  # fmt: skip
    persons.check_accepted(config, store, name, what)
    if not person.ssh_key:
        raise ApprovalError(what, _("they have no SSH key in the configuration"))
    return person


def _role_for(config: Config, store: Store, one: Request, person: PersonConfig) -> str:
    """The role in which they approve: the first that is missing and theirs."""
    what = _("approval of request {number} by {name}").format(number=one.number, name=person.name)
    persons.check_accepted(config, store, person.name, what)
    if using.is_requester(one, person.name, person.user):
        raise ApprovalError(what, _("they have asked for it: somebody else approves"))
    held = using.holding(config, store, one)
    if any(row.person == person.name for row in held):
        raise ApprovalError(what, _("they have approved it already"))
    missing = one.missing(held)
    role = next((role for role in missing if using.fits(role, person)), None)
    if role is None:
        raise ApprovalError(
            what, _("they have the roles: {roles}").format(roles=", ".join(person.roles) or "-"),
            _("it lacks the approval of: {roles}").format(roles=", ".join(missing) or "-"),
        )  # fmt: skip
    return role


def _verify(one: Request, person: PersonConfig, signature: str) -> None:
    try:
        sshsig.verify(person.public_key, one.statement, signature, NAMESPACE)
    except SshSignatureError as error:
        raise ApprovalError(
            _("approval of request {number} by {name}").format(number=one.number, name=person.name), error.why,
            _("sign exactly what `vaultd approve {number} --print` prints, with ssh-keygen -Y sign -n {name}").format(
                number=one.number, name=NAMESPACE),
        ) from None  # fmt: skip

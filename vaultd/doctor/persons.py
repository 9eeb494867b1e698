"""Persons: whether anybody is named who approves, whether they can, and who waits to be accepted."""

from __future__ import annotations

import pwd
from collections.abc import Iterator

from vaultd import places
from vaultd.approvals import persons
from vaultd.config import Config
from vaultd.config.persons import ACTIONS, PersonConfig
from vaultd.doctor.finding import ADVICE, FINE, Finding
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.store import Store


def check_persons(config: Config) -> Iterator[Finding]:
    """Look at the configuration beside the state; nothing where there is no vault."""
    if not config.vault:
        return
    try:
        store = Store(places.database(config.host.state), read_only=True)
    except StateError:
        return
    try:
        enforced, counted = persons.enforced(store), persons.accepted(config, store)
    finally:
        store.close()
    yield from _accounts(config)
    if not enforced:
        if not any(persons.is_director(one) for one in config.person):
            text = _("nobody is named who approves: root decides alone")
            mend = _('give a [[person]] roles = ["director"] and an ssh_key (docs/approvals.md)')
            yield Finding(ADVICE, "persons", text, mend)
        return
    waiting = [one.name for one in config.person if one.name not in counted]
    if waiting:
        text = _("no director has accepted {names} yet: they cannot approve").format(names=", ".join(waiting))
        yield Finding(ADVICE, "persons", text, _("a director signs: vaultd person accept NAME --key FILE"))
    lacking = {
        role for action in ACTIONS for role in config.approvals.roles_for(action)
        if not any(role in one.roles and one.ssh_key for one in counted.values())
    }  # fmt: skip
    if lacking:
        text = _("nobody who is accepted and has a key has the roles {roles}, which [approvals] asks for").format(
            roles=", ".join(sorted(lacking))
        )
        yield Finding(ADVICE, "persons", text, _("name them, or ask for other roles"))
    if not waiting and not lacking:
        yield Finding(FINE, "persons", _("everybody who may approve is accepted"))


def _accounts(config: Config) -> Iterator[Finding]:
    for one in config.person:
        if one.user and not _exists(one):
            text = _("the account {user} of {name} is not there").format(user=one.user, name=one.name)
            yield Finding(ADVICE, "persons", text, _("correct user in their [[person]], or make the account"))


def _exists(person: PersonConfig) -> bool:
    try:
        pwd.getpwnam(person.user)
    except KeyError:
        return False
    return True

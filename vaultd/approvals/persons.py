"""Which persons of the configuration are accepted: editing the file is not enough to be one who approves.

A person is accepted by name and by a digest of what the configuration says of them. Who is new, or of whom it says
something else now, waits until a director who is accepted has signed for it; who is removed, or whose key is changed,
is nobody from that moment on, whether anything has looked since or not: what counts is the file *and* the state.

**The first directors.** Where nobody was ever accepted as a director, neither by the state nor by the ledger, those
whom the configuration names with a key are accepted at once (entries ``person`` with the state ``first``). That happens
once in the life of a record: who removes the state to have it again finds the ledger's word (``history``), and who
removes the ledger too leaves a record that says ``first`` twice, or that begins anew.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

from vaultd.approvals import history, sshsig
from vaultd.approvals.faults import ApprovalError, SshSignatureError
from vaultd.approvals.history import Remembered
from vaultd.config import load
from vaultd.config.model import Config
from vaultd.config.persons import DIRECTOR, PersonConfig
from vaultd.custody import owe
from vaultd.i18n import _
from vaultd.ledger import canonical
from vaultd.ledger.events import PersonChanged
from vaultd.store import Store
from vaultd.store.approvalrows import PersonRow

WAITING, ACCEPTED, GONE = "waiting", "accepted", "gone"


def described(person: PersonConfig) -> dict[str, object]:
    """What a person is accepted as. Their telephone number is not in it: it gives nobody a right."""
    return {
        "name": person.name, "role": person.role, "roles": sorted(person.roles), "user": person.user,
        "ssh_key": person.public_key,
    }  # fmt: skip


def digest(person: PersonConfig) -> bytes:
    """SHA-256 of it, as canonical JSON."""
    return hashlib.sha256(canonical.encode(described(person))).digest()


def fingerprint(person: PersonConfig) -> str:
    """Of their key; empty for who has none, or one that is none."""
    try:
        return sshsig.fingerprint(person.public_key) if person.ssh_key else ""
    except SshSignatureError:
        return ""


def enforced(store: Store) -> bool:
    """Whether a director was ever accepted. Until then root decides alone."""
    return store.approvals_enforced()


def state_of(person: PersonConfig, known: Mapping[str, PersonRow]) -> str:
    """``accepted`` or ``waiting``."""
    row = known.get(person.name)
    same = row is not None and row.state == ACCEPTED and row.digest == digest(person)
    return ACCEPTED if same else WAITING


def accepted(config: Config, store: Store) -> dict[str, PersonConfig]:
    """The persons who count, by name."""
    known = store.persons() if store.has_approvals() else {}
    return {one.name: one for one in config.person if state_of(one, known) == ACCEPTED}


def directors(config: Config, store: Store) -> dict[str, PersonConfig]:
    """Those of them who can accept others: directors with a key."""
    return {name: one for name, one in accepted(config, store).items() if is_director(one)}


def check_accepted(config: Config, store: Store, name: str, what: str) -> None:
    """Refuse somebody who is new or changed and whom no director has accepted yet. Where root decides alone, nobody is
    refused. Raises ApprovalError."""
    if not enforced(store) or name in accepted(config, store):
        return
    person = config.person_named(name)
    if person is None:
        raise ApprovalError(what, _("{name} is no [[person]] of the configuration").format(name=name))
    raise ApprovalError(
        what, _("{name} is new or was changed, and no director has accepted that").format(name=name),
        _("a director signs it: vaultd person accept {name} --key FILE").format(name=name),
    )  # fmt: skip


def fresh(config: Config) -> Config:
    """The configuration as its file says now: for the daemon, whose own is as old as its start. Who compared an old one
    would put persons on record as gone who were added since. Raises ConfigError."""
    return load(config.file) if config.file.exists() else config


def settle(config: Config, store: Store) -> None:
    """Compare the configuration, as the file says now (``fresh``), with who is known, and put on record who is new,
    changed or gone. Raises StateError;
    LedgerError where it must be known from the ledger whether there were directors, and cannot."""
    if not enforced(store):
        if not any(is_director(one) for one in config.person):
            return
        remembered = history.remembered(config)
        with store.database.write():
            if not enforced(store):  # nobody else has begun meanwhile
                _begin(config, store, remembered)
    with store.database.write():
        known = store.persons()
        for person in config.person:
            row = known.get(person.name)
            if row is None or row.state == GONE or row.digest != digest(person):
                state = "new" if row is None or row.state == GONE else "changed"
                _put(config, store, person, state, WAITING)
        named = {one.name for one in config.person}
        for row in known.values():
            if row.name not in named and row.state != GONE:
                store.put_person(row._replace(state=GONE, since=time.time_ns()))
                body = PersonChanged(row.name, "gone", row.roles, row.digest, row.fingerprint or None)
                owe(store, config.host.state, body)


def _begin(config: Config, store: Store, remembered: Remembered) -> None:
    for row in remembered.persons.values():
        store.put_person(row)
    for person in () if remembered.had_director else config.person:
        if is_director(person):
            _put(config, store, person, "first", ACCEPTED)
    store.enforce_approvals()


def is_director(person: PersonConfig) -> bool:
    """Whether they could accept others, were they accepted: a director with a key."""
    return DIRECTOR in person.roles and bool(fingerprint(person))


def _put(config: Config, store: Store, person: PersonConfig, word: str, state: str) -> None:
    key, duties = fingerprint(person), ",".join(person.roles)
    store.put_person(PersonRow(person.name, state, digest(person), duties, key, time.time_ns(), ""))
    owe(store, config.host.state, PersonChanged(person.name, word, duties, digest(person), key or None))

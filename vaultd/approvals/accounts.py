"""Who runs a command: the person whose account it is. Under sudo the account behind it is what the caller says."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass

from vaultd import custody
from vaultd.config.model import Config
from vaultd.config.persons import PersonConfig

_CLAIM = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for something. ``name``: the person, else ``who``. ``account``: of this host, empty where it is not
    known. ``who``: as entries have it."""

    name: str
    account: str
    who: str


def account() -> str:
    """The account that runs this process. No name service is asked for root, nor where sudo tells."""
    uid = os.geteuid()
    if uid == 0:
        claim = os.environ.get("SUDO_USER", "")
        return claim if _CLAIM.fullmatch(claim) else "root"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def person_of(config: Config, account_name: str) -> PersonConfig | None:
    """The person whose account it is, None for an account that is nobody's."""
    return next((one for one in config.person if one.user and one.user == account_name), None)


def caller(config: Config) -> Caller:
    """Who runs this process."""
    name = account()
    found = person_of(config, name)
    who = custody.caller()
    return Caller(who if found is None else found.name, name, who)


def uids(config: Config) -> dict[int, PersonConfig]:
    """The numbers of the accounts of persons. Asks the name service: once, at a start. An account that there is none
    of is left out (``vaultd doctor`` names it)."""
    found: dict[int, PersonConfig] = {}
    for person in config.person:
        if person.user:
            try:
                found[pwd.getpwnam(person.user).pw_uid] = person
            except KeyError:
                continue
    return found

"""[[person]] and [approvals]: who has a part in the emergency plan, and whose approval an action needs."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from vaultd.config.notify import Way
from vaultd.config.values import NonEmpty, PositiveDuration, Table, Text, refuse
from vaultd.i18n import _

Duty = Literal["director", "operator", "custodian", "auditor"]
DUTIES: tuple[str, ...] = get_args(Duty)
DIRECTOR, OPERATOR, CUSTODIAN, AUDITOR = DUTIES

_SSH_KEY = re.compile(r"[a-z][a-z0-9@.-]{3,64} [A-Za-z0-9+/]{40,}={0,2}( .*)?", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9._@-]{0,63}\$?", re.ASCII)


def _ssh_key(value: Any) -> str:
    if not isinstance(value, str) or (value and not _SSH_KEY.fullmatch(value)):
        refuse(_('a public SSH key on one line, such as "ssh-ed25519 AAAA..."'))
    return value


def _account(value: Any) -> str:
    if not isinstance(value, str) or (value and not _ACCOUNT.fullmatch(value)):
        refuse(_("the name of their account on this host"))
    if value == "root":
        refuse(_("an account of their own: what root does would all count as done by them"))
    return value


def _duties(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > 9 or not all(one in DUTIES for one in value):
        refuse(_("a list of roles: {names}").format(names=", ".join(DUTIES)))
    return value


def _duties_once(value: Any) -> list[str]:
    found = _duties(value)
    if len(set(found)) != len(found):
        refuse(_("each role once"))
    return found


def _with_a_director(value: Any) -> list[str]:
    found = _duties(value)
    if DIRECTOR not in found:
        refuse(_("a list of roles with {name} among them").format(name=DIRECTOR))
    return found


Duties = Annotated[list[Duty], BeforeValidator(_duties)]


class PersonConfig(Table):
    """[[person]]: someone with a part in the emergency plan.

    ``role`` is free text, as it is printed, and as [media] names approvers; ``roles`` are the duties that vaultd itself
    enforces. ``user``: their account on this host. ``ssh_key``: the public key that they sign with.
    ``notify``: how they are told, by channels' names or files with addresses of their own.
    """

    name: NonEmpty
    role: Text = ""
    roles: Annotated[list[Duty], BeforeValidator(_duties_once)] = Field(default_factory=list)
    user: Annotated[str, BeforeValidator(_account)] = ""
    ssh_key: Annotated[str, BeforeValidator(_ssh_key)] = ""
    telephone: Text = ""
    notify: list[Way] = Field(default_factory=list)

    @property
    def public_key(self) -> str:
        """The key without its comment, empty for who has none."""
        return " ".join(self.ssh_key.split()[:2])


class ApprovalsConfig(Table):
    """[approvals]: for each action the roles whose approval it needs, one person for each; none: no approval.

    ``expires``: how long a request can be approved and used, in seconds. ``evacuation_late``: who approves afterwards
    that an evacuation was started. ``destruction``: beside what [media] destruction_approvals asks. ``person``: who
    accepts new and changed persons.
    """

    expires: PositiveDuration = 86400
    warning_lift_1: Duties = Field(default=["director"])
    evacuation_end: Duties = Field(default=["director"])
    evacuation_late: Duties = Field(default=["director"])
    plain_export: Duties = Field(default=["director"])
    destruction: Duties = Field(default=[])
    forget: Duties = Field(default=["director"])
    person: Annotated[list[Duty], BeforeValidator(_with_a_director)] = Field(default=["director"])

    def roles_for(self, action: str) -> tuple[str, ...]:
        """The roles that an action ("evacuation-end") needs. Raises KeyError for one that there is none of."""
        if action not in ACTIONS:
            raise KeyError(action)
        return tuple(getattr(self, action.replace("-", "_")))


ACTIONS = tuple(name.replace("_", "-") for name in ApprovalsConfig.model_fields if name != "expires")
"""What can need approvals, as requests and entries name it."""

"""Who has to sign for an event, and how: with the SSH key that the configuration has for them, else on paper.

A signature that cannot be had now is owed, and stays an open item until it is there. Who has no key signs on a sheet of
paper, whose number goes on record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaultd.config.model import Config
from vaultd.i18n import _
from vaultd.ledger.events import MediaSigned
from vaultd.media import sshsig
from vaultd.media.faults import MediaError, SignatureError
from vaultd.store.mediarows import SignatureRow

RELEASED, RECEIVED, WITNESS, APPROVER = "released-by", "received-by", "witness", "approver"
REQUESTER, EXECUTOR, VERIFIER = "requested-by", "executor", "verified-by"
OWED, SIGNED, PAPER, APPROVED = "owed", "signed", "paper", "approved"

Sign = Callable[[Path, bytes], str]


def approval(level: int) -> str:
    """The role of an approver of a destruction, by the level from 1 on."""
    return f"approval-{level}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody who is to sign. ``late``: their signature may come afterwards, whether they have a key or not; ``now``:
    it may not, but on paper it will do even where they have a key."""

    role: str
    person: str
    late: bool = False
    now: bool = False

    @property
    def text(self) -> str:
        """As entries have it."""
        return f"{self.role}: {self.person}"


@dataclass(frozen=True, slots=True)
class Means:
    """How people sign now: files of keys by the persons' names, and the number of the sheet of paper. ``approval``: the
    approver has signed a request elsewhere."""

    keys: Mapping[str, Path] = field(default_factory=dict)
    sheet: str = ""
    approval: SignatureRow | None = None


def check(config: Config, signers: Sequence[Signer], means: Means) -> None:
    """Refuse what cannot be signed, before anything is changed. Raises MediaError."""
    names = {signer.person for signer in signers}
    for name in means.keys:
        if name not in names:
            raise MediaError(
                f"--sign {name}", _("they have nothing to sign here"),
                _("who signs: {names}").format(names=", ".join(sorted(names))),
            )  # fmt: skip
        if not key_of(config, name):
            raise MediaError(
                f"--sign {name}", _("the configuration has no SSH key of theirs"),
                _("add a [[person]] with ssh_key, or have them sign on paper: --sheet NUMBER"),
            )  # fmt: skip
    for signer in signers:
        if signer.now and signer.person not in means.keys and not means.sheet and means.approval is None:
            raise MediaError(
                _("the signature of {name}").format(name=signer.person), _("it must be there before"),
                _("--sign {name}=FILE, or on paper: --sheet NUMBER; in an emergency: --emergency REASON").format(
                    name=signer.person
                ),
            )  # fmt: skip
        if not signer.late and not means.sheet and not key_of(config, signer.person):
            raise MediaError(
                _("the signature of {name}").format(name=signer.person), _("they have no SSH key in the configuration"),
                _("have them sign on paper, and give its number: --sheet NUMBER"),
            )  # fmt: skip


def key_of(config: Config, name: str) -> str:
    """A person's public key, empty where they have none."""
    found = config.person_named(name)
    return found.ssh_key if found is not None else ""


def collect(
    config: Config, signers: Sequence[Signer], means: Means, statement: bytes, sign: Sign = sshsig.sign
) -> list[SignatureRow]:
    """The signatures that can be had now, and what is owed. Each is verified. Raises SignatureError; MediaError for
    what ``check`` refuses."""
    check(config, signers, means)
    return [_signature(config, signer, means, statement, sign) for signer in signers]


def _signature(config: Config, signer: Signer, means: Means, statement: bytes, sign: Sign) -> SignatureRow:
    if signer.role == APPROVER and means.approval is not None:
        return means.approval
    public, file = key_of(config, signer.person), means.keys.get(signer.person)
    if file is not None:
        return by_key(config, signer.role, signer.person, statement, sign(file, statement))
    if (signer.now or not public) and means.sheet and not signer.late:
        return on_paper(signer.role, signer.person, means.sheet)
    return SignatureRow(0, signer.role, signer.person, OWED, "", "", None)


def by_key(config: Config, role: str, person: str, statement: bytes, signature: str) -> SignatureRow:
    """A signature that was made with a person's own key. Raises SignatureError when it was not."""
    public = key_of(config, person)
    if not public:
        raise SignatureError(
            _("the signature of {name}").format(name=person), _("they have no SSH key in the configuration"),
            _("have them sign on paper, and give its number: --sheet NUMBER"),
        )  # fmt: skip
    try:
        sshsig.verify(public, statement, signature)
    except SignatureError as error:
        raise SignatureError(_("the signature of {name}").format(name=person), error.why, error.hint) from None
    return SignatureRow(0, role, person, SIGNED, signature, sshsig.fingerprint(public), time.time_ns())


def on_paper(role: str, person: str, sheet: str) -> SignatureRow:
    """Somebody has signed on a sheet of paper."""
    return SignatureRow(0, role, person, PAPER, sheet, "", time.time_ns())


def entry_of(event: str, row: SignatureRow, who: str) -> MediaSigned:
    """The ledger's entry of a signature that is there."""
    if row.state == PAPER:
        return MediaSigned(event, row.role, row.person, who, sheet=row.value)
    if row.state == APPROVED:
        return MediaSigned(event, row.role, row.person, who, key=row.key, request=row.value)
    return MediaSigned(event, row.role, row.person, who, row.value, row.key)


def require_role(config: Config, name: str, roles: Sequence[str], what: str) -> None:
    """Refuse somebody who may not approve. No ``roles``: every [[person]] may. Raises MediaError."""
    found = config.person_named(name)
    if found is None:
        known = ", ".join(one.name for one in config.person) or "-"
        raise MediaError(
            what, _("{name} is no [[person]] of the configuration").format(name=name),
            _("who is: {names}").format(names=known),
        )  # fmt: skip
    if roles and found.role not in roles:
        raise MediaError(
            what, _("{name} has the role {role}").format(name=name, role=found.role or "-"),
            _("it needs one of: {roles}").format(roles=", ".join(roles)),
        )  # fmt: skip

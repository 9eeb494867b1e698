"""The approver of a transfer is not here: they sign a request for it (``vaultd approve``), at their own terminal, and
the transfer is carried out then."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vaultd import approvals
from vaultd.i18n import _
from vaultd.media import people, record
from vaultd.media.faults import MediaError
from vaultd.media.register import Register
from vaultd.store.mediarows import Medium, SignatureRow

ACTION = "transfer"


def approved(
    register: Register, approver: str, wish: dict[str, str], media: Sequence[Medium], *, use: bool
) -> SignatureRow:
    """The approval of one person for exactly this transfer (``wish``: its texts by their names), of media as they are
    now. ``use``: it is used up. Raises ApprovalMissingError while it is missing; MediaError where they cannot be
    asked."""
    config, store = register.config, register.store
    approvals.settle(config, store)
    if not approvals.enforced(store) or not people.key_of(config, approver) or "," in approver:
        raise MediaError(
            _("the approval of {name}").format(name=approver), _("they cannot be asked for it"),
            _("a director must be named (docs/approvals.md), and they need an ssh_key; or sign here: --sign, --sheet"),
        )  # fmt: skip
    asked = {
        **{name: value for name, value in wish.items() if value}, "labels": [one.label for one in media],
        "records": [record.digest(one).hex() for one in media],
    }  # fmt: skip
    caller = approvals.caller(config)
    used = approvals.require_of(config, store, ACTION, asked, approver, caller, use=use)
    (given,) = [one for one in used.approvals if one.person == approver]
    return SignatureRow(0, people.APPROVER, approver, people.APPROVED, str(used.number), given.key, time.time_ns())

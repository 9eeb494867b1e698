"""Who may act, what somebody has asked for, and who has signed for it (docs/approvals.md).

For the other parts of vaultd::

    require(config, store, "forget", {"vault": name, ...}, caller)   # raises while approvals are missing; uses them up
    owe(config, store, "evacuation-late", {...}, caller)             # it was done; an open item until it is approved
    request(config, store, "evacuation-end", {...}, caller)          # ask, and go on with something else

``caller`` (``accounts.caller(config)``) is who runs this. All three return the request, or None where no approval is
needed: the policy asks for none, or nobody was ever accepted as a director. ``config`` is what the file says now: the
daemon calls ``fresh(config)`` first. They write to the state and leave the
entries for the ledger in the same transaction.

``requests``   asking, withdrawing; ``Request.statement`` is what is signed, byte for byte
``using``      which approvals hold now, and using them up, once
``signing``    somebody approves
``persons``    which persons of the configuration are accepted; new, changed, gone
``accepting``  a director signs for who is new or was changed
``history``    the same from the ledger, where the state has lost it
``accounts``   who runs a command, by their account
``late``       alerts for what is owed
``sshsig``     ssh-keygen -Y sign and verify, for every namespace
``faults``     what is refused
"""

from vaultd.approvals.accounts import Caller, caller
from vaultd.approvals.faults import ApprovalError, ApprovalMissingError
from vaultd.approvals.late import raise_alerts
from vaultd.approvals.persons import accepted, check_accepted, enforced, fresh, settle
from vaultd.approvals.requests import NAMESPACE, Request, find, owe, put_aside, request, withdraw
from vaultd.approvals.signing import approve
from vaultd.approvals.using import require, require_of

__all__ = [
    "NAMESPACE",
    "ApprovalError",
    "ApprovalMissingError",
    "Caller",
    "Request",
    "accepted",
    "approve",
    "caller",
    "check_accepted",
    "enforced",
    "find",
    "fresh",
    "owe",
    "put_aside",
    "raise_alerts",
    "request",
    "require",
    "require_of",
    "settle",
    "withdraw",
]

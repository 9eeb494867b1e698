"""What goes wrong with anchors, as vaultd's errors."""

from __future__ import annotations

from vaultd.errors import EXIT_DIFFERENCE, EXIT_UNREACHABLE, LedgerError, VaultdError
from vaultd.i18n import _
from vaultd.ledger.checkpoint import Checkpoint


class AnchorError(VaultdError):
    """An anchor cannot be had, or one that is kept does not hold."""

    code = "anchor"


class NoAnswerError(AnchorError):
    """A witness or an authority did not answer, or cannot just now. Worth trying again."""

    exit_code = EXIT_UNREACHABLE
    code = "anchor-unreachable"


class WitnessError(AnchorError):
    """A witness refuses, or answers what cannot be true."""

    code = "witness"


class TimestampError(AnchorError):
    """A time-stamp authority refuses, or its answer does not hold."""

    code = "timestamp"


class InconsistentError(LedgerError):
    """Somebody has a checkpoint that is not one of this log. Nothing was overwritten.

    ``where``: who has it. ``checkpoint``: what it says, only where our own key has signed it; then it is proof, and the
    log must not be signed any more. None: anybody may have put it there, which is no reason to stop.
    """

    exit_code = EXIT_DIFFERENCE
    code = "ledger-inconsistent"

    def __init__(
        self, where: str, what: str, why: str, hint: str, checkpoint: Checkpoint | None = None, note: bytes = b""
    ) -> None:  # fmt: skip
        super().__init__(what, why, hint)
        self.where = where
        self.checkpoint = checkpoint
        self.note = note


class ShorterError(InconsistentError):
    """Somebody has seen more of this log than it has. ``size``: how much, as they say."""

    code = "ledger-shorter"
    size = 0


def foreign(where: str, name: str, why: str) -> InconsistentError:
    """What is there is not a checkpoint that our key has signed."""
    return InconsistentError(
        where, _("{where} has a checkpoint of its own, {name}").format(where=where, name=name), why,
        _("find out who put it there; nothing is overwritten, and nothing is published there until it is gone"),
    )  # fmt: skip


def forked(where: str, found: Checkpoint, note: bytes) -> InconsistentError:
    """Our key has signed another history."""
    return InconsistentError(
        where, _("{where} has another history of the ledger").format(where=where),
        _("the first {size} entries there are others than here, and our key has signed both").format(size=found.size),
        _("this host's ledger or key was tampered with, or the ledger was brought back and went on: "
          "keep both, and see docs/ledger.md"), found, note,
    )  # fmt: skip


def shorter(where: str, size: int, own: int, found: Checkpoint | None, note: bytes = b"") -> ShorterError:
    """Somebody has a larger size than ours."""
    why = (
        _("it has {own} signed entries, and {where} has seen {size}")
        if found is not None
        else _("it has {own} signed entries, and {where} says that it has seen {size}, without proof")
    )
    error = ShorterError(
        where, _("the ledger on this disk is not the newest"), why.format(own=own, where=where, size=size),
        _("bring back the newer ledger folder; or begin a new log that names this one: `vaultd ledger continue`"),
        found, note,
    )  # fmt: skip
    error.size = size
    return error

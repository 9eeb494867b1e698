"""Every anchor that is kept, checked: with its own key or certificates, and against the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vaultd.anchor import kept, timestamp, witness
from vaultd.anchor.faults import InconsistentError
from vaultd.anchor.local import Local, unreadable
from vaultd.config.ledger import LedgerConfig, TimestampConfig, WitnessConfig
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger.folder import LogFolder


@dataclass(frozen=True, slots=True)
class Checked:
    """One kept file. ``problem`` empty: it holds. ``error``: set where it shows another history, or a longer one.
    ``at``: the time that a witness or an authority has signed."""

    kind: str
    name: str
    size: int | None
    at: datetime | None = None
    problem: str = ""
    error: InconsistentError | None = None


def verify(config: LedgerConfig, folder: LogFolder) -> Iterator[Checked]:
    """Check every file in ``anchors``. Raises LedgerError when the log itself cannot be read."""
    local = Local.read(folder)
    witnesses = {one.name: one for one in config.witness}
    authorities = {one.name: one for one in config.timestamp}
    try:
        for kind in (kept.MIRROR, kept.ANCHORED, kept.WITNESS, kept.TIMESTAMP):
            for name in kept.names(folder, kind):
                for file, size in sorted(kept.entries(folder, kind, name)):
                    if size is None:
                        yield Checked(kind, name, None, problem=_("{file} does not belong there").format(file=file))
                    else:
                        yield _one(local, kind, name, size, file, witnesses.get(name), authorities.get(name))
    except OSError as error:
        raise unreadable(folder, error) from error


def _one(
    local: Local, kind: str, name: str, size: int, file: Path,
    cosigner: WitnessConfig | None, authority: TimestampConfig | None,
) -> Checked:  # fmt: skip
    at: datetime | None = None
    try:
        content = kept.read(file)
        if kind == kept.TIMESTAMP:
            at = _stamp(local, content, size, authority)
        elif kind == kept.WITNESS:
            at = _cosignature(local, content, size, cosigner)
        else:
            local.check(content, _("target {name}").format(name=name), str(size), size)
    except InconsistentError as error:
        return Checked(kind, name, size, problem=str(error), error=error)
    except (ValueError, OSError, ConfigError) as error:
        return Checked(kind, name, size, problem=str(error))
    return Checked(kind, name, size, at)


def _stamp(local: Local, content: bytes, size: int, authority: TimestampConfig | None) -> datetime:
    if authority is None:
        raise ValueError(_("the authority is no longer in the configuration: nothing says which certificates it has"))
    # The stamp is over the note as it was signed; that the note is of this log is checked with the log.
    stamped = local.folder.kept_file(size).read_bytes()
    local.check(stamped, _("authority {name}").format(name=authority.name), str(size), size)
    return timestamp.verify_kept(content, stamped, timestamp.certificates(authority))


def _cosignature(local: Local, content: bytes, size: int, cosigner: WitnessConfig | None) -> datetime:
    if cosigner is None:
        raise ValueError(_("the witness is no longer in the configuration: nothing says which key it has"))
    _found, seconds = witness.verify_kept(local, cosigner, content, size)
    return datetime.fromtimestamp(seconds, UTC)

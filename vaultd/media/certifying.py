"""The certificate of a list: made once, when nobody owes a signature any more, and the same ever after.

It is kept in ``documents/`` of the state folder, which goes off-site with the state; its SHA-256 is on record.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from vaultd.custody import DOCUMENTS, owe
from vaultd.custody import keep as keep_file
from vaultd.i18n import _
from vaultd.ledger.events import MediaDestruction
from vaultd.media import certificate as drawing
from vaultd.media import destruction, people, record
from vaultd.media.destruction import Case
from vaultd.media.faults import MediaError
from vaultd.media.register import Register


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate. ``lacking``: characters that the font does not have."""

    number: str
    pdf: bytes
    digest: str
    keep_until: str
    lacking: str


def certificate(register: Register, number: str) -> Certified:
    """The certificate of a list, made once and the same ever after. Raises MediaError, PaperError."""
    case = destruction.find(register, number)
    what = _("certificate of list {number}").format(number=case.row.number)
    if case.row.state == destruction.CERTIFIED and case.row.certificate is not None:
        return Certified(
            case.row.number, _kept(register, case.row.certificate, what), case.row.certificate,
            case.row.keep_until or "", "",
        )  # fmt: skip
    if case.execution is None or case.row.execution is None:
        raise MediaError(what, _("it was not executed yet"))
    owed = [one for one in case.signatures if one.state == people.OWED]
    if owed:
        names = ", ".join(f"{one.person} ({one.role})" for one in owed)
        raise MediaError(
            what,
            _("signatures are owed: {names}").format(names=names),
            _("vaultd media sign EVENT --by NAME; the events are in: vaultd media items"),
        )
    keep = _keep_until(case, register.config.media.keep_years)
    pdf, lacking = drawing.draw(register.config, case, keep)
    digest = hashlib.sha256(pdf).digest()
    keep_file(register.config.host.state, f"{digest.hex()}.pdf", pdf)
    moment, executed = record.now(), case.execution
    body = MediaDestruction(
        record.new_event(), case.row.number, destruction.CERTIFIED, executed["labels"], executed["records"],
        moment.text, moment.source, register.config.host.name, register.who, [], certificate=digest, keep_until=keep,
    )  # fmt: skip
    with register.store.database.write():
        if destruction.find(register, number).row != case.row:
            raise MediaError(what, _("somebody else has made it meanwhile"), _("write it out: the same command again"))
        owe(register.store, register.config.host.state, body)
        register.store.put_destruction(
            case.row._replace(state=destruction.CERTIFIED, certificate=digest.hex(), keep_until=keep)
        )
    return Certified(case.row.number, pdf, digest.hex(), keep, lacking)


def _keep_until(case: Case, years: int) -> str:
    executed = datetime.fromtimestamp(record.time_of(case.execution or case.request) // 10**9, UTC).date()
    return date(executed.year + years, 12, 31).isoformat()


def _kept(register: Register, digest: str, what: str) -> bytes:
    """The certificate as it was made."""
    file: Path = register.config.host.state / DOCUMENTS / f"{digest}.pdf"
    try:
        found = file.read_bytes()
    except OSError as error:
        raise MediaError(
            what, f"{file}: {error.strerror}", _("bring it back from a copy of the state: docs/repository.md")
        ) from None
    if hashlib.sha256(found).hexdigest() != digest:
        raise MediaError(what, _("{file} is not the one on record").format(file=file))
    return found

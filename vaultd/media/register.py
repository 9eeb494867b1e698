"""Adding and changing media. The register, the ledger's entry and the signatures are one transaction: there is never
the one without the other, whatever dies in between."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vaultd.config.model import Config
from vaultd.custody import owe
from vaultd.i18n import _
from vaultd.ledger.events import Body, MediumRegistered
from vaultd.media import machine, numbering, people, record
from vaultd.media.faults import MediaError, NoMediumError
from vaultd.media.machine import Status
from vaultd.media.words import CLASSIFICATIONS
from vaultd.store import Store
from vaultd.store.mediarows import Medium, SignatureRow

LONGEST_TEXT = 200
EDITABLE = (*(name for name in record.RECORD if name != "label"), "custodian", "deputy", "host", "slot")
"""What ``change`` changes; where a medium is and who has it change by events."""

CHECK = "media-check:"
"""Of the state's values: under this and a label is since when somebody has to look at its record (nanoseconds)."""

_NEEDED = ("classification", "custodian")


@dataclass(frozen=True, slots=True)
class Register:
    """The register of this host. ``who``: who runs this, as entries have it."""

    config: Config
    store: Store
    who: str

    def find(self, label: str) -> Medium:
        """The medium of a label, as it was typed or scanned. Raises NoMediumError; one of another site is called so."""
        wanted = numbering.normal(label)
        found = self.store.medium(wanted)
        if found is not None:
            return found
        what = _("medium {label}").format(label=wanted)
        if numbering.is_ours(self.config.media.label, wanted):
            raise NoMediumError(what, _("it is not in the register"), _("see: vaultd media list"))
        raise NoMediumError(
            what, _("it is in no register here: a label of another site, or of an older scheme"),
            _("labels of this site are numbered {scheme}").format(scheme=self.config.media.label),
        )  # fmt: skip

    def find_all(self, labels: Iterable[str]) -> list[Medium]:
        """Several, each once. Raises NoMediumError, MediaError."""
        found = [self.find(label) for label in labels]
        if len({one.label for one in found}) != len(found):
            raise MediaError(_("the labels"), _("one of them is given twice"))
        return found

    def next_label(self, after: int = 0) -> str:
        """The next free number of this year."""
        scheme, year = self.config.media.label, datetime.now().astimezone().year
        prefix = numbering.prefix(scheme, year)
        highest = self.store.highest_label(prefix, len(prefix) + numbering.width(scheme))
        return numbering.next_label(scheme, year, highest, after)

    def checked(self, medium: Medium, *, same_serial: bool = False) -> Medium:
        """A new medium as it would be added. Raises MediaError for what is wrong with it."""
        texts: dict[str, Any] = {name: clean(getattr(medium, name), name) for name in _texts(medium)}
        medium = replace(medium, **texts)
        label = numbering.normal(medium.label) if medium.label else self.next_label()
        what = _("medium {label}").format(label=label)
        for name in _NEEDED:
            if not getattr(medium, name):
                raise MediaError(what, _("it has no {field}").format(field=name))
        if medium.classification not in CLASSIFICATIONS:
            raise MediaError(
                what, _("there is no classification {name}").format(name=medium.classification),
                _("one of: {names}").format(names=", ".join(CLASSIFICATIONS)),
            )  # fmt: skip
        if medium.status not in machine.FIRST:
            raise MediaError(
                what, _("a new medium is not {status}").format(status=_(machine.STATUS_WORDS[medium.status])),
                _("one of: {names}").format(names=", ".join(machine.FIRST)),
            )  # fmt: skip
        known = self.store.medium(label)
        if known is not None:
            raise MediaError(
                _("label {label}").format(label=label), _("it is taken: {medium}").format(medium=described(known)),
                _("leave --label out to get the next number"),
            )  # fmt: skip
        self._refuse_double(medium, what, same_serial=same_serial)
        now = time.time_ns()
        return replace(
            medium, label=label, holder=medium.holder or medium.custodian, added=now, changed=now,
            salt=record.new_salt(), id=None,
        )  # fmt: skip

    def _refuse_double(self, medium: Medium, what: str, *, same_serial: bool) -> None:
        doubles = [] if same_serial else self.store.media_with_identity(medium.serial, medium.wwn)
        doubles = [one for one in doubles if one.label != medium.label]
        if doubles:
            raise MediaError(
                what, _("its serial number or WWN is registered: {medium}").format(medium=described(doubles[0])),
                _("if they are two devices: --same-serial"),
            )  # fmt: skip

    def add(self, medium: Medium, *, same_serial: bool = False, source: str | None = None) -> Medium:
        """Register a medium; without a label it gets the next one. Raises MediaError."""
        with self.store.database.write():
            added = self.checked(medium, same_serial=same_serial)
            self.store.add_medium(added)
            self._note(added, "added", None, source)
            found = self.store.medium(added.label)
        if found is None:
            raise MediaError(_("medium {label}").format(label=added.label), _("it was not written"))
        return found

    def changes(
        self, known: Medium, values: dict[str, str | int], *, same_serial: bool = False
    ) -> dict[str, str | int]:
        """What would change, by field. Raises MediaError for what is wrong."""
        cleaned: dict[str, str | int] = {}
        for name, value in values.items():
            if name not in EDITABLE:
                raise MediaError(
                    _("{field} of {label}").format(field=name, label=known.label),
                    _("it changes by what happens to the medium only"), _("see: vaultd media transfer --help"),
                )  # fmt: skip
            cleaned[name] = clean(value, name) if isinstance(value, str) else value
        found = {name: value for name, value in cleaned.items() if getattr(known, name) != value}
        new = replace(known, **found)  # type: ignore[arg-type]
        what = _("medium {label}").format(label=known.label)
        if known.status == Status.DESTROYED and found:
            raise MediaError(what, _("it is destroyed: its record stays as it is"))
        for name in _NEEDED:
            if not getattr(new, name):
                raise MediaError(what, _("it has no {field}").format(field=name))
        if new.classification not in CLASSIFICATIONS:
            raise MediaError(what, _("there is no classification {name}").format(name=new.classification))
        if "serial" in found or "wwn" in found:
            self._refuse_double(new, what, same_serial=same_serial)
        return found

    def change(
        self, label: str, values: dict[str, str | int], *, same_serial: bool = False, source: str | None = None
    ) -> list[str]:  # fmt: skip
        """Change what a medium is; the names of the fields that differ now. Raises MediaError."""
        with self.store.database.write():
            known = self.find(label)
            found = self.changes(known, values, same_serial=same_serial)
            if found and known.id is not None:
                self.store.change_medium(known.id, {**found, "changed": time.time_ns()})
                self._note(replace(known, **found), "changed", sorted(found), source)  # type: ignore[arg-type]
                self.store.set_meta(f"{CHECK}{known.label}", "")  # somebody has looked at it
        return sorted(found)

    def _note(self, medium: Medium, state: str, changes: list[str] | None, source: str | None) -> None:
        body = MediumRegistered(
            medium.label, state, record.digest(medium), medium.status, medium.classification, medium.custodian,
            self.who, changes, source,
        )  # fmt: skip
        owe(self.store, self.config.host.state, body)

    def put_event(
        self, uid: str, at: int, action: str, body: Body, items: Sequence[tuple[Medium, str]],
        signatures: Sequence[SignatureRow],
    ) -> int:  # fmt: skip
        """Keep an event: what happened to which media (with the status after it), the ledger's entry, the signatures.
        Inside the caller's transaction. Returns its number."""
        rows = [(one.id or 0, one.status, after) for one, after in items]
        number = self.store.add_media_event(uid, at, action, body.TYPE, record.statement(body).decode(), rows)
        owe(self.store, self.config.host.state, body)
        for row in signatures:
            self.put_signature(uid, number, row)
        return number

    def put_signature(self, uid: str, number: int, row: SignatureRow) -> None:
        """Keep a signature of an event, and put it on record unless it is owed. Inside the caller's transaction."""
        self.store.put_signature(row._replace(event=number))
        if row.state != people.OWED:
            owe(self.store, self.config.host.state, people.entry_of(uid, row, self.who))


def clean(text: str, field: str) -> str:
    """A text of the register: one line, NFC, nothing that a terminal or a spreadsheet obeys. Raises MediaError."""
    found = unicodedata.normalize("NFC", text).strip()
    if not found.isprintable() or len(found) > LONGEST_TEXT:
        raise MediaError(
            _("{field} of a medium").format(field=field),
            _("{text} is no text on one line").format(text=ascii(text)[:80]),
            _("at most {count} characters, none of them invisible").format(count=LONGEST_TEXT),
        )  # fmt: skip
    return found


def _texts(medium: Medium) -> list[str]:
    return [name for name in (*EDITABLE, "location", "holder") if isinstance(getattr(medium, name), str)]


def described(medium: Medium) -> str:
    """A medium in a line: label, what it is, whose."""
    parts = [medium.label, medium.type, medium.make, medium.model, medium.serial, medium.custodian]
    return " ".join(part for part in parts if part)

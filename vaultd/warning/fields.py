"""The fields of a warning: what may be in them, and how the ledger has them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vaultd.i18n import _
from vaultd.ledger.events import WarningChanged
from vaultd.store.warningrows import WarningRow
from vaultd.units import rfc3339
from vaultd.warning.faults import WarningError

LONGEST = 2000
TEXTS = ("category", "scope", "cautions", "measures", "unit")


@dataclass(frozen=True, slots=True)
class Fields:
    """What is given of a warning; None: not given. ``start`` in nanoseconds since 1970."""

    level: str | None = None
    category: str | None = None
    recipients: Sequence[str] | None = None
    start: int | None = None
    scope: str | None = None
    cautions: str | None = None
    measures: str | None = None
    unit: str | None = None


def entry_of(row: WarningRow, request: str | None = None) -> WarningChanged:
    """A warning as the ledger has it."""
    return WarningChanged(
        row.id, row.revision, row.state, row.level, row.category, list(row.recipients), rfc3339(row.start), row.scope,
        row.cautions, row.measures, row.unit, row.who, row.on_duty or None, row.signal or None,
        row.count if row.signal else None, request, 1 if row.drill else None,
    )  # fmt: skip


def clean(text: Any, field: str) -> str:
    """A text of a warning: one line, NFC, nothing that a terminal obeys. Raises WarningError."""
    found = unicodedata.normalize("NFC", str(text)).strip()
    if not found.isprintable() or len(found) > LONGEST:
        raise WarningError(
            _("{field} of a warning").format(field=field),
            _("{text} is no text on one line").format(text=ascii(text)[:80]),
            _("at most {count} characters, none of them invisible").format(count=LONGEST),
        )  # fmt: skip
    return found

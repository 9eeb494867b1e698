"""The drills that are on record, from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vaultd.ledger.chain import older
from vaultd.ledger.events import Drilled
from vaultd.ledger.query import Query, matching
from vaultd.ledger.reading import Reader


def drills(ledger: Path, vault: str | None = None) -> list[dict[str, Any]]:
    """The entries, the oldest first, those of the ledgers that this one continues before. Raises LedgerError."""
    return [one for folder in _folders(ledger) for one in _of(folder, vault)]


def _folders(ledger: Path) -> Iterator[Path]:
    yield from older(ledger, Reader(ledger))
    yield ledger


def _of(ledger: Path, vault: str | None) -> list[dict[str, Any]]:
    return list(matching(Reader(ledger).newest_first(), Query(Drilled.TYPE, vault)))[::-1]

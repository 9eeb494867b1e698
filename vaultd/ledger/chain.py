"""The ledgers that one continues (``vaultd ledger continue``), where they lie beside it."""

from __future__ import annotations

from pathlib import Path

from vaultd.ledger.reading import Reader


def older(ledger: Path, reader: Reader) -> list[Path]:
    """The folders of the ledgers that this one continues, the oldest first; those that are not there are left out."""
    found, beside = list[Path](), sorted(ledger.resolve().parent.glob(f"{ledger.name}-*"))
    while previous := reader.entry(0).get("previous"):
        before = next((one for one in beside if _checkpoint_of(one) == previous.encode() and one not in found), None)
        if before is None:
            break
        found.insert(0, before)
        reader = Reader(before)
    return found


def _checkpoint_of(ledger: Path) -> bytes:
    try:
        return (ledger / "checkpoint").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""

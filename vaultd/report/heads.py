"""What every report says of the ledger that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaultd.report.period import Period, or_none
from vaultd.units import parse_rfc3339


@dataclass(frozen=True, slots=True)
class Verified:
    """Of which checkpoint the report is: what the verifier has said of it. ``problem``: why it does not hold, empty for
    one that does; then nothing in the report is certain."""

    folder: Path
    origin: str
    size: int
    root: bytes
    unsigned: int
    problem: str = ""


def ledger_head(verified: Verified, begin: Mapping[str, Any], software: str) -> dict[str, Any]:
    """Whose ledger it is, and which. ``begin``: its first entry; ``software``: the newest that has written in it."""
    return {
        "origin": verified.origin, "host": begin.get("host"), "size": verified.size, "root": verified.root.hex(),
        "unsigned": verified.unsigned, "begun": _begun(begin),
        "software": _software(software or str(begin.get("software", ""))), "continues": _continues(begin),
        "reason": begin.get("reason"),
    }  # fmt: skip


def zone_name(period: Period) -> str:
    """The zone of a period, as ``--zone`` takes it; "UTC"."""
    offset = period.zone.utcoffset(None)
    minutes = int(offset.total_seconds()) // 60
    return "UTC" if not minutes else f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _software(text: str) -> str:
    """``daemon`` entries have the version alone."""
    return f"vaultd {text}" if text[:1].isdigit() else text


def _begun(begin: Mapping[str, Any]) -> str | None:
    return or_none(parse_rfc3339(begin["t"])) if begin else None


def _continues(begin: Mapping[str, Any]) -> dict[str, Any] | None:
    """The log that this one continues: the first lines of its newest checkpoint."""
    lines = str(begin.get("previous", "")).split("\n")
    return {"origin": lines[0], "size": lines[1]} if len(lines) > 2 else None

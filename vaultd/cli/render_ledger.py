"""Entries of the ledger for people: a line each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vaultd.i18n import _
from vaultd.ledger.entry import BASE, path_of
from vaultd.names import display

_SHORT = 12
_FIRST = ("vault", "target", "kind", "state", "code")


def line(entry: Mapping[str, Any], *, unsigned: bool) -> str:
    """When, which one, what: long hashes shortened, and what all entries have left out."""
    when = datetime.fromisoformat(entry["t"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    parts = [f"{when}  {entry['seq']:>8}  {entry['type']:<14}"]
    parts += [str(entry[name]) for name in _FIRST if name in entry]
    path = path_of(entry)
    if path is not None:
        parts.append(display(path))
    for name, value in entry.items():
        if name not in BASE and name not in _FIRST and name not in ("path", "path_b64", "change_set", "previous"):
            parts.append(f"{name}={_short(value)}")
    if unsigned:
        parts.append(_("(not signed yet)"))
    return " ".join(parts)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{one}" for name, one in value.items()) or "-"
    if isinstance(value, list):
        return ",".join(map(_short, value))
    text = str(value)
    is_hash = len(text) in (64, 40) and all(letter in "0123456789abcdef" for letter in text)
    return text[:_SHORT] if is_hash else display(text.encode())

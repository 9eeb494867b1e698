"""[ledger]: the record that outsiders can check, who countersigns it, and which digests it has."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from vaultd.config.values import AbsolutePath, Name, NonEmpty, PositiveDuration, Table, refuse
from vaultd.i18n import _

Digest = Literal["sha256", "sm3"]


def _digests(value: Any) -> list[str]:
    if value not in (["sha256"], ["sha256", "sm3"], ["sm3", "sha256"]):
        refuse(_("{one}, or {both}").format(one='["sha256"]', both='["sha256", "sm3"]'))
    if "sm3" in value and "sm3" not in hashlib.algorithms_available:
        refuse(_("{one} on this machine: its OpenSSL has no SM3").format(one='["sha256"]'))
    return sorted(value)


def _url(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")) or not value.isprintable():
        refuse(_("an address that begins with https:// or http://"))
    return value.rstrip("/")


Url = Annotated[str, BeforeValidator(_url)]


class WitnessConfig(Table):
    """[[ledger.witness]]: who countersigns checkpoints (C2SP tlog-witness). ``key`` is its public key, a vkey."""

    name: Name
    url: Url
    key: NonEmpty


class TimestampConfig(Table):
    """[[ledger.timestamp]]: an authority that stamps checkpoints with the time (RFC 3161). ``ca``: the PEM file of the
    certificates that its answers must lead to; ``every``: it is asked at most once in so many seconds."""

    name: Name
    url: Url
    ca: AbsolutePath
    every: PositiveDuration = 3600


class LedgerConfig(Table):
    """[ledger]. ``key`` None: ``ledger.key`` in the state folder. Times are seconds.

    ``checkpoint``: new entries are signed and published at most so often. ``anchor_age``: an anchor older than this
    raises an alert.
    """

    key: AbsolutePath | None = None
    digests: Annotated[list[Digest], BeforeValidator(_digests)] = Field(default=["sha256"])
    checkpoint: PositiveDuration = 60
    anchor_age: PositiveDuration = 7 * 86400
    witness: list[WitnessConfig] = Field(default_factory=list)
    timestamp: list[TimestampConfig] = Field(default_factory=list)

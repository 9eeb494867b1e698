"""Cosignatures (C2SP tlog-cosignature, Ed25519): a checkpoint's signature line with the time at which it was made."""

from __future__ import annotations

import dataclasses
import struct
from dataclasses import dataclass

from vaultd.ledger import note
from vaultd.ledger.note import Note, Signature, VerifierKey

_TIME = struct.Struct(">Q")
_LENGTH = _TIME.size + 64
_LATEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature. ``time``: seconds since 1970, by the witness's clock."""

    signature: Signature
    time: int


def parse_key(encoded: str) -> VerifierKey:
    """A witness's key. Raises ValueError when it is no vkey, or not of the type for cosignatures."""
    key = note.parse_key(encoded)
    if key.kind != note.COSIGNATURE:
        raise ValueError("it is not the key of a witness: its signature type is not 04")
    return key


def of(signed: Note, key: VerifierKey) -> Cosignature:
    """The cosignature of a key on a note, the newest when there are several. Raises ValueError when there is none, and
    when one that says it is of this key is not."""
    found = [_verified(signed.text, one, key) for one in signed.signatures if key.made(one)]
    if not found:
        raise ValueError(f"{key.name} has not signed it")
    return max(found, key=lambda one: one.time)


def message(text: str, time: int) -> bytes:
    """What an Ed25519 cosigner signs."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _verified(text: str, signature: Signature, key: VerifierKey) -> Cosignature:
    if len(signature.value) != _LENGTH:
        raise ValueError(f"the cosignature of {key.name} is not one of Ed25519")
    (time,) = _TIME.unpack_from(signature.value)
    plain = dataclasses.replace(signature, value=signature.value[_TIME.size :])
    if not 0 < time <= _LATEST or not key.verifies(plain, message(text, time)):
        raise ValueError(f"the cosignature of {key.name} is wrong")
    return Cosignature(signature, time)


def time_of(signature: Signature) -> int:
    """The time that a cosignature says, unverified."""
    return int(_TIME.unpack_from(signature.value.ljust(_TIME.size, b"\0"))[0])

"""Splitting the wrapping key: Shamir's scheme, by PyCryptodome.

Why that library: SLIP-39's reference implementation (``shamir-mnemonic``), with its words and checksums, says of itself
that it "should not be used for handling sensitive secrets", and its last release is of 2024. PyCryptodome is released
several times a year and is the most used of those that have the scheme. It says two things that count here: a secret
has 16 bytes, so the key's halves are split apart, each with a polynomial of its own; and wrong shares give a wrong
secret without a word, so every share has a checksum (``spelling``) and the key is believed only when it opens the kit
(``seal``). Its shares are those of the program ``ssss`` (``-s 128 -D``), which Debian has: paper that outlives us.

The number of shares that are needed is in each of them. Fewer say nothing about the key (tests/test_kit_shares.py
shows that any key agrees with any two shares of three).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.kit.faults import ShareError

KEY_BYTES = 32
_HALF = 16
MOST = 20


@dataclass(frozen=True, slots=True)
class Share:
    """One custodian's part of the key of the kit ``kit`` (8 hex digits). ``number`` counts from 1; ``threshold``: so
    many are needed, of ``total``. ``value`` is secret: it has no place in a log."""

    kit: str
    number: int
    threshold: int
    total: int
    value: bytes

    def __repr__(self) -> str:
        return f"Share({self.kit} {self.number}/{self.total})"


def check_numbers(threshold: int, total: int) -> None:
    """Refuse numbers that make no sense. Raises ConfigError."""
    if not 2 <= threshold <= total <= MOST:
        raise ConfigError(
            _("{threshold} of {total} shares").format(threshold=threshold, total=total),
            _("at least 2 must be needed, and at most {most} can be made").format(most=MOST),
            _("for example --shares 5 --threshold 3"),
        )


def new_key() -> bytes:
    """A random wrapping key of 256 bits."""
    return secrets.token_bytes(KEY_BYTES)


def split(key: bytes, kit: str, threshold: int, total: int) -> list[Share]:
    """The shares of a key, one for each custodian."""
    from Crypto.Protocol.SecretSharing import Shamir

    check_numbers(threshold, total)
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    halves = [Shamir.split(threshold, total, key[at : at + _HALF], ssss=True) for at in (0, _HALF)]
    return [
        Share(kit, number, threshold, total, first + second)
        for (number, first), (_number, second) in zip(*halves, strict=True)
    ]


def combine(shares: Sequence[Share]) -> bytes:
    """The key. Raises ShareError for too few, for shares of several kits, and for two that contradict each other.

    Whether it is the right one, the kit's seal tells.
    """
    from Crypto.Protocol.SecretSharing import Shamir

    agree(shares)
    known = {share.number: share for share in shares}
    needed = shares[0].threshold
    if len(known) < needed:
        raise ShareError(
            _("kit {kit} cannot be opened").format(kit=shares[0].kit),
            _("it needs {needed} different shares, and there are {count}").format(needed=needed, count=len(known)),
            _("ask another custodian; fewer shares than that say nothing about the key"),
        )
    chosen = [known[number] for number in sorted(known)[:needed]]
    return b"".join(
        Shamir.combine([(share.number, share.value[at : at + _HALF]) for share in chosen], ssss=True)
        for at in (0, _HALF)
    )


def agree(shares: Sequence[Share]) -> None:
    """Refuse shares that do not belong together. Raises ShareError that names them."""
    if not shares:
        raise ShareError(_("the kit cannot be opened"), _("there is no share"), _("each custodian's sheet has one"))
    first = shares[0]
    for share in shares[1:]:
        if share.kit != first.kit:
            raise ShareError(
                _("the shares do not belong together"),
                _("one is of kit {first}, another of kit {other}").format(first=first.kit, other=share.kit),
                _("the kit's number is on every sheet: use sheets of one kit only"),
            )
        same = [one for one in shares if one.number == share.number]
        alike = (share.threshold, share.total) == (first.threshold, first.total)
        if not alike or any(one.value != share.value for one in same):
            raise ShareError(
                _("the shares do not belong together"),
                _("two shares {number} of kit {kit} contradict each other").format(number=share.number, kit=share.kit),
                _("one of them is not genuine: try with the others"),
            )

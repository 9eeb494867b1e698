"""Time stamps (RFC 3161): an authority signs the hash of a checkpoint's note, and the time.

The answer is kept as it came. It can be checked without vaultd, too:
``openssl ts -verify -in <size>.tsr -data checkpoints/<size> -CAfile <ca>``.
The package rfc3161-client makes and verifies them; it is imported where it is used.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vaultd.anchor import der, kept, post
from vaultd.anchor.faults import NoAnswerError, TimestampError
from vaultd.anchor.local import Local
from vaultd.config.ledger import TimestampConfig
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger.folder import LogFolder

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

MOST_SKEW = 600
"""Seconds by which a new stamp's time may differ from ours."""

_SHA256 = "2.16.840.1.101.3.4.2.1"


@dataclass(frozen=True, slots=True)
class Stamped:
    """An authority has stamped. ``new`` False: a stamp of this size was kept before, and stays."""

    authority: str
    size: int
    time: datetime
    new: bool


def stamp(
    authority: TimestampConfig, folder: LogFolder, encoded: bytes, timeout: float = post.TIMEOUT
) -> Stamped:  # fmt: skip
    """Have a checkpoint of this log stamped, and keep the stamp in ``anchors/timestamp``.

    Raises NoAnswerError (try again later), TimestampError (it refuses, or its answer does not hold), ConfigError for a
    ``ca`` that cannot be used, LedgerError.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    where = _("authority {name}").format(name=authority.name)
    local = Local.read(folder)
    size = local.check(encoded, where, "").size
    roots = certificates(authority)
    request = TimestampRequestBuilder().data(encoded).hash_algorithm(HashAlgorithm.SHA256).build()
    begun = time.time()
    headers = {"Content-Type": "application/timestamp-query"}
    answer = post.ask(where, "POST", authority.url, request.as_bytes(), headers, timeout)
    if answer.status == 429 or answer.status >= 500:
        why = _("it answers {status}").format(status=answer.status)
        raise NoAnswerError(_("{name} cannot be asked").format(name=where), why)
    try:
        if answer.status != 200:
            raise ValueError(_("it answers {status}").format(status=answer.status))
        found = _verified(answer.body, encoded, roots, request.nonce)
        if not begun - MOST_SKEW <= found.timestamp() <= time.time() + MOST_SKEW:
            raise ValueError(_("its time is another: {time}").format(time=found.isoformat()))
    except ValueError as error:
        raise TimestampError(
            _("{name} has not stamped").format(name=where), str(error),
            _("ask its operator; check the address and the certificates in the configuration"),
        ) from error  # fmt: skip
    new = kept.keep(folder, kept.TIMESTAMP, authority.name, size, answer.body)
    return Stamped(authority.name, size, found, new)


def certificates(authority: TimestampConfig) -> list[Certificate]:
    """The certificates that stamps must lead to. Raises ConfigError when the file has none."""
    from cryptography.x509 import load_pem_x509_certificates

    what = _("authority {name} cannot be used").format(name=authority.name)
    hint = _("{file} must hold the authority's certificates in PEM form").format(file=authority.ca)
    try:
        return load_pem_x509_certificates(authority.ca.read_bytes())
    except OSError as error:
        raise ConfigError(what, error.strerror or str(error), hint) from error
    except ValueError as error:
        raise ConfigError(what, str(error), hint) from error


def verify_kept(encoded: bytes, stamped: bytes, roots: list[Certificate]) -> datetime:
    """When ``stamped`` (a checkpoint's note) was stamped. Raises ValueError when the stamp does not hold."""
    return _verified(encoded, stamped, roots, None)


def time_of(encoded: bytes) -> datetime:
    """The time that a stamp says, unverified. Raises ValueError when it is none."""
    return _decoded(encoded).tst_info.gen_time


def imprint_of(encoded: bytes) -> bytes:
    """The hash that a stamp is over, unverified. Raises ValueError when it is no stamp, or not over SHA-256."""
    found = _decoded(encoded).tst_info.message_imprint
    if found.hash_algorithm.dotted_string != _SHA256:
        raise ValueError(_("its hash is not SHA-256"))
    return found.message


def _decoded(encoded: bytes) -> TimeStampResponse:
    from rfc3161_client import decode_timestamp_response

    try:
        return decode_timestamp_response(der.with_sorted_certificates(encoded))
    except ValueError as error:
        raise ValueError(_("it is no time stamp: {error}").format(error=error)) from error


def _verified(encoded: bytes, stamped: bytes, roots: list[Certificate], nonce: int | None) -> datetime:
    from rfc3161_client import VerificationError, VerifierBuilder

    found = _decoded(encoded)
    if found.status != 0:
        raise ValueError("; ".join(found.status_string) or _("it refuses: status {status}").format(status=found.status))
    builder = VerifierBuilder(roots=list(roots))
    if nonce is not None:
        builder = builder.nonce(nonce)
    try:
        if found.tst_info.message_imprint.hash_algorithm.dotted_string != _SHA256:
            raise ValueError(_("its hash is not SHA-256"))
        builder.build().verify(found, hashlib.sha256(stamped).digest())
    except VerificationError as error:
        raise ValueError(str(error)) from error
    return found.tst_info.gen_time

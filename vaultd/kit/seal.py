"""A kit's file, ``<kit>.kit``: two lines of ASCII.

The first is JSON that anybody may read: ``vaultd`` ("kit"), ``version`` (1), ``kit``, ``host``, ``created``,
``expires`` (or null), ``threshold``, ``shares``, ``cipher``. The second is base64 of a nonce of 12 bytes and of what
ChaCha20-Poly1305 (RFC 8439) makes of the content (JSON, zlib) under the wrapping key, with the first line, without its
line feed, as associated data: a head that was changed does not open.

The key is made for one kit and seals once, so a random nonce cannot meet itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from vaultd.i18n import _
from vaultd.kit import content
from vaultd.kit.content import Content
from vaultd.kit.faults import KitError

CIPHER = "ChaCha20-Poly1305"
VERSION = 1
LARGEST = 256 * 1024
_KIT, _HOST = re.compile(r"[0-9a-f]{8}", re.ASCII), re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_NONCE = 12
_MOST_PLAIN = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sealed:
    """A kit that is closed. ``encoded`` is its file; the rest is what its head says, which only opening it proves."""

    encoded: bytes
    kit: str
    host: str
    created: str
    expires: date | None
    threshold: int
    shares: int

    def expired(self, today: date) -> bool:
        """Whether its time is over; the day itself still counts."""
        return self.expires is not None and today > self.expires


def seal(
    found: Content, key: bytes, threshold: int, total: int, *, nonce: Callable[[int], bytes] = os.urandom
) -> Sealed:
    """Close a kit under its wrapping key."""
    head = {
        "vaultd": "kit", "version": VERSION, "kit": found.kit, "host": found.host, "created": found.created,
        "expires": found.expires.isoformat() if found.expires else None, "threshold": threshold, "shares": total,
        "cipher": CIPHER,
    }  # fmt: skip
    line = json.dumps(head, separators=(",", ":")).encode("ascii")
    once = nonce(_NONCE)
    box = ChaCha20Poly1305(key).encrypt(once, zlib.compress(found.encoded(), 9), line)
    return read(line + b"\n" + base64.b64encode(once + box) + b"\n")


def read(encoded: bytes) -> Sealed:
    """Look at a kit's file without opening it. Raises KitError."""
    lines = encoded.strip().split(b"\n")
    try:
        if len(encoded) > LARGEST or len(lines) != 2:
            raise ValueError("two lines")
        head = json.loads(lines[0].strip())
        if head["vaultd"] != "kit" or not isinstance(head["version"], int):
            raise ValueError("its head")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KitError(
            _("this is no file of a kit"), _("it must have two lines, the first of which begins with {begin}").format(
                begin='{"vaultd":"kit"'),
            _("it is named <kit>.kit, and is at every target in .vaultd/kit"),
        ) from None  # fmt: skip
    if head["version"] != VERSION or head.get("cipher") != CIPHER:
        raise KitError(
            _("the kit's file"), _("it has a format that this vaultd does not know"), _("use a newer vaultd")
        )  # fmt: skip
    try:
        base64.b64decode(lines[1].strip(), validate=True)
        kit, host, created = (str(head[name]) for name in ("kit", "host", "created"))
        if not (_KIT.fullmatch(kit) and _HOST.fullmatch(host) and _CREATED.fullmatch(created)):
            raise ValueError("its head")  # it goes to a terminal before anything of it is proved
        expires = date.fromisoformat(head["expires"]) if head["expires"] is not None else None
        threshold, total = int(head["threshold"]), int(head["shares"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise KitError(
            _("the kit's file"), _("it is damaged"), _("take it from another target, or from the codes on a sheet")
        ) from error  # fmt: skip
    plain = lines[0].strip() + b"\n" + lines[1].strip() + b"\n"
    return Sealed(plain, kit, host, created, expires, threshold, total)


def unseal(sealed: Sealed, key: bytes) -> Content:
    """Open a kit. Raises KitError when the key is not its own, or a bit of the file was changed."""
    line, box = sealed.encoded.strip().split(b"\n")
    raw = base64.b64decode(box)
    try:
        packed = ChaCha20Poly1305(key).decrypt(raw[:_NONCE], raw[_NONCE:], line)
    except (InvalidTag, ValueError):
        raise KitError(
            _("kit {kit} does not open").format(kit=sealed.kit),
            _("the shares are of another kit, one of them is not genuine, or the file was changed"),
            _("try with other custodians' shares; take the file from another target, or from the codes on a sheet"),
        ) from None
    unpacker = zlib.decompressobj()
    found = content.parse(unpacker.decompress(packed, _MOST_PLAIN))
    if (found.kit, found.host) != (sealed.kit, sealed.host):
        raise KitError(_("kit {kit} does not open").format(kit=sealed.kit), _("its content is of another kit"))
    return found

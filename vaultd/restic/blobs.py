"""restic's own containers, opened without restic: its master key, its index, the pieces (blobs) in its packs.

Only for reading back a hundred thousand small files: restic asks a server for each of them by itself, which over SFTP
takes as long as a hundred of them do together. Format: restic's ``doc/design.rst``. Nothing that was opened here is
believed before its MAC and its SHA-256, which is its id, are right.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from vaultd.i18n import _
from vaultd.restic.commands.common import collect_json
from vaultd.restic.process import Repository

LARGEST_PACK = 160 << 20
LARGEST_BLOB = 128 << 20
_NONCE = _MAC = 16
_COMPRESSED = 2
_KINDS, _ZIPPED = (0, 1, 2, 3), (2, 3)
"""Of an entry in a pack's header: content, folder; the same, compressed."""
_ENTRY, _ENTRY_ZIPPED = 1 + 4 + 32, 1 + 4 + 4 + 32


class DamagedError(Exception):
    """It is not what restic wrote."""


class Blob(NamedTuple):
    """A piece of a pack: its id (SHA-256 of its content), place, and size before compression (0: not compressed)."""

    id: bytes
    pack: str
    offset: int
    length: int
    size: int


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """What everything in a repository is sealed with: AES-256-CTR and Poly1305-AES. Never written, never logged."""

    encrypt: bytes
    k: bytes
    r: bytes


async def master_key(repository: Repository) -> MasterKey:
    """The repository's master key, by restic and the password. Raises what restic says."""
    found = await collect_json(repository, ["--no-lock", "cat", "masterkey"], _("the repository cannot be opened"))
    mac = found["mac"]
    return MasterKey(*(base64.b64decode(text) for text in (found["encrypt"], mac["k"], mac["r"])))


class Opener:
    """Opens sealed bytes. Raises DamagedError."""

    def __init__(self, key: MasterKey) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
        from cryptography.hazmat.primitives.poly1305 import Poly1305
        from zstandard import ZstdDecompressor, ZstdError

        self.key = key
        self._cipher, self._ctr, self._tag, self._zstd_error = Cipher, CTR, Poly1305.generate_tag, ZstdError
        self._aes, self._r = AES(key.encrypt), key.r
        self._mask = Cipher(AES(key.k), ECB()).encryptor().update  # noqa: S305  # one block: Poly1305-AES
        self._unzip = ZstdDecompressor()

    def open(self, sealed: bytes) -> bytes:
        """What was sealed."""
        nonce, content, mac = sealed[:_NONCE], sealed[_NONCE:-_MAC], sealed[-_MAC:]
        if len(sealed) <= _NONCE + _MAC or self._tag(self._r + self._mask(nonce), content) != mac:
            raise DamagedError("ciphertext")
        return self._cipher(self._aes, self._ctr(nonce)).decryptor().update(content)

    def blob(self, blob: Blob, sealed: bytes) -> bytes:
        """A blob's content, which has the SHA-256 that its id says."""
        found = self.open(sealed)
        if blob.size:
            found = self._unzipped(found, blob.size)
        if hashlib.sha256(found).digest() != blob.id:
            raise DamagedError("content")
        return found

    def pack(self, name: str, sealed: bytes) -> list[Blob]:
        """The blobs of a whole pack, whose name is the SHA-256 of what is stored, by its own header."""
        if hashlib.sha256(sealed).hexdigest() != name:
            raise DamagedError("file")
        length = int.from_bytes(sealed[-4:], "little")
        if not 0 < length <= len(sealed) - 4:
            raise DamagedError("header")
        header, found, offset, at = self.open(sealed[-4 - length : -4]), list[Blob](), 0, 0
        while at < len(header):
            zipped = header[at] in _ZIPPED
            end = at + (_ENTRY_ZIPPED if zipped else _ENTRY)
            if header[at] not in _KINDS or end > len(header):
                raise DamagedError("header")
            stored = int.from_bytes(header[at + 1 : at + 5], "little")
            size = int.from_bytes(header[at + 5 : at + 9], "little") if zipped else 0
            found.append(Blob(header[end - 32 : end], name, offset, stored, size))
            offset, at = offset + stored, end
        if offset != len(sealed) - 4 - length:
            raise DamagedError("header")
        return found

    def file(self, name: str, sealed: bytes) -> Any:
        """The JSON of an unpacked file (index), whose name is the SHA-256 of what is stored."""
        if hashlib.sha256(sealed).hexdigest() != name:
            raise DamagedError("file")
        found = self.open(sealed)
        if found[:1] == bytes([_COMPRESSED]):
            found = self._unzipped(found[1:], LARGEST_BLOB)
        try:
            return json.loads(found)
        except ValueError as error:
            raise DamagedError("JSON") from error

    def _unzipped(self, content: bytes, most: int) -> bytes:
        if most > LARGEST_BLOB:
            raise DamagedError("size")
        try:
            return self._unzip.decompress(content, max_output_size=most)
        except self._zstd_error as error:
            raise DamagedError("compression") from error


def blobs_of(index: Any) -> Iterator[Blob]:
    """The blobs that an index file tells of. Raises DamagedError."""
    try:
        for pack in index["packs"]:
            for blob in pack["blobs"]:
                yield Blob(
                    bytes.fromhex(blob["id"]), str(pack["id"]), int(blob["offset"]), int(blob["length"]),
                    int(blob.get("uncompressed_length", 0)),
                )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError("index") from error

"""Signed notes (C2SP signed-note): a text, and lines that sign it.

Read strictly: each part is encoded again and compared, so that no second spelling of the same note passes (base64
with other padding bits, line ends, a text that is not UTF-8).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vaultd.i18n import _

ED25519 = 1
COSIGNATURE = 4
LONGEST = 1 << 20
"""A note of more bytes is refused unread."""

_MARK = "\N{EM DASH} "
_KEY_SIZE = 32


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name and id (4 bytes), and what the key made."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """The line, with its line feed."""
        return f"{_MARK}{self.name} {base64.b64encode(self.key_id + self.value).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text (it ends with a line feed) and its signatures, none of which was verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def encoded(self) -> bytes:
        """The note as it is stored and sent."""
        return (self.text + "\n" + "".join(signature.line() for signature in self.signatures)).encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key that verifies notes: Ed25519, of signature type 1 (a log's) or 4 (a witness's cosignature)."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name, line feed, type, public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def encoded(self) -> str:
        """The key as one word (a "vkey"): ``name+id+base64``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode('ascii')}"

    def made(self, signature: Signature) -> bool:
        """Whether a signature says that it is this key's: by name and id."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verifies(self, signature: Signature, message: bytes) -> bool:
        """Whether a signature of 64 bytes is this key's over a message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature.value, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private Ed25519 key that signs notes under a name."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """Sign a note's text. Raises ValueError for a text that no note may have."""
        check_text(text)
        return Signature(self.name, self.verifier.key_id, self.private.sign(text.encode()))


def parse(encoded: bytes) -> Note:
    """Read a note. Raises ValueError when it is not one, or is spelled in another way than ``Note.encoded`` does."""
    if len(encoded) > LONGEST:
        raise ValueError(_("a note of {size} bytes").format(size=len(encoded)))
    whole = encoded.decode()  # UnicodeDecodeError is a ValueError
    at = whole.rfind("\n\n")
    if at < 0:
        raise ValueError(_("a note without signatures"))
    text = whole[: at + 1]
    check_text(text)
    lines = whole[at + 2 :].split("\n")
    if lines.pop() or not lines:
        raise ValueError(_("a note that does not end with a signature line"))
    note = Note(text, tuple(map(_signature, lines)))
    if note.encoded() != encoded:
        raise ValueError(_("a note in another spelling"))
    return note


def verify(note: Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Which of these keys, of signature type 1, have signed a note; others' signatures are ignored.

    Raises ValueError when a line that says it is of one of them is not, when none has signed, and for a key of another
    type: a cosignature signs another text (C2SP tlog-cosignature).
    """
    signed: list[VerifierKey] = []
    for key in dict.fromkeys(keys):
        if key.kind != ED25519:
            raise ValueError(f"the key of {key.name} does not sign notes")
        for signature in filter(key.made, note.signatures):
            if not key.verifies(signature, note.text.encode()):
                raise ValueError(_("the signature of {name} is wrong").format(name=key.name))
            if key not in signed:
                signed.append(key)
    if not signed:
        raise ValueError(_("no known key has signed it"))
    return signed


def parse_key(encoded: str) -> VerifierKey:
    """Read a vkey. Raises ValueError when it is not one of Ed25519, or its id is not that of its key."""
    name, plus, rest = encoded.partition("+")
    _key_id, second, value = rest.partition("+")
    if not plus or not second:
        raise ValueError("a key has three parts")
    check_name(name)
    raw = _decoded(value)
    if len(raw) != 1 + _KEY_SIZE or raw[0] not in (ED25519, COSIGNATURE):
        raise ValueError("a key of a type that is not known here")
    key = VerifierKey(name, raw[1:], raw[0])
    if key.encoded() != encoded:
        raise ValueError("a key whose id is not its own, or in another spelling")
    return key


def check_name(name: str) -> None:
    """Raise ValueError for a name that no key may have: empty, with a space, a plus or a control character."""
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise ValueError(f"no name for a key: {name!r}")


def check_text(text: str) -> None:
    """Raise ValueError for a text that no note may have: one without a line feed at its end, or with controls."""
    if not text.endswith("\n") or any(character < " " for character in text.replace("\n", "")):
        raise ValueError("no text for a note")


def _signature(line: str) -> Signature:
    name, space, value = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not space:
        raise ValueError(_("a line that is no signature"))
    check_name(name)
    raw = _decoded(value)
    if len(raw) < 5:
        raise ValueError("a signature without content")
    return Signature(name, raw[:4], raw[4:])


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error

"""A restic repository as ``restic init`` makes one, in a millisecond instead of two seconds.

restic makes its keys slow on purpose: deriving one takes 0.4 s of CPU at every start of restic, and ``init`` measures
the machine for two seconds first. Hundreds of tests need a repository, and none needs it to be hard to break into: its
key here is derived with scrypt's N at 1024. Format: restic's ``doc/design.rst``, sections "Repository Format" and
"Keys, Encryption and MAC"; every restic that opens it checks its MACs. Tests of init itself use restic's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.poly1305 import Poly1305

POLYNOMIAL = "338c624c69fff9"  # irreducible, of degree 53, as the chunker needs it; restic picked it once


def quick_repository(folder: Path, password_file: Path) -> str:
    """Make an empty repository (version 2) in a new folder on this machine; returns its id."""
    password = password_file.read_bytes().rstrip(b"\r\n")
    for name in (*(f"data/{number:02x}" for number in range(256)), "index", "keys", "locks", "snapshots"):
        (folder / name).mkdir(mode=0o700, parents=True)
    salt = secrets.token_bytes(64)
    derived = hashlib.scrypt(password, salt=salt, n=1024, r=8, p=1, dklen=64)
    master, k, r = secrets.token_bytes(32), secrets.token_bytes(16), secrets.token_bytes(16)
    held = {"mac": {"k": _text(k), "r": _text(r)}, "encrypt": _text(master)}
    key = {
        "created": "2026-01-01T00:00:00Z", "username": "test", "hostname": "test", "kdf": "scrypt", "N": 1024, "r": 8,
        "p": 1, "salt": _text(salt), "data": _text(_sealed(derived, json.dumps(held).encode())),
    }  # fmt: skip
    content = json.dumps(key).encode()
    _put(folder / "keys" / hashlib.sha256(content).hexdigest(), content)
    identity = secrets.token_hex(32)
    config = {"version": 2, "id": identity, "chunker_polynomial": POLYNOMIAL}
    _put(folder / "config", _sealed(master + k + r, json.dumps(config).encode()))
    return identity


def _sealed(key: bytes, plain: bytes) -> bytes:
    """AES-256-CTR, then Poly1305-AES over the ciphertext. ``key``: 32 bytes for AES, 16 (k) and 16 (r) for the MAC."""
    nonce = os.urandom(16)
    encryptor = Cipher(AES(key[:32]), CTR(nonce)).encryptor()
    ciphertext = encryptor.update(plain) + encryptor.finalize()
    masked = Cipher(AES(key[32:48]), ECB()).encryptor()
    once = masked.update(nonce) + masked.finalize()
    return nonce + ciphertext + Poly1305.generate_tag(key[48:64] + once, ciphertext)


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o400)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")

"""A new repository that opens with every key of another one: the same master key, the same pieces, an id of its own.

For a medium that is filled in an emergency: whoever can open the target (the daemon's password, every recovery kit) can
open the medium, though it was made in a minute and nobody could be asked for a password. restic's own ``init`` makes a
new master key, which no kit knows. What is needed of the other repository are its ``config`` and its ``keys``, some
kilobytes that can be kept for the day on which the line is dead.

The price: the master key of both is one. Who must take it from somebody (a leaked kit) needs new ones of both.
Format: restic's ``doc/design.rst``, "Repository Format" and "Keys, Encryption and MAC".
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from vaultd import files
from vaultd.errors import RepositoryError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.restic.blobs import DamagedError, MasterKey, Opener, master_key
from vaultd.restic.fetch import Fetch
from vaultd.restic.process import Repository

_FOLDERS = ("index", "keys", "locks", "snapshots", *(f"data/{number:02x}" for number in range(256)))
_MOST_KEYS = 10_000
_NAME = 64


def keep(fetch: Fetch, folder: Path) -> int:
    """Copy what ``make`` needs of a repository into a private folder, in place of what was there; how many keys."""
    names = [name for name in fetch.names("keys") if len(name) == _NAME and name.isalnum()]
    if not 0 < len(names) <= _MOST_KEYS:
        raise RepositoryError(_("the keys of the repository"), _("there are {count}").format(count=len(names)))
    found = {name: fetch.get(f"keys/{name}") for name in names}
    config = fetch.get("config")
    files.make_private_directory(folder / "keys")
    for name, content in found.items():
        files.replace(folder / "keys" / name, content)
    for old in (folder / "keys").iterdir():
        if old.name not in found:
            old.unlink()  # a kit that was revoked must not open what is made from now on
    files.replace(folder / "config", config)
    return len(found)


async def make(kept: Repository, into: Path) -> str:
    """Make a repository in a new folder from what was kept (``kept.url`` is that folder); its id. Its ``config`` is
    written last: a folder without one is no repository. Raises what restic says of the password, RepositoryError."""
    key = await master_key(kept)
    source = Path(kept.url)
    try:
        settings = json.loads(Opener(key).open((source / "config").read_bytes()))
        settings["id"] = secrets.token_hex(32)
    except (DamagedError, ValueError, TypeError) as error:
        raise RepositoryError(
            _("the repository's settings {file}").format(file=display(source / "config")), _("they are damaged")
        ) from error
    files.make_private_directory(into)
    for name in _FOLDERS:
        files.make_private_directory(into / name)
    for name in sorted(path.name for path in (source / "keys").iterdir()):
        files.create_idempotent(into / "keys" / name, (source / "keys" / name).read_bytes(), 0o400)
    files.create_exclusive(into / "config", sealed(key, json.dumps(settings).encode()), 0o400)
    return str(settings["id"])


def sealed(key: MasterKey, plain: bytes) -> bytes:
    """As restic seals: AES-256-CTR, then Poly1305-AES over the ciphertext, with a nonce that was never used before."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    nonce = os.urandom(16)
    encryptor = Cipher(AES(key.encrypt), CTR(nonce)).encryptor()
    content = encryptor.update(plain) + encryptor.finalize()
    masked = Cipher(AES(key.k), ECB()).encryptor()  # noqa: S305  # one block: Poly1305-AES
    once = masked.update(nonce) + masked.finalize()
    return nonce + content + Poly1305.generate_tag(key.r + once, content)

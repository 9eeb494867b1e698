"""Making a ledger, continuing one under a new name, changing its key. What is secret is returned, never written."""

from __future__ import annotations

import secrets
from pathlib import Path

import vaultd
from vaultd import files
from vaultd.errors import ConfigError, LedgerError
from vaultd.i18n import _
from vaultd.ledger import epochs, note, private
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.events import Begin, KeyRotated
from vaultd.ledger.log import Log, create
from vaultd.ledger.note import SignerKey
from vaultd.names import display


def make(
    folder: Path, key_file: Path, host: str, *, previous: str | None = None, reason: str | None = None
) -> SignerKey:
    """Make a ledger for a host, with its key. Returns the root key, which is nowhere else. A key without a ledger,
    which a crash has left, is used.

    ``previous``: the newest checkpoint of the one that it continues. Raises ConfigError when there is one already.
    """
    if folder.exists():
        raise ConfigError(
            _("the ledger {folder} is not made").format(folder=display(folder)), _("there is one already"),
            _("to begin a new one that names it: `vaultd ledger continue`"),
        )  # fmt: skip
    origin = f"{host}/vaultd/{secrets.token_hex(4)}"
    files.make_private_directory(key_file.parent)
    if not key_file.exists():
        private.write_new(key_file, origin)
    signer = private.read(key_file, origin)
    root = private.generate(epochs.root_name(origin))
    create(folder, signer, root, Begin(host, vaultd.__version__, previous, reason))
    return root


def set_aside(folder: Path, key_file: Path) -> str:
    """Move a ledger that is not to be written to any more, and its key, beside their places. Returns its newest
    checkpoint, as it was signed; empty when it has none that can be read."""
    try:
        previous = note.parse((folder / "checkpoint").read_bytes()).encoded().decode()
    except (OSError, ValueError):
        previous = ""
    number = 1
    while (aside := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    if key_file.exists():
        key_file.rename(key_file.with_name(f"{key_file.name}-{number}"))
    if folder.exists():
        folder.rename(aside)
    files.fsync_directory(folder.parent)
    return previous


def rotate(folder: Path, key_file: Path, root: SignerKey, who: str) -> epochs.Epoch:
    """Change the key that signs: the old one signs that over, and is erased. Raises LedgerError for a wrong root key.

    Cut short, it is done again: the new key is used only once its certificate is there.
    """
    keys = finish_rotation(folder, key_file)
    if root.verifier != keys.root:
        raise LedgerError(_("the key is not changed"), _("this is not the root key of this ledger"))
    old = private.read(key_file, keys.origin)
    waiting = _waiting(key_file)
    private.erase(waiting)
    new = private.write_new(waiting, keys.origin)
    log = Log(folder, old)
    try:
        log.seal()
        index = log.append([KeyRotated(keys.newest.number + 1, new.verifier.encoded(), who)])
        epoch = epochs.Epoch(keys.newest.number + 1, index + 1, new.verifier)
        files.create_exclusive(folder / "keys" / str(epoch.number), epochs.certify(epoch, root, old))
    finally:
        log.close()
    finish_rotation(folder, key_file)
    log = Log(folder, new)
    try:
        log.seal()
    finally:
        log.close()
    return epoch


def check_seen(folder: Path, key_file: Path, seen: Checkpoint) -> None:
    """Raise LedgerStoppedError unless the log holds a checkpoint that was signed; one of another log says nothing."""
    keys = finish_rotation(folder, key_file)
    if keys.origin == seen.origin:
        Log(folder, private.read(key_file, keys.origin), known=seen).close()


def finish_rotation(folder: Path, key_file: Path) -> epochs.Keys:
    """Take the key into use that has its certificate already, where a rotation was cut short. Returns the keys."""
    try:
        keys = epochs.read(folder)
    except (OSError, ValueError) as error:
        raise LedgerError(
            _("the ledger {folder} cannot be read").format(folder=display(folder)), str(error),
            _("`vaultd ledger verify` says what is wrong"),
        ) from error  # fmt: skip
    waiting = _waiting(key_file)
    if waiting.exists() and private.read(waiting, keys.origin).verifier == keys.newest.key:
        private.erase(key_file)
        waiting.rename(key_file)
        files.fsync_directory(key_file.parent)
    return keys


def _waiting(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.next")

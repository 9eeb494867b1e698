"""The root key of a new ledger: for paper, or into a file on a medium that leaves the machine. It is nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaultd.cli.base import Cli
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.ledger.note import SignerKey


def check(file: Path | None) -> None:
    """Refuse a file that could not be written, before a key is made that would be lost. Raises ConfigError."""
    if file is None:
        return
    what = f"--root-key-file {display(file)}"
    if file.exists() or file.is_symlink():
        raise ConfigError(what, _("there is one already"), _("it may hold another ledger's root key: take a new name"))
    if not file.absolute().parent.is_dir() or not os.access(file.absolute().parent, os.W_OK):
        raise ConfigError(what, _("its folder is not there, or may not be written to"), _("is the medium mounted?"))


def keep(cli: Cli, root: SignerKey, file: Path | None) -> Path | None:
    """Write it into the file; None where there is none to write into, or it cannot be: then it is for paper."""
    from vaultd import files
    from vaultd.ledger import private

    if file is None:
        return None
    try:
        files.create_exclusive(file, f"{private.as_words(root)}\n".encode(), 0o600)
    except OSError as error:
        cli.note(f"vaultd: --root-key-file {display(file)}: {error.strerror or error}")
        return None
    return file


def as_json(root: SignerKey, kept: Path | None) -> dict[str, Any]:
    """What ``--json`` says of a new ledger: the root key itself unless it is in a file."""
    from vaultd.ledger import private

    origin = root.name.removesuffix("/root")
    found: dict[str, Any] = {"origin": origin, "root_key": root.verifier.encoded()}
    return found | ({"root_private": private.as_words(root)} if kept is None else {"root_key_file": str(kept)})


def say(cli: Cli, root: SignerKey, kept: Path | None) -> None:
    """The same for people."""
    from vaultd.ledger import private

    cli.say()
    cli.say(_("The ledger {origin} is made. Write this on paper and keep it in a safe:").format(
        origin=root.name.removesuffix("/root")))  # fmt: skip
    cli.say("  " + _("its root key, public:  {key}").format(key=root.verifier.encoded()))
    if kept is None:
        cli.say("  " + _("its root key, SECRET:  {key}").format(key=private.as_words(root)))
        cli.say(_("It is not on this machine. Without it the key that signs can never be changed."))
    else:
        cli.say("  " + _("its root key, SECRET:  in the file {file}").format(file=display(kept)))


def show(cli: Cli, root: SignerKey, file: Path | None) -> None:
    """Keep it, and show what belongs on paper."""
    kept = keep(cli, root, file)
    cli.emit({"version": 1, "ledger": as_json(root, kept)})
    say(cli, root, kept)

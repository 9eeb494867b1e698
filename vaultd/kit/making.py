"""A kit of this host: keys of its own at every target, sealed; a sheet for each custodian; the file at the targets.

In the register first, so that a crash leaves nothing unknown: an unfinished kit is revoked like any other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from vaultd import files, keys, sftp, targets
from vaultd.config import Config, TargetConfig
from vaultd.errors import ConfigError, LedgerError, VaultdError
from vaultd.i18n import _
from vaultd.kit import access, ending, place, register, seal, shares, sheet
from vaultd.kit.content import Content, KitLedger, KitTarget, KitVault
from vaultd.kit.passing import in_memory
from vaultd.kit.register import Known
from vaultd.kit.seal import Sealed
from vaultd.ledger import epochs, private
from vaultd.names import display
from vaultd.paper import page
from vaultd.restic import commands
from vaultd.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. ``ledger_key``: with the key that signs the ledger; ``root_private``: and its root key."""

    out: Path
    total: int
    threshold: int
    expires: date | None = None
    organisation: str = ""
    ledger_key: bool = False
    root_private: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A kit: ``sheets`` and ``file`` are in the folder that was asked for. ``missing``: targets that do not have the
    file, and why. ``identities``: for each target the line for the server's authorized_keys."""

    known: Known
    sealed: Sealed
    content: Content
    file: Path
    sheets: list[Path]
    missing: dict[str, VaultdError]
    identities: dict[str, str]


def authorized_keys_line(public: str) -> str:
    """The line for the server: SFTP for reading, and nothing else, for whoever opens the kit."""
    return f'restrict,command="internal-sftp -R" {public}'


def check(config: Config, wish: Wish) -> None:
    """Refuse what cannot be made before anything is changed. Raises ConfigError, PaperError."""
    shares.check_numbers(wish.threshold, wish.total)
    what = _("recovery kit")
    if wish.expires is not None and wish.expires <= register.today():
        raise ConfigError(what, _("its last day, {day}, is not in the future").format(day=wish.expires))
    if wish.out.exists() and (not wish.out.is_dir() or any(wish.out.iterdir())):
        raise ConfigError(
            what, _("{folder} is not an empty folder").format(folder=display(wish.out)),
            _("name a new one: the sheets go there, and are secret until they are printed and removed"),
        )  # fmt: skip
    _check_root(config, wish)
    page.check()  # the font, before any key is made
    for target in config.target:
        sftp.require_pins(target, config.known_hosts(target))


def _check_root(config: Config, wish: Wish) -> None:
    """The root key that was given must be that of the ledger: on the day it is needed nobody can make another."""
    if wish.root_private is None:
        return
    root = epochs.read(config.ledger_folder).root
    if private.from_words(wish.root_private, root.name).verifier != root:
        raise LedgerError(
            _("the root key is not put into a kit"), _("this is not the root key of this ledger"),
            _("the ledger's root key was shown once, by `vaultd init` or `vaultd ledger init`"),
        )  # fmt: skip


def make(config: Config, store: Store, wish: Wish, tell: Callable[[str], None]) -> Made:
    """Make a kit. Raises TargetError when a target cannot be given its key: the keys made so far are removed again."""
    check(config, wish)
    known = Known(
        secrets.token_hex(4), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        wish.expires.isoformat() if wish.expires else None, wish.threshold, wish.total,
    )  # fmt: skip
    register.note(store, known)
    found, tried = list[KitTarget](), list[TargetConfig]()
    with in_memory() as folder:
        try:
            for target in config.target:
                tell(_("target {name}: a restic key and an SSH key for the kit").format(name=target.name))
                one, public = _key_for(config, target, known.id, folder, tried)
                found.append(one)
                known = known.with_key(target.name, one.key, authorized_keys_line(public), one.repository)
                register.note(store, known)
            content, sealed, file, sheets = _sealed(config, wish, known, found)
        except BaseException:
            if _undo(config, tried, known.id):
                register.note(store, replace(known, state=register.REVOKED))
            raise
    missing = {}
    for target in config.target:
        try:
            place.put(config, target, known.id, sealed.encoded)
        except VaultdError as error:
            missing[target.name] = error
    known = replace(known, state=register.VALID)
    register.note(store, known)
    return Made(known, sealed, content, file, sheets, missing, dict(known.identities))


def _sealed(
    config: Config, wish: Wish, known: Known, found: list[KitTarget]
) -> tuple[Content, Sealed, Path, list[Path]]:
    """The kit, its file, and the sheets; the wrapping key is gone when this returns."""
    content = Content(
        kit=known.id, host=config.host.name, organisation=wish.organisation, created=known.created,
        expires=wish.expires, targets=found, ledger=_ledger(config, wish),
        vaults=[
            KitVault(name=one.name, path=one.path, classification=one.classification, targets=list(one.targets))
            for one in config.vault
        ],
    )  # fmt: skip
    key = shares.new_key()
    sealed = seal.seal(content, key, wish.threshold, wish.total)
    return content, sealed, *_written(content, sealed, key, wish)


def _key_for(
    config: Config, target: TargetConfig, kit: str, folder: Path, tried: list[TargetConfig]
) -> tuple[KitTarget, str]:
    """A restic key and an SSH key of the kit's own for a target; and the public half of the latter. ``tried``: the
    targets that may have a key from now on."""
    repository = targets.repository(config, target)
    identity, password_file = folder / f"{target.name}.key", folder / f"{target.name}.password"
    keys.ensure_identity(identity, f"vaultd-kit-{kit}@{config.host.name}")
    keys.ensure_password(password_file)
    identifier = asyncio.run(commands.repository_id(repository))
    tried.append(target)
    short = asyncio.run(commands.add_key(repository, password_file, ending.user_of(kit), config.host.name))
    with sftp.connect(target, config.known_hosts(target)) as session:
        whole = [name for name in session.names(f"{target.path.rstrip('/')}/keys") if name.startswith(short)]
    pinned = sftp.pinned_keys(config.known_hosts(target), target.host, target.port)
    made = KitTarget(
        name=target.name, host=target.host, port=target.port, user=target.user, path=target.path,
        host_keys=[f"{one.type} {one.base64}" for one in pinned], repository=identifier,
        key=whole[0] if len(whole) == 1 else short, password=password_file.read_text().strip(),
        identity=identity.read_text(),
    )  # fmt: skip
    return made, keys.public_line(identity)


def _undo(config: Config, tried: list[TargetConfig], kit: str) -> bool:
    """Remove what was made so far; False when a target cannot be reached: then the kit stays known as unfinished."""
    gone = True
    for target in tried:
        try:
            asyncio.run(ending.remove_keys(targets.repository(config, target), kit))
        except VaultdError as error:
            log.warning("%s", error)
            gone = False
    return gone


def _ledger(config: Config, wish: Wish) -> KitLedger | None:
    folder = config.ledger_folder
    if not folder.exists():
        return None
    try:
        found = epochs.read(folder)
        signing = config.ledger_key.read_text() if wish.ledger_key else None
    except (OSError, ValueError) as error:
        raise VaultdError(
            _("the ledger {folder} cannot be read").format(folder=display(folder)), str(error),
            _("`vaultd ledger verify` says what is wrong"),
        ) from error  # fmt: skip
    return KitLedger(
        origin=found.origin, root_key=found.root.encoded(), root_private=wish.root_private, signing_key=signing
    )


def _written(content: Content, sealed: Sealed, key: bytes, wish: Wish) -> tuple[Path, list[Path]]:
    """The sheets and the file, in a folder that nobody else may enter."""
    files.make_private_directory(wish.out)
    os.chmod(wish.out, 0o700)
    file = wish.out / f"{content.kit}.kit"
    files.create_exclusive(file, sealed.encoded)
    sheets = []
    for share in shares.split(key, content.kit, wish.threshold, wish.total):
        path = wish.out / f"{content.kit}-share-{share.number}-of-{share.total}.pdf"
        files.create_exclusive(path, sheet.draw(content, sealed, share))
        sheets.append(path)
    return file, sheets


def try_out(content: Content) -> dict[str, VaultdError | None]:
    """Whether each target can be reached with nothing but the kit: login, and the repository opens with its password.
    None where it can; the server does not know the kit's SSH key until somebody has put it there."""
    found: dict[str, VaultdError | None] = {}
    with in_memory() as folder:
        config = access.temporary(content, folder)
        for target, one in zip(config.target, content.targets, strict=True):
            found[one.name] = None
            try:
                with sftp.connect(target, config.known_hosts(target)):
                    pass
                seen = asyncio.run(commands.repository_id(targets.repository(config, target)))
                if seen != one.repository:
                    raise VaultdError(_("target {name} holds another repository").format(name=one.name))
            except VaultdError as error:
                found[one.name] = error
    return found

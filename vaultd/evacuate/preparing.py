"""A registered disk becomes a target on the spot, and does so again after it was pulled out.

In this order, so that an interruption leaves nothing that looks ready: refusals, file system (only on the explicit
word), mount, repository, and last the note that makes it a target.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vaultd import files, reach, targets
from vaultd.config import Config, MediumTarget, TargetConfig
from vaultd.custody import give_to_owner
from vaultd.errors import ConfigError, MissingRepositoryError, TargetError, VaultdError
from vaultd.evacuate import device as devices
from vaultd.evacuate import medium
from vaultd.evacuate.device import KIND, Device, MediumError
from vaultd.evacuate.medium import KEPT, REPOSITORY, Prepared
from vaultd.i18n import _
from vaultd.media.machine import Status
from vaultd.media.register import Register
from vaultd.names import display
from vaultd.protect.hold import held
from vaultd.protect.recorded import STATE_VAULT
from vaultd.restic import commands, twin
from vaultd.restic.process import Repository
from vaultd.store.mediarows import Medium

log = logging.getLogger(__name__)

KEEP_SECONDS = 86400.0
"""So old the kept keys of a target may be before they are fetched anew, when there is a line."""

_OURS = frozenset({REPOSITORY, "lost+found"})


@dataclass(frozen=True, slots=True)
class Wish:
    """``erase``: the label once more, typed by who knows that everything on the device goes. ``like``: the target whose
    keys are to open it, empty for the first one that can be had."""

    label: str
    device: Path
    erase: str = ""
    like: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """A medium that is a target now. ``made``: its repository is new; ``formatted``: so is its file system; ``free``
    bytes; ``like``: the target whose keys open it, empty where only a password of its own does."""

    target: MediumTarget
    repository: str
    made: bool
    formatted: bool
    free: int
    like: str


def prepare(register: Register, wish: Wish, tell: Callable[[str], None]) -> Ready:
    """Do it, as root. Raises ConfigError, MediaError, MediumError, TargetError; what is on the device is as it was
    unless its label was given as ``erase``."""
    config, store = register.config, register.store
    found = _registered(register, wish.label)
    target = medium.target_of(config, found.label)
    if wish.erase and wish.erase.strip().upper() != found.label:
        raise ConfigError(
            _("medium {label}").format(label=found.label), _("--erase says {word}").format(word=wish.erase),
            _("to erase the device, repeat the label: --erase {label}").format(label=found.label),
        )  # fmt: skip
    if held(config.target_folder(target)):
        raise MediumError(
            _("medium {label}").format(label=found.label), _("something is being written to it just now"),
            _("it is ready already; see: vaultd evacuate status"),
        )  # fmt: skip
    _clear_old_mount(target)
    folders = [(vault.name, vault.path) for vault in config.vault] + [(STATE_VAULT, config.host.state)]
    one = devices.look(wish.device, folders)
    before = medium.known(store, found.label)
    _check_same(before, found, one, erase=bool(wish.erase))
    formatted = False
    if one.kind != KIND or wish.erase:
        if not wish.erase:
            raise MediumError(
                _("medium {label}").format(label=found.label),
                _("there is {kind} on {device}").format(kind=one.kind, device=display(wish.device)) if one.kind
                else _("there is no file system on {device}").format(device=display(wish.device)),
                _("to make one, which erases everything on it: --erase {label}").format(label=found.label),
            )  # fmt: skip
        tell(_("making a file system on {device}").format(device=display(wish.device)))
        one, formatted = devices.make_file_system(one), True
        medium.emptied(store, found.label)
    for folder in (target.mount.parent, target.mount):
        files.make_private_directory(folder)
        give_to_owner(config.host.state, folder)
    devices.mount(one, target.mount)
    try:
        identifier, made, like = _repository(config, target, wish.like, before.like if before is not None else "", tell)
    except BaseException:
        devices.unmount(target.mount)
        raise
    if made:
        store.pin_repository(found.label, identifier)
    medium.note(store, Prepared(found.label, one.uuid, one.serial, like, time.time_ns()))
    room = os.statvfs(target.mount)
    return Ready(target, identifier, made, formatted, room.f_bavail * room.f_frsize, like)


def _registered(register: Register, label: str) -> Medium:
    found = register.find(label)
    what = _("medium {label}").format(label=found.label)
    if found.status == Status.DESTROYED:
        raise MediumError(what, _("it is destroyed"), _("take another one, and register it: vaultd media add"))
    if any(one.name == found.label for one in register.config.target):
        raise MediumError(what, _("a target of the configuration has this name"), _("give it another label"))
    if found.due is not None:
        raise MediumError(what, _("it is checked out to {who}").format(who=found.borrower),
                          _("first: vaultd media check-in {label}").format(label=found.label))  # fmt: skip
    return found


def _clear_old_mount(target: MediumTarget) -> None:
    """A disk that was pulled out has left its mount; one that works is taken from the start. Raises MediumError."""
    if not os.path.ismount(target.mount):
        return
    try:
        reach.check_plugged(target)
    except TargetError as error:
        log.info("%s: the old mount is removed", error)
    try:
        devices.unmount(target.mount)
    except MediumError as error:
        raise MediumError(
            _("medium {label}").format(label=target.name), _("its old mount is still in use: {why}").format(
                why=error.why),
            _("wait until what uses it has ended (vaultd disks release --dry-run shows it), then again"),
        ) from error  # fmt: skip


def _check_same(known: Prepared | None, found: Medium, one: Device, *, erase: bool) -> None:
    what = _("medium {label}").format(label=found.label)
    if found.serial and one.serial and found.serial != one.serial:
        raise MediumError(
            what, _("the register has the serial number {wanted}, the disk says {serial}").format(
                wanted=found.serial, serial=one.serial),
            _("take the disk with this label; or correct the register: vaultd media change {label} --serial").format(
                label=found.label),
        )  # fmt: skip
    if known is not None and not erase and known.uuid != one.uuid:
        raise MediumError(
            what, _("another disk was prepared under this label"),
            _("plug that one in; or begin anew with this one: --erase {label}").format(label=found.label),
        )  # fmt: skip


# the repository


def _repository(
    config: Config, target: MediumTarget, wanted: str, before: str, tell: Callable[[str], None]
) -> tuple[str, bool, str]:
    """Open the repository on the mounted medium, or make it: its id, whether it is new, and whose keys open it
    (``before``: as it was prepared before)."""
    os.chmod(target.mount, 0o700)
    give_to_owner(config.host.state, target.mount)
    others = sorted(
        entry.name for entry in os.scandir(target.mount)
        if entry.is_symlink() or (entry.name not in _OURS and not entry.name.startswith(".vaultd-"))
    )  # fmt: skip
    if others:
        raise MediumError(
            _("medium {label}").format(label=target.name), _("there is something else on it: {name}").format(
                name=display(others[0])),
            _("take an empty one; or erase everything on it: --erase {label}").format(label=target.name),
        )  # fmt: skip
    folder = Path(target.path)
    if (folder / "config").exists():
        if not target.password_file.exists():
            _password(config, target, _first_kept(config, target, wanted, tell))
        identifier = asyncio.run(commands.repository_id(targets.repository(config, target)))
        _give_all(config, config.host.cache / identifier)
        return identifier, False, before
    if folder.exists():
        _remove_half(folder)
    tell(_("making the repository"))
    source = _first_kept(config, target, wanted, tell)
    _password(config, target, source)
    if source is None:
        identifier = asyncio.run(commands.init(targets.repository(config, target)))
    else:
        kept = Repository(
            str(config.target_folder(source) / KEPT), source.password_file, config.host.cache, config.host.restic
        )
        identifier = asyncio.run(twin.make(kept, folder))
    _give_all(config, folder)
    _give_all(config, config.host.cache / identifier)
    files.sync_filesystem(target.mount)
    return identifier, True, "" if source is None else source.name


def _first_kept(
    config: Config, target: MediumTarget, wanted: str, tell: Callable[[str], None]
) -> TargetConfig | None:  # fmt: skip
    """The first target whose keys can be had, by the line or as they were kept; None where there is none."""
    for one in [config.target_named(wanted)] if wanted else config.target:
        try:
            keep_keys(config, one)
            return one
        except VaultdError as error:
            if (config.target_folder(one) / KEPT / "config").exists():
                tell(_("target {name} cannot be reached: its keys are used as they were kept").format(name=one.name))
                return one
            tell(_("target {name}: {error}").format(name=one.name, error=error))
    said = _("The medium {label} opens with a password of its own only: no recovery kit knows it. It is in {file}.")
    tell(said.format(label=target.name, file=display(target.password_file)))
    return None


def keep_keys(config: Config, target: TargetConfig, *, older_than: float = 0.0) -> bool:
    """Keep what a twin of a target's repository is made of, for the day on which its line is dead; whether it was
    fetched. ``older_than``: only where what is kept is older than so many seconds. Raises TargetError."""
    folder = config.target_folder(target) / KEPT
    if older_than and (folder / "config").exists() and time.time() - (folder / "config").stat().st_mtime < older_than:
        return False
    repository = targets.repository(config, target)
    if repository.files is None:
        return False
    try:
        with repository.files() as fetch:
            twin.keep(fetch, folder)
    except FileNotFoundError as error:
        raise MissingRepositoryError(
            _("target {name}").format(name=target.name), _("there is no repository at the target")
        ) from error
    _give_all(config, folder)
    give_to_owner(config.host.state, config.target_folder(target))
    return True


def _password(config: Config, target: MediumTarget, source: TargetConfig | None) -> None:
    """The file with the medium's password: that of the target whose keys it has, else a new one."""
    from vaultd import keys

    folder = config.target_folder(target)
    files.make_private_directory(folder)
    if source is not None:
        try:
            files.replace(target.password_file, source.password_file.read_bytes())
        except OSError as error:
            raise ConfigError(
                _("target {name}: its password file").format(name=source.name), error.strerror or str(error)
            ) from error
    else:
        keys.ensure_password(target.password_file)
    _give_all(config, folder)


def _remove_half(folder: Path) -> None:
    """What an interrupted run has left: folders and keys without a config, so no repository and no data of anybody."""
    for name in ("data", "snapshots", "index"):
        if any(path.is_file() for path in (folder / name).rglob("*")):
            raise MediumError(
                display(folder), _("there is data without a repository's config"),
                _("keep this medium as it is, and take another one"),
            )  # fmt: skip
    for path in (folder / "keys").glob("*"):
        path.unlink()


def _give_all(config: Config, folder: Path) -> None:
    """What root has made is the daemon's; a folder that is not there is fine."""
    if not folder.exists():
        return
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            give_to_owner(config.host.state, path)

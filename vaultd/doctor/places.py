"""Files and folders: the vaults, the secrets, the state folder and the disk that it is on."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vaultd import units
from vaultd.config import Config, check_folders
from vaultd.doctor.finding import ADVICE, FAULT, FINE, Finding
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.names import display

LEAST_FREE = 1024**3
LEAST_SHARE = 0.05


def check_places(config: Config) -> Iterator[Finding]:
    """Look at every file and folder that the configuration names."""
    yield from _vaults(config)
    yield from _secret(config.file, "configuration", writable_only=True)
    for target in config.target:
        yield from _secret(target.identity, f"identity {target.name}")
        yield from _secret(target.password_file, f"password {target.name}")
    yield from _state(config)
    yield from _socket(config)


def _vaults(config: Config) -> Iterator[Finding]:
    try:
        check_folders(config)
    except ConfigError as error:
        yield Finding.of("folders", error)
    for vault in config.vault:
        if not vault.path.is_dir():
            continue  # check_folders has said so
        if _opens(vault.path):
            yield Finding(FINE, f"vault {vault.name}", _("vault {name} can be read").format(name=vault.name))
        else:
            text = _("vault {name}: {path} cannot be read").format(name=vault.name, path=display(vault.path))
            yield Finding(FAULT, f"vault {vault.name}", text, _("run the daemon as root, or give it the right to read"))


def _opens(path: Path) -> bool:
    """Whether it can be read, by trying: access(2) does not know of the capability that the daemon's unit has."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        if path.is_dir():
            os.listdir(path)
    except OSError:
        return False
    return True


def _secret(path: Path, subject: str, *, writable_only: bool = False) -> Iterator[Finding]:
    """A file that others must not read (``writable_only``: must not write)."""
    try:
        found = path.stat()
    except OSError as error:
        text = _("{path}: {error}").format(path=display(path), error=error.strerror)
        yield Finding(FAULT, subject, text, _("make it with `vaultd init`, or correct its path"))
        return
    bad = (stat.S_IWGRP | stat.S_IWOTH) if writable_only else (stat.S_IRWXG | stat.S_IRWXO)
    mode = stat.S_IMODE(found.st_mode)
    if mode & bad:
        text = _("{path} has mode {mode}: others can get at it").format(path=display(path), mode=f"{mode:04o}")
        wanted = "go-w" if writable_only else "go-rwx"
        yield Finding(FAULT, subject, text, f"chmod {wanted} {display(path)}")
    elif found.st_uid not in (0, os.geteuid()):
        text = _("{path} belongs to user {uid}, who can change it").format(path=display(path), uid=found.st_uid)
        yield Finding(FAULT, subject, text, f"chown root {display(path)}")
    elif not _opens(path):
        yield Finding(
            FAULT, subject, _("{path} cannot be read").format(path=display(path)), f"chmod u+r {display(path)}"
        )
    else:
        yield Finding(FINE, subject, _("{path} is safe from others").format(path=display(path)))


def _state(config: Config) -> Iterator[Finding]:
    import psutil

    state = config.host.state
    if not state.is_dir():
        yield Finding(ADVICE, "state", _("there is no state folder {path} yet").format(path=display(state)),
                      _("the daemon makes it when it first runs"))  # fmt: skip
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~(stat.S_IXGRP | stat.S_IXOTH):
        text = _("the state folder {path} has mode {mode}: it holds the names of all files").format(
            path=display(state), mode=f"{mode:04o}"
        )
        yield Finding(FAULT, "state", text, f"chmod 0700 {display(state)}")
    usage = psutil.disk_usage(str(state))
    text = _("{size} are free on the disk of the state folder").format(size=units.size(usage.free))
    if usage.free < LEAST_FREE and usage.free < LEAST_SHARE * usage.total:
        yield Finding(FAULT, "state disk", text, _("make room on it"))
    else:
        yield Finding(FINE, "state disk", text)
    if is_encrypted(state):
        yield Finding(FINE, "state encryption", _("the state folder is on encrypted storage"))
    else:
        text = _("the state folder is not on encrypted storage: it holds the names of all files, hashes and keys")
        yield Finding(ADVICE, "state encryption", text, _("move it to a disk with LUKS, or encrypt this one"))


def _socket(config: Config) -> Iterator[Finding]:
    """Whether the group that may use the socket can get to it."""
    group, socket = config.control.group, config.control.socket
    if group is None:
        return
    for folder in socket.parents[1:]:  # the daemon gives the socket's own folder to the group
        if folder == config.host.state or (folder.is_dir() and not _lets_in(folder, group)):
            text = _("group {group} cannot get to the socket {path}: {folder} is closed to it")
            yield Finding(
                FAULT, "socket", text.format(group=group, path=display(socket), folder=display(folder)),
                _("set another place in the configuration, such as /run/vaultd/vaultd.sock: socket, table [control]"),
            )  # fmt: skip
            return
    yield Finding(FINE, "socket", _("group {group} can get to the socket").format(group=group))


def _lets_in(folder: Path, group: str) -> bool:
    found = folder.stat()
    try:
        theirs = found.st_gid == grp.getgrnam(group).gr_gid
    except KeyError:  # there is no such group: the daemon will say so
        theirs = False
    return bool(found.st_mode & (stat.S_IXGRP if theirs else stat.S_IXOTH))


def is_encrypted(path: Path, sys: Path = Path("/sys")) -> bool:
    """Whether a dm-crypt layer lies under the file system of a path (or the path is in memory only)."""
    number = path.stat().st_dev
    start = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if os.major(number) == 0:
        return False  # overlay, btrfs and the like: what lies under it is not told here
    waiting, seen = [start], set[str]()
    while waiting:
        device = waiting.pop()
        real = os.path.realpath(device)
        if real in seen:
            continue
        seen.add(real)
        try:
            if (device / "dm" / "uuid").read_text().startswith("CRYPT-"):
                return True
        except OSError:
            pass  # not a device-mapper device
        waiting += [*(device / "slaves").glob("*")]
        if (device / "partition").exists():
            waiting.append(Path(real).parent)
    return False

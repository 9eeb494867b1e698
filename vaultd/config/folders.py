"""The vaults' folders as they are on disk: what would make vaultd protect something else than was meant."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from vaultd.config import positions
from vaultd.config.crosscheck import nested_folders, own_folders
from vaultd.config.faults import ConfigFaults, Fault, Key, shown
from vaultd.config.model import Config
from vaultd.i18n import _
from vaultd.names import display


def check_folders(config: Config, *, known: Collection[str] = ()) -> None:
    """Refuse a missing folder, a file, a path through a symbolic link, and folders in one another. Raises ConfigFaults.

    Of the vaults ``known`` from before a folder that is missing is no fault of the configuration: its disk may come
    later, and the other vaults must not wait for it. Nesting is seen through symbolic links and bind-mounted doubles of
    the same folder (device and inode).
    """
    faults: list[tuple[Key, str, str, str]] = []
    folders: list[tuple[Key, str, str]] = []
    seen: dict[tuple[int, int], str] = {}
    for index, vault in enumerate(config.vault):
        key: Key = ("vault", index, "path")
        name = f"vault[{vault.name}].path"
        if vault.name in known and not os.path.isdir(vault.path) and not os.path.islink(vault.path):
            continue
        problem = folder_problem(vault.path)
        if problem:
            faults.append((key, name, *problem))
            continue
        folders.append((key, str(vault.path), vault.name))
        found = vault.path.stat()
        other = seen.setdefault((found.st_dev, found.st_ino), vault.name)
        if other != vault.name:
            allowed = _('a folder that is not also that of vault "{name}"').format(name=other)
            faults.append((key, name, shown(str(vault.path)), allowed))
    own = own_folders(os.path.realpath(config.host.state), os.path.realpath(config.host.cache))
    for key, found_text, allowed in nested_folders(folders, own):
        name = f"vault[{config.vault[int(key[1])].name}].path" if key[0] == "vault" else ".".join(map(str, key))
        faults.append((key, name, found_text, allowed))
    if faults:
        lines = _lines(config.file)
        found_faults = [
            Fault(key, name, positions.line_of(lines, key) if lines else 0, found_text, allowed)
            for key, name, found_text, allowed in faults
        ]
        raise ConfigFaults(config.file, found_faults)


def folder_problem(path: Path) -> tuple[str, str] | None:
    """Found and allowed, or None when the folder can be a vault's."""
    real = os.path.realpath(path)
    if not os.path.lexists(path):
        return shown(str(path)), _("a folder that exists; nothing is there")
    if real != str(path) or os.path.islink(path):  # a link that leads to itself is its own realpath
        if not os.path.exists(real):
            return shown(str(path)), _("a folder itself, not a symbolic link (this one leads nowhere)")
        allowed = _("the folder itself, not a way through a symbolic link or ..: {path}")
        return shown(str(path)), allowed.format(path=display(real))
    if not os.path.isdir(path):
        return shown(str(path)), _("a folder; this is a file")
    return None


def _lines(file: Path) -> dict[Key, int]:
    """The lines of the file's keys; none when the configuration was not read from a file, or it changed since."""
    try:
        return positions.lines_of(file.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return {}

"""``vaultd disks``: the physical disks of this host, and which of them carry which folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, group, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.disks.inventory import Folder
    from vaultd.disks.model import Inventory

STATE_VAULT = "vaultd-state"
HERE = Path("/")


@group(
    "disks",
    help=N_("The physical disks of this host: which there are, and which of them carry which vault."),
    examples=["vaultd disks list", "vaultd disks map records", "vaultd disks map /srv/records --svg map.svg"],
)
def disks_group() -> None:
    """Only a name for its commands."""


disks_group.lazy = {
    "pull-list": ("vaultd.cli.pull_list:pull_list_command", N_("Which disks to pull, in which order.")),
    "release": ("vaultd.cli.release:release_command", N_("Let a disk go, step by step, each checked.")),
    "locate": ("vaultd.cli.locate:locate_command", N_("Light the lamp of a disk's bay.")),
    "confirm-bay": ("vaultd.cli.locate:confirm_command", N_("Keep in which bay a disk was seen.")),
}


def root_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--root DIR``."""
    return click.option(
        "--root", type=click.Path(path_type=Path, file_okay=False, exists=True), default=HERE,
        help=N_("Look at a recorded machine below this folder (sys, proc, run/udev/data); no program is asked then."),
    )(function)  # fmt: skip


@disks_group.command_of(
    "list",
    help=N_(
        "List every physical disk: bay, model, serial, size, connection, health, encryption, and the vaults with bytes "
        "on it. What cannot be seen behind a disk is said.\n\n"
        "Only root sees all: what other users miss is named."
    ),
    examples=["vaultd disks list", "vaultd --json disks list", "vaultd disks list --fast"],
)
@click.option("--fast", is_flag=True, help=N_("Do not ask the disks for their health: take what was asked before."))
@root_option
@pass_cli
def list_command(cli: Cli, fast: bool, root: Path) -> int:
    """Look at the machine, keep what was found, show it."""
    from vaultd.cli import media_common, render_disks
    from vaultd.disks import form
    from vaultd.pull.making import labels

    found, known = look(cli, vaults(cli), fast=fast, root=root), None
    if root == HERE:
        keep(cli, found)
        with media_common.reading(cli) as store:  # None: nobody keeps a register here
            known = None if store is None else labels(found, store)
    answer = form.inventory(found)
    for one in answer["disks"]:
        label = (known or {}).get(one["key"])
        one["label"], one["custodian"] = (None, None) if label is None else (label.number, label.custodian)
    cli.emit(answer)
    columns = None if known is None else {key: (one.number, one.custodian) for key, one in known.items()}
    for line in render_disks.disk_table(found, columns):
        cli.say(line)
    render_problems(cli, found)
    return EXIT_DONE


@disks_group.command_of(
    "map",
    help=N_(
        "Show what lies between a folder and the physical disks, all disks that hold any byte of it, and the smallest "
        "sets of disks that carry a whole copy."
    ),
    examples=["vaultd disks map records", "vaultd disks map /srv/records", "vaultd disks map records --svg map.svg"],
)
@click.argument("what", metavar="VAULT|PATH")
@click.option("--svg", "svg", type=click.Path(path_type=Path, dir_okay=False), help=N_("Write a picture as SVG."))
@click.option("--png", "png", type=click.Path(path_type=Path, dir_okay=False), help=N_("Write a picture as PNG."))
@root_option
@pass_cli
def map_command(cli: Cli, what: str, svg: Path | None, png: Path | None, root: Path) -> int:
    """Look at the machine for one folder."""
    from vaultd.cli import render_disks
    from vaultd.disks import form

    found = look(cli, [folder(cli, what)], fast=True, root=root)
    if not found.maps:
        raise ConfigError(_("map {what}").format(what=what), "; ".join(found.problems))
    shown = found.maps[0]
    used = [one for one in found.disks if one.key in shown.every]
    cli.emit({"version": 1, "map": form.disk_map(shown), "disks": [form.disk(one) for one in used],
              "problems": list(found.problems)})  # fmt: skip
    for line in render_disks.tree(found, shown):
        cli.say(line)
    render_problems(cli, found)
    if svg is not None or png is not None:
        from vaultd.cli.disks_picture import write

        write(found, shown, svg=svg, png=png)
    return EXIT_DONE


def render_problems(cli: Cli, found: Inventory) -> None:
    """What could not be read, on stderr."""
    for text in found.problems:
        cli.note(_("note: {text}").format(text=text))


def vaults(cli: Cli) -> list[Folder]:
    """The vaults of the configuration and the state folder, which holds names, hashes and keys; nothing where there is
    no configuration: the disks are there all the same."""
    from vaultd.disks.inventory import Folder

    if not cli.file.exists():
        return []
    places = cli.places()
    found = []
    rows = places.raw.get("vault", [])
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("path"), str) and row["path"].startswith("/"):
            found.append(Folder(os.fsencode(row["path"]), str(row.get("name", ""))))
    return [*found, Folder(os.fsencode(places.state), STATE_VAULT)]


def folder(cli: Cli, what: str) -> Folder:
    """The vault of this name, else the path. Raises ConfigError when it is neither."""
    from vaultd.disks.inventory import Folder

    known = vaults(cli)
    for one in known:
        if one.vault == what:
            return one
    if "/" not in what and not os.path.exists(what):
        names = ", ".join(str(one.vault) for one in known)
        hint = _("known vaults: {names}").format(names=names) if names else _("give the path of a folder")
        raise ConfigError(_("vault {vault}").format(vault=what), _("there is no such vault"), hint)
    path = os.fsencode(os.path.abspath(what))
    return next((one for one in known if one.path == path), Folder(path))


def look(cli: Cli, folders: list[Folder], *, fast: bool = False, root: Path = HERE) -> Inventory:
    """This machine now, with the answers of programs kept in the state folder where there is one; or a recorded one."""
    from vaultd.disks import helper, inventory, kept
    from vaultd.disks.machine import Machine

    if root != HERE:
        return inventory.read(Machine(root.resolve()), folders)
    ask: helper.Ask = helper.ask
    store = None
    if cli.file.exists() and (state := cli.places().state).is_dir():
        store = helper.Kept(kept.answers(state), ask, leave=frozenset({"smart"} if fast else ()))
        ask = store
    found = inventory.read(Machine(), folders, ask=ask, health=not fast or store is not None)
    if store is not None:
        from vaultd.pull import bays

        found = bays.apply(bays.read(state), found)
    if store is not None:
        try:
            store.keep()
        except OSError as error:
            cli.note(_("This could not be kept: {error}").format(error=error.strerror or error))
    return found


def keep(cli: Cli, found: Inventory) -> None:
    """Keep the list for the moment when nothing can be asked."""
    from vaultd.disks import kept

    if not cli.file.exists():
        return
    try:
        kept.keep(cli.places().state, found)
    except (OSError, VaultdError) as error:
        cli.note(_("This could not be kept: {error}").format(error=error))

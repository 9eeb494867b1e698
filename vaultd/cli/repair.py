"""``vaultd repair``: a damaged repository is mended from another target or from the live folder."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import places
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import number
from vaultd.cli.render_retain import check_json
from vaultd.errors import ConfigError, VaultdError
from vaultd.i18n import N_, _
from vaultd.names import as_json, display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vaultd.model import StoredSnapshot
    from vaultd.repair.result import Result
    from vaultd.restic.commands.mend import Lacking
    from vaultd.restic.process import Repository
    from vaultd.retain.place import Place
    from vaultd.store import Store

MOST_NAMES = 100
LISTED = 10_000

STATES = {
    "whole": N_("nothing is damaged"), "damaged": N_("it is damaged; nothing was changed"),
    "done": N_("everything is mended"), "partial": N_("mended in part: other vaults there are still damaged"),
    "lost": N_("something is lost: no source has it"),
}  # fmt: skip


@command(
    "repair",
    help=N_(
        "Read everything at a target back, name what is damaged file by file, and mend it: content that is missing "
        "there is brought from the live folder or from another target. Needs root; the daemon waits meanwhile.\n\n"
        "Nothing is removed before its replacement was read back; copies of damaged packs are kept in the state "
        "folder. What no source has stays named in its snapshots until you accept the loss with --accept-loss: then "
        "the snapshots are rewritten without it.\n\n"
        "It ends with 0 when all is whole, 3 when it is so in part, 4 when something is lost (or, with --dry-run, "
        "damaged)."
    ),
    examples=[
        "vaultd repair patients --target offsite --dry-run",
        "vaultd repair patients --target offsite",
        "vaultd repair patients --target offsite --from second",
    ],
)
@click.argument("vault")
@click.option("--target", required=True, metavar="NAME", help=N_("The target that is mended."))
@click.option("--from", "sources", multiple=True, metavar="TARGET",
              help=N_("Another target that content may come from [default: all others of the vault]"))  # fmt: skip
@click.option("--no-live", is_flag=True, help=N_("Take nothing from the live folder."))
@click.option("--dry-run", is_flag=True, help=N_("Only say what is damaged."))
@click.option("--accept-loss", is_flag=True, help=N_("Take out of the snapshots what is lost everywhere."))
@click.option("--scratch", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help=N_("Where content passes through [default: repair/ in the state folder]"))  # fmt: skip
@places.credential_options
@pass_cli
def repair_command(
    cli: Cli, vault: str, target: str, sources: tuple[str, ...], no_live: bool, dry_run: bool, accept_loss: bool,
    scratch: Path | None, identity: Path | None, password_file: Path | None,
) -> int:  # fmt: skip
    """Look, mend, tell."""
    places.require_owner(cli)
    if dry_run and accept_loss:
        raise ConfigError(_("vaultd repair"), _("--dry-run and --accept-loss do not go together"))
    if target in sources:
        raise ConfigError(_("--from {name}").format(name=target), _("this is the damaged one"))
    with (
        places.opened(cli) as store,
        places.places(cli, vault, target, store, identity, password_file) as (place,),
    ):
        others = [] if dry_run else _others(cli, vault, target, sources, place)
        above = scratch or place.config.host.state / "repair"
        work = above / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{target}"
        result = asyncio.run(
            _repair(cli, place, others, store, work, live=not no_live, dry=dry_run, accept=accept_loss)
        )  # fmt: skip
    cli.emit(_json(result))
    cli.say(_render(result))
    return result.exit_code


def _others(cli: Cli, vault: str, target: str, chosen: tuple[str, ...], place: Place) -> list[tuple[str, Repository]]:
    from vaultd import targets

    config = cli.config()
    known = [one for one in config.vault if one.name == vault]
    names = chosen or tuple(name for one in known for name in one.targets if name != target)
    return [(name, targets.repository(config, config.target_named(name))) for name in names]


async def _repair(
    cli: Cli, place: Place, others: Sequence[tuple[str, Repository]], store: Store | None, work: Path, *, live: bool,
    dry: bool, accept: bool,
) -> Result:  # fmt: skip
    from vaultd.cli.turn import turn
    from vaultd.repair.mend import look, repair
    from vaultd.restic import commands

    listed: dict[str, tuple[Repository, list[StoredSnapshot]]] = {}
    for name, repository in others:
        try:
            found = await commands.snapshots(repository, [f"vault={place.vault}"])
        except VaultdError as error:
            places.tell(cli, {name: error})
            continue
        listed[name] = (repository, [one for one in found if one.host == place.host])
    async with turn(cli, place.target.name, store):
        if dry:
            return await look(place, cli.note)
        return await repair(place, dict(listed), work, cli.note, use_live=live, accept_loss=accept)


def _render(result: Result) -> str:
    lines = [f"{result.vault} → {result.target}: {_(STATES[result.state])}"]
    if result.packs:
        lines.append(_("  packs damaged or gone: {count}").format(count=number(len(result.packs))))
    if result.index:
        lines.append(_("  the index was not whole"))
    names = {"mended": N_("  mended, from {source}: {path}"), "lost": N_("  lost: {path} (snapshot {id})"),
             "damaged": N_("  damaged: {path} (snapshot {id})")}  # fmt: skip
    for one in result.found[:MOST_NAMES]:
        text = names[_state_of(result, one)]
        lines.append(
            _(text).format(path=display(one.path), id=one.snapshot[:8], source=result.mended.get(one, ""))
        )  # fmt: skip
    if len(result.found) > MOST_NAMES:
        lines.append(_("  and {count} more, see --json").format(count=number(len(result.found) - MOST_NAMES)))
    if result.elsewhere:
        lines.append(
            _("  other vaults there lack {count} file versions: repair them too").format(count=number(result.elsewhere))
        )
    if result.copies:
        lines.append(_("  copies of damaged packs are in {folder}").format(folder=result.copies))
    if result.lost and not result.dry and not result.accepted:
        lines.append(_("  Nothing was taken out of the snapshots. --accept-loss does that."))
    return "\n".join(lines)


def _state_of(result: Result, one: Lacking) -> str:
    if result.dry:
        return "damaged"
    return "mended" if one in result.mended else "lost"


def _json(result: Result) -> dict[str, Any]:
    return {
        "version": 1, "vault": result.vault, "target": result.target, "state": result.state,
        "packs": list(result.packs), "index": result.index, "first": check_json(result.first),
        "last": check_json(result.last), "accepted": result.accepted, "elsewhere": result.elsewhere,
        "copies": result.copies or None,
        "damaged": len(result.found), "mended": len(result.mended), "lost": 0 if result.dry else len(result.lost),
        "files": [
            {
                "snapshot": one.snapshot, "folder": one.folder, "state": _state_of(result, one),
                "source": result.mended.get(one),
            } | as_json(one.path)
            for one in result.found[:LISTED]
        ],
    }  # fmt: skip

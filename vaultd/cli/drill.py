"""``vaultd drill restore|list``: a restore that is practised, compared and measured."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import kit_ask, progress, sources
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import duration, files, local, number, size, table
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _, ngettext
from vaultd.names import display

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultd.config import Config
    from vaultd.drill.restoring import Drill
    from vaultd.model import Progress
    from vaultd.restic.process import Repository
    from vaultd.restore.plan import Request

_MOST_NAMES = 20


@group(
    "drill",
    help=N_("Practise a restore: what was never restored does not count as a backup."),
    examples=["vaultd drill restore patients --kit 1f2e3d4c.kit", "vaultd drill list"],
)
def drill_group() -> None:
    """Only a name for its commands."""


@drill_group.command_of(
    "restore",
    help=N_(
        "Restore a vault into a scratch folder on a fresh state, from a kit alone, as on the day the building is gone: "
        "compare every file with the ledger's hash, measure recovery time and recovery point, remove the scratch, and "
        "put the figures on record. The shares are asked for, or read from files or pictures.\n\n"
        "--without-kit uses the keys of this host instead, and is marked so. The scratch is in memory when the vault "
        "fits; otherwise files are overwritten before they are removed, which flash storage and copy-on-write file "
        "systems do not honour."
    ),
    examples=[
        "vaultd drill restore patients --kit 1f2e3d4c.kit",
        "vaultd drill restore patients --without-kit --scratch /srv/encrypted/tmp",
    ],
)
@click.argument("vault")
@kit_ask.kit_options
@click.option("--without-kit", is_flag=True, help=N_("Use the keys of this host; proves less, and says so."))
@click.option("--target", metavar="NAME", help=N_("Only this target [default: all it may be at]"))
@click.option("--at", metavar="TIME", help=N_('The moment: "2026-11-22 20:03:11", local time unless it has a zone.'))
@click.option("--scratch", "wanted", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help=N_("Make the scratch folder in DIR."))  # fmt: skip
@pass_cli
def restore_command(
    cli: Cli, vault: str, without_kit: bool, target: str | None, at: str | None, wanted: Path | None, **values: Any
) -> int:
    """With a kit or without, in a scratch that is gone afterwards."""
    from vaultd.restore import moment
    from vaultd.restore.plan import Request

    config = cli.config()
    config.vault_named(vault)
    if target is not None:
        config.target_named(target)
    before = moment.parse(at) if at is not None else None
    asked = Request(vault, at=before, latest=before is None, host=config.host.name)
    given = kit_ask.given(cli, values)
    if without_kit and (given.kit or given.share_files or given.share_images):
        raise ConfigError("--without-kit", _("a kit or a share is given too"), _("leave one of them out"))
    opened = None if without_kit else kit_ask.open_kit(cli, given)
    if opened is not None and opened.content.host != config.host.name:
        raise ConfigError(
            _("kit {kit}").format(kit=opened.content.kit),
            _("it is of host {other}, this one is {host}").format(other=opened.content.host, host=config.host.name),
            _("a kit's host is on every sheet"),
        )  # fmt: skip
    with progress.display(cli) as shown:
        drill = _drill(cli, config, asked, opened, target, wanted, lambda one: shown.show([one]))
    cli.record(drill.entry())
    cli.emit(drill.as_json())
    cli.say(_render(drill))
    return drill.exit_code


def _drill(
    cli: Cli, config: Config, asked: Request, opened: kit_ask.Opened | None, target: str | None, wanted: Path | None,
    on_progress: Callable[[Progress], None],
) -> Drill:  # fmt: skip
    from vaultd.drill import restoring
    from vaultd.drill.scratch import scratch
    from vaultd.kit import opening

    # How large it is must be known before there is a scratch.
    with scratch(_needed(config, asked, opened, target), wanted) as place:
        began, clock = time.time_ns(), time.monotonic()
        if opened is None:
            repositories, ledger = _own(config, asked, target), config.ledger_folder
            listed, unread = asyncio.run(sources.list_all(repositories, None))
        else:
            reached = opening.reach(opened.content, place.path / "state")
            repositories, ledger = opening.repositories(reached), reached.ledger_folder
            listed, unread = asyncio.run(sources.list_all(repositories, None))
            opening.bring_state(reached, opened.content, repositories, listed, cli.note)
            listed = {name: found for name, found in listed.items() if target in (None, name)}
        for name, problem in unread.items():
            cli.note(_("Target {name} could not be read: {error}").format(name=name, error=problem))
        return restoring.carry_out(
            repositories, listed, asked, ledger, place.path / "vault", kit=opened.content.kit if opened else None,
            in_memory=place.in_memory, began=began, clock=clock, on_progress=on_progress, on_note=cli.note,
        )  # fmt: skip


def _needed(config: Config, asked: Request, opened: kit_ask.Opened | None, target: str | None) -> int:
    """How many bytes the vault may take: from the kit alone too, if that is what is practised."""
    from vaultd.drill import restoring
    from vaultd.kit import access, opening, passing

    if opened is None:
        listed, _unread = asyncio.run(sources.list_all(_own(config, asked, target), None))
        return restoring.needed(listed, asked)
    with passing.in_memory() as folder:
        repositories = opening.repositories(access.temporary(opened.content, folder))
        listed, _unread = asyncio.run(sources.list_all(repositories, None))
    return restoring.needed({name: found for name, found in listed.items() if target in (None, name)}, asked)


def _own(config: Config, asked: Request, target: str | None) -> dict[str, Repository]:
    """The vault's targets, as this host reaches them."""
    from vaultd import targets

    names = [name for name in config.vault_named(asked.vault).targets if target in (None, name)]
    return {name: targets.repository(config, config.target_named(name)) for name in names}


def _render(drill: Drill) -> str:
    lines = [
        _("Vault {vault} from target {target}, {how}:").format(
            vault=drill.plan.request.vault, target=drill.plan.target,
            how=_("with kit {kit} alone").format(kit=drill.kit) if drill.kit else _("with this host's keys, not a kit"),
        ),
        "  " + _("recovery time:  {duration} for {files}, {size}").format(
            duration=duration(drill.seconds), files=files(drill.files), size=size(drill.size)),
        "  " + _("recovery point: {duration} (youngest content of {moment})").format(
            duration=duration(drill.recovery_point), moment=local(drill.plan.newest)),
    ]  # fmt: skip
    if drill.taken:
        lines.append("  " + ngettext("{count} file came from another target", "{count} files came from another target",
                                     drill.taken).format(count=number(drill.taken)))  # fmt: skip
    if drill.differences is None:
        lines.append("  " + _("nothing was compared: the ledger does not know these snapshots"))
    elif not drill.differences:
        lines.append("  " + _("every file is as on record"))
    else:
        count = len(drill.differences)
        lines.append("  " + ngettext("{count} file is not as on record:", "{count} files are not as on record:", count)
                     .format(count=number(count)))  # fmt: skip
        words = {"missing": _("missing"), "changed": _("other content"), "unknown": _("not on record")}
        lines += [f"    {display(one.path)}: {words[one.what]}" for one in drill.differences[:_MOST_NAMES]]
        if drill.uncertain:
            lines.append("    " + ngettext("(the snapshot has {count} path unread or unconfirmed)",
                                           "(the snapshot has {count} paths unread or unconfirmed)", drill.uncertain)
                         .format(count=number(drill.uncertain)))  # fmt: skip
    lines.append("  " + (_("the scratch was in memory and is gone") if drill.in_memory
                         else _("the scratch was overwritten and removed")))  # fmt: skip
    return "\n".join(lines)


@drill_group.command_of(
    "list",
    help=N_("List the restore drills that are on record, the oldest first: the trend."),
    examples=["vaultd drill list", "vaultd drill list --vault patients"],
)
@click.option("--vault", metavar="NAME", help=N_("Only of this vault."))
@click.option("--ledger", "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help=N_("Another ledger folder, such as a copy [default: that of the configuration]"))  # fmt: skip
@pass_cli
def list_command(cli: Cli, vault: str | None, folder: Path | None) -> int:
    """From the ledger alone."""
    from vaultd.drill.trend import drills

    found = drills(folder if folder is not None else cli.places().state / "ledger", vault)
    cli.emit({"version": 1, "drills": [_as_json(one) for one in found]})
    if not found:
        cli.say(_("There is no drill on record: `vaultd drill restore VAULT` makes one."))
        return EXIT_DONE
    head = (_("time"), _("vault"), _("target"), _("kit"), _("recovery time"), _("rate"), _("recovery point"),
            _("files"), _("differences"))  # fmt: skip
    cli.say(table(head, [_row(one) for one in found], right=(4, 5, 6, 7, 8)))
    return EXIT_DONE


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    from vaultd.units import parse_rfc3339, rate

    seconds = max(1, one["seconds"])
    return (
        local(parse_rfc3339(one.get("at", one["t"]))), one["vault"], one["target"], one.get("kit", _("none")),
        duration(one["seconds"]), rate(one["size"] / seconds), duration(one["recovery_point_s"]), number(one["files"]),
        str(one.get("differences", "-")),
    )  # fmt: skip


def _as_json(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "time": one.get("at", one["t"]), "entry": one["seq"], "vault": one["vault"], "target": one["target"],
        "kit": one.get("kit"), "state": one["state"], "seconds": one["seconds"],
        "recovery_point": one["recovery_point_s"], "files": one["files"], "bytes": one["size"],
        "differences": one.get("differences"), "taken": one.get("taken", 0), "who": one["who"],
    }  # fmt: skip

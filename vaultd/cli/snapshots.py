"""``vaultd snapshots``: what the repositories hold, read from them and not from our own state."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli import sources
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import local, number, size, table
from vaultd.errors import EXIT_DONE, EXIT_PARTIAL
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.model import StoredSnapshot

KINDS = {"full": N_("full"), "express": N_("express"), "dump": N_("dump")}


@command(
    "snapshots",
    help=N_(
        "List the snapshots of a vault, or of all, as the targets hold them; the daemon is not needed.\n\n"
        "A full snapshot is one exact moment of the vault. An express snapshot holds the files of one change, and a "
        "dump the output of a dump command. A target that was away has no snapshots of the moments that it missed."
    ),
    examples=["vaultd snapshots", "vaultd snapshots patients", "vaultd snapshots patients --target offsite --full"],
)
@click.argument("vault", metavar="[VAULT]", required=False)
@click.option("--full", is_flag=True, help=N_("Only full snapshots: the moments that can be restored exactly."))
@sources.source_options
@pass_cli
def snapshots_command(
    cli: Cli, vault: str | None, full: bool, target: str | None, repository: str | None, host_key: str | None,
    identity: Path | None, password_file: Path | None,
) -> int:  # fmt: skip
    """List, oldest first for each vault and target."""
    from vaultd.restore.result import snapshot_json

    direct = sources.Direct(repository, host_key, identity, password_file)
    with sources.sources(cli, direct, target, vault) as repositories:
        listed, unread = asyncio.run(sources.list_all(repositories, vault))
    found = [
        (name, one) for name, snapshots in listed.items() for one in snapshots if not full or one.kind.value == "full"
    ]  # fmt: skip
    found.sort(key=lambda pair: (pair[1].vault, pair[1].host, pair[0], pair[1].order, pair[1].time))
    cli.emit(
        {
            "version": 1,
            "snapshots": [{"vault": one.vault, "target": name} | snapshot_json(one) for name, one in found],
            "unread": [{"target": name, "error": error.as_json()} for name, error in unread.items()],
        }
    )
    cli.say(_render(found) if found else _("There are no snapshots."))
    for name, error in unread.items():
        cli.note(_("Target {name} could not be read: {error}").format(name=name, error=error))
    return EXIT_PARTIAL if unread else EXIT_DONE


def _render(found: list[tuple[str, StoredSnapshot]]) -> str:
    hosts = len({one.host for _name, one in found}) > 1
    head = [_("moment"), _("vault"), _("target"), _("kind"), _("files"), _("size"), _("id")]
    rows = []
    for name, one in found:
        kind = _(KINDS[one.kind.value]) + (f" {one.dump_name}" if one.dump_name else "")
        vault = f"{one.vault} ({one.host})" if hosts else one.vault
        rows.append([local(one.time), vault, name, kind, number(one.files), size(one.bytes), one.id[:8]])
    return table(head, rows, right=(4, 5))

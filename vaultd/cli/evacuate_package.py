"""``vaultd evacuate package``: a BagIt bag to carry out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli import progress
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.config import AnyTarget


@command(
    "package",
    help=N_(
        "Make a bag (BagIt 1.0) to carry: the encrypted files of a target's or a medium's repository, which restic "
        "opens where they lie, with a manifest, the proofs from the ledger, and the pull list. `bagit.py --validate` "
        "and `sha256sum -c` check it; nothing of vaultd is needed.\n\n"
        "With --plain VAULT it holds that vault's files in clear, as in its newest full snapshot, each compared with "
        "the ledger. That needs an approval.\n\n"
        "Interrupted, the same command goes on (not with --plain)."
    ),
    examples=[
        "vaultd evacuate package --out /mnt/carry/bag",
        "vaultd evacuate package --out /mnt/carry/bag --target east",
        "vaultd evacuate package --out /mnt/carry/patients --plain patients",
    ],
)
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help=N_("A new folder."))
@click.option("--target", default="", metavar="NAME",
              help=N_("Of this target, or the medium of this label [default: a medium that is plugged in, "
                      "else the first target]"))  # fmt: skip
@click.option("--plain", default="", metavar="VAULT", help=N_("The files of this vault in clear."))
@pass_cli
def package_command(cli: Cli, out: Path, target: str, plain: str) -> int:
    """Encrypted, unless plain files are asked for."""
    return _plain(cli, out, target, plain) if plain else _encrypted(cli, out, target)


def _chosen(cli: Cli, target: str) -> AnyTarget:
    from vaultd.evacuate import medium
    from vaultd.store import Store

    config = cli.config()
    media = []
    if cli.places().database.exists():
        store = Store(cli.places().database, read_only=True)
        try:
            media = medium.plugged(config, store)
        finally:
            store.close()
    for one in media:
        if target.upper() in ("", one.name):
            return one
    if target:
        return config.target_named(target)
    if not config.target:
        raise ConfigError(_("the bag"), _("there is no target and no medium"), _("add one: vaultd target add"))
    return config.target[0]


def _encrypted(cli: Cli, out: Path, target: str) -> int:
    from vaultd.cli.format import number, size
    from vaultd.evacuate.package import pack

    one = _chosen(cli, target)
    with progress.display(cli) as shown:
        made = pack(cli.config(), one, out, lambda run: shown.show([run]))
    cli.emit({
        "version": 1, "bag": str(out), "target": one.name, "vault": None, "plain": False, "files": made.files,
        "bytes": made.bytes, "snapshots": made.snapshots, "proved": made.proved,
    })  # fmt: skip
    cli.say(_("{folder} is a bag with the encrypted repository of {target}: {count} snapshots, {size}; "
              "{proved} of them with a proof from the ledger.").format(
        folder=display(out), target=one.name, count=number(made.snapshots), size=size(made.bytes),
        proved=number(made.proved)))  # fmt: skip
    cli.say(_("How anybody can check and open it: {file}").format(file=display(out / "README.md")))
    return EXIT_DONE


def _plain(cli: Cli, out: Path, target: str, vault: str) -> int:
    from vaultd import targets
    from vaultd.cli import sources
    from vaultd.cli.format import number, size
    from vaultd.custody import caller
    from vaultd.evacuate.export import export
    from vaultd.ledger.events import Exported

    config = cli.config()
    wanted = (
        [_chosen(cli, target)] if target else [config.target_named(name) for name in config.vault_named(vault).targets]
    )
    repositories = {one.name: targets.repository(config, one) for one in wanted}
    listed, _unread = asyncio.run(sources.list_all(repositories, vault))
    from vaultd.cli.places import opened
    from vaultd.cli.warning_common import require
    from vaultd.warning.desk import root_only

    with opened(cli) as store, progress.display(cli) as shown:
        asks = root_only if store is None else require(cli, store)
        made = export(config, repositories, listed, vault, out, asks, lambda run: shown.show([run]), cli.note)
    entry = made.record.entry
    cli.record(Exported(
        vault, display(out.absolute()), caller(), made.files, made.size, bytes.fromhex(entry["manifest"]),
        entry["origin"], entry["seq"],
    ))  # fmt: skip
    cli.emit({
        "version": 1, "bag": str(out), "target": entry["target"], "vault": vault, "plain": True, "files": made.files,
        "bytes": made.size, "snapshots": 1, "proved": 1,
    })  # fmt: skip
    said = _("{folder} is a bag with the files of vault {vault} IN CLEAR: {count} files, {size}. It is on record.")
    cli.say(said.format(folder=display(out), vault=vault, count=number(made.files), size=size(made.size)))
    return EXIT_DONE

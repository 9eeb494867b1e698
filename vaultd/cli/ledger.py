"""``vaultd ledger show|prove``: the record that outsiders can check. Its other commands are in files of their own."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vaultd.cli.base import Cli, group, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError, LedgerError
from vaultd.i18n import N_, _
from vaultd.names import display

folder_option = click.option(
    "--ledger", "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
    help=N_("Another ledger folder, such as a copy [default: that of the configuration]"),
)  # fmt: skip


@group(
    "ledger",
    help=N_(
        "The record of everything that is protected and that happens here: signed, append-only, and verifiable by "
        "programs of other authors (docs/ledger.md)."
    ),
    examples=["vaultd ledger show --last 5", "vaultd ledger verify", "vaultd ledger prove /srv/records/patients.db"],
)
def ledger_group() -> None:
    """Only a name for its commands."""


ledger_group.lazy = {
    "init": ("vaultd.cli.ledger_keys:init_command", N_("Make the ledger of this host.")),
    "verify": ("vaultd.cli.ledger_check:verify_command", N_("Check the whole ledger.")),
    "checkpoint": ("vaultd.cli.ledger_check:checkpoint_command", N_("Print the newest checkpoint.")),
    "rotate": ("vaultd.cli.ledger_keys:rotate_command", N_("Change the key that signs.")),
    "continue": ("vaultd.cli.ledger_keys:continue_command", N_("Begin a new ledger under a new name.")),
}


def ledger_folder(cli: Cli, given: Path | None) -> Path:
    """The folder that is meant: cheap, without the rest of the configuration."""
    return given if given is not None else cli.places().state / "ledger"


@ledger_group.command_of(
    "show",
    help=N_("List entries, the newest last: what was protected, what happened, who did it."),
    examples=[
        "vaultd ledger show --last 5",
        "vaultd ledger show --type snapshot --vault patients --since '2026-11-22'",
        "vaultd ledger show --path wards/3/list.ods --lines",
    ],
)
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, metavar="N", help=N_("So many at most."))
@click.option("--type", "kind", metavar="TYPE", help=N_("Only entries of this type, such as version or snapshot."))
@click.option("--vault", metavar="NAME", help=N_("Only what is about this vault."))
@click.option("--who", metavar="TEXT", help=N_("Only what was done by this person."))
@click.option("--path", "path", metavar="P", help=N_("Only this path, relative to its vault, or what is below it."))
@click.option("--since", metavar="TIME", help=N_("Not before this moment."))
@click.option("--until", metavar="TIME", help=N_("Not after this moment."))
@click.option("--lines", is_flag=True, help=N_("One JSON object a line, as it is on record."))
@folder_option
@pass_cli
def show_command(
    cli: Cli, last: int, folder: Path | None, since: str | None, until: str | None, lines: bool, **wanted: str | None
) -> int:
    """Read from the end, and stop when there are enough."""
    from itertools import islice

    from vaultd.cli.render_ledger import line
    from vaultd.ledger import canonical
    from vaultd.ledger.entry import time_text
    from vaultd.ledger.query import Query, matching
    from vaultd.ledger.reading import Reader
    from vaultd.restore import moment

    begin = time_text(moment.begin(since, "--since")) if since else ""
    end = time_text(moment.parse(until, "--until")) if until else ""
    path = os.fsencode(wanted["path"]) if wanted["path"] else None
    query = Query(wanted["kind"], wanted["vault"], wanted["who"], path, begin, end)
    reader = Reader(ledger_folder(cli, folder))
    found = list(islice(matching(reader.newest_first(), query), last))[::-1]
    if lines:
        for one in found:
            click.echo(canonical.encode(one))
        cli.emitted = True
        return EXIT_DONE
    cli.emit({"version": 1, "size": reader.size, "signed": reader.signed.size, "entries": found})
    for one in found:
        cli.say(line(one, unsigned=one["seq"] >= reader.signed.size))
    if not found:
        cli.say(_("No entry."))
    return EXIT_DONE


@ledger_group.command_of(
    "prove",
    help=N_(
        "Prove to somebody who has nothing of vaultd that a file version is on record: writes the entry and its proof, "
        "which `ledger/SPEC/verify.sh` checks with a shell and openssl."
    ),
    examples=[
        "vaultd ledger prove /srv/records/patients.db",
        "vaultd ledger prove /srv/records/patients.db --at '2026-11-22 20:03' --to /tmp/proof",
        "vaultd ledger prove --entry 4711",
    ],
)
@click.argument("path", metavar="[PATH]", required=False)
@click.option("--entry", "number", type=click.IntRange(0), metavar="N", help=N_("This entry, instead of a path."))
@click.option("--vault", metavar="NAME", help=N_("PATH is relative to this vault."))
@click.option("--at", metavar="TIME", help=N_("The version of this moment [default: the newest]"))
@click.option("--to", default=".", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help=N_("The folder to write into [default: this one]"))  # fmt: skip
@folder_option
@pass_cli
def prove_command(
    cli: Cli, path: str | None, number: int | None, vault: str | None, at: str | None, to: Path, folder: Path | None
) -> int:
    """Find the entry, and write leaf and proof."""
    from vaultd import files
    from vaultd.ledger import epochs
    from vaultd.ledger.prove import prove

    if (path is None) == (number is None):
        raise ConfigError(_("nothing is proved"), _("name a path, or an entry with --entry"))
    where = ledger_folder(cli, folder)
    if number is None:
        number = _find(cli, where, str(path), vault, at)
    leaf, proof = prove(where, number)
    to.mkdir(parents=True, exist_ok=True)
    written = [to / f"entry-{number}.json", to / f"entry-{number}.tlog-proof", to / "ledger.vkey"]
    key = epochs.read(where).newest.key.encoded()
    for file, content in zip(written, (leaf, proof.encoded(), f"{key}\n".encode()), strict=True):
        files.replace(file, content)
    cli.emit({"version": 1, "entry": number, "files": [str(file) for file in written]})
    cli.say(leaf.decode())
    cli.say(_("Entry {number} is on record. Written: {files}").format(
        number=number, files=", ".join(display(file) for file in written)))  # fmt: skip
    cli.say(_("Anybody can check it: {command}").format(
        command=f"bash {where}/SPEC/verify.sh {' '.join(str(file) for file in written)}"))  # fmt: skip
    return EXIT_DONE


def _find(cli: Cli, where: Path, path: str, vault: str | None, at: str | None) -> int:
    """The index of the newest version of a path, or of that at a moment."""
    from vaultd.ledger.entry import path_of, time_text
    from vaultd.ledger.query import Query, matching
    from vaultd.ledger.reading import Reader
    from vaultd.restore import moment
    from vaultd.store import Store

    name, relative = (vault, os.fsencode(path)) if vault else _in_vault(cli, path)
    before = moment.parse(at) if at else None
    reader, database = Reader(where), cli.places().database
    if where == cli.places().state / "ledger" and database.exists():
        store = Store(database, read_only=True)
        try:
            known = store.known("vault", name)
            found = None if known is None else store.latest_version(known, relative, before)
        finally:
            store.close()
        if found is not None and found[0] < reader.size:
            entry = reader.entry(found[0])
            if entry["type"] == "version" and entry["vault"] == name and path_of(entry) == relative:
                return found[0]
    query = Query("version", name, None, relative, "", "" if before is None else time_text(before), exact=True)
    for one in matching(reader.newest_first(), query):
        return int(one["seq"])
    raise LedgerError(
        _("{path} cannot be proved").format(path=display(path)), _("the ledger has no version of it"),
        _("see what it has: `vaultd ledger show --vault {vault}`").format(vault=name),
    )  # fmt: skip


def _in_vault(cli: Cli, path: str) -> tuple[str, bytes]:
    absolute = os.path.abspath(os.fsencode(path))
    for vault in cli.config().vault:
        root = os.fsencode(vault.path)
        if absolute.startswith(root + b"/"):
            return vault.name, absolute[len(root) + 1 :]
    raise ConfigError(
        _("{path} cannot be proved").format(path=display(path)), _("it is in no vault"),
        _("name the vault, and the path in it: --vault NAME PATH"),
    )  # fmt: skip

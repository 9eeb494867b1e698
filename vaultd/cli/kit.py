"""``vaultd kit create|list|open|revoke|migrate``: what brings everything back when the building is gone."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import table
from vaultd.errors import EXIT_DONE, EXIT_PARTIAL, ConfigError, VaultdError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.kit.making import Made
    from vaultd.kit.register import Known


@group(
    "kit",
    help=N_(
        "The recovery kit: sheets of paper for several custodians, any three of whom bring back everything on a new "
        "machine when this one, its keys and the building are gone (docs/kit.md)."
    ),
    examples=[
        "vaultd kit create --shares 5 --threshold 3 --out /media/stick/kit",
        "vaultd kit open --kit 1f2e3d4c.kit --to /srv/restored",
        "vaultd kit revoke 1f2e3d4c",
    ],
)
def kit_group() -> None:
    """Only a name for its commands."""


kit_group.lazy = {
    "open": ("vaultd.cli.kit_open:open_command", N_("Bring everything back on a new machine.")),
    "revoke": ("vaultd.cli.kit_end:revoke_command", N_("Take a kit's keys away.")),
    "migrate": ("vaultd.cli.kit_end:migrate_command", N_("Make a new repository, after a kit has leaked.")),
}


def _day(_ctx: click.Context, _param: click.Parameter, value: str | None) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError:
        raise ConfigError(f"--expires {value}", _("this is not a day"), _("write it as 2027-12-31")) from None


@kit_group.command_of(
    "create",
    help=N_(
        "Make a kit: a restic key and a read-only SSH key of its own for every target, sealed under a key that is "
        "split among the custodians. One PDF for each of them is written into DIR: print them, hand them out, and "
        "remove DIR. The sealed file is put beside every repository too, and is in codes on every sheet.\n\n"
        "Then put the lines that are shown into authorized_keys on the servers; the command tries them out."
    ),
    examples=[
        "vaultd kit create --shares 5 --threshold 3 --out /media/stick/kit --expires 2028-12-31",
        "vaultd kit create --out /media/stick/kit --organisation '市第一医院病案室' --with-ledger-key",
    ],
)
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path),
              help=N_("A new folder for sheets and file; best on a medium that leaves this machine."))  # fmt: skip
@click.option("--shares", "total", type=int, default=5, show_default=True, help=N_("How many custodians."))
@click.option("--threshold", type=int, default=3, show_default=True, help=N_("How many of them are needed."))
@click.option("--expires", metavar="DATE", callback=_day, help=N_("The last day of the kit, such as 2027-12-31."))
@click.option("--organisation", default="", metavar="TEXT", help=N_("Printed on the sheets: hospital, office."))
@click.option("--with-ledger-key", is_flag=True,
              help=N_("With the key that signs the ledger: a new host can go on under the same name."))  # fmt: skip
@click.option("--root-key-file", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help=N_("With the ledger's private root key, from this file."))  # fmt: skip
@click.option("--batch", is_flag=True, help=N_("Never ask, and do not wait for the servers."))
@pass_cli
def create_command(
    cli: Cli, out: Path, total: int, threshold: int, expires: date | None, organisation: str, with_ledger_key: bool,
    root_key_file: Path | None, batch: bool,
) -> int:  # fmt: skip
    """Make it, show what has to go onto the servers, and try it out."""
    from vaultd import files, places
    from vaultd.custody import caller
    from vaultd.kit import making
    from vaultd.ledger.events import KitCreated
    from vaultd.store import Store

    config = cli.config()
    root = root_key_file.read_text("utf-8").strip() if root_key_file else None
    wish = making.Wish(out.absolute(), total, threshold, expires, organisation, with_ledger_key, root)
    making.check(config, wish)
    files.make_private_directory(config.host.state)
    store = Store(places.database(config.host.state))
    try:
        made = making.make(config, store, wish, cli.note)
    finally:
        store.close()
    known = made.known
    cli.record(
        KitCreated(
            known.id, known.threshold, known.shares, list(known.keys), list(known.keys.values()), caller(),
            known.expires, 1 if with_ledger_key else 0,
        )
    )  # fmt: skip
    _say(cli, made)
    tried = _try(cli, made, ask=not (batch or cli.json))
    cli.emit({"version": 1, "kit": as_json(known) | {
        "file": str(made.file), "sheets": [str(one) for one in made.sheets],
        "stored": [one for one in known.keys if one not in made.missing],
        "reachable": [name for name, error in tried.items() if error is None],
    }})  # fmt: skip
    return EXIT_DONE if not made.missing and not any(tried.values()) else EXIT_PARTIAL


def _say(cli: Cli, made: Made) -> None:
    known = made.known
    cli.say(_("Kit {id}: {total} sheets in {folder}, {threshold} of which are needed.").format(
        id=known.id, total=known.shares, threshold=known.threshold, folder=display(made.file.parent)))  # fmt: skip
    for sheet in made.sheets:
        cli.say(f"  {sheet.name}")
    cli.say(_("Print each, hand it to its custodian against a signature, then remove the folder: who has {threshold} "
              "of these files has everything.").format(threshold=known.threshold))  # fmt: skip
    for name, error in made.missing.items():
        cli.note(_("Target {name} does not have the kit's file: {error}").format(name=name, error=error))
    for target in made.content.targets:
        cli.say()
        cli.say(_("On the server {host}, add this line to the file .ssh/authorized_keys of the account {user}:").format(
            host=target.host, user=target.user))  # fmt: skip
        cli.say()
        cli.say(made.identities[target.name])
    cli.say()


def _try(cli: Cli, made: Made, *, ask: bool) -> dict[str, VaultdError | None]:
    """Try the kit's own keys; while a server does not know one, somebody may put it there."""
    from vaultd.kit import making

    while True:
        tried = making.try_out(made.content)
        for name, error in tried.items():
            if error is None:
                cli.say(_("Target {name} opens with the kit alone.").format(name=name))
            else:
                cli.note(_("Target {name} does not open with the kit yet: {error}").format(name=name, error=error))
        if not ask or not any(tried.values()):
            return tried
        if not click.confirm(_("Are the lines on the servers now? (No: later)"), default=True, err=True):
            return tried


@kit_group.command_of(
    "list", help=N_("List the kits of this host; connects to nothing."), examples=["vaultd kit list"]
)  # fmt: skip
@pass_cli
def list_command(cli: Cli) -> int:
    """From the state database."""
    from vaultd.kit import register
    from vaultd.store import Store

    database = cli.places().database
    kits: list[Known] = []
    if database.exists():
        store = Store(database, read_only=True)
        try:
            kits = register.known(store)
        finally:
            store.close()
    cli.emit({"version": 1, "kits": [as_json(one) for one in kits]})
    head = (_("kit"), _("made"), _("expires"), _("shares"), _("targets"), _("state"))
    rows = [
        (one.id, one.created, one.expires or "-", f"{one.threshold}/{one.shares}", ", ".join(one.keys), state_of(one))
        for one in kits
    ]
    cli.say(table(head, rows) if rows else _("There is no kit: `vaultd kit create` makes one."))
    return EXIT_DONE


def state_of(kit: Known) -> str:
    """A kit's state for people."""
    from vaultd.kit import register

    words = {"unfinished": _("unfinished"), "valid": _("valid"), "revoked": _("revoked")}
    if kit.state == "valid" and kit.expired(register.today()):
        return _("expired")
    if kit.left:
        return _("{state}, but not at {targets}").format(state=words[kit.state], targets=", ".join(kit.left))
    return words[kit.state]


def as_json(kit: Known) -> dict[str, Any]:
    """A kit as ``--json`` has it."""
    from vaultd.kit import register

    return {
        "id": kit.id, "created": kit.created, "expires": kit.expires, "expired": kit.expired(register.today()),
        "threshold": kit.threshold, "shares": kit.shares, "state": kit.state, "left": list(kit.left),
        "targets": [
            {"name": name, "key": key, "repository": kit.repositories[name], "authorized_keys": kit.identities[name]}
            for name, key in kit.keys.items()
        ],
    }  # fmt: skip

"""``vaultd media import|export``: the register as CSV."""

from __future__ import annotations

from pathlib import Path

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _
from vaultd.names import display

_SHOWN = 20


@command(
    "import",
    help=N_(
        "Take a CSV table into the register: UTF-8 or GB18030, with Chinese or English column heads, in any order "
        "(编号, 密级 and 责任人 are needed). New labels are added, known ones changed; where media are and who has "
        "them is not taken from a table. With --dry-run it only shows what would change. When a row is wrong, it is "
        "named and nothing is imported."
    ),
    examples=["vaultd media import 台账.csv --dry-run", "vaultd media import 台账.csv"],
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help=N_("Show what would change, and change nothing."))
@click.option("--same-serial", is_flag=True, help=N_("Although several media have one serial number."))
@pass_cli
def import_command(cli: Cli, file: Path, dry_run: bool, same_serial: bool) -> int:
    """Look at all of it, then import all of it."""
    from vaultd.media import table

    with file.open("rb") as stream:
        raw = stream.read(table.LARGEST + 1)
    if len(raw) > table.LARGEST:
        raise ConfigError(display(file), _("it is larger than {bytes} bytes").format(bytes=table.LARGEST))
    with common.opened(cli) as register:
        if dry_run:
            made = table.plan(register, raw, same_serial=same_serial)
        else:
            made = table.carry_out(register, raw, file.name, same_serial=same_serial)
    cli.emit({
        "version": 1, "dry_run": dry_run, "added": [one.label for one in made.added],
        "changed": [{"label": label, "values": values} for label, values in made.changed], "same": made.same,
    })  # fmt: skip
    for one in made.added[:_SHOWN]:
        cli.say(_("new: {label} {custodian} {serial}").format(
            label=one.label, custodian=one.custodian, serial=one.serial))  # fmt: skip
    for label, values in made.changed[:_SHOWN]:
        changes = ", ".join(f"{table.HEADS[name].zh} → {value}" for name, value in values.items())
        cli.say(_("changed: {label}: {changes}").format(label=label, changes=changes))
    counts = {"added": len(made.added), "changed": len(made.changed), "same": made.same}
    if dry_run:
        cli.say(_("It would add {added}, change {changed}, and leave {same} as they are.").format(**counts))
    else:
        cli.say(_("Added {added}, changed {changed}; {same} were as they are.").format(**counts))
    return EXIT_DONE


@command(
    "export",
    help=N_(
        "Write the register as CSV with the column heads that staff use: UTF-8 with a byte-order mark, or GB18030; "
        "spreadsheets open both. Cells that a spreadsheet would take for a formula begin with an apostrophe."
    ),
    examples=["vaultd media export 台账.csv", "vaultd media export 台账.csv --encoding gb18030"],
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--encoding", type=click.Choice(("utf-8", "gb18030")), default="utf-8", show_default=True,
              help=N_("How it is written."))  # fmt: skip
@click.option("--english", is_flag=True, help=N_("With English heads and words."))
@pass_cli
def export_command(cli: Cli, file: Path, encoding: str, english: bool) -> int:
    """Write it; mode 0600."""
    from vaultd import files
    from vaultd.media import table

    if file.exists():
        raise ConfigError(display(file), _("there is something already"))
    if not file.absolute().parent.is_dir():
        raise ConfigError(display(file), _("its folder is not there"))
    with common.reading(cli) as store:
        media = [] if store is None else list(store.media())
    files.create_exclusive(file, table.export(media, encoding, english=english))
    cli.emit({"version": 1, "file": str(file), "media": len(media), "encoding": encoding})
    cli.say(_("wrote {file}: {count} media").format(file=display(file), count=len(media)))
    return EXIT_DONE

"""``vaultd media label``: label sheets as PDF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _, ngettext
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.store.mediarows import Medium


@command(
    "label",
    help=N_(
        "Print labels: A4 sheets of 24 (3 by 8, 70 x 37 mm), beginning at any place, so that a sheet is used up. Each "
        "has label number, QR code (the number, nothing else), classification and period, custodian and serial, in "
        "Chinese and English. Characters that the font does not have are named, and printed as 〓."
    ),
    examples=[
        "vaultd media label M-2026-00017 M-2026-00018 --out labels.pdf --start 7",
        "vaultd media label --location 库房2 --out labels.pdf",
    ],
)
@click.argument("labels", metavar="[LABEL]...", nargs=-1)
@click.option("--location", default="", metavar="PLACE", help=N_("All media of this place."))
@click.option("--since", default="", metavar="LABEL", help=N_("All media from this label on."))
@click.option("--start", type=int, default=1, show_default=True, help=N_("The first free place on the sheet, 1 to 24."))
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("The PDF; it is not overwritten."))  # fmt: skip
@pass_cli
def label_command(
    cli: Cli, labels: tuple[str, ...], location: str, since: str, start: int, out: Path
) -> int:  # fmt: skip
    """Draw them."""
    from vaultd import files
    from vaultd.media import labels as sheets

    config = cli.config()
    if out.exists():
        raise ConfigError(_("--out {file}").format(file=display(out)), _("there is something already"))
    if not out.absolute().parent.is_dir():
        raise ConfigError(_("--out {file}").format(file=display(out)), _("its folder is not there"))
    made = sheets.draw(_chosen(cli, labels, location, since), config.media.organisation, start)
    files.create_exclusive(out, made.pdf)
    cli.emit({
        "version": 1, "file": str(out), "pages": made.pages, "labels": len(made.labels), "lacking": made.lacking,
        "cut": made.cut,
    })  # fmt: skip
    count = len(made.labels)
    text = ngettext("wrote {file}: {count} label", "wrote {file}: {count} labels", count)
    cli.say(text.format(file=display(out), count=count))
    if made.lacking:
        cli.note(_("The font does not have: {characters}. 〓 is printed instead: write them in by hand.").format(
            characters=" ".join(f"{one} (U+{ord(one):04X})" for one in made.lacking)))  # fmt: skip
    if made.cut:
        cli.note(_("A text was too long and was cut on: {labels}").format(labels=", ".join(made.cut)))
    return EXIT_DONE


def _chosen(cli: Cli, labels: tuple[str, ...], location: str, since: str) -> list[Medium]:
    """The media whose labels are to be printed. Raises NoMediumError, ConfigError."""
    from vaultd.media import numbering
    from vaultd.media.faults import NoMediumError

    if sum((bool(labels), bool(location), bool(since))) != 1:
        raise ConfigError(_("vaultd media label"), _("name labels, or --location, or --since"))
    with common.reading(cli) as store:
        if store is None:
            raise NoMediumError(_("the labels"), _("there is no register here yet"), _("see: vaultd media add --help"))
        if labels:
            found = []
            for label in map(numbering.normal, labels):
                one = store.medium(label)
                if one is None:
                    raise NoMediumError(_("medium {label}").format(label=label), _("it is in no register here"))
                found.append(one)
            return found
        first = numbering.normal(since) if since else ""
        listed = store.media(equal={"location": location} if location else {})
        return [one for one in listed if one.status != "destroyed" and one.label >= first]

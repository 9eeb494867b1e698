"""``vaultd restore``: a vault back from the repository, with the daemon dead and on a machine that never ran it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import progress, sources
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.restic.process import Repository
    from vaultd.restore.gone import Gone
    from vaultd.restore.plan import Plan, Request
    from vaultd.restore.result import Result


@command(
    "restore",
    help=N_(
        "Bring a vault back into a new or empty folder: with --at exactly as it was at a moment (the newest full "
        "snapshot not after it), otherwise with its latest content (the newest full snapshot, and over it the files "
        "of the express snapshots that are newer; files deleted in those last minutes may be back).\n\n"
        "Interrupted, the same command goes on where it stopped. Nothing is ever removed from the folder.\n\n"
        "On a new machine the repository alone is enough: with a configuration that has just the target, or with "
        "--repository, --host-key, --identity and --password-file."
    ),
    examples=[
        "vaultd restore patients --to /srv/restored",
        "vaultd restore patients --to /srv/restored --at '2026-11-22 20:03'",
        "vaultd restore patients --to /tmp/one --path wards/3/list.ods",
        "vaultd restore patients --to /srv/db --dump records",
        "vaultd restore patients --to /srv/restored --repository sftp://backup@192.0.2.7:22/archive \\",
        "    --host-key 'ssh-ed25519 AAAA...' --identity ./key --password-file ./password",
    ],
)
@click.argument("vault")
@click.option("--to", required=True, metavar="DIR", type=click.Path(path_type=Path, file_okay=True),
              help=N_("The folder to restore into; made when it is missing."))  # fmt: skip
@click.option("--at", metavar="TIME", help=N_('The moment: "2026-11-22 20:03:11", local time unless it has a zone.'))
@click.option("--path", "paths", multiple=True, metavar="P", type=click.Path(),
              help=N_("Only this file or folder, relative to the vault; may be repeated."))  # fmt: skip
@click.option("--exact/--latest", default=None, help=N_("A full snapshot alone, or with newer express files over it."))
@click.option("--snapshot", default="", metavar="ID", help=N_("Just this snapshot, by the beginning of its id."))
@click.option("--dump", default="", metavar="NAME", help=N_("The newest dump of this name, instead of the folder."))
@click.option("--host", default="", metavar="NAME", help=N_("Whose vault, where several hosts share a repository."))
@click.option(
    "--overwrite",
    is_flag=True,
    help=N_("Also into a folder with content: files of the same name are replaced, all others stay."),
)
@click.option("--no-space-check", is_flag=True, help=N_("Do not compare the size with the free space first."))
@click.option("--no-lock", is_flag=True, help=N_("Read without a lock in the repository, past anybody else's."))
@click.option("--dry-run", is_flag=True, help=N_("Show what would be restored, and check folder and space."))
@sources.source_options
@pass_cli
def restore_command(
    cli: Cli, vault: str, to: Path, at: str | None, paths: tuple[str, ...], exact: bool | None, snapshot: str,
    dump: str, host: str, target: str | None, repository: str | None, host_key: str | None, identity: Path | None,
    password_file: Path | None, **choices: bool,
) -> int:  # fmt: skip
    """Choose, check, carry out, and tell what was and what was not restored."""
    from vaultd.restore import moment
    from vaultd.restore.plan import Request

    asked = Request(
        vault,
        at=moment.parse(at) if at is not None else None,
        # Who names a moment wants that moment; who names none wants everything that was saved.
        latest=(at is None) if exact is None else not exact,
        paths=tuple(os.fsencode(path) for path in paths),
        snapshot=snapshot,
        dump=dump,
        host=host,
    )
    direct = sources.Direct(repository, host_key, identity, password_file)
    with sources.sources(cli, direct, target, vault) as repositories:
        own = "" if repository else cli.config().host.name
        return _restore(cli, asked, own, to, repositories, choices)


def _restore(
    cli: Cli, asked: Request, own: str, to: Path, repositories: dict[str, Repository], choices: dict[str, Any]
) -> int:
    from vaultd.cli.render_restore import render, render_elsewhere, render_gone, render_plan
    from vaultd.restore.whole import WholeRestore

    listed, unread = asyncio.run(sources.list_all(repositories, asked.vault))
    for name, problem in unread.items():
        cli.note(_("Target {name} could not be read: {error}").format(name=name, error=problem))
    with progress.display(cli) as shown:
        restore = WholeRestore(
            repositories, _with_host(listed, asked, own), asked, to, ledger=_ledger(cli),
            overwrite=choices["overwrite"], check_space=not choices["no_space_check"], lock=not choices["no_lock"],
            on_progress=lambda one: shown.show([one]), on_note=cli.note,
        )  # fmt: skip
        cli.note(render_plan(restore.plan))
        restore.check()
        restore.result.gone = _gone(cli, restore.plan, listed)
        if restore.result.gone:
            cli.note(render_gone(restore.result))
        error: VaultdError | None = None
        if not choices["dry_run"]:
            error = _run(restore)
    result: Result = restore.result
    if not choices["dry_run"]:
        _record(cli, result, asked)
    if restore.skipped:
        cli.note(render_plan(restore.plan))  # another target's moment may be another
    unread |= restore.skipped
    problems = [{"target": name, "error": problem.as_json()} for name, problem in unread.items()]
    cli.emit(
        result.as_json()
        | {
            "unread": problems, "error": error.as_json() if error else None,
            "elsewhere": restore.elsewhere.as_json() if restore.elsewhere else None,
        }
    )  # fmt: skip
    cli.say(render(result))
    if restore.elsewhere is not None:
        cli.say(render_elsewhere(restore.elsewhere, result.plan.target))
    if error is not None:
        cli.note(f"vaultd: {error}")
        if error.hint:
            cli.note(_("hint: {hint}").format(hint=error.hint))
        return result.exit_code if result.files_done else error.exit_code
    return result.exit_code


def _ledger(cli: Cli) -> Path | None:
    """This host's ledger, where it has one."""
    return cli.places().state / "ledger" if cli.file.exists() else None


def _gone(cli: Cli, plan: Plan, listed: dict[str, Any]) -> list[Gone]:
    """Acknowledged express snapshots that are not there any more; none where this machine has no state to tell."""
    from vaultd.restore.gone import gone
    from vaultd.store import Store

    if not cli.file.exists() or not cli.places().database.exists():
        return []
    store = Store(cli.places().database, read_only=True)
    try:
        return gone(store, plan, listed[plan.target])
    finally:
        store.close()


def _record(cli: Cli, result: Result, asked: Request) -> None:
    from vaultd.custody import caller
    from vaultd.ledger.events import Restored
    from vaultd.names import display

    cli.record(
        Restored(
            asked.vault, result.plan.target, [one.id for one in result.plan.snapshots], display(result.to), caller(),
            result.outcome.value, result.files_done, result.bytes_done, None if asked.at is None else str(asked.at),
        )
    )  # fmt: skip


def _run(restore: Any) -> VaultdError | None:
    try:
        asyncio.run(restore.run())
    except VaultdError as error:
        return error
    except KeyboardInterrupt:
        from vaultd.restore.result import Outcome

        restore.result.outcome = Outcome.INTERRUPTED
    return None


def _with_host(listed: dict[str, Any], asked: Request, own: str) -> dict[str, Any]:
    """Where several hosts have a vault of this name, our ``own`` is meant unless --host says otherwise."""
    if asked.host or not any(
        one.host == own and one.vault == asked.vault for found in listed.values() for one in found
    ):
        return listed
    return {name: [one for one in found if one.host == own] for name, found in listed.items()}

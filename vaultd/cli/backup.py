"""``vaultd backup``: by the daemon when it runs, else in this process under the same lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import progress
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import duration, files, size
from vaultd.errors import EXIT_DONE, EXIT_FAILED, EXIT_PARTIAL, NotRunningError, VaultdError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.model import Progress

KINDS = {"full": N_("full snapshot"), "express": N_("express snapshot"), "dump": N_("dump snapshot")}
MOST_NAMES = 20


@command(
    "backup",
    help=N_(
        "Protect what is pending now, and return when it is off-site. Without a name: every vault.\n\n"
        "The daemon does it when it runs, otherwise this process. Ctrl-C ends the waiting; the daemon goes on."
    ),
    examples=["vaultd backup", "vaultd backup patients --full", "vaultd backup patients --accept-empty"],
)
@click.argument("vaults", metavar="[VAULT]...", nargs=-1)
@click.option("--full", is_flag=True, help=N_("End with an exact full snapshot."))
@click.option(
    "--accept-empty",
    is_flag=True,
    help=N_("An emptied folder or a missing mount in it is meant: make the snapshot all the same."),
)
@pass_cli
def backup_command(cli: Cli, vaults: Sequence[str], full: bool, accept_empty: bool) -> int:
    """Back up and show what became of it."""
    try:
        job = cli.client().backup(vaults, full=full, accept_empty=accept_empty)
    except NotRunningError:
        cli.note(_("The daemon is not running: this process does it."))
        job = _in_process(cli, vaults, full, accept_empty)
    else:
        job = _followed(cli, job)
    cli.emit({"version": 1, "job": job})
    cli.say(render(job))
    for hint in _hints(job):
        cli.note(_("hint: {hint}").format(hint=hint))
    return exit_code(job)


def _followed(cli: Cli, job: dict[str, Any]) -> dict[str, Any]:
    with progress.display(cli) as shown:
        try:
            for found in cli.client().follow(job):
                job = found
                shown.show(progress.of_json(job["progress"]))
        except NotRunningError as error:
            raise NotRunningError(
                _("the daemon ended while it was working"), error.why,
                _("what is not off-site yet stays pending; start the daemon, or run the command again"),
            ) from None  # fmt: skip
    return job


def _in_process(cli: Cli, vaults: Sequence[str], full: bool, accept_empty: bool) -> dict[str, Any]:
    import time

    from vaultd import daemon
    from vaultd.control.schemas import JobDetail
    from vaultd.control.service import Job
    from vaultd.daemon.backup import state_of
    from vaultd.daemon.service import Board

    config, board = cli.config(), Board()
    job = Job("", tuple(vaults), full, time.time_ns())
    with progress.display(cli) as shown:

        def on_progress(run: Progress) -> None:
            board.show(run)
            shown.show(board.of())

        outcomes = daemon.protect_once(
            config, vaults, full=full, accept_empty=accept_empty, on_progress=on_progress
        )  # fmt: skip
    state = state_of(outcomes)
    job.end(state, time.time_ns(), outcomes, outcomes[0].error if state == "failed" else None)
    return JobDetail.of(job).model_dump()


def exit_code(job: dict[str, Any]) -> int:
    """0 all off-site; 3 in part; when nothing was, the code that all errors share, or 1."""
    if job["state"] == "done":
        return EXIT_DONE
    if job["state"] == "partial":
        return EXIT_PARTIAL
    errors = [job["error"], *(outcome["error"] for outcome in job["outcomes"])]
    codes = {int(error["exit_code"]) for error in errors if error}
    return codes.pop() if len(codes) == 1 else EXIT_FAILED


def _hints(job: dict[str, Any]) -> list[str]:
    errors = [job["error"], *(outcome["error"] for outcome in job["outcomes"])]
    return list(dict.fromkeys(error["hint"] for error in errors if error and error["hint"]))


def render(job: dict[str, Any]) -> str:
    """A line for each vault and target, and the names of what could not be read."""
    lines = [line for outcome in job["outcomes"] for line in _outcome(outcome)]
    if job["error"] and not any(outcome["error"] for outcome in job["outcomes"]):
        lines.append(str(_error(job["error"])))
    return "\n".join(lines) or _("Nothing to do.")


def _outcome(found: dict[str, Any]) -> list[str]:
    head = f"{found['vault']} → {found['target']}: "
    error = [head + str(_error(found["error"]))] if found["error"] else []
    if error and not found["kind"]:
        return error
    if not found["kind"]:
        return [head + _("nothing to do, everything is there")]
    lines = [
        head + _("{kind} {snapshot}: {files}, {size}, {sent} sent, in {duration}").format(
            kind=_(KINDS.get(found["kind"], found["kind"])), snapshot=found["snapshot"][:8],
            files=files(found["files"]), size=size(found["bytes"]), sent=size(found["sent"]),
            duration=duration(found["seconds"]),
        )
    ]  # fmt: skip
    unread = found["unread"]
    if unread:
        lines.append("  " + _("not read: {files}").format(files=files(len(unread))))
        lines += [f"    {_name(path)}" for path in unread[:MOST_NAMES]]
        if len(unread) > MOST_NAMES:
            lines.append("    " + _("and {count} more, see --json").format(count=len(unread) - MOST_NAMES))
    return lines + error


def _name(path: dict[str, str]) -> str:
    if "path_b64" in path:
        import base64

        return display(base64.b64decode(path["path_b64"]))
    return display(path["path"])


def _error(found: dict[str, Any]) -> VaultdError:
    return VaultdError(found["what"], found["why"])

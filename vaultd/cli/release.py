"""``vaultd disks release``: let a disk go, step by step; root's own command, on record whatever came of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.disks import STATE_VAULT
from vaultd.errors import EXIT_DONE, EXIT_FAILED, ConfigError, NotAuthorisedError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultd.disks.model import Disk
    from vaultd.ledger.events import DiskReleased
    from vaultd.pull.model import Procedure, Pull, Step
    from vaultd.pull.release import Outcome


@command(
    "release",
    help=N_(
        "Let a disk go before it is pulled: end what uses it, write out, unmount from the deepest mount up, end swap, "
        "deactivate volumes, close encrypted devices, stop arrays and keep them from being assembled again, detach the "
        "disk. Each step is checked, and the first surprise stops it: it then says in which state the disk is. A lazy "
        "unmount or a deferred close is never used.\n\n"
        "DISK is a kernel's name, a serial number, a label number, or its number in the kept pull list (#1). It needs "
        "root, and is on record. Where content on it is at no target yet, it needs a reason."
    ),
    examples=[
        "vaultd disks release sdb --dry-run",
        "vaultd disks release X-0007",
        "vaultd disks release '#1' --stop-users --reason 'fire in room 2'",
    ],
)
@click.argument("disk")
@click.option(
    "--dry-run", is_flag=True, help=N_("Show the steps, their checks, and who uses the disk; change nothing.")
)
@click.option("--stop-users", is_flag=True,
              help=N_("Stop the services that use it, and ask other processes to end (never kill them)."))  # fmt: skip
@click.option("--reason", default="", metavar="TEXT",
              help=N_("Why, although content on it is not off-site; it goes on record."))  # fmt: skip
@pass_cli
def release_command(cli: Cli, disk: str, dry_run: bool, stop_users: bool, reason: str) -> int:
    """Look at the machine anew, then go step by step."""
    from vaultd.cli.pull_disk import find, identify
    from vaultd.pull.release import Release
    from vaultd.pull.stack import Reader

    if not dry_run and os.geteuid() != 0:
        raise NotAuthorisedError(
            _("not allowed"), _("user {uid} may not do this").format(uid=os.geteuid()), _("run it as root")
        )
    made, one = find(cli, disk)
    pull = next((pull for pull in made.pulls if pull.disk.key == one.key), None)
    going = Release(one, Reader(), identify, stop_users=stop_users, tell=_teller(cli))
    planned = going.plan()
    if dry_run:
        _show(cli, one, pull, planned)
        return EXIT_DONE
    _refuse_unsafe(cli, pull, reason)
    outcome = going.carry_out(planned)
    if cli.file.exists() and cli.places().database.exists():
        cli.record(_entry(outcome, pull, reason))
        if outcome.failed is None:
            _remember(cli, one)
    else:  # it may have been on this very disk
        cli.note(_("This is not on record: {error}").format(error=_("the state folder is not there")))
    _tell(cli, outcome)
    return EXIT_DONE if outcome.failed is None else EXIT_FAILED


def _refuse_unsafe(cli: Cli, pull: Pull | None, reason: str) -> None:
    """Content that is at no target may only leave with a reason: the same rule as for the register's moves."""
    if pull is None or reason.strip():
        return
    found = _unsafe(cli, [vault for vault in pull.vaults if vault != STATE_VAULT])
    if found:
        raise ConfigError(
            _("disk {disk} is not released").format(disk=pull.disk.serial or pull.disk.key),
            "; ".join(f"{vault}: {why}" for vault, why in found),
            _("vaultd backup brings it off-site; or say why it must go now: --reason TEXT"),
        )  # fmt: skip


def _unsafe(cli: Cli, vaults: list[str]) -> list[tuple[str, str]]:
    """The vaults that are not safe off-site as far as is known, and why."""
    from vaultd.cli.media_common import daemon_runs
    from vaultd.cli.render_pull import pending
    from vaultd.media import safety
    from vaultd.store import Store

    if not vaults:
        return []
    if not cli.places().database.exists():
        return [(vault, _("nothing is known of it here")) for vault in vaults]
    store = Store(cli.places().database, read_only=True)
    try:
        found = safety.unsafe(store, cli.config(), vaults, watched=daemon_runs(cli))
    finally:
        store.close()
    return [
        (one.vault, f"{one.why} ({pending(one.files, one.bytes)})" if one.files else one.why) for one in found
    ]  # fmt: skip


def _teller(cli: Cli) -> Callable[[Step, bool], None]:
    from vaultd.pull import words

    def tell(step: Step, done: bool) -> None:
        if not done:
            command = words.command(step)
            cli.note(f"  {words.title(step)}" + (f"\n      $ {command}" if command else ""))
        elif words.check(step):
            cli.note("      " + _("checked: {check}").format(check=words.check(step)))

    return tell


def _show(cli: Cli, disk: Disk, pull: Pull | None, planned: Procedure) -> None:
    from vaultd.cli.render_pull import bay_text, disk_text
    from vaultd.pull import kept, words

    cli.emit({"version": 1, "disk": _disk(disk), "procedure": kept.procedure_document(planned), "outcome": None})
    cli.say(f"{bay_text(disk)}: {disk_text(disk)}")
    if pull is not None:
        cli.say(_("holds: {vaults}").format(vaults=", ".join(pull.vaults)))
    for user in planned.users:
        cli.say(_("in use by {names}").format(names=words.user(user)))
    if not planned.users_seen:
        cli.say(_("who uses it could not be seen: run it as root"))
    for number, step in enumerate(planned.steps, 1):
        cli.say(f"{number:>3}. {words.title(step)}")
        for text, what in (
            (words.command(step), "$ {}"), (words.check(step), _("then: {check}").format(check="{}")),
            (words.meaning(step), _("if not: {meaning}").format(meaning="{}")),
        ):  # fmt: skip
            if text:
                cli.say("     " + what.format(text))


def _disk(disk: Disk) -> dict[str, Any]:
    from vaultd.disks import form

    return form.disk(disk)


def _entry(outcome: Outcome, pull: Pull | None, reason: str) -> DiskReleased:
    from vaultd.custody import caller
    from vaultd.ledger.events import DiskReleased

    disk = outcome.disk
    return DiskReleased(
        disk.key, disk.serial, disk.bay.text if disk.bay is not None else "", outcome.condition.value,
        len(outcome.done), pull.vaults if pull is not None else (), pull.pending_files if pull is not None else 0,
        pull.pending_bytes if pull is not None else 0, caller(), outcome.failed.do.value if outcome.failed else None,
        reason.strip() or None, pull.label.number if pull is not None and pull.label is not None else None,
    )  # fmt: skip


def _remember(cli: Cli, disk: Disk) -> None:
    """For the daemon: that it is gone now is meant."""
    from vaultd.pull.model import RELEASED
    from vaultd.store import Store

    try:
        store = Store(cli.places().database)
        try:
            store.set_meta(RELEASED + disk.key, str(time.time_ns()))
        finally:
            store.close()
    except VaultdError as error:
        cli.note(_("This is not on record: {error}").format(error=error))


def _tell(cli: Cli, outcome: Outcome) -> None:
    from vaultd.pull import kept, words

    failed = outcome.failed
    cli.emit(
        {
            "version": 1, "disk": _disk(outcome.disk), "procedure": None,
            "outcome": {
                "state": outcome.condition.value, "done": [kept.step_document(step) for step in outcome.done],
                "failed": kept.step_document(failed) if failed is not None else None, "why": outcome.why or None,
                "users": [{"pid": one.pid, "name": one.name, "unit": one.unit} for one in outcome.users],
                "left": outcome.left or None,
            },
        }
    )  # fmt: skip
    if failed is not None:
        cli.say(_("STOPPED at: {step}: {why}").format(step=words.title(failed), why=outcome.why))
        cli.say(_("what that means: {meaning}").format(meaning=words.meaning(failed)))
        if outcome.users:
            cli.say(_("in use by {names}").format(names=", ".join(map(words.user, outcome.users))))
    cli.say(words.condition(outcome.condition.value))
    if outcome.left:
        cli.say(_("arrays are still kept from being assembled: remove {file}").format(file=outcome.left))

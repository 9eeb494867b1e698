"""``vaultd kit revoke`` and ``kit migrate``: a kit that was lost, and what a leaked one means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE, EXIT_PARTIAL, ConfigError
from vaultd.i18n import N_, _, ngettext
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.kit.ending import Ended
    from vaultd.kit.register import Known


@command(
    "revoke",
    help=N_(
        "Take a kit away: its restic keys, and its file at every target; and say which lines have to go from the "
        "servers' authorized_keys.\n\n"
        "A kit that may have been opened by somebody else needs more: every restic key opens the same master key, so "
        "whoever had it reads the repository for ever, with any copy of it. Then each repository is made anew, with "
        "`vaultd kit migrate`."
    ),
    examples=["vaultd kit revoke 1f2e3d4c"],
)
@click.argument("kit")
@pass_cli
def revoke_command(cli: Cli, kit: str) -> int:
    """Remove what can be removed; say what cannot."""
    from vaultd import places
    from vaultd.custody import caller
    from vaultd.kit import ending
    from vaultd.ledger.events import KitRevoked
    from vaultd.store import Store

    config = cli.config()
    database = places.database(config.host.state)
    if not database.exists():
        raise ConfigError(_("kit {kit}").format(kit=kit), _("this host has made none"))
    store = Store(database)
    try:
        ended: Ended = ending.revoke(config, store, kit, cli.note)
    finally:
        store.close()
    known: Known = ended.known
    cli.record(KitRevoked(known.id, ended.done, list(known.left), caller()))
    cli.emit({
        "version": 1, "kit": known.id, "removed": ended.done,
        "left": [{"target": name, "error": error.as_json()} for name, error in ended.failed.items()],
        "authorized_keys": [{"target": name, "line": line} for name, line in known.identities.items()],
    })  # fmt: skip
    for name in ended.done:
        cli.say(_("Target {name}: the kit's key opens the repository no more.").format(name=name))
    for name, error in ended.failed.items():
        cli.note(_("Target {name}: the kit's key is still there: {error}").format(name=name, error=error))
        if error.hint:
            cli.note("  " + _("hint: {hint}").format(hint=error.hint))
    cli.say()
    cli.say(_("On each server, remove the kit's line from authorized_keys; until then its SSH key still logs in:"))
    for name, line in known.identities.items():
        cli.say(f"  {name}: {line}")
    cli.say()
    names = known.keys or [target.name for target in config.target]
    cli.say(_("If somebody else may have had {threshold} of its shares, this is not enough: all keys of a repository "
              "open the same master key, and who once had that reads every copy of it for ever. Make new ones: "
              "{commands}").format(threshold=known.threshold, commands=", ".join(
                  f"vaultd kit migrate {name}" for name in names)))  # fmt: skip
    return EXIT_PARTIAL if ended.failed else EXIT_DONE


@command(
    "migrate",
    help=N_(
        "Make a new repository for a target, under a new master key and password: every snapshot is copied there, and "
        "the configuration is switched to it. The old one is left as it is until somebody removes it. Kits of the old "
        "one do not open the new one: make another.\n\n"
        "Everything is read from the target and sent to it again: the room for it there is looked at first. "
        "Interrupted, the same command goes on. The daemon must not run."
    ),
    examples=["vaultd kit migrate offsite", "vaultd kit migrate offsite --path /srv/vaultd/archive-2"],
)
@click.argument("target")
@click.option("--path", metavar="DIR", help=N_("The new repository's folder [default: beside the old one]"))
@pass_cli
def migrate_command(cli: Cli, target: str, path: str | None) -> int:
    """Copy, compare, switch."""
    from vaultd.custody import caller
    from vaultd.daemon.lock import exclusive
    from vaultd.kit import migrate
    from vaultd.ledger.events import RepositoryMoved

    config = cli.config()
    old = config.target_named(target)
    with exclusive(config.host.state):
        moved = migrate.migrate(config, old, path, cli.note)
    cli.record(RepositoryMoved(old.name, moved.old, moved.new, moved.snapshots, caller()))
    cli.emit({
        "version": 1, "target": old.name, "old": moved.old, "old_path": old.path, "repository": moved.new,
        "path": moved.path, "password_file": str(moved.password_file), "snapshots": moved.snapshots,
    })  # fmt: skip
    count = moved.snapshots
    cli.say(ngettext("Target {name} has a new repository, {path}, with {count} snapshot.",
                     "Target {name} has a new repository, {path}, with {count} snapshots.", count).format(
        name=old.name, path=moved.path, count=count))  # fmt: skip
    cli.say(_("Its password is in {file}: it belongs on paper.").format(file=display(Path(moved.password_file))))
    cli.say(_("The old one, {path}, is as it was. When you need it no more, remove that folder on the server; who has "
              "its master key can read it until then, and any copy of it after.").format(path=old.path))  # fmt: skip
    cli.say(_("Next: vaultd kit create; then start the daemon, which goes on there."))
    return EXIT_DONE

"""``vaultd kit open``: three sheets of paper and a new machine, and everything is back."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import kit_ask, progress, sources
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import local, rfc3339
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, EXIT_PARTIAL, ConfigError, VaultdError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.config import Config
    from vaultd.kit.content import Content
    from vaultd.kit.opening import State
    from vaultd.model import Progress, StoredSnapshot
    from vaultd.restic.process import Repository
    from vaultd.restore.whole import WholeRestore


@command(
    "open",
    help=N_(
        "Bring a lost host back on a new machine, with nothing but a kit: its state and ledger, a configuration that "
        "works (written to --config), and every vault with its latest content. The shares are asked for one by one, "
        "or read from pictures or files.\n\n"
        "What one target cannot give is taken from another, file by file, and listed. Vaults go to DIR/<vault>, or "
        "with --in-place to where they were. The ledger is verified, and is then a copy that nobody signs; "
        "--continue-ledger goes on under its name."
    ),
    examples=[
        "vaultd kit open --kit 1f2e3d4c.kit --to /srv/restored",
        "vaultd kit open --kit-image codes.png --share-image 1.png --share-image 2.png --share-image 4.png --in-place",
        "vaultd --config /root/vaultd.toml kit open --kit 1f2e3d4c.kit --state /root/state --no-vaults",
    ],
)
@kit_ask.kit_options
@click.option("--state", metavar="DIR", type=click.Path(path_type=Path),
              help=N_("The new state folder [default: where the lost host had it]"))  # fmt: skip
@click.option("--to", metavar="DIR", type=click.Path(path_type=Path), help=N_("Restore the vaults to DIR/<vault>."))
@click.option("--in-place", is_flag=True, help=N_("Restore the vaults to the folders where they were."))
@click.option("--no-vaults", is_flag=True, help=N_("Only state, ledger and configuration."))
@click.option("--no-state", is_flag=True, help=N_("Only the vaults, where no copy of the state can be had."))
@click.option("--vault", "vaults", multiple=True, metavar="NAME", help=N_("Only this vault; may be repeated."))
@click.option("--at", metavar="TIME", help=N_('The moment: "2026-11-22 20:03:11", local time unless it has a zone.'))
@click.option(
    "--continue-ledger",
    is_flag=True,
    help=N_("Go on with the ledger under its name; the kit must have its key, and no target more of it."),
)
@click.option("--batch", is_flag=True, help=N_("Never ask; what is missing is an error."))
@pass_cli
def open_command(
    cli: Cli, state: Path | None, to: Path | None, in_place: bool, no_vaults: bool, no_state: bool,
    vaults: tuple[str, ...], at: str | None, continue_ledger: bool, batch: bool, **values: Any,
) -> int:  # fmt: skip
    """Open, bring back, say what comes next."""
    from vaultd.restore import moment

    if [to is not None, in_place, no_vaults].count(True) != 1:
        raise ConfigError(
            _("where the vaults go"), _("one of --to DIR, --in-place and --no-vaults must be given"),
            _("--to DIR restores them beside everything else, which is always safe"),
        )  # fmt: skip
    if no_state and (no_vaults or continue_ledger):
        raise ConfigError("--no-state", _("without the state there are only vaults, and no ledger"))
    before = moment.parse(at) if at is not None else None
    if cli.file.exists():
        raise ConfigError(
            _("{file} is not overwritten").format(file=display(cli.file)),
            _("this machine has a configuration already"),
            _("open the kit on a new machine, or name another file: vaultd --config FILE kit open"),
        )
    opened = kit_ask.open_kit(cli, kit_ask.given(cli, values, batch=batch))
    return _Opening(cli, opened, state, to, vaults, before, no_vaults).run(continue_ledger, no_state)


class _Opening:
    """One kit being opened, step by step."""

    def __init__(
        self, cli: Cli, opened: kit_ask.Opened, state: Path | None, to: Path | None, vaults: tuple[str, ...],
        before: int | None, no_vaults: bool,
    ) -> None:  # fmt: skip
        from vaultd.config.endpoint import DEFAULT_STATE

        self.cli, self.opened, self.to, self.vaults = cli, opened, to, vaults
        self.content: Content = opened.content
        self.state = (state or DEFAULT_STATE).absolute()
        self.before, self.no_vaults = before, no_vaults
        self.codes = [EXIT_DONE]
        self.unread: dict[str, VaultdError] = {}

    def run(self, continue_ledger: bool, no_state: bool) -> int:
        """All of it; the worst exit code."""
        from vaultd.kit import opening

        cli, content = self.cli, self.content
        for name in self.vaults:
            if all(one.name != name for one in content.vaults):
                raise ConfigError(_("kit {kit} knows no vault {name}").format(kit=content.kit, name=name))
        reached = opening.reach(content, self.state)  # refuses a folder that is in use: nothing there is ours to erase
        try:
            repositories, listed, found = self._bring_state(reached, no_state)
            config = self._configuration(found)
        except BaseException:
            opening.forget(self.state, content)
            raise
        ledger = self._ledger(config)
        continued = self._continue(config) if continue_ledger and ledger["holds"] else False
        if found is not None:
            self._record(config, found, continued)
        restored = [] if self.no_vaults else self._vaults(config, repositories, listed)
        self._next(config, continued)
        came = None if found is None else {"target": found.target, "snapshot": found.snapshot,
                                           "time": rfc3339(found.time)}  # fmt: skip
        cli.emit({
            "version": 1, "kit": content.kit, "host": content.host, "shares": self.opened.shares,
            "config": str(cli.file), "folder": str(self.state), "state": came,
            "ledger": ledger | {"continued": continued},
            "vaults": restored,
            "unread": [{"target": name, "error": error.as_json()} for name, error in self.unread.items()],
        })  # fmt: skip
        return next((code for code in (EXIT_DIFFERENCE, EXIT_PARTIAL) if code in self.codes), max(self.codes))

    def _bring_state(
        self, reached: Config, no_state: bool
    ) -> tuple[dict[str, Repository], dict[str, list[StoredSnapshot]], State | None]:
        """The kit's repositories, what is in them, and the state in its folder."""
        from vaultd.kit import opening

        repositories = opening.repositories(reached)
        listed, self.unread = asyncio.run(sources.list_all(repositories, None))
        for name, problem in self.unread.items():
            self.cli.note(_("Target {name} could not be read: {error}").format(name=name, error=problem))
            self.codes.append(EXIT_PARTIAL)
        if no_state:
            return repositories, listed, None
        return repositories, listed, opening.bring_state(reached, self.content, repositories, listed, self.cli.note)

    def _configuration(self, found: State | None) -> Config:
        from vaultd import files
        from vaultd.kit import opening

        file = self.cli.file.absolute()
        if found is None:
            text, config = opening.bare_configuration(file, self.state, self.content)
        else:
            text, config = opening.configuration(found.config_text, file, self.state, self.content)
        files.make_private_directory(file.parent, 0o755)
        files.create_exclusive(file, text.encode(), 0o640)
        if found is None:
            self.cli.say(_("A plain configuration is in {file}; nothing of the lost host's state came back.").format(
                file=display(file)))  # fmt: skip
            return config
        told = _("The state of host {host} as of {moment} is in {folder}; the configuration is {file}.")
        places = {"folder": display(self.state), "file": display(file)}
        self.cli.say(told.format(host=self.content.host, moment=local(found.time), **places))
        return config

    def _ledger(self, config: Config) -> dict[str, Any]:
        """Verify what came back, with the root key of the kit."""
        from vaultd.ledger import note
        from vaultd.ledger.verify import Finding, verify

        known = self.content.ledger
        if not config.ledger_folder.exists():
            return {"holds": False, "size": 0, "origin": None, "finding": None}
        try:
            root = note.parse_key(known.root_key) if known is not None else None
            report = verify(config.ledger_folder, root=root)
        except Finding as error:
            self.codes.append(EXIT_DIFFERENCE)
            self.cli.note(_("The ledger that came back does not hold: {error}").format(error=error))
            return {"holds": False, "size": 0, "origin": known.origin if known else None, "finding": str(error)}
        self.cli.say(_("The ledger {origin} holds: {size} entries, the newest of {time}.").format(
            origin=report.origin, size=report.size + report.unsigned, time=report.time))  # fmt: skip
        return {
            "holds": True, "size": report.size, "unsigned": report.unsigned, "origin": report.origin, "finding": None
        }  # fmt: skip

    def _continue(self, config: Config) -> bool:
        from vaultd.kit import opening

        try:
            opening.go_on_with_ledger(config, self.content, self.cli.note)
        except VaultdError as error:
            self.codes.append(EXIT_PARTIAL)
            self.cli.note(f"vaultd: {error}")
            self.cli.note(_("hint: {hint}").format(hint=error.hint))
            return False
        self.cli.say(_("The ledger goes on under its name."))
        return True

    def _record(self, config: Config, found: State, continued: bool) -> None:
        from vaultd import custody
        from vaultd.ledger.events import KitOpened

        shares = [str(number) for number in self.opened.shares]
        body = KitOpened(self.content.kit, shares, custody.caller(), found.target, found.snapshot, int(continued))
        custody.leave(config.host.state, body)

    def _vaults(
        self, config: Config, repositories: dict[str, Repository], listed: dict[str, list[StoredSnapshot]]
    ) -> list[dict[str, Any]]:
        """Every vault, one after the other; what goes wrong with one does not stop the next."""
        from vaultd.restore.plan import Request
        from vaultd.restore.whole import WholeRestore

        told = []
        for vault in config.vault:
            if self.vaults and vault.name not in self.vaults:
                continue
            folder = vault.path if self.to is None else self.to.absolute() / vault.name
            asked = Request(vault.name, at=self.before, latest=self.before is None, host=self.content.host)
            restore: WholeRestore | None = None
            try:
                with progress.display(self.cli) as shown:
                    restore = WholeRestore(
                        repositories, listed, asked, folder, ledger=config.ledger_folder, lock=False,
                        on_progress=partial(_show, shown), on_note=self.cli.note,
                    )  # fmt: skip
                    asyncio.run(restore.run())
            except VaultdError as error:
                self.codes.append(EXIT_PARTIAL)
                self.cli.note(f"vaultd: {error}")
                self.cli.note(_("hint: {hint}").format(hint=error.hint) if error.hint else "")
                told.append({"vault": vault.name, "error": error.as_json(), "restore": None, "elsewhere": None})
                continue
            told.append(self._told(config, vault.name, restore))
        return told

    def _told(self, config: Config, vault: str, restore: WholeRestore) -> dict[str, Any]:
        from vaultd import custody
        from vaultd.cli.render_restore import render, render_elsewhere, render_plan
        from vaultd.ledger.events import Restored

        result = restore.result
        self.codes.append(result.exit_code)
        self.cli.say()
        self.cli.say(render_plan(result.plan))
        self.cli.say(render(result))
        if restore.elsewhere is not None:
            self.cli.say(render_elsewhere(restore.elsewhere, result.plan.target))
        body = Restored(
            vault, result.plan.target, [one.id for one in result.plan.snapshots], display(result.to), custody.caller(),
            result.outcome.value, result.files_done, result.bytes_done,
            None if self.before is None else str(self.before),
        )  # fmt: skip
        custody.leave(config.host.state, body)
        return {
            "vault": vault, "error": None, "restore": result.as_json(),
            "elsewhere": restore.elsewhere.as_json() if restore.elsewhere else None,
        }  # fmt: skip

    def _next(self, config: Config, continued: bool) -> None:
        """What the kit does not do by itself."""
        say = self.cli.say
        say()
        say(_("This machine now reads with the kit's keys. To protect again from here:"))
        if self.to is not None:
            say("  " + _("move the restored folders to where the configuration has them"))
        say("  " + _("on each server, let the kit's line in authorized_keys say internal-sftp without -R"))
        if not continued and config.ledger_folder.exists():
            say("  " + _("begin a ledger that names this one: vaultd ledger continue --reason TEXT"))
        say("  " + _("vaultd doctor, then vaultd run"))
        say("  " + _("make a new kit, and revoke this one: its shares have been seen together"))


def _show(shown: Any, one: Progress) -> None:
    shown.show([one])

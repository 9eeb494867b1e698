"""``vaultd verify``: what a target stores, read back and compared with the ledger, file by file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import progress, sources
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.ledger import folder_option
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, EXIT_FAILED, EXIT_PARTIAL, ConfigError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.restic.fetch import Fetching
    from vaultd.restic.process import Repository
    from vaultd.verify.kept import Kept
    from vaultd.verify.result import Asked, Result

_SEEDS = 2**32


@command(
    "verify",
    help=N_(
        "Read back what the targets store, and compare the SHA-256 of every file with the ledger: the files of each "
        "vault's newest full snapshot, and of the express ones that are younger. Nothing is written to a disk but "
        "names and hashes, and nothing is changed at the target.\n\n"
        "Where a file is not as on record, it is named, with the version that is still whole, and the exit code is "
        "4. Interrupted, the same command goes on; with --again it begins anew.\n\n"
        "Without a name: every vault, at every target it is at. Reads only: the daemon may run or not. On another "
        "machine, --repository and its three options stand in for the configuration, and --ledger names a copy of "
        "the ledger."
    ),
    examples=[
        "vaultd verify patients",
        "vaultd verify --sample 5% --target offsite",
        "vaultd verify patients --changed-since '2026-11-22 20:00'",
        "vaultd verify patients --ledger ./ledger --repository sftp://backup@192.0.2.7:22/archive \\",
        "    --host-key 'ssh-ed25519 AAAA...' --identity ./key --password-file ./password",
    ],
)
@click.argument("vaults", metavar="[VAULT]...", nargs=-1)
@click.option("--full", is_flag=True, help=N_("All files; the default."))
@click.option("--sample", metavar="SHARE", help=N_("A share of the files, such as 5%: some that are new, large, old."))
@click.option("--changed-since", metavar="TIME", help=N_("Files that were changed since a moment."))
@click.option("--seed", type=click.IntRange(0, _SEEDS), metavar="N", help=N_("Take the sample that this number gives."))
@click.option("--again", is_flag=True, help=N_("Begin anew, whatever an interrupted run has verified."))
@folder_option
@sources.source_options
@pass_cli
def verify_command(
    cli: Cli, vaults: Sequence[str], full: bool, sample: str | None, changed_since: str | None, seed: int | None,
    again: bool, folder: Path | None, target: str | None, repository: str | None, host_key: str | None,
    identity: Path | None, password_file: Path | None,
) -> int:  # fmt: skip
    """Verify vault by vault and target by target, and tell what was found."""
    from vaultd.cli.render_verify import render

    asked = _asked(full, sample, changed_since, seed, again)
    direct = sources.Direct(repository, host_key, identity, password_file)
    results: list[Result] = []
    try:
        with progress.display(cli) as shown:
            for place in _places(cli, vaults, direct, target, folder):
                _verify(cli, place, asked, shown, results)
    except KeyboardInterrupt:
        for one in results:
            cli.say(render(one))
        raise
    cli.emit({"version": 1, "verifications": [one.as_json() for one in results]})
    for one in results:
        cli.say(render(one))
        if one.error is not None:
            cli.note(f"vaultd: {one.error}")
            if one.error.hint:
                cli.note(_("hint: {hint}").format(hint=one.error.hint))
    return exit_code(results)


def exit_code(results: Sequence[Result]) -> int:
    """4 for any difference; else 0, what all failures share, or 3 when only some failed."""
    codes = [one.exit_code for one in results]
    if EXIT_DIFFERENCE in codes:
        return EXIT_DIFFERENCE
    failed = {code for code in codes if code != EXIT_DONE}
    if not failed:
        return EXIT_DONE
    if EXIT_DONE in codes:
        return EXIT_PARTIAL
    return failed.pop() if len(failed) == 1 else EXIT_FAILED


def _asked(full: bool, sample: str | None, since: str | None, seed: int | None, again: bool) -> Asked:
    import secrets

    from vaultd.restore import moment
    from vaultd.verify.result import Asked, Kind

    if sum((full, sample is not None, since is not None)) > 1:
        raise ConfigError(
            _("which files"), _("--full, --sample and --changed-since exclude each other"), _("give one of them")
        )
    if seed is not None and sample is None:
        raise ConfigError("--seed", _("it belongs to a sample"), _("give --sample too"))
    if sample is not None:
        chosen = seed if seed is not None else secrets.randbelow(_SEEDS)
        return Asked(Kind.SAMPLE, _share(sample), chosen, again=again or seed is not None)
    if since is not None:
        return Asked(Kind.CHANGED, since=moment.begin(since, "--changed-since"), again=again)
    return Asked(again=again)


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        found = float(text.removesuffix("%")) / 100
        if 0 < found <= 1:
            return found
    raise ConfigError(
        _("--sample {text}").format(text=text), _("this is no share of the files"), _("give a percentage, such as 5%")
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A vault at a target. ``state`` None: reading only, on a machine that has none. ``name``: of the target in the
    ledger, None where nobody knows it."""

    vault: str
    name: str | None
    repository: Repository
    ledger: Path
    state: Path | None
    host: str
    fetching: Fetching | None
    others: Mapping[str, Repository]
    stall: float


def _places(
    cli: Cli, vaults: Sequence[str], direct: sources.Direct, target: str | None, folder: Path | None
) -> Iterator[_Place]:
    if direct.repository is None:
        from vaultd import fetch

        config = cli.config()
        ledger = folder or config.ledger_folder
        known = [config.vault_named(name) for name in dict.fromkeys(vaults)] or sorted(
            config.vault, key=lambda vault: (vault.priority, vault.name)
        )
        medium = None if target is None else sources.medium_of(cli, config, target)
        if medium is not None:
            for one in known:
                with sources.sources(cli, direct, medium.name, one.name) as found:
                    yield _Place(
                        one.name, medium.name, found[medium.name], ledger, config.host.state, config.host.name,
                        fetch.of_target(config, medium), found, config.host.stall_seconds,
                    )  # fmt: skip
            return
        if target is not None:
            config.target_named(target)
        chosen = [(vault.name, name) for vault in known for name in vault.targets if target in (None, name)]
        if not chosen:
            raise ConfigError(_("nothing is to be verified"), _("none of these vaults is at this target"))
        for vault, name in chosen:
            with sources.sources(cli, direct, None, vault) as found:
                yield _Place(
                    vault, name, found[name], ledger, config.host.state, config.host.name,
                    fetch.of_target(config, config.target_named(name)), found,
                    config.host.stall_seconds,
                )  # fmt: skip
        return
    if not vaults or folder is None:
        raise ConfigError(
            _("a repository without configuration"), _("not all of it is given"),
            _("name the vault, and give --ledger: a copy of the ledger folder"),
        )  # fmt: skip
    from vaultd.verify.run import STALL_SECONDS

    with sources.sources(cli, direct, target, None) as repositories:
        for vault in dict.fromkeys(vaults):
            # Without a configuration restic alone knows the way.
            yield _Place(vault, None, repositories[sources.DIRECT], folder, None, "", None, {}, STALL_SECONDS)


def _verify(cli: Cli, place: _Place, asked: Asked, shown: Any, results: list[Result]) -> None:
    from vaultd import places
    from vaultd.store import Store
    from vaultd.verify import work
    from vaultd.verify.kept import Kept
    from vaultd.verify.run import Verification

    with contextlib.ExitStack() as opened:
        kept = None
        if place.state is not None and place.name is not None and places.database(place.state).exists():
            store = Store(places.database(place.state))
            opened.callback(store.close)
            kept = Kept(store, place.vault, place.name)
        verification = Verification(
            place.repository, place.vault, place.name, place.ledger, place.host,
            opened.enter_context(work.folder(place.state)), asked, kept, place.fetching, place.others,
            lambda one: shown.show([one]), place.stall,
        )  # fmt: skip
        try:
            asyncio.run(verification.run())
        finally:
            results.append(verification.result)
            if place.state is not None:
                _record(cli, place.state, kept, verification.result)


def _record(cli: Cli, state: Path, kept: Kept | None, result: Result) -> None:
    """Leave it for the ledger, and what follows from it for ``status``."""
    from vaultd.custody import caller
    from vaultd.verify import coverage

    cli.record(result.entry(caller()))
    if kept is not None:
        config = cli.config()
        kept.store.alerts.on_change = coverage.leaver(state)
        vaults = [vault.name for vault in config.vault if result.target in vault.targets]
        coverage.update(kept.store, result.target, vaults, config.verify.period)

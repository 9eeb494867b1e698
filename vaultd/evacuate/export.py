"""A bag to carry with plain files: a vault as it is in the newest full snapshot, each file as on record.

Plain files leave every protection behind, so it needs an approval: ``Require`` is asked before all.
``vaultd.restore`` brings the files, ``vaultd.bag`` makes them a bag with manifest and proof, and the pull list goes
with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vaultd import files
from vaultd.bag import make as bags
from vaultd.bag import tags
from vaultd.bag.make import Asked, Made
from vaultd.config import Config
from vaultd.errors import ConfigError, PartialError
from vaultd.evacuate import package
from vaultd.i18n import _
from vaultd.model import Progress, StoredSnapshot
from vaultd.names import display
from vaultd.restic.process import Repository
from vaultd.restore.plan import Request
from vaultd.restore.result import Outcome
from vaultd.restore.whole import WholeRestore

ACTION = "plain-export"

Require = Callable[[str, Mapping[str, object]], object]
"""Says whether an action with these parameters is approved. Raises NotAuthorisedError where it is not."""


def export(
    config: Config, repositories: Mapping[str, Repository], listed: Mapping[str, Sequence[StoredSnapshot]],
    vault: str, out: Path, require: Require, on_progress: Callable[[Progress], None], on_note: Callable[[str], None],
) -> Made:  # fmt: skip
    """Make the bag. Raises NotAuthorisedError before anything is done, ConfigError for a folder that is not empty,
    PartialError when not every file came back, and what ``bag.make`` raises."""
    require(ACTION, {"vault": vault, "to": str(out.absolute())})
    if out.exists() and any(out.iterdir()):
        raise ConfigError(
            _("bag {folder}").format(folder=display(out)), _("the folder is not empty"), _("take a new folder")
        )
    files.make_private_directory(out)
    restore = WholeRestore(
        repositories, listed, Request(vault, latest=False), out / bags.DATA, ledger=config.ledger_folder, lock=False,
        on_progress=on_progress, on_note=on_note,
    )  # fmt: skip
    result = asyncio.run(restore.run())
    if result.outcome is not Outcome.DONE:
        raise PartialError(
            _("bag {folder}").format(folder=display(out)), _("not every file came back"),
            _("vaultd restore {vault} --to DIR says which; then vaultd manifest").format(vault=vault),
        )  # fmt: skip
    made = bags.make(Asked(config.ledger_folder, vault, out, before=restore.plan.base.time), on_progress)
    _add_pull_list(config, out)
    return made


def _add_pull_list(config: Config, bag: Path) -> None:
    """Two more tag files. Until they are in the tag manifest it is no bag."""
    work = bag / package.WORK
    files.make_private_directory(work)
    if package.pull_list(config.host.state, work):
        tags.withdraw(bag)
        lines = (bag / "tagmanifest-sha256.txt").read_bytes() + b"".join(tags.tagmanifest(work))
        for path in sorted(work.iterdir()):
            path.rename(bag / path.name)
        files.replace(bag / "tagmanifest-sha256.txt", lines)
        tags.declare(bag, work)
    else:
        work.rmdir()

"""Commands that change a repository without storing anything of a vault."""

from __future__ import annotations

from collections.abc import Sequence

from vaultd.errors import KeptSnapshotError, ResticError
from vaultd.i18n import _
from vaultd.restic import messages
from vaultd.restic.commands.common import READ_STALL, WAIT_FOR_LOCK, collect
from vaultd.restic.exit import error_of
from vaultd.restic.process import Repository, Started, run


async def init(repository: Repository) -> str:
    """Make a repository; its id. Raises RepositoryError when there is one already."""
    what = _("the repository cannot be made")
    output = await collect(repository, ["init", "--json", "--repository-version", "2"], what)
    for line in output.splitlines():
        message = messages.parse(line)
        if isinstance(message, messages.Initialized):
            return message.id
    raise ResticError(what, _("restic ended without naming it"))


async def repair_index(
    repository: Repository,
    *,
    marker: str = "",
    started: Started | None = None,
    stall: float | None = READ_STALL,
) -> None:
    """Write into the index what lies in the repository but is not in it: after an aborted upload, so that the next
    run does not send it again. Takes an exclusive lock."""
    finished = await run(repository, [*WAIT_FOR_LOCK, "repair", "index"], marker=marker, started=started, stall=stall)
    error = error_of(finished, _("the repository's index cannot be rebuilt"))
    if error is not None:
        raise error


async def set_tags(
    repository: Repository, snapshot: str, tags: Sequence[str], *, marker: str = "", started: Started | None = None
) -> None:
    """Give a snapshot these tags and no others; it gets another id by it. Takes an exclusive lock. Raises
    KeptSnapshotError where the server lets nothing be removed: the snapshot is there twice then, with either tags."""
    wanted = [part for tag in tags for part in ("--set", tag)]
    finished = await run(
        repository, [*WAIT_FOR_LOCK, "tag", *wanted, snapshot], marker=marker, started=started, stall=READ_STALL
    )  # fmt: skip
    what = _("snapshot {id} cannot be given other tags").format(id=snapshot[:8])
    error = error_of(finished, what)
    if error is not None:
        raise error
    if "unable to modify the tags" in finished.stderr:  # restic 0.18: a warning, exit code 0
        raise KeptSnapshotError(what, _("the server does not let it be removed"))

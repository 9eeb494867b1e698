"""Commands that change a repository without storing anything of a vault."""

from __future__ import annotations

from collections.abc import Sequence

from vaultd.errors import ResticError
from vaultd.i18n import _
from vaultd.restic import messages
from vaultd.restic.commands.common import READ_STALL, WAIT_FOR_LOCK, collect
from vaultd.restic.exit import error_of
from vaultd.restic.process import Finished, Repository, Started, run


async def init(repository: Repository) -> str:
    """Make a repository; its id. Raises RepositoryError when there is one already."""
    what = _("the repository cannot be made")
    output = await collect(repository, ["init", "--json", "--repository-version", "2"], what)
    for line in output.splitlines():
        message = messages.parse(line)
        if isinstance(message, messages.Initialized):
            return message.id
    raise ResticError(what, _("restic ended without naming it"))


async def init_like(source: Repository, into: Repository) -> str:
    """Make a repository that cuts files as ``source`` does, so that copies share their pieces; its id. Both are
    reached with the options of ``into``."""
    what = _("the repository cannot be made")
    args = ["init", "--json", "--repository-version", "2", "--copy-chunker-params", *_from(source)]
    for line in (await collect(into, args, what)).splitlines():
        message = messages.parse(line)
        if isinstance(message, messages.Initialized):
            return message.id
    raise ResticError(what, _("restic ended without naming it"))


async def copy(source: Repository, into: Repository) -> None:
    """Copy every snapshot that ``into`` does not have, with what it holds; the copies have ids of their own."""
    await _change(into, ["copy", *_from(source)], _("the snapshots cannot be copied"), "", None)


def _from(source: Repository) -> list[str]:
    return ["--from-repo", source.url, "--from-password-file", str(source.password_file.absolute())]


async def repair_index(
    repository: Repository,
    *,
    marker: str = "",
    started: Started | None = None,
    stall: float | None = READ_STALL,
) -> None:
    """Write into the index what lies in the repository but is not in it: after an aborted upload, so that the next
    run does not send it again. Takes an exclusive lock."""
    await _change(
        repository, ["repair", "index"], _("the repository's index cannot be rebuilt"), marker, started, stall
    )


async def set_tags(
    repository: Repository, snapshot: str, tags: Sequence[str], *, marker: str = "", started: Started | None = None
) -> None:
    """Give a snapshot these tags and no others: restic stores a copy and removes the snapshot. Takes an exclusive lock.
    Raises ResticError also when the one went well and the other did not: the snapshot is there twice then."""
    what = _("snapshot {id} cannot be given other tags").format(id=snapshot[:8])
    wanted = [part for tag in tags for part in ("--set", tag)]
    finished = await _change(repository, ["tag", *wanted, snapshot], what, marker, started)
    if "unable to modify the tags" in finished.stderr:  # restic 0.18: a warning, exit code 0
        raise ResticError(what, _("the server does not let it be written, or not removed"))


async def forget(repository: Repository, snapshot: str, *, marker: str = "", started: Started | None = None) -> None:
    """Remove one snapshot; its data stays until somebody prunes. Takes an exclusive lock."""
    what = _("snapshot {id} cannot be removed").format(id=snapshot[:8])
    await _change(repository, ["forget", snapshot], what, marker, started)


async def _change(
    repository: Repository, args: Sequence[str], what: str, marker: str, started: Started | None,
    stall: float | None = READ_STALL,
) -> Finished:  # fmt: skip
    finished = await run(repository, [*WAIT_FOR_LOCK, *args], marker=marker, started=started, stall=stall)
    error = error_of(finished, what)
    if error is not None:
        raise error
    return finished

"""Checkpoints on a target: published, and read back first.

What is there must be of this log: signed by our key, with the root that our tree has at that size, and not larger than
ours. Else there is an InconsistentError and nothing is written. Nothing that is there is ever overwritten; of those far
back some are removed (``spacing``), after each was read back once more.
"""

from __future__ import annotations

import posixpath
import time
from dataclasses import dataclass

from vaultd import sftp
from vaultd.anchor import kept, place, spacing
from vaultd.anchor.local import Local
from vaultd.anchor.place import Listing
from vaultd.config import Config, TargetConfig
from vaultd.errors import RepositoryError
from vaultd.i18n import _
from vaultd.ledger import note as notes
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.folder import LogFolder

MOST_REMOVED = 20
"""So many are read back and removed in one session at most: publishing is not to take minutes."""

MANY_COPIES = 10_000
COPIES_EVERY = 3600.0
"""Where a server keeps more copies than this, publishing looks at them once in so many seconds: a listing of half a
million names is some 60 MB."""

MOST_READ = 200
"""So many checkpoints that were not seen before are read in one session, the newest first; the rest later."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a target has. ``newest``: the largest size in our folder there, ``anchored``: in the server's copies (None:
    none, or not looked at). ``missing``: sizes that were there once, no longer are, and were to stay, in either.
    ``junk``: names that say nothing. ``unread``: how many checkpoints were not looked at yet."""

    target: str
    newest: Checkpoint | None
    anchored: Checkpoint | None
    missing: tuple[int, ...]
    junk: int
    unread: int


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint is at a target. ``new`` False: it was there already. ``before``: what was there before it."""

    target: str
    size: int
    new: bool
    before: Seen


def publish(config: Config, target: TargetConfig, folder: LogFolder, note: bytes) -> Published:
    """Put a checkpoint of this log on a target, and keep a record of it in ``anchors/mirror``.

    Raises InconsistentError (ShorterError), TargetError when the target cannot be used, LedgerError when our own folder
    cannot.
    """
    local = Local.read(folder)
    where = name_of(target)
    size = local.check(note, where, "").size
    with sftp.connect(target, config.known_hosts(target)) as session:
        seen, there = _look(session, target, local, MOST_READ, copies=_copies_due(folder, target))
        new = size not in there.sizes
        if new:
            session.make_folders(there.folder)
            session.create(posixpath.join(there.folder, str(size)), note)
        back = _read(session, there.folder, str(size), where)
        local.check(back, where, str(size), size)
        kept.keep(folder, kept.MIRROR, target.name, size, back)
        _thin(session, target, local, there)
    return Published(target.name, size, new, seen)


def look(config: Config, target: TargetConfig, folder: LogFolder, *, everything: bool = False) -> Seen:
    """Read back what a target has of this log, and compare; ``everything``: also what was seen before.

    For the daemon's start and ``ledger verify``. Raises like ``publish``; nothing is written at the target.
    """
    local = Local.read(folder)
    with sftp.connect(target, config.known_hosts(target)) as session:
        return _look(session, target, local, None if everything else MOST_READ)[0]


def newest_seen(config: Config, target: TargetConfig, folder: LogFolder) -> Checkpoint | None:
    """The newest checkpoint that a target has of this log, in the mirror or in the server's copies; it is consistent.
    Raises like ``publish``: a ShorterError has the checkpoint that our log does not reach."""
    seen = look(config, target, folder)
    found = [one for one in (seen.newest, seen.anchored) if one is not None]
    return max(found, key=lambda one: one.size, default=None)


def name_of(target: TargetConfig) -> str:
    """How messages name it."""
    return _("target {name}").format(name=target.name)


def _copies_due(folder: LogFolder, target: TargetConfig) -> bool:
    """Whether it is time to look at the server's copies again: always, but where there are very many."""
    known = kept.sizes(folder, kept.ANCHORED, target.name)
    if len(known) <= MANY_COPIES:
        return True
    return time.time() - kept.file_of(folder, kept.ANCHORED, target.name, known[-1]).stat().st_mtime > COPIES_EVERY


def _thin(session: sftp.Session, target: TargetConfig, local: Local, there: Listing) -> None:
    """Remove some of those far back, each only when it is as it was read back before. What the server does not let us
    remove stays."""
    where, stay = name_of(target), spacing.retained(local.folder.kept_sizes())
    known = set(kept.sizes(local.folder, kept.MIRROR, target.name))
    for size in [one for one in there.sizes if one in known and one not in stay][:MOST_REMOVED]:
        content = _read(session, there.folder, str(size), where)
        local.check(content, where, str(size), size)
        path = posixpath.join(there.folder, str(size))
        if not session.attempt(path, lambda server, path=path: server.remove(path)):  # type: ignore[misc]
            return
        kept.forget(local.folder, kept.MIRROR, target.name, size)
    for size in sorted(known - stay - set(there.sizes))[:MOST_REMOVED]:  # a crash came before the record was dropped
        kept.forget(local.folder, kept.MIRROR, target.name, size)


def _look(
    session: sftp.Session, target: TargetConfig, local: Local, most: int | None, *, copies: bool = True
) -> tuple[Seen, Listing]:  # fmt: skip
    origin = local.keys.origin
    there = place.listing(session, place.mirror(target, origin))
    newest_copies = place.newest_copies(session, target, origin) if copies else None
    behind = Listing("") if newest_copies is None else place.listing(session, newest_copies, copies=True)
    results = [
        _compare(session, target, local, kind, one, most)
        for kind, one in ((kept.ANCHORED, behind), (kept.MIRROR, there))
    ]
    (anchored, lost, unread), (newest, missing, more) = results
    if not copies:
        lost = set()
    if missing:  # a crash may have come between a removal and its record
        missing &= spacing.retained(local.folder.kept_sizes())
    return (
        Seen(
            target.name, newest, anchored, tuple(sorted({*lost, *missing})), there.junk + behind.junk, unread + more
        ),
        there,
    )  # fmt: skip


def _compare(
    session: sftp.Session, target: TargetConfig, local: Local, kind: str, there: Listing, most: int | None
) -> tuple[Checkpoint | None, set[int], int]:
    """The newest of a folder, the sizes that it has lost, and how many were left unread."""
    where = name_of(target)
    known = set(kept.sizes(local.folder, kind, target.name))
    newest = there.sizes[-1] if there.sizes else None
    wanted = [(str(one), one) for one in reversed(there.sizes) if most is None or one not in known or one == newest]
    # The newest, then what the server has put aside, which is there only when somebody has changed a file.
    wanted = [*wanted[:1], *there.changed, *wanted[1:]]
    found: Checkpoint | None = None
    for name, size in wanted[:most]:
        content = _read(session, there.folder, name, where)
        seen = local.check(content, where, name, size)
        if name.isdigit():
            kept.keep(local.folder, kind, target.name, size, content)
        if size == newest:
            found = seen
    return found, known - set(there.sizes), max(0, len(wanted) - (len(wanted) if most is None else most))


def _read(session: sftp.Session, folder: str, name: str, where: str) -> bytes:
    try:
        return session.get(posixpath.join(folder, name), notes.LONGEST)
    except FileNotFoundError as error:  # removed since it was listed
        raise RepositoryError(where, f"{name}: {error}") from error

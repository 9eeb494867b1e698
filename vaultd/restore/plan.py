"""Choose the snapshots that a restore puts together. No I/O here: a list of snapshots in, a plan out.

- A moment is the newest full snapshot not after it.
- "Latest content" is the newest full snapshot, then the files of the express snapshots after it, oldest first. Nothing
  that reached the target is lost that way, but a file deleted after the full snapshot may be back.
- Where no full snapshot exists yet (a first protection in batches), "latest content" is made of express ones alone.

Order is vaultd's running number, not the clock: a clock may have been set back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vaultd.errors import ConfigError, VaultdError
from vaultd.i18n import _
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.names import display
from vaultd.units import local


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. ``at`` in nanoseconds; ``paths`` as typed (below the vault, or absolute); none: all of it.

    ``latest``: with the express files that are newer than the full snapshot. ``snapshot``: just this one, by the
    beginning of its id or of its change-set id. ``dump``: the newest dump of that name instead of the folder.
    ``host``: whose, where one repository has a vault of this name from several hosts.
    """

    vault: str
    at: int | None = None
    latest: bool = True
    paths: tuple[bytes, ...] = ()
    snapshot: str = ""
    dump: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """``base`` is restored first, then each of ``over``, oldest first. ``paths`` are relative to the vault.

    ``next`` is the moment of the first full snapshot after the one chosen, if there is one. ``dumps`` are the newest
    dumps of each name up to the moment: they are not part of the restored folder.
    """

    request: Request
    target: str
    base: StoredSnapshot
    over: tuple[StoredSnapshot, ...] = ()
    paths: tuple[bytes, ...] = ()
    next: int | None = None
    dumps: tuple[StoredSnapshot, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the result is one moment of the vault, and not a mixture."""
        return self.base.kind is not SnapshotKind.EXPRESS and not self.over

    @property
    def snapshots(self) -> tuple[StoredSnapshot, ...]:
        """All, in the order in which they are restored."""
        return (self.base, *self.over)

    @property
    def newest(self) -> int:
        """The moment of the youngest content, in nanoseconds."""
        return max(snapshot.time for snapshot in self.snapshots)

    @property
    def bytes_total(self) -> int:
        """At most so many bytes are written; 0 when it is not known (parts of a vault)."""
        return 0 if self.paths else sum(snapshot.bytes for snapshot in self.snapshots)

    @property
    def files_total(self) -> int:
        """At most so many files are written; 0 when it is not known (parts of a vault)."""
        return 0 if self.paths else sum(snapshot.files for snapshot in self.snapshots)


def choose(snapshots: Iterable[StoredSnapshot], request: Request, target: str = "") -> Plan:
    """The plan for one target. Raises VaultdError that says what there is instead."""
    mine = _of_one_host([found for found in snapshots if found.vault == request.vault], request, target)
    mine.sort(key=lambda found: (found.order, found.time, found.id))
    if request.snapshot:
        return _by_id(mine, request, target)
    known = [found for found in mine if request.at is None or found.time <= request.at]
    dumps = _newest_dumps(known)
    if request.dump:
        return _of_dump(dumps, mine, request, target)
    full = [found for found in known if found.kind is SnapshotKind.FULL]
    express = [found for found in known if found.kind is SnapshotKind.EXPRESS]
    if full:
        base, over = full[-1], [found for found in express if found.order > full[-1].order]
    elif express and request.latest:
        base, over = express[0], express[1:]
    else:
        raise _nothing(mine, request, target)
    if not request.latest:
        over = []
    later = [found.time for found in mine if found.kind is SnapshotKind.FULL and found.order > base.order]
    paths = relative_paths(request.paths, base.root)
    return Plan(request, target, base, tuple(over), paths, later[0] if later else None, dumps)


def best(plans: Sequence[Plan]) -> Plan:
    """Of the plans for several targets the one with the youngest content; the first of equals."""
    return max(plans, key=lambda plan: (plan.newest, plan.base.time))


def relative_paths(paths: Iterable[bytes], root: bytes) -> tuple[bytes, ...]:
    """Paths as typed, made relative to the vault's folder ``root``; one inside another is left out.

    Empty when the whole vault is asked for. Raises ConfigError for a path that is not in the vault.
    """
    found = set()
    for path in paths:
        inside = path
        if path.startswith(b"/"):
            prefix = root.rstrip(b"/") + b"/"
            if not (path.rstrip(b"/") + b"/").startswith(prefix):
                raise _outside(path, root)
            inside = path[len(prefix) :]
        parts = [part for part in inside.split(b"/") if part not in {b"", b"."}]
        if b".." in parts or b"\0" in inside:
            raise _outside(path, root)
        found.add(b"/".join(parts))
    if b"" in found:
        return ()
    return tuple(sorted(path for path in found if not _has_parent(path, found)))


def _has_parent(path: bytes, others: set[bytes]) -> bool:
    parts = path.split(b"/")
    return any(b"/".join(parts[:count]) in others for count in range(1, len(parts)))


def _outside(path: bytes, root: bytes) -> ConfigError:
    return ConfigError(
        _("--path {path}").format(path=display(path)),
        _("this is not inside the vault"),
        _("give it relative to {root}, without ..").format(root=display(root)),
    )


def _of_one_host(snapshots: list[StoredSnapshot], request: Request, target: str) -> list[StoredSnapshot]:
    hosts = sorted({found.host for found in snapshots})
    if request.host:
        snapshots = [found for found in snapshots if found.host == request.host]
    elif len(hosts) > 1:
        raise ConfigError(
            _("vault {vault} at target {target}").format(vault=request.vault, target=target),
            _("several hosts have a vault of this name there: {hosts}").format(hosts=", ".join(hosts)),
            _("say which one: --host NAME"),
        )
    if not snapshots:
        raise VaultdError(
            _("vault {vault} at target {target}").format(vault=request.vault, target=target),
            _("there is no snapshot of it"),
            _("the hosts that have one: {hosts}").format(hosts=", ".join(hosts))
            if hosts
            else _("`vaultd snapshots` lists what each target has"),
        )
    return snapshots


def _by_id(mine: list[StoredSnapshot], request: Request, target: str) -> Plan:
    wanted = request.snapshot
    found = [one for one in mine if one.id.startswith(wanted) or one.change_set.startswith(wanted)]
    if len(found) != 1:
        raise VaultdError(
            _("snapshot {id} of vault {vault} at target {target}").format(
                id=wanted, vault=request.vault, target=target
            ),
            _("several begin like this") if found else _("there is none"),
            _("`vaultd snapshots {vault}` lists them").format(vault=request.vault),
        )
    base = found[0]
    paths = () if base.kind is SnapshotKind.DUMP else relative_paths(request.paths, base.root)
    return Plan(request, target, base, (), paths)


def _newest_dumps(known: Iterable[StoredSnapshot]) -> tuple[StoredSnapshot, ...]:
    newest = {found.dump_name: found for found in known if found.kind is SnapshotKind.DUMP}
    return tuple(newest[name] for name in sorted(newest))


def _of_dump(dumps: Sequence[StoredSnapshot], mine: list[StoredSnapshot], request: Request, target: str) -> Plan:
    for found in dumps:
        if found.dump_name == request.dump:
            return Plan(request, target, found)
    names = sorted({found.dump_name for found in mine if found.kind is SnapshotKind.DUMP})
    raise VaultdError(
        _("dump {dump} of vault {vault} at target {target}").format(
            dump=request.dump, vault=request.vault, target=target
        ),
        _("there is none up to the moment asked for") if request.dump in names else _("there is none"),
        _("the dumps are: {names}").format(names=", ".join(names) or "-"),
    )


def _nothing(mine: list[StoredSnapshot], request: Request, target: str) -> VaultdError:
    full = [found for found in mine if found.kind is SnapshotKind.FULL]
    what = _("vault {vault} at target {target}").format(vault=request.vault, target=target)
    if full:
        why = _("there is no full snapshot up to the moment asked for")
        hint = _("the first one is of {moment}").format(moment=local(full[0].time))
    else:
        why = _("there is no full snapshot yet")
        hint = _("--latest brings what express snapshots hold, as a mixture of moments")
    return VaultdError(what, why, hint)

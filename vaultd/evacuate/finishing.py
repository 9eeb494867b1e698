"""A medium is finished: written out, unmounted, looked at as it has arrived, and only then said to be free.

What a program reads back right after writing comes from memory. So it is unmounted first, which lets the kernel forget
what it had of the disk, then mounted so that nothing can be changed, and restic looks through it; then it is unmounted
for good, and the kernel must give the device to us alone. Whatever does not go well is said, and "may be unplugged" is
not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vaultd import files, reach, targets
from vaultd.config import Config, MediumTarget
from vaultd.disks.model import Disk
from vaultd.errors import BusyError, VaultdError
from vaultd.evacuate import device as devices
from vaultd.evacuate import medium
from vaultd.evacuate.device import Device, MediumError
from vaultd.i18n import _
from vaultd.model import StoredSnapshot
from vaultd.protect.hold import Turn
from vaultd.pull.model import Do
from vaultd.pull.release import Condition, Release
from vaultd.pull.stack import Reader
from vaultd.restic import commands
from vaultd.store import Store

WAIT_SECONDS = 600.0
"""So long a run at the medium may go on."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A medium that may be unplugged. ``snapshots``: what is on it; ``packs`` and ``bytes`` of its repository, each
    looked at by restic where ``everything``; else their names and sizes were compared with its index."""

    label: str
    device: str
    snapshots: int
    packs: int
    bytes: int
    everything: bool


async def finish(
    config: Config, store: Store, label: str, *, everything: bool, tell: Callable[[str], None]
) -> Finished:  # fmt: skip
    """Do it, as root. ``everything``: every pack is read back and compared with its SHA-256, which takes as long as
    reading the disk. Raises BusyError, MediumError, TargetError: it must not be unplugged then."""
    target = medium.target_of(config, label)
    what = _("medium {label} must not be unplugged").format(label=label)
    if medium.known(store, label) is None:
        raise MediumError(
            _("medium {label}").format(label=label), _("it was not prepared as a target"),
            _("to let another disk go: vaultd disks release DISK"),
        )  # fmt: skip
    own = Turn(config.target_folder(target), wait=WAIT_SECONDS)
    try:
        tell(_("waiting for what is being written to it"))
        async with own:
            return await _finish(config, target, what, everything=everything, tell=tell)
    except BusyError as error:
        raise MediumError(what, error.why, error.hint) from error
    finally:
        own.close()


async def _finish(
    config: Config, target: MediumTarget, what: str, *, everything: bool, tell: Callable[[str], None]
) -> Finished:  # fmt: skip
    await asyncio.to_thread(reach.check_plugged, target)
    device = _device_at(target)
    expected = await commands.snapshots(targets.repository(config, target))
    tell(_("writing out"))
    try:
        await asyncio.to_thread(files.sync_filesystem, target.mount)
        await asyncio.to_thread(devices.unmount, target.mount)
        await asyncio.to_thread(devices.remount_read_only, device, target.mount)
    except OSError as error:
        raise MediumError(what, error.strerror or str(error), _("what was written last may not be on it")) from error
    except MediumError as error:
        raise MediumError(what, error.why, _("see who uses it: vaultd disks release --dry-run")) from error
    try:
        tell(_("reading everything back") if everything else _("looking whether everything has arrived"))
        found = await _look(config, target, what, expected, everything=everything)
    finally:
        await asyncio.to_thread(devices.unmount, target.mount)
    await asyncio.to_thread(_let_go, device, what)
    return replace(found, device=str(device.path))


def _device_at(target: MediumTarget) -> Device:
    number = os.stat(target.mount).st_dev
    name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"))
    path = Path("/dev") / name.replace("!", "/")
    kind, uuid = devices.recognised(path)
    return Device(path, name, kind, uuid, "")


async def _look(
    config: Config, target: MediumTarget, what: str, expected: list[StoredSnapshot], *, everything: bool
) -> Finished:  # fmt: skip
    """Read back from the disk: all snapshots that were there are there, and restic finds nothing wrong."""
    repository = targets.repository(config, target)
    there = await commands.snapshots(repository)
    if {one.id for one in there} != {one.id for one in expected}:
        raise MediumError(what, _("snapshots that were on it are not there any more"), _("keep it; copy again"))
    checked = await commands.check(repository, everything=everything, locked=False)
    if not checked.good:
        raise MediumError(
            what, _("restic finds {count} faults on it").format(count=checked.faults),
            _("keep it; prepare another one, and copy again"),
        )  # fmt: skip
    with reach.connect(config, target) as session:
        folders = session.names(f"{target.path}/data")
        sizes = [size for name in folders for size in session.sizes(f"{target.path}/data/{name}").values()]
    return Finished(target.name, "", len(there), len(sizes), sum(sizes), everything)


def _let_go(device: Device, what: str) -> None:
    """Nothing is mounted, in nobody's view, and the kernel gives the device to us alone. Raises MediumError."""
    one = Disk(device.uuid, (devices.whole(device.name),), "", "", "", "", 0, "")
    try:
        devices.wait_alone(device.path)
        going = Release(one, Reader(), lambda _name: device.uuid)
        planned = going.plan()
        outcome = going.carry_out(replace(planned, steps=tuple(step for step in planned.steps if step.do is Do.FREE)))
    except VaultdError as error:
        raise MediumError(what, error.why, error.hint) from error
    if outcome.failed is not None or outcome.condition not in (Condition.FREE, Condition.DETACHED):
        raise MediumError(what, outcome.why or _("something still stands on it"), _("vaultd disks release says who"))

"""Lets a disk go: the steps of its procedure, one by one, each checked. Stops at the first surprise, and then says in
which state the disk is.

Before every step that changes anything it is looked at whether the disk is still the same one: a name may belong to
another disk since. Programs are given a time, since on a dying disk they may never end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vaultd import files
from vaultd.disks import helper, running
from vaultd.disks.machine import clean
from vaultd.disks.model import Disk, Unseen
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.pull import users, words
from vaultd.pull.model import Do, Procedure, Step, User
from vaultd.pull.procedure import every_name, procedure
from vaultd.pull.stack import Reader, Stack

SECONDS = 60.0
SYNC_SECONDS = 1800.0
"""A program that takes longer hangs."""

SETTLE_SECONDS = 10.0
"""So long what a step has ended may take to be gone: udev and the kernel work on their own."""

STEADY_SECONDS = 2.0
"""So long a stopped array is watched, whether something assembles it again."""

STOP_SECONDS = 30.0
_LOOK = 0.1

Identify = Callable[[str], str | None]
"""The key of the disk that a kernel's name belongs to now, None for none."""


class ReleaseError(VaultdError):
    """A disk cannot be let go; nothing was changed."""

    code = "release"


class Condition(StrEnum):
    """In which state a disk is, from worst to best."""

    IN_USE = "in-use"  # mounted, or swapped to
    OPEN = "open"  # its key is in memory
    ASSEMBLED = "assembled"  # an array, a volume, a mapping stands on it
    FREE = "free"  # nothing stands on it; it is still attached
    DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. ``failed``: the step that did not go well, ``why``: how that showed; ``users``: who holds the
    disk then. ``left``: the file that keeps arrays from being assembled, where it could not be removed again."""

    disk: Disk
    done: tuple[Step, ...]
    condition: Condition
    failed: Step | None = None
    why: str = ""
    users: tuple[User, ...] = ()
    left: str = ""


class _SurpriseError(Exception):
    """A step did not go well."""


class Release:
    """One disk. ``identify`` and ``reader`` look at the machine; ``tell`` is called before and after each step."""

    def __init__(
        self, disk: Disk, reader: Reader, identify: Identify, *, stop_users: bool = False,
        tell: Callable[[Step, bool], None] = lambda _step, _done: None,
    ) -> None:  # fmt: skip
        self.disk, self.reader, self.identify, self.tell = disk, reader, identify, tell
        self.stop_users = stop_users
        self.names = every_name(disk, reader)
        self.sequences = {name: reader.sequence(name) for name in self.names}
        self.stack = reader.stack(self.names)

    def plan(self) -> Procedure:
        """The steps, for what stands on the disk now. Raises ReleaseError when there is no such disk any more, or its
        name belongs to another."""
        what = _("disk {disk}").format(disk=self.disk.serial or self.disk.key)
        if not self.disk.names and self.disk.unseen is Unseen.CONTROLLER:
            raise ReleaseError(
                what, _("it is behind a RAID controller"),
                _("release the controller's volumes by the kernel's names; then pull all of its disks"),
            )  # fmt: skip
        if not self.names:
            raise ReleaseError(what, _("it is not there any more"), _("vaultd disks list shows what is there"))
        for name in self.disk.names:
            if self.reader.exists(name) and self.identify(name) != self.disk.key:
                raise ReleaseError(
                    what, _("{name} is another disk now").format(name=name),
                    _("make the list anew: vaultd disks pull-list --fresh"),
                )  # fmt: skip
        found = users.find(self.stack)
        return procedure(self.disk, self.reader, found, users_seen=users.sees_all(), found=self.stack)

    def carry_out(self, planned: Procedure) -> Outcome:
        """Do it, as root. Raises ReleaseError when the running system stands on the disk."""
        if any(step.do is Do.POWER_OFF for step in planned.steps):
            raise ReleaseError(
                _("disk {disk} is not released").format(disk=self.disk.serial or self.disk.key),
                _("the running system stands on it"), _("switch the machine off, then pull it"),
            )  # fmt: skip
        done, failed, why = list[Step](), None, ""
        held = next((Path(step.write[0]) for step in planned.steps if step.do is Do.HOLD and step.write), None)
        try:
            for step in planned.steps:
                self.tell(step, False)
                try:
                    self._same()
                    self._do(step)
                except _SurpriseError as surprise:
                    failed, why = step, str(surprise)
                    break
                done.append(step)
                self.tell(step, True)
        finally:
            left = self._let_assemble(held)
        now = self.reader.stack([name for name in self.names if self.reader.exists(name)])
        holding = (*users.find(now), *users.elsewhere(self.stack, self.reader)) if failed is not None else ()
        return Outcome(self.disk, tuple(done), condition(now), failed, why, tuple(dict.fromkeys(holding)), left)

    def _same(self) -> None:
        """Whether the names still belong to the disk."""
        for name in self.names:
            if not self.reader.exists(name):
                raise _SurpriseError(_("the disk has vanished: {name} is gone").format(name=name))
            if self.reader.sequence(name) != self.sequences[name]:
                raise _SurpriseError(_("{name} is another disk now").format(name=name))
        for name in self.disk.names:
            if name in self.names and self.identify(name) != self.disk.key:
                raise _SurpriseError(_("{name} is another disk now").format(name=name))

    def _do(self, step: Step) -> None:
        if step.do is Do.STOP_USERS:
            self._stop_users()
            return
        if step.do is Do.HOLD and step.write is not None:
            file = Path(step.write[0])
            try:
                file.parent.mkdir(exist_ok=True)
                files.replace(file, step.write[1].encode(), 0o644)
            except OSError as error:
                raise _SurpriseError(error.strerror or str(error)) from None
            return
        if step.argv:
            _run(step.argv, SYNC_SECONDS if step.do is Do.SYNC else SECONDS)
        elif step.write is not None:
            _run(("tee", "--", step.write[0]), SECONDS, step.write[1].encode())
        if not _soon(lambda: self._is_so(step)):
            raise _SurpriseError(_("the command went well, but not so: {check}").format(check=words.check(step)))
        if step.do is Do.ARRAY and _soon(lambda: not self._is_so(step), STEADY_SECONDS):
            raise _SurpriseError(_("the array was assembled again by itself"))
        if step.do is Do.FREE:
            for name in (*self._partitions(), *self.names):
                _run((sys.executable, "-I", "-c", _ALONE, f"/dev/{name.replace('!', '/')}"), SECONDS)

    def _partitions(self) -> list[str]:
        found = (one for one in self.stack.devices.values() if one.kind == "partition")
        return [one.name for one in found if one.below[0] in self.names]

    def _is_so(self, step: Step) -> bool:
        """What must be so after a step."""
        match step.do:
            case Do.UNMOUNT:
                known = self.stack.mounts[int(step.gone[0])]
                return not any((one.id, one.path) == (known.id, known.path) for one in self.reader.mounts())
            case Do.SWAP_OFF:
                return os.fsencode(step.argv[-1]) not in self.reader.swaps()
            case Do.LOOP:
                return not any(self.reader.backing_file(name) for name in step.gone)
            case Do.FREE:
                return condition(self.reader.stack(self.names)) is Condition.FREE and not users.elsewhere(
                    self.stack, self.reader
                )
            case Do.DETACH:
                return not any(self._is_there(name) for name in step.gone)
            case Do.LVM | Do.CRYPT | Do.ARRAY | Do.MULTIPATH | Do.BCACHE | Do.MAPPING:
                return not any(self._is_active(name) for name in step.gone)
        return True

    def _is_there(self, name: str) -> bool:
        if name.startswith("loop"):  # the device stays, its file goes
            return bool(self.reader.backing_file(name))
        return self.reader.exists(name)

    def _is_active(self, name: str) -> bool:
        """Whether a device still stands; one that now has another one's name is another."""
        if not self.reader.exists(name):
            return False
        state = self.reader.block / name / "md/array_state"
        with contextlib.suppress(OSError):
            return state.read_text().strip() not in ("clear", "")
        now = self.reader.stack([name]).devices.get(name)
        known = self.stack.devices.get(name)
        return now is not None and (known is None or now.label == known.label)

    # users

    def _stop_users(self) -> None:
        found = users.find(self.stack)
        if found and self.stop_users:
            own = _ancestors()
            if any(one.pid in own for one in found):
                raise _SurpriseError(_("this very shell is in it: leave the folder (cd /), then again"))
            for unit in sorted({one.unit for one in found if one.unit}):
                _run(("systemctl", "stop", "--", unit), SECONDS)
            for one in found:
                if not one.unit:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(one.pid, signal.SIGTERM)
            _soon(lambda: not users.find(self.stack), STOP_SECONDS)
            found = users.find(self.stack)
        if found:
            raise _SurpriseError(_("still in use by {names}").format(names=", ".join(map(words.user, found))))

    def _let_assemble(self, held: Path | None) -> str:
        """Arrays may be assembled again, whatever happened. The file that could not be removed, else nothing."""
        if held is None:
            return ""
        try:
            held.unlink(missing_ok=True)
        except OSError:
            return str(held)
        return ""


_ALONE = "import os, sys; os.close(os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL))"
"""Opens a device for itself alone: the kernel refuses when anything else holds it."""


def condition(now: Stack) -> Condition:
    """In which state a disk is, by what stands on it."""
    kinds = {one.kind for name, one in now.devices.items() if name not in now.disks}
    if now.mounts or now.swaps:
        return Condition.IN_USE
    if "crypt" in kinds:
        return Condition.OPEN
    if kinds - {"partition"}:
        return Condition.ASSEMBLED
    return Condition.FREE if any(_is_attached(name, now) for name in now.disks) else Condition.DETACHED


def _is_attached(name: str, now: Stack) -> bool:
    device = now.devices.get(name)
    return device is not None and (not name.startswith("loop") or bool(device.file))  # a loop device stays, empty


def _run(argv: Sequence[str], seconds: float, given: bytes = b"") -> None:
    """A program. One that does not end in time is killed, and not waited for: it may hang in the kernel."""
    environment = {"PATH": helper.PATH, "LC_ALL": "C.UTF-8"}
    program = shutil.which(argv[0], path=helper.PATH)
    if program is None:
        raise _SurpriseError(_("there is no program {program}").format(program=argv[0]))
    try:
        ended = running.run((program, *argv[1:]), seconds, stdin=given, environment=environment)
    except OSError as error:
        raise _SurpriseError(f"{argv[0]}: {error.strerror or error}") from None
    if ended.code is None:
        raise _SurpriseError(_("{program} does not end: the disk may be dying").format(program=argv[0]))
    if ended.code:
        text = ended.err.decode("utf-8", "replace").strip().splitlines()
        said = clean(text[-1]) if text else ""
        raise _SurpriseError(said or _("{program} ended with {code}").format(program=argv[0], code=ended.code))


def _soon(so: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> bool:
    """Whether it becomes so within that time."""
    until = time.monotonic() + seconds
    while not so():
        if time.monotonic() > until:
            return False
        time.sleep(_LOOK)
    return True


def _ancestors() -> set[int]:
    """This process and those that it comes from."""
    found, pid = set[int](), os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        except OSError:
            break
        pid = int(text.rpartition(")")[2].split()[1])
    return found

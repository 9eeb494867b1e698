"""The processes that hold something of a disk: open files, working folders, mapped files, the devices themselves.

Found by the mount that each handle is on, so that a bind mount or a btrfs subvolume hides nobody. Nothing is opened but
by O_PATH, which waits for no disk. Names of files are not kept: they may be secret.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from vaultd.pull.model import User
from vaultd.pull.stack import Reader, Stack

PROC = Path("/proc")
_SYS_PTRACE = 19
"""The number of that right (capabilities(7))."""

_SERVICE = re.compile(r"(?:.*/)?([^/]+\.service)", re.ASCII)


Seen = dict[int, tuple[frozenset[int], frozenset[str]]]
"""Of each process the mounts that its handles are on, and the devices (major:minor) of its files and block devices."""


def scan() -> Seen:
    """What every process holds. Without root only one's own are seen: see ``sees_all``."""
    return {pid: _held(pid) for pid in _pids()}


def find(stack: Stack, seen: Seen | None = None) -> tuple[User, ...]:
    """Who holds something of a stack, by pid. ``seen``: a scan that serves for many stacks."""
    mounts, numbers = set(stack.mounts), stack.numbers
    seen = scan() if seen is None else seen
    return tuple(_user(pid) for pid, (on, of) in seen.items() if on & mounts or of & numbers)


def sees_all() -> bool:
    """Whether this process may look into those of others: root has that right, the daemon has not."""
    for line in (PROC / "self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _SYS_PTRACE & 1)
    return False


def elsewhere(stack: Stack, reader: Reader) -> tuple[User, ...]:
    """Processes in whose own view of the machine a file system of the stack is still mounted: after it was unmounted
    here, they keep it. One for each view."""
    numbers = {one.number for one in stack.devices.values()} | {one.number for one in stack.mounts.values()}
    found, views = list[User](), {_view("self")}
    for pid in _pids():
        view = _view(str(pid))
        if view is None or view in views:
            continue
        views.add(view)
        if any(mount.number in numbers for mount in reader.mounts(str(pid))):
            found.append(_user(pid))
    return tuple(found)


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir(PROC) if name.isdecimal() and int(name) != os.getpid())


def _view(pid: str) -> str | None:
    with contextlib.suppress(OSError):
        return os.readlink(PROC / pid / "ns/mnt")
    return None


def _handles(pid: int) -> Iterator[Path]:
    folder = PROC / str(pid)
    for name in ("cwd", "root", "exe"):
        yield folder / name
    for part in ("fd", "map_files"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look into
            for name in os.listdir(folder / part):
                yield folder / part / name


def _held(pid: int) -> tuple[frozenset[int], frozenset[str]]:
    mounts, numbers = set[int](), set[str]()
    for handle in _handles(pid):
        try:
            opened = os.open(handle, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            found = os.fstat(opened)
            if stat.S_ISBLK(found.st_mode):
                numbers.add(_number(found.st_rdev))
            else:
                numbers.add(_number(found.st_dev))
                mounts.add(_mount_of(opened))
        finally:
            os.close(opened)
    return frozenset(mounts), frozenset(numbers)


def _number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _mount_of(handle: int) -> int:
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines():
        if line.startswith("mnt_id:"):
            return int(line.removeprefix("mnt_id:"))
    return 0


def _user(pid: int) -> User:
    name = "?"
    with contextlib.suppress(OSError):
        name = (PROC / str(pid) / "comm").read_text("utf-8", "replace").strip()
    unit = service(_group(str(pid)))
    own = unit and unit == service(_group("self"))  # who would stop that stops us
    return User(pid, "".join(one if one.isprintable() else "?" for one in name), "" if own else unit)


def service(group: str) -> str:
    """The system's service that a control group is, empty for another: a user's session, whose services end with it, a
    container."""
    found = _SERVICE.fullmatch(group)
    return found[1] if found is not None and "/user.slice/" not in group else ""


def _group(pid: str) -> str:
    with contextlib.suppress(OSError):
        for line in (PROC / pid / "cgroup").read_text("utf-8", "replace").splitlines():
            number, _colon, rest = line.partition(":")
            if number in ("0", "1"):  # unified, or systemd's own of the old kind
                return rest.partition(":")[2]
    return ""

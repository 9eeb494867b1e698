"""The machine that is looked at: this one, or a recorded one below another root.

All reading of ``/sys``, ``/proc`` and ``/run/udev`` goes through here, bounded in size. Only regular files are read,
never a device: a dying disk answers no read of its own, and must not hold up the list of all the others.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 1 << 16
"""Bytes of an attribute; the kernel's own are a page."""

TABLE_LIMIT = 1 << 24
"""Bytes of a table (mountinfo of 4,096 mounts is half a megabyte)."""

ENTRIES = 1 << 16
"""Names of a folder that are looked at."""

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def clean(text: str | bytes) -> str:
    """A text from hardware for people: decoded, one line, nothing that a terminal would obey, spaces around gone."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return "".join(one if one.isprintable() else " " for one in text).strip()


@dataclass(frozen=True, slots=True)
class Machine:
    """``root``: below which ``sys``, ``proc``, ``run`` and ``dev`` are. Paths are given without a leading slash."""

    root: Path = field(default_factory=lambda: Path("/"))

    @property
    def live(self) -> bool:
        """Whether it is this machine: only then are programs asked and folders opened."""
        return self.root == Path("/")

    def read(self, path: str, limit: int = LIMIT) -> bytes | None:
        """The content of a regular file, None where there is none or it cannot be read."""
        try:
            handle = os.open(os.path.join(self.root, path), _OPEN)
        except (OSError, ValueError):
            return None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            parts, room = [], limit
            while room > 0 and (part := os.read(handle, min(room, 1 << 20))):
                parts.append(part)
                room -= len(part)
            return b"".join(parts)
        except OSError:
            return None  # many attributes exist and say EIO or EINVAL: it is not known then
        finally:
            os.close(handle)

    def text(self, path: str) -> str:
        """An attribute for people; "" where there is none."""
        return clean(self.read(path) or b"")

    def number(self, path: str) -> int | None:
        """An attribute that is a number; None where there is none."""
        text = self.text(path)
        try:
            return int(text)
        except ValueError:
            return None

    def link(self, path: str) -> str | None:
        """Where a symlink points to, as it stands in it; None where there is none."""
        try:
            return os.fsdecode(os.readlink(os.path.join(self.root, path)))
        except (OSError, ValueError):
            return None

    def names(self, path: str) -> list[str]:
        """What is in a folder, sorted; nothing where there is none."""
        try:
            with os.scandir(os.path.join(self.root, path)) as entries:
                found = [entry.name for _number, entry in zip(range(ENTRIES), entries, strict=False)]
        except (OSError, ValueError):
            return []
        return sorted(found)

    def has(self, path: str) -> bool:
        """Whether there is something of this name."""
        return os.path.lexists(os.path.join(self.root, path))

    def device_path(self, path: str) -> str:
        """The place in the device tree that a link in /sys leads to ("/devices/pci0000:00/..."), without following it
        on the disk: recorded machines lack parts of the tree."""
        target = self.link(path)
        if target is None:
            return "/" + path.removeprefix("sys/")
        joined = os.path.normpath(os.path.join("/", os.path.dirname(path), target))
        return joined.removeprefix("/sys") or "/"

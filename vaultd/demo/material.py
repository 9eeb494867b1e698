"""A vault's worth of real files: copies of what the system has, with everything that makes a restore hard.

Documentation where there is some; a bare machine has little, so Python's own library makes up the rest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCES: tuple[tuple[str, str, float], ...] = (
    ("documents", "/usr/share/doc", 0.35),
    ("licences", "/usr/share/common-licenses", 0.05),
    ("manuals", "/usr/share/man", 0.15),
    ("time-zones", "/usr/share/zoneinfo", 0.08),
    ("languages", "/usr/share/i18n", 0.12),
    ("library", sysconfig.get_path("stdlib"), 1.0),
)
"""Name in the vault, folder of the system, and the share of the whole that it may take at most."""

LARGEST_FILE = 4 * 1024 * 1024
LEFT_OUT = frozenset({"__pycache__", "site-packages", "dist-packages", "test", "tests"})
MOST_FILES = 8000


@dataclass(slots=True)
class Filled:
    """What the vault was filled with."""

    files: int = 0
    folders: int = 0
    links: int = 0
    bytes: int = 0
    sources: list[str] = field(default_factory=list)


class Filler:
    """Copies until the vault holds about ``wanted`` bytes. ``moved`` is called after every file."""

    def __init__(self, vault: Path, wanted: int, moved: Callable[[Filled], None]) -> None:
        self.vault = vault
        self.wanted = wanted
        self.moved = moved
        self.filled = Filled()

    def fill(self) -> Filled:
        """Copy, and add the files that the changes will happen to."""
        for name, source, share in SOURCES:
            folder = Path(source).resolve()
            room = min(self.wanted - self.filled.bytes, int(self.wanted * share))
            most = min(MOST_FILES - self.filled.files, int(MOST_FILES * share))
            if room <= 0 or most <= 0 or not folder.is_dir():
                continue
            before = self.filled.files
            _Copy(self, folder, self.vault / name, self.filled.bytes + room, before + most).run()
            if self.filled.files > before:
                self.filled.sources.append(source)
        for path, content, mode in _records():
            target = self.vault / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(mode)
            self.count(len(content))
        self._oddities()
        return self.filled

    def count(self, size: int) -> None:
        """One more file."""
        self.filled.files += 1
        self.filled.bytes += size
        self.moved(self.filled)

    def _oddities(self) -> None:
        """What careless tools lose: an empty folder, set-group-id, a second name, a hole, an attribute, an old date."""
        ward = self.vault / "ward-3"
        (ward / "incoming").mkdir()
        (ward / "incoming").chmod(0o2770)
        os.link(ward / "patients" / "0003.txt", ward / "on-duty-today.txt")
        os.symlink("patients/0001.txt", ward / "newest")
        self.filled.links += 2
        scan = ward / "scan-0001.img"
        with scan.open("wb") as stream:
            stream.write(os.urandom(64 * 1024))
            stream.truncate(2 * 1024 * 1024)
        self.count(scan.stat().st_size)
        with contextlib.suppress(OSError):  # not every file system has attributes
            os.setxattr(scan, "user.classification", b"secret")
        os.utime(scan, ns=(951782400_000000000, 951782400_000000000))


def _records() -> Iterator[tuple[str, bytes, int]]:
    yield "ward-3/admissions.csv", b"number;name;admitted\n0001;Wang Fang;2026-11-20\n0002;Li Na;2026-11-21\n", 0o640
    for number in range(1, 41):
        text = f"Patient {number:04}\nWard 3\n" + "".join(f"day {day}: no complaints\n" for day in range(number % 9))
        yield f"ward-3/patients/{number:04}.txt", text.encode(), 0o600
    yield "ward-3/obsolete-draft.txt", b"This draft is to be deleted.\n" * 40, 0o644


class _Copy:
    """One source: as it is, with modes, owners (as root), times, attributes, symlinks and hard links."""

    def __init__(self, filler: Filler, source: Path, target: Path, most_bytes: int, most_files: int) -> None:
        self.filler = filler
        self.source = os.fsencode(source)
        self.target = os.fsencode(target)
        self.most_bytes = most_bytes
        self.most_files = most_files
        self.first: dict[tuple[int, int], bytes] = {}

    def run(self) -> None:
        self._folder(self.source, self.target)

    @property
    def _full(self) -> bool:
        return self.filler.filled.bytes >= self.most_bytes or self.filler.filled.files >= self.most_files

    def _folder(self, source: bytes, target: bytes) -> None:
        try:
            entries = sorted(os.scandir(source), key=lambda entry: (entry.is_dir(follow_symlinks=False), entry.name))
        except OSError:
            return
        os.mkdir(target)
        self.filler.filled.folders += 1
        for entry in entries:
            if self._full:
                break
            if os.fsdecode(entry.name) in LEFT_OUT:
                continue
            to = target + b"/" + entry.name
            with contextlib.suppress(PermissionError, FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    self._folder(entry.path, to)
                else:
                    self._entry(entry.path, entry.stat(follow_symlinks=False), to)
        _dress(source, target, os.stat(source))

    def _entry(self, source: bytes, status: os.stat_result, target: bytes) -> None:
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(source), target)
            self.filler.filled.links += 1
        elif stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_FILE:
            key = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and key in self.first:
                os.link(self.first[key], target)
                self.filler.filled.links += 1
                return
            shutil.copyfile(source, target)
            self.first[key] = target
            _dress(source, target, status)
            self.filler.count(status.st_size)


def _dress(source: bytes, target: bytes, status: os.stat_result) -> None:
    """Owner, mode, attributes and times of the original, as far as this user may give them."""
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    with contextlib.suppress(OSError):  # attributes that a plain user may not set
        shutil.copystat(source, target)
    # The owner must be able to read it, else a plain user's demo could not protect it.
    os.chmod(target, stat.S_IMODE(status.st_mode) | (0o700 if stat.S_ISDIR(status.st_mode) else 0o400))

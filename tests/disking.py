"""Recorded machines for tests of disks: where they are, and how one becomes a root that vaultd reads.

The recordings stay where they are (``$VAULTD_DISKS``, else ``shared/disks`` beside the checkout); tests that need them
are skipped with a reason where they are not.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vaultd.disks.helper import Answer, Ask
from vaultd.disks.machine import Machine

SHARED = Path(os.environ.get("VAULTD_DISKS") or Path(__file__).parents[2] / "shared/disks")
CORPUS = SHARED / "corpus"

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no recorded machines in {SHARED} (VAULTD_DISKS)")


def recorded(pattern: str) -> list[Path]:
    """The recordings of a kind; none where there are none (the tests then say so by being skipped)."""
    return sorted(CORPUS.glob(pattern))


@dataclass
class Box:
    """A machine that is made up file by file."""

    root: Path
    outputs: dict[tuple[str, str], str] = field(default_factory=dict)
    mounts: list[str] = field(default_factory=list)

    @property
    def machine(self) -> Machine:
        return Machine(self.root)

    def write(self, path: str, content: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def link(self, path: str, target: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_symlink():
            file.symlink_to(target)

    def block(self, devpath: str, number: str, size: int, udev: dict[str, str] | None = None, **files: str) -> str:
        """A block device at its place in the device tree ("/devices/.../block/sda"); a partition below its disk."""
        name = devpath.rsplit("/", 1)[1]
        self.write(f"sys{devpath}/dev", f"{number}\n")
        self.write(f"sys{devpath}/size", f"{size // 512}\n")
        if not (self.root / f"sys{Path(devpath).parent}/dev").exists():
            self.link(f"sys/block/{name}", f"..{devpath}")
        else:
            self.write(f"sys{devpath}/partition", re.sub(r".*\D", "", name) + "\n")
        for key, value in files.items():
            self.write(f"sys{devpath}/{key.replace('__', '/')}", value + "\n")
        if udev is not None:
            self.udev(number, udev)
        return name

    def udev(self, number: str, values: dict[str, str], links: tuple[str, ...] = ()) -> None:
        lines = [f"S:{link}" for link in links] + [f"E:{key}={value}" for key, value in values.items()]
        self.write(f"run/udev/data/b{number}", "\n".join(lines) + "\n")

    def slaves(self, devpath: str, *names: str) -> None:
        for name in names:
            self.link(f"sys{devpath}/slaves/{name}", f"../../../../block/{name}")
            holder = next((self.root / "sys/devices").rglob(f"{name}/dev"), None)
            if holder is not None:
                self.link(f"{holder.parent.relative_to(self.root)}/holders/{Path(devpath).name}", f"../{devpath}")

    def slaves_of(self, devpath: str, names: list[str]) -> None:
        """The slaves alone, without the links back."""
        for name in names:
            self.link(f"sys{devpath}/slaves/{name}", f"../../../../block/{name}")

    def mount(self, number: str, path: str, kind: str, source: str, root: str = "/", options: str = "rw") -> None:
        where, what = (text.replace(" ", "\\040") for text in (path, source))
        self.mounts.append(f"{len(self.mounts) + 20} 1 {number} {root} {where} rw - {kind} {what} {options}\n")
        self.write("proc/self/mountinfo", "".join(self.mounts))

    def ask(self, key: str, device: str = "") -> Answer:
        text = self.outputs.get((key, device))
        return Answer(time.time_ns(), text or "", "" if text is not None else "missing", 0)


def disk(box: Box, name: str, minor: int, *, size: int = 1 << 30, host: int = 0, **udev: str) -> str:
    """A SATA disk of its own maker."""
    address = f"{host}:0:{minor}"
    path = f"/devices/pci0000:00/0000:00:1f.2/ata{minor + 1}/host{host}/target{address}/{address}:0/block/{name}"
    values = {
        "ID_SERIAL_SHORT": f"S{minor:04}",
        "ID_WWN": f"0x5000c5000000{minor:04x}",
        "ID_MODEL": "ACME_1000",
        **udev,
    }
    return box.block(path, f"8:{16 * minor}", size, {key: value for key, value in values.items() if value})


def unpacked(archive: Path, folder: Path, top: str = "") -> Machine:
    """A recorded root out of a tar file."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "tar_filter"):  # Debian 12 has Python 3.11.2, without it
            tar.extractall(folder, filter="tar")
        else:
            tar.extractall(folder)  # our own recordings
    return Machine(folder / top)


def load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8", "replace"))


def nobody(_key: str, _device: str = "") -> Answer:
    """Nothing is installed."""
    return Answer(time.time_ns(), problem="missing")


ASK_NOBODY: Ask = nobody

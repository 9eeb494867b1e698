"""Real mounts for tests, gone again at their end. Root only."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def _can_mount() -> bool:
    return os.geteuid() == 0 and not subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="needs root that may mount")


def unmount(path: Path) -> None:
    subprocess.run(["umount", "--", str(path)], check=True, capture_output=True)


@contextlib.contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """``mount OPTIONS... path``; unmounted at the end unless the test has done so."""
    done = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount {' '.join(options)}: {done.stderr.strip()}")
    try:
        yield
    finally:
        if os.path.ismount(path) or str(path) in Path("/proc/self/mountinfo").read_text():
            subprocess.run(["umount", "--", str(path)], capture_output=True)


def image(path: Path, *options: str) -> Path:
    """An ext4 file system in a file."""
    with path.open("wb") as stream:
        stream.truncate(4 * 1024 * 1024)
    done = subprocess.run(["mkfs.ext4", "-q", *options, str(path)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mkfs.ext4: {done.stderr.strip()}")
    return path

"""Real disks for tests of media that are carried out: loop devices over files, prepared as an operator does it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site import Site
from vaultd.config import MediumTarget, load
from vaultd.evacuate import medium
from vaultd.evacuate.preparing import Ready, Wish, prepare
from vaultd.media.register import Register
from vaultd.pull.stack import Reader
from vaultd.store import Store
from vaultd.store.mediarows import Medium

SIZE = 64 << 20
LABEL = "SH1-2026-00009"


def _tools() -> bool:
    needed = (["losetup", "--version"], ["blkid", "--version"], ["mkfs.ext4", "-V"])
    return all(subprocess.run(words, capture_output=True).returncode == 0 for words in needed)


needs_tools = pytest.mark.skipif(not _tools(), reason="needs losetup, blkid and mkfs.ext4")


@contextlib.contextmanager
def attached(image: Path, size: int = SIZE) -> Iterator[Path]:
    """A loop device over a file that is new, or there already; taken down at the end with what is mounted from it."""
    if not image.exists():
        with image.open("wb") as stream:
            stream.truncate(size)
    done = subprocess.run(["losetup", "--find", "--show", str(image)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"losetup: {done.stderr.strip()}")
    device = Path(done.stdout.strip())
    try:
        yield device
    finally:
        detached(device, image)


def detached(device: Path, image: Path) -> None:
    """Unmount everything of a loop device, and take it down, if it still is that of the image."""
    reader, name = Reader(), device.name
    if reader.backing_file(name) == os.fsencode(image):
        for mount in sorted(reader.stack([name]).mounts.values(), key=lambda one: -one.id):
            subprocess.run(["umount", "--", os.fsdecode(mount.path)], capture_output=True)
        subprocess.run(["losetup", "-d", str(device)], capture_output=True)


@contextlib.contextmanager
def register_in(site: Site) -> Iterator[Register]:
    """The register of a site, to be changed."""
    store = Store(site.state / "state.db")
    try:
        yield Register(load(site.file), store, "uid 0 (says test)")
    finally:
        store.close()


def prepared(site: Site, device: Path, *, label: str = LABEL, erase: bool = True, **values: Any) -> Ready:
    """Register a medium where it is not, and prepare it."""
    with register_in(site) as register:
        if register.store.medium(label) is None:
            register.add(Medium(label=label, custodian="张伟", classification="secret", serial=f"S-{label}"))
        wish = Wish(label, device, label if erase else "", **values)
        return prepare(register, wish, lambda _text: None)


def target_in(site: Site, label: str = LABEL) -> MediumTarget:
    """The medium as a target."""
    return medium.target_of(load(site.file), label)


_SET_STATUS, _GET_STATUS, _SIZE_LIMIT = 0x4C04, 0x4C05, 32
"""Of loop devices: include/uapi/linux/loop.h, LOOP_SET_STATUS64, LOOP_GET_STATUS64, lo_sizelimit."""


def pull_out(device: Path) -> None:
    """The device is gone under its file system, as when a disk is pulled: from now on the kernel answers every read and
    write of it with an error, and what was not written yet never is. (Its mount stays, as a pulled disk's does.)"""
    _limit(device, 512)


def plug_in(device: Path) -> None:
    """It is there again, with what had arrived on it. The old mount stays, as it does."""
    _limit(device, 0)


def _limit(device: Path, size: int) -> None:
    handle = os.open(device, os.O_RDWR)
    try:
        status = bytearray(232)
        fcntl.ioctl(handle, _GET_STATUS, status)
        struct.pack_into("<Q", status, _SIZE_LIMIT, size)
        fcntl.ioctl(handle, _SET_STATUS, bytes(status))
    finally:
        os.close(handle)

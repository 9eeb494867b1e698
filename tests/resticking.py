"""What the tests of vaultd/restic share: a local repository, a vault's folder, waiting with a deadline."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tests.quick_repository import quick_repository
from vaultd.restic import Repository
from vaultd.restic.proc import members, process_start

T = TypeVar("T")
GBK = b"\xc4\xe3\xba\xc3.txt"
NEWLINE = b"two\nlines"
NAMES = [b"plain", GBK, NEWLINE, b"[a]*?\\x", b"-dash", b" blank ", b"quo'te\"", b"caf\xc3\xa9"]


def run(work: Awaitable[T]) -> T:
    async def main() -> T:
        return await work

    return asyncio.run(main())


def make_repository(folder: Path, url: str | None = None, **more: object) -> Repository:
    assert shutil.which("restic"), "run the tests with .tools/bin in PATH"
    folder.mkdir(parents=True, exist_ok=True)
    password = folder / "password"
    password.write_text("correct horse")
    (folder / "tmp").mkdir(exist_ok=True)
    values = {"temp": folder / "tmp", **more}
    return Repository(url or str(folder / "repository"), password, folder / "cache", **values)  # type: ignore[arg-type]


def ready_repository(folder: Path) -> Repository:
    repository = make_repository(folder)
    quick_repository(Path(repository.url), repository.password_file)
    return repository


def fill(folder: Path) -> bytes:
    """Files with awkward names; their content is their name."""
    folder.mkdir()
    root = os.fsencode(folder)
    for name in NAMES:
        with open(root + b"/" + name, "wb") as stream:
            stream.write(name)
    return root


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return process_start(pid) is None


def none_left(pid: int, marker: str) -> bool:
    return not members(pid, marker)

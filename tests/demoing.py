"""Demos as real processes, in folders of their own, and what is left of them."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

VAULTD = (sys.executable, "-P", "-m", "vaultd")
SECONDS = 240.0


@dataclass
class Run:
    """A demo that runs. ``folder`` is its TMPDIR; ``output`` the file that it writes to."""

    process: subprocess.Popen[bytes]
    folder: Path
    output: Path

    def text(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def wait(self) -> int:
        return self.process.wait(SECONDS)

    def wait_for(self, text: str) -> None:
        """Until it has written this."""
        deadline = time.monotonic() + SECONDS
        while text not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.02)


def start(folder: Path, *arguments: str, path_first: Path | None = None, terminal: bool = False) -> Run:
    """Start ``vaultd`` with these arguments; its temporary files go below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary, output = folder / "tmp", folder / "output"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "LANG": "C.UTF-8", "TERM": "xterm", "COLUMNS": "100"}
    if path_first is not None:
        environment["PATH"] = f"{path_first}:{environment['PATH']}"
    with output.open("wb") as stream:
        handle, answer = pty.openpty() if terminal else (-1, stream.fileno())
        process = subprocess.Popen(
            [*VAULTD, *arguments], stdin=subprocess.DEVNULL, stdout=answer, stderr=answer, env=environment,
            start_new_session=True,
        )  # fmt: skip
    if terminal:
        os.close(answer)
        threading.Thread(target=_copy, args=(handle, output), daemon=True).start()
    return Run(process, temporary, output)


def _copy(handle: int, output: Path) -> None:
    """Write what comes over a pseudo-terminal into a file, until nobody is at its other end."""
    with output.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while chunk := os.read(handle, 65536):
            stream.write(chunk)
    os.close(handle)


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that have to do with a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if str(folder) in words or str(folder) in process.cwd():
                found.append(words)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def sabotaged_restic(folder: Path) -> Path:
    """A folder with a ``restic`` that is the real one, but spoils a file after every restore."""
    folder.mkdir()
    real = shutil.which("restic")
    script = folder / "restic"
    script.write_text(
        "#!/bin/bash\n"
        f"{real} \"$@\"; code=$?\n"
        "for word in \"$@\"; do case $word in --target=*)\n"
        "  file=${word#--target=}/ward-3/admissions.csv\n"
        "  [ -e \"$file\" ] && echo spoiled >>\"$file\" && chmod 600 \"$file\"\n"
        "esac; done\n"
        "exit $code\n"
    )  # fmt: skip
    script.chmod(0o755)
    return folder

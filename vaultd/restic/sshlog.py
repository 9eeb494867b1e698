"""ssh's own words, caught by ``ssh -E FILE``.

restic passes on what its ssh prints to stderr, but when the connection fails it often exits before it has read it: with
restic 0.18.0 "host identification has changed" was lost, whole or in part, in one of three runs. Whether a host key has
changed must not depend on that, so ssh writes to a file of ours, which is read when the run is over.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

_NUMBERS = itertools.count()
_KEPT = 16 * 1024
_OPTION = "sftp.args="


class SshLog:
    """One run's log file. ``options`` are the global options of restic with ``-E`` added; ``text`` is what ssh said."""

    def __init__(self, url: str, options: tuple[str, ...], folder: Path) -> None:
        self.options = options
        self.path = folder.absolute() / f"ssh-{os.getpid()}-{next(_NUMBERS)}.log"
        self.used = (
            url.startswith("sftp:")
            and "'" not in str(self.path)
            and not any(option.startswith("sftp.command=") for option in options)
        )
        if not self.used:
            return
        added = f"-E '{self.path}'"
        if any(option.startswith(_OPTION) for option in options):
            self.options = tuple(
                f"{option} {added}" if option.startswith(_OPTION) else option for option in options
            )  # fmt: skip
        else:
            self.options = (*options, "-o", _OPTION + added)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Have the file while the run lasts; it is gone afterwards, and so are those of vaultd processes that died."""
        if not self.used:
            yield
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in self.path.parent.glob("ssh-*-*.log"):
            owner = old.name.split("-")[1]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                old.unlink(missing_ok=True)
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        try:
            yield
        finally:
            self.path.unlink(missing_ok=True)

    def text(self) -> bytes:
        """The last 16 KiB of what ssh said, one line each, marked as ssh's."""
        if not self.used:
            return b""
        lines = self.path.read_bytes()[-_KEPT:].replace(b"\r", b"").splitlines()
        return b"".join(b"subprocess ssh: " + line + b"\n" for line in lines if line.strip())

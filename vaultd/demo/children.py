"""The demo's own processes: vaultd's commands and daemon as anybody would start them, and none left at the end."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from vaultd.demo import processes
from vaultd.demo.ending import STEP_SECONDS, Ending
from vaultd.demo.layout import Layout
from vaultd.errors import EXIT_FAILED, VaultdError
from vaultd.i18n import _

START_SECONDS = 30.0
_LAST_LINES = 4
_PR_SET_CHILD_SUBREAPER = 36

# -P: a folder named vaultd in the working directory is not meant.
_VAULTD = (sys.executable, "-P", "-m", "vaultd")
# A demo that is killed outright takes its daemon along: PR_SET_PDEATHSIG, SIGTERM, set by the child itself.
_WITH_PARENT = (
    sys.executable, "-P", "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])",
)  # fmt: skip


def adopt_orphans(wanted: bool) -> None:
    """Make this process the parent of what its children leave behind, so that it can be found and ended."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def end_all() -> None:
    """End every process below this one."""
    processes.end(psutil.Process().children(recursive=True))


def _environment(temporary: Path | None) -> dict[str, str]:
    left_out = ("NOTIFY_SOCKET", "VAULTD_CONFIG", "SUDO_USER")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | ({} if temporary is None else {"TMPDIR": os.fspath(temporary)})


def _start(
    arguments: Sequence[str], *, output: int, errors: int, temporary: Path | None = None
) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches the demo alone, and the demo ends the others in order.
    return subprocess.Popen(
        [*_WITH_PARENT, *_VAULTD, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
        start_new_session=True, env=_environment(temporary), cwd="/",
    )  # fmt: skip


def command(
    layout: Layout,
    ending: Ending,
    arguments: Sequence[str],
    while_waiting: Callable[[], None] = lambda: None,
    *,
    temporary: Path | None = None,
) -> dict[str, Any]:
    """Run a command of vaultd with ``--json`` to its end, and give its object. Raises the error that it told.

    ``arguments`` begin with its name. ``while_waiting`` is called some twenty times a second. ``temporary``: where it
    puts temporary files; it then runs as on another machine, without the demo's configuration.
    """
    options = ["--json"] if temporary else ["--json", "--config", os.fspath(layout.config)]
    answer, said = layout.folder / "answer.json", layout.folder / "answer.err"
    with answer.open("w+b") as output, said.open("w+b") as errors:
        child = _start([*options, *arguments], output=output.fileno(), errors=errors.fileno(), temporary=temporary)
        try:
            while child.poll() is None:
                while_waiting()
                ending.wait(STEP_SECONDS)
        finally:
            _end(child)
    try:
        found = json.loads(answer.read_bytes() or b"{}")
        trouble = said.read_text("utf-8", "replace")
    except ValueError:
        found, trouble = {}, answer.read_text("utf-8", "replace")
    finally:
        answer.unlink()
        said.unlink()
    if child.returncode:
        raise _error(found, arguments[0], child.returncode, trouble)
    return dict(found)


def _error(found: dict[str, Any], name: str, code: int, trouble: str) -> VaultdError:
    detail = found.get("error") or {}
    what = _("`vaultd {command}` failed").format(command=name)
    error = VaultdError(what, _told(detail) or _last(trouble) or str(code), str(detail.get("hint", "")))
    error.exit_code = code if code > 0 else EXIT_FAILED
    return error


def _told(detail: dict[str, Any]) -> str:
    return ": ".join(str(detail[key]) for key in ("what", "why") if detail.get(key))


def _last(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines()[-_LAST_LINES:])


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child and all below it at once, as when the power goes; nothing happens when it is over."""
    if child.poll() is None:
        process = psutil.Process(child.pid)
        processes.freeze([process])  # it starts nothing more while its children are collected
        processes.end(processes.children(process))
        processes.end([process])
    child.wait()


class Daemon:
    """`vaultd run`, in the background."""

    def __init__(self, layout: Layout, ending: Ending) -> None:
        self.layout = layout
        self._ending = ending
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, answers: Callable[[], bool]) -> None:
        """Start it, and wait until it answers. Raises VaultdError with its last words."""
        with self.layout.log.open("ab") as log:
            self._child = _start(
                ["--config", os.fspath(self.layout.config), "run"], output=log.fileno(), errors=log.fileno()
            )
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            self._ending.wait(STEP_SECONDS)
            self.check()
            if time.monotonic() > deadline:
                raise VaultdError(_("the daemon does not answer"))

    def check(self) -> None:
        """Raise VaultdError if it is over."""
        if self._child is not None and self._child.poll() is not None:
            raise VaultdError(_("the daemon has ended by itself"))

    def kill(self) -> None:
        """As when the power goes: it and all that it has started are gone at once."""
        if self._child is not None:
            _end(self._child)
            self._child = None

    def last_words(self) -> str:
        """The end of its log, from the first warning on; empty when it had nothing to complain of."""
        if not self.layout.log.exists():
            return ""
        lines = self.layout.log.read_text("utf-8", "replace").splitlines()
        start = next((number for number, line in enumerate(lines) if not line.startswith("INFO ")), len(lines))
        return _last("\n".join(lines[start:]))


def size_of(folder: Path) -> tuple[int, int]:
    """Files below a folder now, and their bytes; for showing how far something is."""
    files = total = 0
    for top, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_size
            except OSError:
                continue
            files += 1
    return files, total

"""A UPS for tests: NUT's own server with its dummy driver where it is there, and a stand-in that says what it says.

Debian's nut-server and nut-client have the real ones; unpacked somewhere (``dpkg -x``) they do too, with VAULTD_NUT
naming that folder. ``tests/test_warning_power.py`` holds the stand-in to what the real one says.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.site import until

ROOT = Path(os.environ.get("VAULTD_NUT", "/"))
NAME = "ups"


def _program(name: str, *folders: str) -> str | None:
    for folder in folders:
        if (ROOT / folder / name).is_file():
            return str(ROOT / folder / name)
    return shutil.which(name)


UPSC = _program("upsc", "bin", "usr/bin")
UPSD = _program("upsd", "lib/nut", "usr/lib/nut")  # in sbin is a script that asks /etc/nut
DRIVER = _program("dummy-ups", "lib/nut", "usr/lib/nut")
THERE = bool(UPSC and UPSD and DRIVER)


class Ups:
    """A UPS that says what a test wants: ``upsc`` is the program, ``name`` its argument."""

    upsc: str
    name: str

    def say(self, status: str) -> None:
        """Its ups.status from now on."""
        raise NotImplementedError

    def stop(self) -> None:
        """Nobody answers any more."""
        raise NotImplementedError


class StandIn(Ups):
    """A program that prints a file, and complains as upsc does where there is none."""

    def __init__(self, folder: Path) -> None:
        self.status = folder / "ups.status"
        program = folder / "upsc"
        program.write_text(
            '#!/bin/sh\necho "Init SSL without certificate database" >&2\n'
            f'case "$1" in {NAME}@*) ;; *) echo "Error: Unknown UPS" >&2; exit 1;; esac\n'
            f'[ "$2" = ups.status ] || exit 1\n[ -e "{self.status}" ] || '
            '{ echo "Error: Connection failure: Connection refused" >&2; exit 1; }\n'
            f'cat "{self.status}"\n'
        )
        program.chmod(0o755)
        self.upsc, self.name = str(program), f"{NAME}@localhost"
        self.say("OL")

    def say(self, status: str) -> None:
        self.status.write_text(f"{status}\n")

    def stop(self) -> None:
        self.status.unlink(missing_ok=True)


class Nut(Ups):
    """upsd and dummy-ups, both in the foreground."""

    def __init__(self, folder: Path) -> None:
        for name in ("etc", "run"):
            (folder / name).mkdir(mode=0o700)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.etc = folder / "etc"
        user = f"user = {os.environ.get('USER') or 'root'}\n" if os.geteuid() == 0 else ""
        for name, text in (
            ("ups.conf", f"{user}[{NAME}]\ndriver = dummy-ups\nport = {NAME}.dev\n"),
            ("upsd.conf", f"LISTEN 127.0.0.1 {port}\n"), ("upsd.users", ""), (f"{NAME}.dev", "ups.status: OL\n"),
        ):  # fmt: skip
            (self.etc / name).write_text(text)
            (self.etc / name).chmod(0o600)
        state = str(folder / "run")
        libraries = ":".join(str(one) for one in ROOT.glob("**/*-linux-gnu")) if Path("/") != ROOT else ""
        self.environment = {
            **os.environ, "NUT_CONFPATH": str(self.etc), "NUT_STATEPATH": state, "NUT_ALTPIDPATH": state,
            **({"LD_LIBRARY_PATH": libraries} if libraries else {}),
        }  # fmt: skip
        upsc = folder / "upsc"  # a daemon under test has another environment
        settings = f'export LD_LIBRARY_PATH="{libraries}"\n' if libraries else ""
        upsc.write_text(f'#!/bin/sh\n{settings}exec {UPSC} "$@"\n')
        upsc.chmod(0o755)
        self.upsc, self.name = str(upsc), f"{NAME}@127.0.0.1:{port}"
        as_root = ["-u", "root"] if os.geteuid() == 0 else []
        self.folder, self.as_root = folder, as_root
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the driver, and then the server."""
        self._start([str(DRIVER), "-a", NAME, *self.as_root, "-D"])
        until(lambda: any((self.folder / "run").glob("dummy-ups-*")), "the driver has its socket", 20)
        self._start([str(UPSD), *self.as_root, "-F"])
        until(lambda: self._status() == "OL", "upsd answers", 20)

    def _start(self, command: list[str]) -> None:
        with (self.folder / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))

    def _status(self) -> str:
        done = subprocess.run([self.upsc, self.name, "ups.status"], capture_output=True, text=True)
        return done.stdout.strip()

    def say(self, status: str) -> None:
        (self.etc / f"{NAME}.dev").write_text(f"ups.status: {status}\n")
        os.utime(self.etc / f"{NAME}.dev")
        until(lambda: self._status() == status, f"upsc says {status}", 30)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait(20)
        self.processes.clear()


@contextmanager
def ups_in(folder: Path, *, real: bool = THERE) -> Iterator[Ups]:
    """A UPS that is gone at the end: the real one where it is there."""
    folder.mkdir(exist_ok=True)
    made: Ups = Nut(folder) if real else StandIn(folder)
    try:
        if isinstance(made, Nut):
            made.start()
        yield made
    finally:
        made.stop()

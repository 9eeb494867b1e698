"""``vaultd`` as a process of its own without the second that Python takes to load it: one that has loaded everything
waits (``python -m tests.warm``), and forks for each command.

Everything else is as it is in a process that was started from nothing: arguments, environment, folder, descriptors,
signals, session, exit code. Not so: ``/proc/PID/cmdline`` and ``environ`` are
those of the one that waits, and so is its parent. A test that looks there, needs another user or prefix, or is about
the start itself, runs ``sys.executable -m vaultd``.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = dict(os.environ)
"""As it was before any test changed it: who looks for the processes of a test by their environment finds no other's."""

LEFT_OUT = ("vaultd.report", "vaultd.paper", "vaultd.locale", "vaultd.demo")
"""Loaded when they are used: few commands are, and they are the dearest."""

LARGEST = 1 << 17  # of a request, in bytes
_lock = threading.Lock()


class Process:
    """A vaultd that was started: what ``subprocess.Popen`` has of it."""

    def __init__(
        self, args: list[str], *, stdin: int, stdout: int, stderr: int, env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:  # fmt: skip
        """``args`` are those after ``vaultd``; the three are descriptors, still the caller's to close."""
        environment = dict(os.environ if env is None else env)
        assert not _is_of_the_start(environment), "a test of this starts vaultd anew"
        self.args = args
        self.returncode: int | None = None
        self._said, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {
            "args": args, "env": environment, "cwd": os.getcwd(), "session": start_new_session,
        }  # fmt: skip
        with theirs:
            message = json.dumps(request, ensure_ascii=True).encode()
            assert len(message) < LARGEST
            with _lock:
                socket.send_fds(_waiting(), [message], [theirs.fileno(), stdin, stdout, stderr])
        self.pid = int(self._said.recv(64))

    def poll(self) -> int | None:
        """The exit code when it has ended (a signal's number, negative), else None."""
        return self._take(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        code = self._take(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _take(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._said.settimeout(timeout if timeout is None or timeout > 0 else 0.0)
            with contextlib.suppress(TimeoutError, BlockingIOError):
                said = self._said.recv(64)
                assert said, "the process that forks has gone"
                self.returncode = int(said)
                self._said.close()
        return self.returncode


def _is_of_the_start(environment: Mapping[str, str]) -> bool:
    """Whether this sets what Python reads once, at its start: variables of its own, a locale that is not UTF-8."""
    own = any(name.startswith("PYTHON") and ENVIRONMENT.get(name) != value for name, value in environment.items())
    locale = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or "C"
    return own or not (locale in ("C", "POSIX") or locale.upper().endswith(("UTF-8", "UTF8")))


def run(
    args: list[str], *, input: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 250
) -> subprocess.CompletedProcess[bytes]:
    """``vaultd ARGS`` to its end; what it printed."""
    with tempfile.TemporaryFile() as typed, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        typed.write(input)
        typed.seek(0)
        process = Process(args, stdin=typed.fileno(), stdout=out.fileno(), stderr=err.fileno(), env=env)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(args, code, _all(out), _all(err))


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


_server: tuple[subprocess.Popen[bytes], socket.socket] | None = None


def _waiting() -> socket.socket:
    """The channel to the process that waits; it is started when there is none, and ends with this one."""
    global _server
    if _server is None or _server[0].poll() is not None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=ENVIRONMENT, start_new_session=True,
            )  # fmt: skip
        _server = process, ours
        atexit.register(_end, process, ours)
    return _server[1]


def _end(process: subprocess.Popen[bytes], channel: socket.socket) -> None:
    channel.close()
    process.wait(60)


def _load() -> None:
    """Load vaultd, all that a command or the daemon may need."""
    package = importlib.import_module("vaultd")
    for found in pkgutil.walk_packages(package.__path__, "vaultd.", onerror=_failed):
        if not found.name.startswith(LEFT_OUT) and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    importlib.import_module("paramiko")


def _failed(name: str) -> None:
    raise ImportError(name)


def _serve(channel: socket.socket) -> list[str] | None:
    """Fork for each request. Returns in the children, with their arguments; in the parent at the end."""
    ended, bell = socket.socketpair()
    for end in (ended, bell):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(bell.fileno())
    waiting: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                if key.fileobj is ended:
                    with contextlib.suppress(BlockingIOError):
                        ended.recv(4096)
                    _tell(waiting)
                    continue
                message, descriptors, _flags, _address = socket.recv_fds(channel, LARGEST, 4)
                if not message:
                    return None
                request = json.loads(message)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for one in (*waiting.values(), ended, bell, channel):
                        one.close()
                    _become(request, descriptors)
                    return [str(one) for one in request["args"]]
                said = socket.socket(fileno=descriptors[0])
                for descriptor in descriptors[1:]:
                    os.close(descriptor)
                said.send(str(pid).encode())
                waiting[pid] = said


def _tell(waiting: dict[int, socket.socket]) -> None:
    """Who waits for a child that has ended gets its exit code."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with waiting.pop(pid) as said, contextlib.suppress(OSError):  # nobody may want to know any more
                said.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Make this child what Python would be at the start of ``python -m vaultd``."""
    if request["session"]:
        os.setsid()
    else:
        os.setpgid(0, 0)
    os.close(descriptors[0])
    for number, descriptor in enumerate(descriptors[1:]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    sys.argv = ["vaultd", *request["args"]]
    sys.stdin, sys.stdout, sys.stderr = _text(0, "r"), _text(1, "w"), _text(2, "w")
    sys.stderr.reconfigure(errors="backslashreplace", line_buffering=True)


def _text(descriptor: int, mode: str) -> io.TextIOWrapper:
    """A standard stream as Python opens it in a UTF-8 locale."""
    raw = io.FileIO(descriptor, mode, closefd=False)
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding="utf-8", line_buffering=raw.isatty())


def main() -> int:
    """The process that waits, and each that it forks."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    _load()
    gc.collect()
    gc.freeze()
    args = _serve(channel)
    if args is None:
        return 0
    from vaultd.cli.main import main as command

    code = command(args)
    # As at the end of Python, but for taking apart, one by one, what was loaded: the kernel does it at once.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())

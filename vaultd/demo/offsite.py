"""A real OpenSSH server on a loopback port, run as the current user: the off-site place of the demo and of the tests.

It has its own keys and configuration, serves SFTP only, and knows its processes by pid *and* start time, so that no
other sshd of the machine is ever touched. What it can do beside serving is break on demand: ``cut`` drops the open
connections, ``freeze`` makes them hang, ``rekey`` gives the server another host key.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from vaultd.demo import processes
from vaultd.demo.sshd import LOOPBACK, Settings, find_sshd, free_port, make_key
from vaultd.errors import VaultdError
from vaultd.files import make_private_directory, replace
from vaultd.i18n import _

START_SECONDS = 15.0


class OffsiteServer:
    """An SFTP server whose clients start in ``folder``.

    Its keys, configuration, log and pid file are beside that folder, in ``<folder>-server``. ``port`` 0 takes a free
    one, and keeps it over stop and start. Another process may make a second object for the same folder and finds the
    server running. ``read_only`` refuses every write, as a file system mounted read-only does. ``light`` spares clients
    the costliest key agreement; without it a connection costs what it costs at a real server.
    """

    def __init__(self, folder: Path, *, port: int = 0, read_only: bool = False, light: bool = True) -> None:
        self.root = Path(os.path.abspath(folder))
        self.files = self.root.with_name(self.root.name + "-server")
        self.host = LOOPBACK
        self.user = getpass.getuser() if os.geteuid() else "root"
        self.read_only = read_only
        self.light = light
        self.identity = self.files / "user_key"
        self.host_key = self.files / "host_key"
        self.log = self.files / "sshd.log"
        self._authorized_keys = self.files / "authorized_keys"
        self._config = self.files / "sshd_config"
        self._pid_file = self.files / "sshd.pid"
        self._state = self.files / "running.json"
        self._child: subprocess.Popen[bytes] | None = None
        self.port = port or self._recorded().get("port", 0)

    # -- life --------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the folders and keys that are not there yet; nothing runs afterwards."""
        make_private_directory(self.root)
        make_private_directory(self.files)
        if not self.host_key.exists():
            make_key(self.host_key, "vaultd off-site host")
        if not self.identity.exists():
            make_key(self.identity, "vaultd off-site user")
        replace(self._authorized_keys, self.identity.with_name("user_key.pub").read_bytes())

    def start(self) -> int:
        """Start the server, or find it running; returns its port. Raises VaultdError with the end of sshd's log."""
        if self.running():
            return self.port
        sshd = find_sshd()
        self.prepare()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own empty folder; systemd makes it otherwise
        known_port, problem = self.port, ""
        for _attempt in range(5):
            self.port = known_port or free_port()
            problem = self._start_once(sshd)
            if not problem:
                return self.port
            if known_port or "in use" not in problem:
                break  # clients know the port: another one would not help them
        raise VaultdError(_("the off-site server cannot start"), problem)

    def _start_once(self, sshd: str) -> str:
        """Start sshd and wait until it listens; returns the end of its log when it does not."""
        self._pid_file.unlink(missing_ok=True)
        settings = Settings(
            self.port, self.user, self.host_key, self._authorized_keys, self._pid_file, self.root, self.read_only,
            self.light,
        )  # fmt: skip
        settings.write(self._config, sshd)
        before = self.log.stat().st_size if self.log.exists() else 0
        # Not -E: newer versions expand % in the log's path, older ones do not.
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as log:
            self._child = subprocess.Popen(
                [sshd, "-D", "-e", "-f", os.fspath(self._config)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd="/",
                start_new_session=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            )  # fmt: skip
        pid = self._child.pid
        state = {"pid": pid, "started": processes.start_ticks(pid), "port": self.port}
        replace(self._state, json.dumps(state).encode())
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            # sshd writes its pid file once it listens: no connection needs to be tried.
            if self._pid_file.exists() and self._pid_file.read_text().strip() == str(pid):
                return ""
            if self._child.poll() is not None:
                break
            time.sleep(0.01)
        self.stop()
        with self.log.open("rb") as stream:
            stream.seek(before)
            lines = stream.read().decode(errors="replace").splitlines()
        told = [line for line in lines if not line.startswith("debug")]
        return "; ".join(told[-3:]) or _("sshd did not listen in time")

    def stop(self) -> None:
        """End the server and its open connections, also frozen ones; nothing happens when it does not run."""
        listener = self._listener()
        if listener is not None:
            # Stopped first, so that it cannot accept another connection while its children are collected.
            processes.freeze([listener])
            processes.end(processes.children(listener))
            processes.end([listener])
        if self._child is not None:
            self._child.wait(processes.SECONDS)
            self._child = None
        self._pid_file.unlink(missing_ok=True)

    def running(self) -> bool:
        """Whether the server runs, whoever started it."""
        return self._listener() is not None

    def __enter__(self) -> OffsiteServer:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # -- faults on demand --------------------------------------------------------------------------------------

    def cut(self) -> int:
        """Drop every open connection; new ones are accepted. Returns how many processes were ended."""
        listener = self._listener()
        return processes.end(processes.children(listener)) if listener else 0

    def freeze(self, *, listener: bool = False) -> int:
        """Make the open connections hang without closing; with ``listener`` new ones hang too."""
        found = self._listener()
        if found is None:
            return 0
        frozen = [*([found] if listener else []), *processes.children(found)]
        processes.freeze(frozen)
        return len(frozen)

    def thaw(self) -> None:
        """Let frozen processes go on."""
        found = self._listener()
        if found is not None:
            processes.send([found, *processes.children(found)], signal.SIGCONT)

    def rekey(self) -> None:
        """Give the server another host key, as after a reinstallation or behind an impostor."""
        was_running = self.running()
        self.stop()
        make_key(self.host_key, "vaultd off-site host")
        if was_running:
            self.start()

    # -- what clients and tests want to know -------------------------------------------------------------------

    def known_hosts_line(self) -> str:
        """The server's host key as a line of known_hosts."""
        kind, key = self.host_key.with_name("host_key.pub").read_text().split()[:2]
        return f"[{self.host}]:{self.port} {kind} {key}\n"

    def sessions(self) -> int:
        """How many processes serve open connections."""
        listener = self._listener()
        return len(processes.children(listener)) if listener else 0

    def connections_seen(self) -> int:
        """How many connections the server has accepted since its log began."""
        return self._count("Connection from ")

    def authentications_seen(self) -> int:
        """How many requests to authenticate the server has got since its log began, refused ones too."""
        return self._count("userauth-request for user")

    def _count(self, text: str) -> int:
        return self.log.read_text(errors="replace").count(text) if self.log.exists() else 0

    # -- inside ------------------------------------------------------------------------------------------------

    def _recorded(self) -> dict[str, int]:
        try:
            found = json.loads(self._state.read_bytes())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    def _listener(self) -> psutil.Process | None:
        """The listening sshd, if it is the very process that was started (pids are used again)."""
        if self._child is not None and self._child.poll() is None:
            return psutil.Process(self._child.pid)
        recorded = self._recorded()
        with contextlib.suppress(psutil.NoSuchProcess, KeyError):
            process = psutil.Process(recorded["pid"])
            if processes.start_ticks(process.pid) == recorded["started"] and process.status() != psutil.STATUS_ZOMBIE:
                self.port = recorded["port"]
                return process
        return None

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
import random
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

from vaultd.errors import VaultdError
from vaultd.files import make_private_directory, replace
from vaultd.i18n import _

LOOPBACK = "127.0.0.1"
START_SECONDS = 15.0
STOP_SECONDS = 10.0


def find_sshd() -> str:
    """The absolute path of sshd (it re-executes itself and insists on one). Raises VaultdError where there is none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
    found = shutil.which("sshd", path=path)
    if found is None:
        raise VaultdError(
            _("the off-site server cannot start"), _("sshd is not installed"), _("apt-get install openssh-server")
        )
    return os.path.abspath(found)


def make_key(path: Path, comment: str = "vaultd") -> Path:
    """Make an Ed25519 key pair without passphrase: ``path`` and ``path``.pub, replacing what was there."""
    for old in (path, path.with_name(path.name + ".pub")):
        old.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", os.fspath(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path


class OffsiteServer:
    """An SFTP server whose clients start in ``folder``.

    Its keys, configuration, log and pid file are beside that folder, in ``<folder>-server``. ``port`` 0 takes a free
    one, and keeps it over stop and start. Another process may make a second object for the same folder and finds the
    server running. ``read_only`` refuses every write, as a file system mounted read-only does.
    """

    def __init__(self, folder: Path, *, port: int = 0, read_only: bool = False) -> None:
        self.root = Path(os.path.abspath(folder))
        self.files = self.root.with_name(self.root.name + "-server")
        self.host = LOOPBACK
        self.user = getpass.getuser() if os.geteuid() else "root"
        self.read_only = read_only
        self.identity = self.files / "user_key"
        self.host_key = self.files / "host_key"
        self.log = self.files / "sshd.log"
        self._config = self.files / "sshd_config"
        self._pid_file = self.files / "sshd.pid"
        self._state = self.files / "running.json"
        self._child: subprocess.Popen[bytes] | None = None
        self._fixed_port = bool(port)
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
        replace(self.files / "authorized_keys", self.identity.with_name("user_key.pub").read_bytes())

    def start(self) -> int:
        """Start the server, or find it running; returns its port. Raises VaultdError with the end of sshd's log."""
        if self.running():
            return self.port
        sshd = find_sshd()
        self.prepare()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own empty folder; systemd makes it otherwise
        for attempt in range(5):
            if not self.port or (attempt and not self._fixed_port):
                self.port = _free_port()
            problem = self._start_once(sshd)
            if not problem:
                return self.port
            if "in use" not in problem:
                break
        raise VaultdError(_("the off-site server cannot start"), problem)

    def _start_once(self, sshd: str) -> str:
        """Start sshd and wait until it listens; returns the end of its log when it does not."""
        self._pid_file.unlink(missing_ok=True)
        self._write_config(sshd)
        before = self.log.stat().st_size if self.log.exists() else 0
        self._child = subprocess.Popen(
            [sshd, "-D", "-f", os.fspath(self._config), "-E", os.fspath(self.log)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            start_new_session=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        )  # fmt: skip
        pid = self._child.pid
        state = {"pid": pid, "started": _start_ticks(pid), "port": self.port}
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
            _signal([listener], signal.SIGSTOP)
            _end(_children(listener))
            _end([listener])
        if self._child is not None:
            self._child.wait(STOP_SECONDS)
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
        return _end(_children(listener)) if listener else 0

    def freeze(self, *, listener: bool = False) -> int:
        """Make the open connections hang without closing; with ``listener`` new ones hang too."""
        found = self._listener()
        if found is None:
            return 0
        processes = [*([found] if listener else []), *_children(found)]
        _signal(processes, signal.SIGSTOP)
        return len(processes)

    def thaw(self) -> None:
        """Let frozen processes go on."""
        found = self._listener()
        if found is not None:
            _signal([found, *_children(found)], signal.SIGCONT)

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
        return len(_children(listener)) if listener else 0

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
        recorded = self._recorded()
        if self._child is not None and self._child.poll() is not None:
            return None  # reaped by poll
        with contextlib.suppress(psutil.NoSuchProcess, KeyError):
            process = psutil.Process(recorded["pid"])
            if _start_ticks(process.pid) == recorded["started"] and process.status() != psutil.STATUS_ZOMBIE:
                self.port = recorded["port"]
                return process
        return None

    def _write_config(self, sshd: str) -> None:
        lines = [
            f"Port {self.port}", f"ListenAddress {self.host}", f"AllowUsers {self.user}",
            f"HostKey {_quoted(self.host_key)}", f"PidFile {_quoted(self._pid_file)}",
            f"AuthorizedKeysFile {_quoted(self.files / 'authorized_keys').replace('%', '%%')}",
            # The folders above are a test's or a demo's, often in /tmp; the keys are nobody else's.
            "StrictModes no", "AuthenticationMethods publickey", "PasswordAuthentication no",
            "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
            f"UsePAM {'yes' if _is_locked(self.user) else 'no'}",
            "DisableForwarding yes", "PermitTTY no", "PermitUserRC no", "PrintMotd no", "UseDNS no",
            "MaxStartups 200", "MaxSessions 50", "LogLevel DEBUG1",
            "Subsystem sftp internal-sftp", f"ForceCommand {self._command()}",
        ]  # fmt: skip
        # OpenSSH 9.8 and later shut out an address that fails often: here every client is 127.0.0.1.
        replace(self._config, "\n".join([*lines, "PerSourcePenalties no", ""]).encode())
        command = [sshd, "-t", "-f", os.fspath(self._config)]
        tried = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
        if b"PerSourcePenalties" in tried.stderr:
            replace(self._config, "\n".join([*lines, ""]).encode())

    def _command(self) -> str:
        options = "-R " if self.read_only else ""
        start = os.fspath(self.root).replace("%", "%%")
        if not any(character.isspace() for character in start):
            return f"internal-sftp {options}-d {start}"
        # internal-sftp splits its arguments at blanks and knows no quotes; the program beside it is run by a shell.
        return f"exec /usr/lib/openssh/sftp-server {options}-d {shlex.quote(start)}"


def _quoted(path: Path) -> str:
    text = os.fspath(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _is_locked(user: str) -> bool:
    """Whether the account has a locked password: without PAM sshd then refuses keys, too. Only root can tell."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/shadow").read_text().splitlines():
            name, _colon, rest = line.partition(":")
            if name == user:
                return rest.startswith("!")
    return False


def _free_port() -> int:
    """A free loopback port below the range from which the kernel takes ports for clients: it stays free over a stop."""
    for _attempt in range(50):
        port = random.randrange(20000, 32000)  # noqa: S311 - not a secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _start_ticks(pid: int) -> int:
    """When a process started, in ticks since boot, which does not move with the clock. 0: it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)  # psutil compares the start time: never another process of the same pid


def _end(processes: list[psutil.Process]) -> int:
    """Kill processes, and those that they fork meanwhile, and wait until they are gone."""
    ended = 0
    for process in processes:
        later = _children(process)
        _signal([process], signal.SIGKILL)
        ended += 1 + _end(later)
    psutil.wait_procs(processes, timeout=STOP_SECONDS)
    return ended

"""Witnesses for tests, on loopback: the real one of another author (.tools/witness), and one that is told its words."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vaultd.demo.sshd import LOOPBACK, free_port

TOOL = Path(__file__).parent.parent / ".tools" / "witness"
SECONDS = 30.0


class RealWitness:
    """A process of aics-witness with its own key and database in a folder."""

    def __init__(self, folder: Path, name: str = "witness.example/w1") -> None:
        if not TOOL.is_dir():
            pytest.fail("the witness for the tests is missing: make setup")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.key = self._run("init", "--name", name).split()[0]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def trust(self, origin: str, key: str) -> None:
        self._run("add-log", "--origin", origin, "--vkey", key)

    def evidence(self) -> str:
        return self._run("evidence")

    def start(self) -> None:
        command = [*self._command("serve"), "--listen", f"{LOOPBACK}:{self.port}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(), cwd=self.folder
            )
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
                connection.request("GET", "/healthz")
                if connection.getresponse().read() == b"ok\n":
                    connection.close()
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(SECONDS)
            self.process = None

    def __enter__(self) -> RealWitness:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "aics_witness", *words, "--config", str(self.folder / "witness.json")]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOOL), "PYTHONDONTWRITEBYTECODE": "1"}

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            self._command(*words), env=self._environment(), cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass
class Reply:
    """What a told server answers. ``before``: called before the first byte, ``drip``: seconds between bytes."""

    status: int = 200
    body: bytes = b""
    kind: str = "text/plain"
    drip: float = 0.0


@dataclass
class ToldServer:
    """An HTTP server that answers what ``reply`` makes of a request (method, path, body)."""

    reply: Callable[[str, str, bytes], Reply]
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{LOOPBACK}:{self.port}"


@contextlib.contextmanager
def told(reply: Callable[[str, str, bytes], Reply], tls: ssl.SSLContext | None = None) -> Iterator[ToldServer]:
    """Such a server, running; ``tls``: by https, with this certificate."""
    state = ToldServer(reply, scheme="http" if tls is None else "https")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            state.asked.append((self.command, self.path, content))
            answer = state.reply(self.command, self.path, content)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            if answer.status in (301, 302, 307):
                self.send_header("Location", f"{state.url}/elsewhere")
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                if not answer.drip:
                    self.wfile.write(answer.body)
                for at in range(len(answer.body) if answer.drip else 0):
                    self.wfile.write(answer.body[at : at + 1])
                    if state.ended.wait(answer.drip):
                        return

        do_GET = do_POST

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    if tls is not None:  # the handshake is in the thread of its connection, not in the one that accepts
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()

"""Servers that tests tell things to, and a host with an outbox and a courier.

``HttpServer`` and ``MailServer`` keep what they got; their ``mood`` may be "fine", "refuse" (an answer of refusal),
"hang" (no answer), and each can be closed (nobody listens) and opened again on the same port.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.site import toml, until
from vaultd.notices import folders, form, outbox
from vaultd.notices.form import Kept


class HttpServer:
    """An HTTP server on loopback."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.mood = "fine"
        self.status, self.answer = 200, b"{}"
        self.released = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.open()

    def open(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.paths.append(self.path)
                if outer.mood == "hang":
                    outer.released.wait(60)
                    return
                if outer.mood == "refuse":
                    self.send_error(500)
                    return
                outer.got.append(json.loads(body))
                self.send_response(outer.status)
                if outer.status in (301, 302, 307, 308):
                    self.send_header("Location", f"{outer.base}/elsewhere")
                self.send_header("Content-Length", str(len(outer.answer)))
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *_about: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_about: object) -> None:
                return  # a courier that was killed has gone away in mid-answer

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """As apprise has it; it waits as long as it is let."""
        return f"json://127.0.0.1:{self._port}/hook/secret-token-4711?rto=300"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def close(self) -> None:
        self.released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class MailServer:
    """As much of SMTP (RFC 5321) as a client needs to hand over mail. Python's own smtpd is gone since 3.12."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.mood = "fine"
        self._port = 0
        self._server: socketserver.ThreadingTCPServer | None = None
        self.open()

    def open(self) -> None:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 test\r\n")
                for raw in self.rfile:
                    word = raw[:4].upper()
                    if word == b"QUIT":
                        self.wfile.write(b"221 bye\r\n")
                        return
                    if word == b"RCPT" and outer.mood == "refuse":
                        self.wfile.write(b"550 no such user\r\n")
                    elif word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        lines = list(iter(self.rfile.readline, b".\r\n"))
                        outer.got.append(b"".join(lines))
                        self.wfile.write(b"250 taken\r\n")
                    else:
                        self.wfile.write(b"250 fine\r\n")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self._port}?from=vaultd@example.org&to=duty@example.org"

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Host:
    """A host with a configuration, an outbox and a courier."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state, self.file, self.log = folder / "state", folder / "vaultd.toml", folder / "courier.log"
        self.state.mkdir(mode=0o700)
        self.notify: dict[str, object] = {"first_wait": "100ms", "longest_wait": "300ms", "timeout": "60s"}
        self.channels: list[dict[str, object]] = []
        self.persons: list[dict[str, object]] = []
        self.vault = folder / "records"
        self.couriers: list[subprocess.Popen[bytes]] = []

    def address(self, name: str, url: str) -> Path:
        path = self.folder / f"{name}.url"
        path.write_text(f"# of {name}\n{url}\n")
        path.chmod(0o600)
        return path

    def channel(self, name: str, url: str, **values: object) -> None:
        self.channels.append({"name": name, "url_file": self.address(name, url), **values})

    def write(self) -> None:
        tables = [("[host]", {"name": "ward", "state": self.state}), ("[notify]", self.notify)]
        tables += [("[[notify.channel]]", one) for one in self.channels]
        tables += [("[[person]]", one) for one in self.persons]
        vault = {"name": "records", "path": self.vault, "classification": "secret", "targets": ["off"]}
        target = {"name": "off", "host": "h", "user": "u", "path": "p", "identity": "/k", "password_file": "/p"}
        tables += [("[[target]]", target), ("[[vault]]", vault)]
        self.file.write_text(
            "\n".join(
                "\n".join([head, *(f"{key} = {toml(value)}" for key, value in values.items())])
                for head, values in tables
            )
        )

    def start(self, *prefix: str) -> subprocess.Popen[bytes]:
        """A courier; it may end at once. Wait for what it does, or for ``running``."""
        self.write()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "vaultd", "--config", str(self.file), "courier"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.couriers.append(process)
        return process

    def where(self, number: str) -> str:
        found = outbox.find(self.state, number)
        return "" if found is None else found[0]

    def now(self, number: str) -> Kept:
        found = outbox.find(self.state, number)
        assert found is not None
        return found[1]

    def wait(self, number: str, folder: str = folders.DONE) -> tuple[form.Delivery, ...]:
        """Until a notice is in a folder; its deliveries then."""
        until(lambda: self.where(number) == folder, f"{folder}: {self.said()}")
        return self.now(number).deliveries or ()

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def close(self) -> None:
        for process in self.couriers:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(30)


@contextlib.contextmanager
def servers() -> Iterator[tuple[HttpServer, MailServer]]:
    http, mail = HttpServer(), MailServer()
    try:
        yield http, mail
    finally:
        http.close()
        mail.close()

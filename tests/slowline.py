"""A slow line for tests: a TCP relay on loopback that passes so many bytes a second to a server, and can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType

CHUNK = 16 << 10


class SlowLine:
    """Listens on ``port``; what comes in goes on to ``server`` at ``rate`` bytes a second, all connections together."""

    def __init__(self, server: int, rate: float) -> None:
        self.server, self.rate = server, rate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._free_at = 0.0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.sent = 0
        self.connections = 0
        self.connected = 0.0
        """When the last connection was accepted (monotonic seconds)."""
        self.refuses = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> SlowLine:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.refuses = True
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Drop every connection; new ones are accepted."""
        with self._lock:
            gone, self._open = self._open, set()
        for one in gone:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.server))
            except OSError:
                near.close()
                continue
            self.connections, self.connected = self.connections + 1, time.monotonic()
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, paced: bool) -> None:
        try:
            while data := source.recv(CHUNK):
                if paced:
                    self._wait(len(data))
                sink.sendall(data)
        except OSError:
            pass  # it was cut
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _wait(self, count: int) -> None:
        with self._lock:
            self.sent += count
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + count / self.rate
            wait = self._free_at - now
        if wait > 0:
            time.sleep(wait)

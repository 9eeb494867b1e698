"""One HTTP request to a witness or an authority: no redirects, no proxies, and an end in time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from vaultd.anchor.faults import NoAnswerError
from vaultd.i18n import _

TIMEOUT = 30.0
LARGEST = 1 << 18


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. ``kind``: its Content-Type, without parameters, in lower case."""

    status: int
    kind: str
    body: bytes


def ask(
    name: str, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Answer:  # fmt: skip
    """Send a request and take the whole answer, within ``timeout`` seconds in all. Raises NoAnswerError.

    ``name``: how messages name the server.
    """
    expired = threading.Event()
    try:
        address = urlsplit(url)
        connection = _connection(address.scheme, address.hostname or "", address.port, timeout)
        with contextlib.closing(connection):
            connection.connect()
            # A time-out of the socket begins anew with every byte that drips in: this one does not.
            timer = threading.Timer(timeout, _cut, (connection.sock, expired))
            timer.daemon = True
            timer.start()
            try:
                target = (address.path or "/") + (f"?{address.query}" if address.query else "")
                connection.request(method, target, body, dict(headers or {}))
                with contextlib.closing(connection.getresponse()) as response:
                    content = response.read(LARGEST + 1)
            finally:
                timer.cancel()
        if expired.is_set():
            raise TimeoutError
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = expired.is_set() or isinstance(error, TimeoutError)
        why = _("it did not answer in time") if late else str(error) or type(error).__name__
        hint = _("check its address and the line; it is asked again by itself")
        if isinstance(error, ssl.SSLCertVerificationError):
            why = _("its certificate does not hold: {error}").format(error=error.verify_message)
            hint = _(
                "it must lead to an authority that this machine trusts (update-ca-certificates), or that is in the "
                "file which the daemon's SSL_CERT_FILE names"
            )
        raise NoAnswerError(_("{name} cannot be asked").format(name=name), why, hint) from error
    if len(content) > LARGEST:
        raise NoAnswerError(_("{name} cannot be asked").format(name=name), _("its answer is too large"))
    kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    return Answer(response.status, kind, content)


def _connection(scheme: str, host: str, port: int | None, timeout: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout)


def _cut(sock: socket.socket, expired: threading.Event) -> None:
    expired.set()
    with contextlib.suppress(OSError):  # it is closed already
        sock.shutdown(socket.SHUT_RDWR)

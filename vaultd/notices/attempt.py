"""One try to send a notice, in a process of its own: one that hangs is ended, and what apprise leaves behind goes with
it.

What comes back is a word: "" for sent, else why not (docs/notices.md). Texts of apprise or a server go nowhere: they
hold addresses.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import smtplib
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultd.priority import die_with_parent

if TYPE_CHECKING:
    import requests

_LONGEST_WORD = 80
_LARGEST_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. ``kind``: "info" or "warning", which some services show."""

    title: str
    text: str
    kind: str = "info"


@dataclass(slots=True)
class Running:
    """A try under way: its process, the pipe that its word comes by, and when it is too long (time.monotonic)."""

    pid: int
    pipe: int
    deadline: float

    def end(self) -> None:
        """Kill it. Its word is then "timeout"."""
        os.kill(self.pid, signal.SIGKILL)

    def word(self) -> str:
        """Its word, after the pipe has something to say. Waits for the process, which has ended by then."""
        with open(self.pipe, "rb") as stream:
            said = stream.read(_LONGEST_WORD + 2)
        _pid, status = os.waitpid(self.pid, 0)
        if said[:1] == b"=" and os.waitstatus_to_exitcode(status) == 0:
            return said[1 : _LONGEST_WORD + 1].decode("ascii", "replace")
        return "timeout" if time.monotonic() >= self.deadline else "died"


def load() -> None:
    """Import what tries need, once, before the first: each is a fork of this process. Takes half a second."""
    import apprise
    import requests  # noqa: F401

    apprise.Apprise.instantiate("json://localhost")  # it loads all its services with the first


def start(address: str, message: Message, seconds: float, close: Sequence[int]) -> Running:
    """Begin a try; it has so many seconds. ``close``: handles that are none of its business.

    The process must have no threads. Raises OSError.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        _child(parent, writer, [reader, *close], lambda: send(address, message))
    os.close(writer)
    return Running(pid, reader, time.monotonic() + seconds)


def _child(parent: int, writer: int, close: Sequence[int], work: Callable[[], str]) -> None:
    """Never returns: nothing of the parent's may run here."""
    code = 1
    try:
        die_with_parent(parent)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # meant for the courier, who ends us
        for handle in close:
            os.close(handle)
        _be_silent()
        os.write(writer, b"=" + work().encode("ascii", "replace")[:_LONGEST_WORD])
        code = 0
    finally:
        os._exit(code)


def _be_silent() -> None:
    """Whatever is logged or printed here may hold an address."""
    logging.getLogger().handlers.clear()
    logging.lastResort = None
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    sys.excepthook = lambda *_about: None


def send(address: str, message: Message) -> str:
    """Send, here and now; "" or why it did not arrive."""
    import apprise

    heard = _Heard()
    asset = apprise.AppriseAsset(app_id="vaultd", app_desc="vaultd", async_mode=False, http_redirects=False)
    service = apprise.Apprise(asset=asset)
    if not service.add(address):
        return "url-unknown"
    with heard:
        sent = service.notify(
            body=message.text, title=message.title, notify_type=apprise.NotifyType(message.kind),
            body_format=apprise.NotifyFormat.TEXT,
        )  # fmt: skip
    return heard.word(bool(sent))


class _Heard(logging.Handler):
    """Listens to what happens below apprise, which itself only says whether: the status of answers, the exceptions that
    it logs. Some services refuse with status 200 and an ``errcode``, which it takes for success."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._why: list[str] = []
        self._refused = ""
        self._logger = logging.getLogger("apprise")

    def __enter__(self) -> None:
        import requests

        self._logger.addHandler(self)
        self._logger.setLevel(logging.DEBUG)
        self._send = requests.Session.send

        def send(
            session: requests.Session, request: requests.PreparedRequest, **options: Any
        ) -> requests.Response:  # fmt: skip
            answer = self._send(session, request, **options)
            self._answered(answer)
            return answer

        requests.Session.send = send  # type: ignore[assignment, method-assign]

    def __exit__(self, *_about: object) -> None:
        import requests

        requests.Session.send = self._send  # type: ignore[method-assign]
        self._logger.removeHandler(self)

    def _answered(self, answer: requests.Response) -> None:
        self._refused = ""
        if not 200 <= answer.status_code < 300:
            self._why.append(f"http-{answer.status_code}")
            return
        try:
            said = json.loads(answer.content[:_LARGEST_ANSWER])
        except (ValueError, RecursionError):
            return
        for key in ("errcode", "code") if isinstance(said, dict) else ():
            number = said.get(key)
            if isinstance(number, int) and number != 0:
                self._why.append(f"{key}-{number}")
                self._refused = f"{key}-{number}" if key == "errcode" else self._refused

    def emit(self, record: logging.LogRecord) -> None:
        """Only the exception that is being handled where it is logged, and of that only its kind."""
        word = _word_of(sys.exc_info()[1])
        if word:
            self._why.append(word)

    def word(self, sent: bool) -> str:
        """What the last answer says, whatever apprise thinks of it; else what went wrong first, "refused" where nothing
        is known of it."""
        if sent:
            return self._refused
        return self._why[0] if self._why else "refused"


def _word_of(error: BaseException | None) -> str:
    import requests

    if error is None:
        return ""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"smtp-{error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "smtp-recipients"
    if isinstance(error, (ssl.SSLError, requests.exceptions.SSLError)):
        return "tls"
    if isinstance(error, (TimeoutError, requests.exceptions.Timeout)):
        return "timeout"
    if isinstance(error, (OSError, smtplib.SMTPException, requests.exceptions.RequestException)):
        return "unreachable"
    return ""

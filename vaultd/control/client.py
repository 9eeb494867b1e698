"""The command line's end of the control socket: http.client over a Unix socket, standard library only.

Nothing here waits for ever. What the daemon refused is raised as the same class with the same words and exit code.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote

from vaultd import errors
from vaultd.errors import NotAuthorisedError, NotRunningError, VaultdError
from vaultd.i18n import _
from vaultd.names import display

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 15.0
WAIT_SECONDS = 20.0
LARGEST_ANSWER = 64 * 1024 * 1024

Document = dict[str, Any]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connect within ``CONNECT_SECONDS``; a full queue (EAGAIN) is tried again until then."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(CONNECT_SECONDS)
            try:
                self.sock.connect(os.fspath(self._path))
            except BlockingIOError:
                self.sock.close()
                if time.monotonic() > deadline:
                    raise TimeoutError from None
                time.sleep(0.02)
                continue
            self.sock.settimeout(self.timeout)
            return


class Client:
    """Calls of the daemon. Each raises NotRunningError when nobody listens or answers, and what the daemon raised."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def status(self, seconds: float = ANSWER_SECONDS) -> Document:
        """The status document (docs/json.md)."""
        return self._call("GET", "/v1/status", seconds=seconds)

    def progress(self) -> list[Document]:
        """The runs of restic in motion."""
        found: list[Document] = self._call("GET", "/v1/progress")["progress"]
        return found

    def backup(self, vaults: Sequence[str], *, full: bool = False, accept_empty: bool = False) -> Document:
        """Ask for a backup (no vault named: all). Returns the job at once."""
        body = {"vaults": list(vaults), "full": full, "accept_empty": accept_empty}
        job: Document = self._call("POST", "/v1/backup", body)["job"]
        return job

    def job(self, number: str, *, after: int = -1, wait: float = 0.0) -> Document:
        """A job; with ``wait`` (seconds) as soon as its ``job_version`` is above ``after``."""
        path = f"/v1/jobs/{quote(number, safe='')}?after={after}&wait={wait:g}"
        job: Document = self._call("GET", path, seconds=wait + ANSWER_SECONDS)["job"]
        return job

    def follow(self, job: Document) -> Iterator[Document]:
        """The job, again whenever it has changed, until it is over; the last one given is the end state."""
        yield job
        while job["state"] == "running":
            job = self.job(job["id"], after=job["job_version"], wait=WAIT_SECONDS)
            yield job

    def alerts(self, *, everything: bool = False) -> list[Document]:
        """Open alerts, or past ones too."""
        found: list[Document] = self._call("GET", f"/v1/alerts?all={int(everything)}")["alerts"]
        return found

    def acknowledge(self, number: int) -> bool:
        """Acknowledge an alert; False when there is none of this number that is not acknowledged."""
        return bool(self._call("POST", f"/v1/alerts/{number}/ack")["acknowledged"])

    def evacuate(self, order: Document, seconds: float = ANSWER_SECONDS) -> tuple[Document, bool]:
        """Order an evacuation, or fill in what is said of the one that goes on; its document, and whether one did."""
        found = self._call("POST", "/v1/evacuations", order, seconds=seconds)
        document: Document = found["document"]
        return document, bool(found["joined"])

    def evacuation(self) -> Document | None:
        """The document of the evacuation that goes on."""
        found: Document | None = self._call("GET", "/v1/evacuations")["document"]
        return found

    def pull_list(self, seconds: float = ANSWER_SECONDS) -> Document | None:
        """The document of the kept pull list."""
        found: Document | None = self._call("GET", "/v1/pull-list", seconds=seconds)["pull_list"]
        return found

    def end_evacuation(self, note: str = "") -> Document | None:
        """End the evacuation that goes on; None when there is none."""
        found: Document | None = self._call("POST", "/v1/evacuations/end", {"note": note})["document"]
        return found

    def approvals(self, *, everything: bool = False) -> list[Document]:
        """The requests that wait, or past ones too."""
        found: list[Document] = self._call("GET", f"/v1/approvals?all={int(everything)}")["requests"]
        return found

    def approval(self, number: int) -> Document:
        """A request."""
        found: Document = self._call("GET", f"/v1/approvals/{number}")["request"]
        return found

    def approve(self, number: int, signature: str, person: str = "") -> Document:
        """Approve a request by a signature of its statement. Returns the request as it is then."""
        body = {"signature": signature, "person": person}
        found: Document = self._call("POST", f"/v1/approvals/{number}", body)["request"]
        return found

    def retry(self, target: str) -> None:
        """Have the daemon try a target now, whatever its back-off."""
        self._call("POST", f"/v1/targets/{quote(target, safe='')}/retry")

    def _call(
        self, method: str, path: str, body: Document | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> Document:
        connection = _Connection(self.path, seconds)
        try:
            # Who is refused gets the answer before the body is sent, and a closed connection; the answer is there.
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, path, None if body is None else json.dumps(body), _headers())
            answer = connection.getresponse()
            raw = answer.read(LARGEST_ANSWER)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunningError(
                _("the daemon is not running"), _("nobody answers at {path}").format(path=display(self.path)),
                _("start it: systemctl start vaultd (or: vaultd run)"),
            ) from None  # fmt: skip
        except PermissionError:
            raise NotAuthorisedError(
                _("not allowed"), _("no access to {path}").format(path=display(self.path)),
                _("join the group of the control socket, or run it as root"),
            ) from None  # fmt: skip
        except (OSError, http.client.HTTPException) as error:
            why = _("no answer in time") if isinstance(error, TimeoutError) else (str(error) or type(error).__name__)
            raise NotRunningError(
                _("the daemon does not answer"), why, _("see its log: journalctl -u vaultd")
            ) from None  # fmt: skip
        finally:
            connection.close()
        return _checked(answer.status, raw)


def _headers() -> dict[str, str]:
    headers = {"Connection": "close", "Content-Type": "application/json"}
    claim = os.environ.get("SUDO_USER", "")
    if claim.isascii() and claim.isprintable() and claim:
        headers["Vaultd-Claim"] = claim
    return headers


def _checked(status: int, raw: bytes) -> Document:
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if isinstance(found, dict) and status < 300:
        return found
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict):
        raise error_of(error)
    raise VaultdError(_("the daemon's answer is not understood"), f"HTTP {status}", _("is it of another version?"))


def error_of(detail: Document) -> VaultdError:
    """The error that an error object describes: of its own class where this version knows it."""
    # Only those of the errors module: a subclass elsewhere may be made differently.
    kinds = {kind.code: kind for kind in vars(errors).values() if _is_error(kind)}
    code = str(detail.get("code", ""))
    found = kinds.get(code, VaultdError)(*(str(detail.get(key, "")) for key in ("what", "why", "hint")))
    found.code, found.exit_code = code, int(detail.get("exit_code", errors.EXIT_FAILED))
    return found


def _is_error(found: object) -> TypeGuard[type[VaultdError]]:
    return isinstance(found, type) and issubclass(found, VaultdError)

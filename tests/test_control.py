"""The control socket: a real server on a real socket, asked by the real client, by sockets, and by other users."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from vaultd import approvals
from vaultd.approvals.faults import NoRequestError
from vaultd.control import server as server_module
from vaultd.control.cache import StatusCache
from vaultd.control.client import Client, error_of
from vaultd.control.peer import Member, Peer, Policy, Role, peer_of, role_of
from vaultd.control.routes import Api
from vaultd.control.server import bind, serve
from vaultd.control.service import BackupRequest, EvacuationRequest, Job, Outcome
from vaultd.errors import (
    BusyError,
    ConfigError,
    HostKeyError,
    NotAuthorisedError,
    NotRunningError,
    StateError,
    VaultdError,
)
from vaultd.model import Progress
from vaultd.store.alerts import Alert

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
STRANGER = 54321
GROUP = 54322


class StandIn:
    """The daemon's side, small enough to see through."""

    def __init__(self) -> None:
        self.asked: list[BackupRequest] = []
        self.acknowledged: list[tuple[int, str]] = []
        self.retried: list[str] = []
        self.ordered: list[EvacuationRequest] = []
        self.ended: list[tuple[str, str]] = []
        self.approved: list[tuple[int, str, str, str]] = []
        self.jobs: dict[str, Job] = {}
        self.failure: Exception | None = None

    async def status(self) -> dict[str, Any]:
        if self.failure:
            raise self.failure
        return {
            "version": 1, "host": "h", "as_of": "2026-01-01T00:00:00.000Z", "daemon": {"running": True},
            "state": "protected", "vaults": [], "targets": [], "ledger": {}, "kit": {}, "alerts": [], "progress": [],
        }  # fmt: skip

    async def request_backup(self, request: BackupRequest) -> Job:
        if "nope" in request.vaults:
            raise ConfigError("vault nope", "there is no such vault", "known vaults: a, b")
        self.asked.append(request)
        job = Job(f"j{len(self.asked)}", request.vaults, request.full, time.time_ns())
        self.jobs[job.id] = job
        return job

    async def job(self, number: str) -> Job | None:
        return self.jobs.get(number)

    async def progress(self) -> Sequence[Progress]:
        return [PROGRESS]

    async def alerts(self, open_only: bool) -> Sequence[Alert]:
        known = [Alert(7, "target-unreachable", "", "east", {"error": "refused"}, 10**18, 10**18, 1, None, None, None)]
        return known if open_only else [*known, Alert(6, "old", "", "", {}, 1, 1, 1, 2, 3, "uid 0")]

    async def acknowledge(self, number: int, who: str) -> bool:
        self.acknowledged.append((number, who))
        return number == 7

    async def approval_requests(self, open_only: bool) -> Sequence[approvals.Request]:
        return []

    async def approval_request(self, number: int) -> approvals.Request:
        raise NoRequestError("request", "there is none")

    async def approve(self, number: int, signature: str, person: str, who: str) -> approvals.Request:
        self.approved.append((number, signature, person, who))
        raise NoRequestError("request", "there is none")

    async def retry(self, target: str) -> None:
        self.retried.append(target)

    async def evacuate(self, request: EvacuationRequest) -> tuple[dict[str, Any], bool]:
        self.ordered.append(request)
        return {"evacuation": {"id": "E-2026-001"}}, len(self.ordered) > 1

    async def evacuation(self) -> dict[str, Any] | None:
        return {"evacuation": {"id": "E-2026-001"}} if self.ordered else None

    async def end_evacuation(self, who: str, note: str) -> dict[str, Any] | None:
        self.ended.append((who, note))
        return None

    async def pull_list(self) -> dict[str, Any] | None:
        return {"version": 1}


PROGRESS = Progress("backup", "patients", "east", "full", 1, 4, 10, 40, 5.0, 6.0)


class Running:
    """A server in a thread of its own, with its own loop, as the client has none."""

    def __init__(self, path: Path, group: str | None = None, members: dict[int, Member] | None = None) -> None:
        self.path, self.group, self.members, self.service = path, group, members, StandIn()
        self.client = Client(path)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        try:
            async with serve(self.service, self.path, self.group, self.members):
                self._ready.set()
                await self._end.wait()
        except VaultdError as error:
            self._failure = error
            self._ready.set()

    def start(self) -> Running:
        self._thread.start()
        assert self._ready.wait(20)
        if self._failure:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that other users may enter: socket paths are limited to 107 bytes."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="vaultd-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    found = Running(folder / "run" / "vaultd.sock").start()
    yield found
    found.stop()


# --- socket and directory


def test_socket_and_directory_have_their_modes(running: Running) -> None:
    found = running.path.lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert stat.S_IMODE(running.path.parent.stat().st_mode) == 0o750
    assert os.listdir(running.path.parent) == ["vaultd.sock"]


def test_socket_is_removed_at_the_end(folder: Path) -> None:
    found = Running(folder / "run" / "vaultd.sock").start()
    found.stop()
    assert os.listdir(found.path.parent) == []


def test_stale_socket_of_a_dead_daemon_is_replaced(folder: Path) -> None:
    path = folder / "run" / "vaultd.sock"
    path.parent.mkdir()
    code = f"import socket, os; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code])
    assert path.is_socket()
    found = Running(path).start()
    assert found.client.status()["host"] == "h"
    found.stop()


def test_socket_that_is_answered_is_left_alone(running: Running) -> None:
    before = running.path.lstat().st_ino
    with pytest.raises(BusyError):
        bind(running.path, None)
    assert running.path.lstat().st_ino == before
    assert running.client.status()["host"] == "h"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_not_a_socket_is_never_removed(folder: Path, kind: str) -> None:
    path = folder / "run" / "vaultd.sock"
    path.parent.mkdir()
    precious = folder / "precious"
    precious.write_text("do not lose me")
    if kind == "file":
        path.write_text("do not lose me")
    elif kind == "link":
        path.symlink_to(precious)
    else:
        path.mkdir()
    before = path.lstat().st_ino
    with pytest.raises(StateError):
        bind(path, None)
    assert path.lstat().st_ino == before
    assert precious.read_text() == "do not lose me"


def test_directory_that_everybody_may_write_to_is_refused(folder: Path) -> None:
    place = folder / "open"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(StateError):
        bind(place / "vaultd.sock", None)
    assert os.listdir(place) == []


def test_long_path_is_an_error_that_says_so(folder: Path) -> None:
    with pytest.raises(ConfigError, match="107"):
        bind(folder / ("x" * 120) / "vaultd.sock", None)


def test_unknown_group_is_a_configuration_error(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-group"):
        Running(folder / "run" / "vaultd.sock", "no-such-group").start()


# --- calls


def test_status_progress_and_alerts(running: Running) -> None:
    assert running.client.status()["state"] == "protected"
    assert Progress(**running.client.progress()[0]) == PROGRESS
    found = running.client.alerts()
    assert [(one["id"], one["severity"]) for one in found] == [(7, "warning")]
    assert found[0]["text"] == "target east does not answer: refused"
    assert [one["id"] for one in running.client.alerts(everything=True)] == [7, 6]


def test_status_that_is_dear_to_make_is_given_again() -> None:
    made: list[int] = []

    async def make() -> dict[str, Any]:
        made.append(1)
        await asyncio.sleep(0.15)
        return {"as_of": len(made)}

    async def ask_often() -> list[int]:
        cache = StatusCache(make)
        found = [(await cache.get())["as_of"] for _ in range(20)]
        cache._made -= 100  # long ago
        found.append((await cache.get())["as_of"])
        assert cache._making is not None
        await cache._making
        return [*found, (await cache.get())["as_of"]]

    assert asyncio.run(ask_often()) == [1] * 21 + [2]


def test_backup_job_is_followed_to_its_end(running: Running) -> None:
    job = running.client.backup(["patients"], full=True)
    assert running.service.asked[0].vaults == ("patients",)
    assert running.service.asked[0].full
    live = running.service.jobs[job["id"]]
    outcome = Outcome("patients", "east", "full", "abc", "id", 4, 40, 20, 1.5, (b"bad\xff",), None)
    running.loop.call_soon_threadsafe(live.show, [PROGRESS])
    seen = []
    for found in running.client.follow(job):
        seen.append(found)
        if found["progress"]:
            running.loop.call_soon_threadsafe(live.end, "partial", time.time_ns(), [outcome])
    assert seen[-1]["state"] == "partial"
    assert seen[-1]["outcomes"][0]["unread"] == [{"path": "bad�", "path_b64": "YmFk/w=="}]
    assert any(one["progress"] for one in seen)


def test_long_poll_returns_when_something_changes_and_not_before(running: Running) -> None:
    job = running.client.backup([])
    live = running.service.jobs[job["id"]]
    answers: list[dict[str, Any]] = []
    waiting = threading.Thread(
        target=lambda: answers.append(running.client.job(job["id"], after=job["job_version"], wait=20))
    )
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    running.loop.call_soon_threadsafe(live.show, [PROGRESS])
    waiting.join(10)
    assert answers[0]["job_version"] == job["job_version"] + 1


def test_long_poll_ends_after_its_wait(running: Running) -> None:
    job = running.client.backup([])
    assert running.client.job(job["id"], after=job["job_version"], wait=0.2)["state"] == "running"


def test_errors_of_the_daemon_arrive_as_the_same_class(running: Running) -> None:
    with pytest.raises(ConfigError) as caught:
        running.client.backup(["nope"])
    assert (caught.value.what, caught.value.hint) == ("vault nope", "known vaults: a, b")
    assert caught.value.exit_code == 2
    running.service.failure = HostKeyError("target east", "changed", "ask")
    with pytest.raises(HostKeyError):
        running.client.status()


def test_a_bug_in_the_daemon_says_nothing_of_its_inside(running: Running) -> None:
    running.service.failure = RuntimeError("secret name")
    with pytest.raises(VaultdError) as caught:
        running.client.status()
    assert "secret" not in str(caught.value.as_json())
    running.service.failure = None
    assert running.client.status()["host"] == "h"


def test_unknown_error_code_keeps_its_exit_code() -> None:
    found = error_of({"code": "new", "exit_code": 42, "what": "w", "why": "y", "hint": "h"})
    assert (type(found), found.code, found.exit_code, str(found)) == (VaultdError, "new", 42, "w: y")


@pytest.mark.parametrize(
    ("body", "needle"),
    [(b"{", "JSON"), (b'{"vault": []}', "vault"), (b'{"full": "yes"}', "full"), (b'{"vaults": [1]}', "vaults")],
)
def test_bad_request_is_refused_with_its_field(running: Running, body: bytes, needle: str) -> None:
    status, answer = ask(running.path, b"POST /v1/backup HTTP/1.1", body)
    assert status == 400
    assert needle in answer["error"]["why"]
    assert running.service.asked == []


def test_unknown_route_and_method(running: Running) -> None:
    assert ask(running.path, b"GET /v1/nothing HTTP/1.1")[0] == 404
    assert ask(running.path, b"DELETE /v1/status HTTP/1.1")[0] == 405
    assert ask(running.path, b"GET /v1/jobs/none HTTP/1.1")[1]["error"]["code"] == "unknown"


def test_body_larger_than_the_limit_is_refused(running: Running) -> None:
    status, answer = ask(running.path, b"POST /v1/backup HTTP/1.1", b" " * (65 * 1024))
    assert (status, answer["error"]["code"]) == (413, "body")


# --- nobody there, slow, many


def test_no_socket_means_not_running(folder: Path) -> None:
    with pytest.raises(NotRunningError) as caught:
        Client(folder / "none.sock").status()
    assert caught.value.exit_code == 7
    assert caught.value.hint


def test_dead_socket_means_not_running(folder: Path) -> None:
    path = folder / "dead.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(NotRunningError):
        Client(path).status()


def test_daemon_that_hangs_is_given_up(folder: Path) -> None:
    path = folder / "hung.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with pytest.raises(NotRunningError, match="in time"):
            Client(path).status(0.2)


def test_slow_clients_are_closed_and_others_served(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.3)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(20)]
        for one in slow:
            one.connect(str(running.path))
            one.settimeout(10)
            one.sendall(b"GET /v1/sta")
        assert running.client.status()["host"] == "h"
        for one in slow:
            assert closed(one)
    assert running.client.status()["host"] == "h"


def test_body_that_does_not_come_is_given_up(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultd.control.routes.BODY_SECONDS", 0.3)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.settimeout(10)
        slow.connect(str(running.path))
        slow.sendall(b"POST /v1/backup HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert b"408" in slow.recv(4096).partition(b"\r\n")[0]


def test_leaving_does_not_wait_for_a_long_poll(folder: Path) -> None:
    found = Running(folder / "run" / "vaultd.sock").start()
    job = found.client.backup([])
    with socket.socket(socket.AF_UNIX) as poll:
        poll.connect(str(found.path))
        poll.sendall(f"GET /v1/jobs/{job['id']}?after=9&wait=30 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        found.stop()
    assert not found.path.exists()


# --- roles


def test_policy() -> None:
    policy = Policy(group=5)
    member, stranger = Peer(1, 1000, 1000, frozenset({5, 1000})), Peer(1, 1001, 1001, frozenset({1001}))
    root, ourselves = Peer(1, 0, 0, frozenset({0})), Peer(1, os.geteuid(), 9, frozenset({9}))
    for who in (root, ourselves):
        assert policy.allows(who, Role.ADMIN) and policy.allows(who, Role.OPERATE)
    assert policy.allows(member, Role.OPERATE)
    assert not policy.allows(member, Role.ADMIN)
    assert not policy.allows(stranger, Role.OPERATE)
    assert not Policy(group=None).allows(member, Role.OPERATE)


@pytest.mark.parametrize(
    ("duties", "may"),
    [(["director"], {Role.VIEW, Role.OPERATE, Role.DIRECT}), (["operator", "auditor"], {Role.VIEW, Role.OPERATE}),
     (["auditor"], {Role.VIEW}), (["custodian"], {Role.VIEW})],
)  # fmt: skip
def test_a_persons_roles_decide_whatever_groups_they_are_in(duties: list[str], may: set[Role]) -> None:
    policy = Policy(5, {1000: Member("张伟", "zhang", role_of(duties))})
    for groups in (frozenset({5}), frozenset[int]()):
        peer = Peer(1, 1000, 1000, groups)
        assert {role for role in Role if policy.allows(peer, role)} == may
    assert not policy.allows(Peer(1, 1001, 1001, frozenset()), Role.VIEW)


def test_peer_of_ourselves() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        found = peer_of(left)
    assert (found.pid, found.uid, found.gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert found.groups == frozenset(os.getgroups()) | {os.getegid()}
    with socket.socket(socket.AF_INET) as other, pytest.raises(PermissionError):
        peer_of(other)


@needs_root
@pytest.mark.root
def test_peer_with_many_groups() -> None:
    groups = range(100_000, 101_000)
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        # SO_PEERGROUPS of a pair are those of its maker: a process with 1,000 groups makes one and asks itself.
        code = (
            "import os, socket, sys; os.setgroups(range(100000, 101000)); "
            "from vaultd.control.peer import peer_of; print(len(peer_of(socket.socketpair()[0]).groups))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == str(len(groups) + 1), done.stderr


@needs_root
@pytest.mark.root
def test_member_of_the_group_may_ask_for_a_backup_but_not_rule(group_running: Running) -> None:
    path = group_running.path
    assert as_user(path, "client.status()['host']", groups=[GROUP]) == "h"
    assert as_user(path, "client.backup(['patients'])['state']", groups=[GROUP]) == "running"
    assert as_user(path, "client.alerts()[0]['id']", groups=[GROUP]) == 7
    assert "NotAuthorisedError" in as_user(path, "client.acknowledge(7)", groups=[GROUP])
    assert "NotAuthorisedError" in as_user(path, "client.retry('east')", groups=[GROUP])
    assert "NotAuthorisedError" in as_user(path, "client.backup([], accept_empty=True)", groups=[GROUP])
    assert group_running.service.acknowledged == []
    assert group_running.service.retried == []
    assert [request.accept_empty for request in group_running.service.asked] == [False]


def test_who_is_refused_before_the_body_is_read_is_told_so(folder: Path) -> None:
    """The answer is there, and the connection closed, when the client comes to send the body."""
    path, refused = folder / "s", b'{"version": 1, "error": {"code": "not-authorised", "exit_code": 6, "what": "no"}}'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)

        def answer() -> None:
            connection, _address = listening.accept()
            with connection:
                received = b""
                while b"\r\n\r\n" not in received:
                    received += connection.recv(1)  # not a byte of the body
                connection.sendall(b"HTTP/1.1 403 no\r\nContent-Length: %d\r\n\r\n%b" % (len(refused), refused))

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(NotAuthorisedError, match="no"):
            Client(path).backup(["x" * 5_000_000])  # more than fits into the socket: it is being sent when that closes
        thread.join()


def test_who_asks_is_a_person_where_the_account_is_one_s() -> None:
    api = Api(StandIn(), Policy(5, {1000: Member("张伟", "zhang", Role.OPERATE)}))

    def caller(uid: int, claim: str = "") -> approvals.Caller:
        headers = [(b"vaultd-claim", claim.encode())] if claim else []
        return api.caller(Request({"type": "http", "headers": headers}), Peer(1, uid, uid, frozenset()))

    assert caller(1000, "root") == approvals.Caller("张伟", "zhang", "张伟 (uid 1000)")
    assert caller(0, "zhang") == approvals.Caller("张伟", "zhang", "uid 0 (says zhang)")
    assert caller(0, "wang") == approvals.Caller("uid 0 (says wang)", "wang", "uid 0 (says wang)")
    assert caller(1001, "zhang") == approvals.Caller("uid 1001 (says zhang)", "", "uid 1001 (says zhang)")


@needs_root
@pytest.mark.root
@pytest.mark.parametrize(("role", "backup"), [(Role.VIEW, False), (Role.OPERATE, True), (Role.DIRECT, True)])
def test_a_person_with_an_account_may_do_what_their_roles_say(
    folder: Path, monkeypatch: pytest.MonkeyPatch, role: Role, backup: bool
) -> None:
    monkeypatch.setattr(server_module, "group_number", lambda _name: GROUP)
    members = {STRANGER: Member("张伟", "zhang", role)}
    running = Running(folder / "run" / "vaultd.sock", "operators", members).start()
    try:
        path = running.path
        assert as_user(path, "client.status()['host']", groups=[GROUP]) == "h"
        asked = as_user(path, "client.backup(['patients'])['state']", groups=[GROUP])
        assert (asked == "running") is backup and ("NotAuthorisedError" in asked) is not backup
        assert [request.who for request in running.service.asked] == ([f"张伟 (uid {STRANGER})"] if backup else [])
        assert "NotAuthorisedError" in as_user(path, "client.acknowledge(7)", groups=[GROUP])
        assert "there is none" in as_user(path, "client.approve(3, 'U1NI', '张伟')", groups=[GROUP])
        assert running.service.approved == [(3, "U1NI", "张伟", f"张伟 (uid {STRANGER})")]
    finally:
        running.stop()


@needs_root
@pytest.mark.root
def test_others_do_not_get_in(group_running: Running) -> None:
    assert "NotAuthorisedError" in as_user(group_running.path, "client.status()", groups=[])


@needs_root
@pytest.mark.root
def test_the_kernel_decides_even_when_the_modes_are_wrong(group_running: Running) -> None:
    group_running.path.parent.chmod(0o755)
    group_running.path.chmod(0o666)
    assert "NotAuthorisedError" in as_user(group_running.path, "client.status()", groups=[])


@needs_root
@pytest.mark.root
def test_root_rules_and_a_claim_is_only_noted(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "zhang.wei")
    assert running.client.acknowledge(7)
    assert not running.client.acknowledge(8)
    assert running.service.acknowledged[0] == (7, "uid 0 (says zhang.wei)")
    monkeypatch.setenv("SUDO_USER", "x; rm -rf")
    running.client.acknowledge(7)
    assert running.service.acknowledged[-1] == (7, "uid 0")
    running.client.retry("east")
    assert running.service.retried == ["east"]


@pytest.fixture
def group_running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(server_module, "group_number", lambda _name: GROUP)
    found = Running(folder / "run" / "vaultd.sock", "operators").start()
    assert (found.path.stat().st_gid, found.path.parent.stat().st_gid) == (GROUP, GROUP)
    yield found
    found.stop()


def as_user(path: Path, call: str, *, groups: list[int]) -> Any:
    """What a call gives when another user makes it: a real process of that user, its result or its error's class."""
    code = f"""
import json, os, sys
from pathlib import Path
from vaultd import errors
from vaultd.control.client import Client
os.setgroups({groups!r}); os.setgid({STRANGER}); os.setuid({STRANGER})
client = Client(Path({str(path)!r}))
try:
    print(json.dumps({call}))
except errors.VaultdError as error:
    print(json.dumps(f"{{type(error).__name__}}: {{error}}"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(path: Path, line: bytes, body: bytes = b"") -> tuple[int, dict[str, Any]]:
    """One request over a plain socket: status and answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        head = b"%s\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (line, len(body))
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(head + body)
        raw = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                raw += part
    first, _sep, answer = raw.partition(b"\r\n\r\n")
    return int(first.split()[1]), json.loads(answer)


def closed(connection: socket.socket) -> bool:
    """Whether the other end has closed, within the socket's time-out."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_not_authorised_is_exit_6() -> None:
    assert NotAuthorisedError("x").exit_code == 6

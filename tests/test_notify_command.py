"""``vaultd notify``: with a real daemon, a real courier and servers that answer or do not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.noticing import Host, HttpServer, MailServer, servers
from tests.site import site_in, until
from vaultd.cli.main import main
from vaultd.config import load
from vaultd.doctor import check_notices
from vaultd.notices import folders, lock, outbox
from vaultd.notices.model import Notice
from vaultd.store import Store

SECRET = "secret-token-4711"


@pytest.fixture
def both() -> Iterator[tuple[HttpServer, MailServer]]:
    with servers() as found:
        yield found


@pytest.fixture
def host(tmp_path: Path, both: tuple[HttpServer, MailServer]) -> Iterator[Host]:
    made = Host(tmp_path)
    made.channel("web", both[0].url)
    made.channel("mail", both[1].url)
    made.persons += [{"name": "王芳", "telephone": "110", "notify": ["mail"]}, {"name": "张伟", "telephone": "119"}]
    made.write()
    Store(made.state / "state.db").close()
    try:
        yield made
    finally:
        made.close()


class Run:
    """A command: its exit code, and what it printed."""

    def __init__(self, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
        self.host, self.capsys = host, capsys

    def __call__(self, *args: str) -> tuple[int, dict[str, Any]]:
        code = main(["--config", str(self.host.file), "--json", *args])
        out = self.capsys.readouterr().out
        assert SECRET not in out
        return code, json.loads(out)

    def text(self, *args: str) -> str:
        main(["--config", str(self.host.file), *args])
        out = self.capsys.readouterr().out
        assert SECRET not in out
        return out


@pytest.fixture
def run(host: Host, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(host, capsys)


def started(host: Host) -> None:
    host.start()
    until(lambda: (host.state / "notices/courier/lock").exists() and lock.held(host.state), f"it runs: {host.said()}")


def test_a_test_says_what_arrived(host: Host, run: Run, both: tuple[HttpServer, MailServer]) -> None:
    code, found = run("notify", "test")
    assert (code, found["error"]["code"]) == (1, "notice")  # nobody would send it
    assert not (host.state / "notices").exists()
    assert run("notify", "test", "--channel", "none")[0] == 2
    assert run("notify", "test", "--person", "nobody")[0] == 2
    started(host)
    code, found = run("notify", "test")
    assert (code, found["sent"], found["over"]) == (0, 2, True)
    assert {one["channel"]: one["state"] for one in found["deliveries"]} == {"web": "sent", "mail": "sent"}
    code, found = run("notify", "test", "--person", "王芳")
    assert (code, [(one["channel"], one["persons"]) for one in found["deliveries"]]) == (0, [("mail", ["王芳"])])
    both[0].mood = "refuse"
    code, found = run("notify", "test")
    assert (code, found["sent"]) == (3, 1)
    assert [one["error"] for one in found["deliveries"]] == ["http-500", None]
    assert "web: given up, attempts: 1: http-500" in run.text("notify", "test")
    code, found = run("notify", "test", "--channel", "web")
    assert (code, found["sent"], found["over"]) == (1, 0, True)
    both[0].mood = "hang"
    code, found = run("notify", "test", "--channel", "web", "--wait", "0.3")
    assert (code, found["sent"], found["over"]) == (1, 0, False)
    assert SECRET not in host.said()


def test_the_queue(host: Host, run: Run) -> None:
    notice = Notice("W-2026-001", "warning", "Smoke", "Leave.", ("王芳",), drill=True)
    number = outbox.put(host.state, notice)
    code, found = run("notify", "list")
    assert (code, found["courier"]) == (0, False)
    (one,) = found["notices"]
    assert (one["id"], one["of"], one["title"], one["state"], one["drill"]) == (
        number, "W-2026-001", "DRILL: Smoke", "new", True,
    )  # fmt: skip
    text = run.text("notify", "list")
    assert "The courier does not run" in text
    assert "DRILL: Smoke" in text
    outbox.remove(host.state, folders.NEW, number)
    outbox.remove(host.state, folders.KEPT, number)
    assert "No notice waits." in run.text("notify", "list")


def test_who_is_to_be_rung_and_who_was(host: Host, run: Run) -> None:
    outbox.put(host.state, Notice("E-2026-001", "evacuation", "Fire", "Go.", ("王芳", "李娜"), urgent=True))
    code, found = run("notify", "calls")
    assert code == 0
    first, second = found["calls"]
    assert (first["person"], first["telephone"], first["of"], first["attempts"]) == ("王芳", "110", "E-2026-001", 0)
    assert (second["person"], second["telephone"]) == ("李娜", None)
    assert "110" in run.text("notify", "calls")
    code, found = run("notify", "called", first["id"], "--by", "张伟", "--no-answer")
    assert (code, found["call"]["answered"], found["call"]["attempts"]) == (0, False, 1)
    code, found = run("notify", "called", first["id"], "--by", "张伟")
    assert (found["call"]["answered"], found["call"]["by"]) == (True, "张伟")
    assert [one["person"] for one in run("notify", "calls")[1]["calls"]] == ["李娜"]
    assert run("notify", "called", first["id"], "--by", "张伟")[0] == 1
    assert run("notify", "called", second["id"], "--by", " ")[0] == 2
    store = Store(host.state / "state.db")
    try:
        events = [event.fields for event in store.events(9)]
    finally:
        store.close()
    assert [(one["channel"], one["state"], one["person"]) for one in events] == [
        ("telephone", "failed", "王芳"), ("telephone", "sent", "王芳"),
    ]  # fmt: skip


def test_doctor_finds_what_would_keep_notices_back(host: Host) -> None:
    def faults() -> list[tuple[str, str]]:
        return [(one.level, one.subject) for one in check_notices(load(host.file))]

    assert faults() == [("fault", "courier")]
    (host.folder / "web.url").chmod(0o640)
    (host.folder / "mail.url").unlink()
    assert faults() == [("fault", "address"), ("fault", "address"), ("fault", "courier")]
    folders.prepare(host.state)
    with lock.taken(host.state):
        assert faults()[-1] == ("fine", "courier")
    host.channels = []
    host.persons = []
    host.write()
    assert faults() == []


def test_with_a_daemon_an_alert_is_told_and_on_record_once(tmp_path: Path, both: tuple[HttpServer, MailServer]) -> None:
    http, _mail = both
    courier = Host(tmp_path)  # the same state and configuration
    address = courier.address("web", http.url)
    with site_in(tmp_path) as site:
        server = site.add_target()
        site.add_vault()
        (tmp_path / "records/a").write_text("a")
        site.file_tail = f'[notify]\nfirst_wait = "100ms"\n[[notify.channel]]\nname = "web"\nurl_file = "{address}"\n'
        site.prepare()
        courier.write = lambda: None  # type: ignore[method-assign]
        try:
            courier.start()
            site.start()
            site.wait_protected()
            site.kill()
            number = outbox.put(site.state, Notice("W-1", "warning", "Smoke", "Leave."))
            until(lambda: any(number in one["message"] for one in http.got), f"told: {courier.said()}")
            site.start()
            server.stop()
            (tmp_path / "records/b").write_text("b")
            until(lambda: any("target-unreachable" in one["title"] for one in http.got), f"told: {site.alerts()}")
            until(lambda: len(site.entries("notice")) >= 2, "both are on record")
            until(lambda: outbox.whereabouts(site.state) == {}, "and gone from the outbox")
            found = [(one["of"], one["state"], one["channel"]) for one in site.entries("notice")]
            assert found == [("W-1", "sent", "web"), ("target-unreachable", "sent", "web")]
        finally:
            courier.close()


def test_the_courier_sees_no_vault_and_no_state(host: Host) -> None:
    """The files that it has opened, by the kernel's word, and the parts of vaultd that it has loaded."""
    code = (
        "import sys, vaultd.cli.courier, vaultd.notices.courier, vaultd.config.notify, vaultd.places;"
        "print(*(one for one in sys.modules if one.startswith('vaultd')))"
    )
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = {one.split(".")[1] for one in done.stdout.split() if "." in one}
    assert parts <= {
        "cli", "config", "errors", "files", "i18n", "names", "notices", "places", "priority", "model", "units",
    }  # fmt: skip
    started(host)
    process = host.couriers[-1]
    held = {os.readlink(f"/proc/{process.pid}/fd/{one}") for one in os.listdir(f"/proc/{process.pid}/fd")}
    inside = {os.path.relpath(path, host.state) for path in held if path.startswith(str(host.state))}
    assert inside == {"notices/courier/lock"}
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert SECRET.encode() not in command

"""The courier against real servers: what arrives, what happens while it cannot, and when the courier is killed."""

from __future__ import annotations

import email
import email.policy
import os
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.noticing import Host, HttpServer, MailServer, servers
from tests.site import until
from vaultd.notices import folders, lock, outbox
from vaultd.notices.form import Delivery
from vaultd.notices.model import Notice

NOTICE = Notice("W-2026-001", "warning", "Smoke in room 2", "Leave by the north door.")
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
    try:
        yield made
    finally:
        made.close()


def test_notices_arrive_by_every_channel_drills_say_so_and_a_second_courier_is_refused(
    host: Host, both: tuple[HttpServer, MailServer]
) -> None:
    http, mail = both
    number = outbox.put(host.state, NOTICE)
    host.start()
    found = host.wait(number)
    assert [(one.channel, one.state, one.attempts, one.error) for one in found] == [
        ("web", "sent", 1, ""), ("mail", "sent", 1, ""),
    ]  # fmt: skip
    assert http.got[0]["title"] == NOTICE.title
    assert http.got[0]["message"].startswith(NOTICE.text)
    assert number in http.got[0]["message"]  # a double is recognisable
    letter = email.message_from_bytes(mail.got[0], policy=email.policy.default)
    assert letter["Subject"] == NOTICE.title
    body = letter.get_body(("plain", "html"))
    assert body is not None
    assert NOTICE.text in body.get_content()
    drill = outbox.put(host.state, Notice("DRILL-2026-001", "evacuation", "Tier 1 is safe", "All of it.", drill=True))
    host.wait(drill)
    assert http.got[1]["title"] == "DRILL: Tier 1 is safe"
    assert http.got[1]["message"].startswith("DRILL: All of it.")
    second = host.start()
    assert second.wait(60) == 1
    assert "another courier has the outbox" in host.said()
    host.couriers[0].send_signal(signal.SIGTERM)
    assert host.couriers[0].wait(60) == 0
    assert SECRET not in host.said()


def test_dead_channels_hold_up_no_other_and_are_tried_until_they_are_back(
    host: Host, both: tuple[HttpServer, MailServer]
) -> None:
    http, mail = both
    hanging, gone = HttpServer(), HttpServer()
    host.channel("hanging", hanging.url)
    host.channel("gone", gone.url)
    host.notify["timeout"] = "4s"
    http.mood, hanging.mood = "refuse", "hang"
    gone.close()
    try:
        numbers = [outbox.put(host.state, NOTICE), outbox.put(host.state, NOTICE)]
        host.start()
        until(lambda: arrived(mail.got) == set(numbers), f"both by mail: {host.said()}")
        wanted = [("waiting", "http-500"), ("waiting", "timeout"), ("waiting", "unreachable")]
        until(
            lambda: [(one.state, one.error) for one in dead(host, numbers[0])] == wanted,
            f"each in its way: {host.said()}",
        )
        until(lambda: all(one.attempts >= 2 for one in dead(host, numbers[0])), f"tried again: {host.said()}")
        kept = outbox.handed_over(host.state, numbers[0])
        assert kept is not None
        outbox.put_again(host.state, kept)  # as if it had got lost
        until(lambda: folders.listed(host.state, folders.NEW) == [], "it knows that one")
        gone.open()
        hanging.released.set()
        http.mood = hanging.mood = "fine"
        for number in numbers:
            host.wait(number)
        assert arrived(http.got) == arrived(gone.got) == set(numbers)
    finally:
        hanging.close()
        gone.close()
    assert SECRET not in host.said()
    assert "Traceback" not in host.said()


def arrived(got: Sequence[object]) -> set[str]:
    """The ids of the notices among what a server has got."""
    return set(re.findall(r"[0-9a-f]{12}-[0-9a-f]{20}", " ".join(map(str, got))))


def dead(host: Host, number: str) -> list[Delivery]:
    return [one for one in host.now(number).deliveries or () if one.channel != "mail"]


def test_what_is_never_sent_is_given_up_and_said(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    both[1].mood = "refuse"
    host.notify["attempts"] = 2
    number = outbox.put(host.state, NOTICE)
    host.start()
    (web, mail) = host.wait(number, folders.FAILED)
    assert (web.state, mail.state, mail.attempts) == ("sent", "failed", 2)
    assert mail.error in ("smtp-550", "smtp-recipients")


def test_refused_with_status_200_is_not_sent(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    """WeCom and DingTalk answer so."""
    both[0].answer = b'{"errcode": 93000, "errmsg": "invalid webhook url"}'
    number = outbox.put(host.state, NOTICE, attempts=1, only="web")
    host.start()
    (web,) = host.wait(number, folders.FAILED)
    assert (web.state, web.error) == ("failed", "errcode-93000")


def test_killed_in_mid_send_it_is_sent_once_more_with_the_same_id(
    host: Host, both: tuple[HttpServer, MailServer]
) -> None:
    http, mail = both
    http.mood = "hang"
    number = outbox.put(host.state, NOTICE)
    courier = host.start()
    until(lambda: http.paths and mail.got, f"on its way: {host.said()}")
    until(lambda: (host.now(number).deliveries or ())[1].state == "sent", "the mail is written down")
    tries = psutil.Process(courier.pid).children(recursive=True)
    assert tries
    courier.send_signal(signal.SIGKILL)
    courier.wait(30)
    assert psutil.wait_procs(tries, 30)[1] == []  # nobody goes on sending unseen
    until(lambda: not lock.held(host.state), "the outbox is free")
    assert host.where(number) == folders.SENDING
    http.mood = "fine"
    http.released.set()
    host.start()
    (web, post) = host.wait(number)
    assert (web.state, web.attempts, post.attempts) == ("sent", 2, 1)
    assert [one["message"].count(number) for one in http.got] == [1]
    assert len(mail.got) == 1  # what was written down as sent is not sent again


def test_killed_at_any_moment_nothing_is_lost(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    numbers = [outbox.put(host.state, NOTICE) for _one in range(12)]
    for killed_at in (1, 6):
        courier = host.start()
        until(lambda at=killed_at: len(both[0].got) >= at, f"some were sent: {host.said()}")
        courier.send_signal(signal.SIGKILL)
        courier.wait(30)
        until(lambda: not lock.held(host.state), "all of it is gone")
    host.start()
    for number in numbers:
        assert {one.state for one in host.wait(number)} == {"sent"}
    arrived = [number for number in numbers if any(number in one["message"] for one in both[0].got)]
    assert arrived == numbers
    assert len(both[0].got) <= len(numbers) + 2  # a double for each kill at most


def test_persons_are_told_by_their_own_ways(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    http, mail = both
    host.channels[1]["everybody"] = False
    other = HttpServer()
    try:
        host.persons += [
            {"name": "王芳", "notify": ["mail", host.address("wang", other.url)]},
            {"name": "张伟", "notify": ["mail"]},
            {"name": "李娜"},
        ]
        number = outbox.put(host.state, Notice("W-1", "warning", "t", "x", recipients=("王芳", "张伟", "李娜")))
        host.start()
        found = host.wait(number)
        assert {(one.channel, one.persons) for one in found} == {
            ("mail", ("王芳", "张伟")), ("own:2", ("王芳",)), ("web", ("李娜",)),
        }  # fmt: skip
        assert "For: 李娜" in http.got[0]["message"]
        assert "For:" not in other.got[0]["message"]
        assert len(mail.got) == 1
    finally:
        other.close()


def test_a_changed_configuration_is_taken_up(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    channels = host.channels
    host.channels = []
    number = outbox.put(host.state, NOTICE)
    host.start()
    assert [one.error for one in host.wait(number, folders.FAILED)] == ["no-channel"]
    host.channels = channels
    host.write()
    number = outbox.put(host.state, NOTICE)
    host.wait(number)
    assert len(both[0].got) == 1


def test_wrong_address_files_are_named_and_not_shown(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    wrong = {
        "open": (lambda path: path.chmod(0o644), "url-file-open"),
        "missing": (lambda path: path.unlink(), "url-file-missing"),
        "lines": (lambda path: path.write_text("a://b\nc://d\n"), "url-file-lines"),
        "large": (lambda path: path.write_text("#" * 20_000), "url-file-large"),
        "bytes": (lambda path: path.write_bytes(b"\xff"), "url-file-text"),
        "unknown": (lambda path: path.write_text("nonsense://x\n"), "url-unknown"),
        "pipe": (lambda path: (path.unlink(), os.mkfifo(path, 0o600)), "url-file-kind"),
    }
    for name, (change, _word) in wrong.items():
        host.channel(name, both[0].url)
        change(host.folder / f"{name}.url")
    number = outbox.put(host.state, NOTICE, attempts=1)
    host.start()
    found = {one.channel: one.error for one in host.wait(number, folders.FAILED)}
    assert found == {"web": "", "mail": "", **{name: word for name, (_change, word) in wrong.items()}}
    assert "nonsense" not in host.said()


def test_no_path_of_a_vault_is_told_even_if_it_was_put_in(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    text = f"burning: {host.vault}/wang/x.pdf"
    number = outbox.put(host.state, Notice("W-1", "warning", "t", text))
    host.start()
    host.wait(number)
    assert str(host.vault) not in repr(both[0].got) + repr(both[1].got)
    assert "held back" in both[0].got[0]["title"]


def test_files_that_are_no_notices_stop_nothing(host: Host, both: tuple[HttpServer, MailServer]) -> None:
    folders.prepare(host.state)
    new = host.state / "notices/new"
    for count, content in enumerate([b"", b"{", b"[]", b'{"version": 1}', b"x" * 300_000]):
        (new / f"00000000000{count}-{'0' * 20}.json").write_bytes(content)
    os.symlink("/etc/passwd", new / f"000000000009-{'0' * 20}.json")
    os.mkfifo(new / f"00000000000a-{'0' * 20}.json")
    (new / "something.txt").write_text("else")
    number = outbox.put(host.state, NOTICE)
    host.start()
    host.wait(number)
    assert len(both[0].got) == 1
    assert host.said().count("cannot be used") == 7

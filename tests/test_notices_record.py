"""What the daemon makes of notices: entries exactly once, alerts told with damping, alerts about notices, calls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.noticing import Host
from vaultd import files
from vaultd.config import Config, load
from vaultd.daemon.notices import NoticeWatch
from vaultd.notices import alarm, calls, folders, form, outbox, record
from vaultd.notices.faults import NoticeError
from vaultd.notices.form import Delivery
from vaultd.notices.model import Notice
from vaultd.notices.telling import teller
from vaultd.store import Store

NOTICE = Notice("W-2026-001", "warning", "Smoke", "Leave.", ("王芳", "张伟"))
HOUR_NS = 3600 * 10**9


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    made.channel("web", "json://127.0.0.1:9/x")
    made.notify["alerts"] = []
    made.persons += [{"name": "王芳", "telephone": "110"}, {"name": "张伟"}, {"name": "李娜", "telephone": "119"}]
    made.write()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def config(host: Host) -> Config:
    return load(host.file)


@pytest.fixture
def store(host: Host) -> Iterator[Store]:
    made = Store(host.state / "state.db")
    yield made
    made.close()


def entries(store: Store) -> list[dict[str, Any]]:
    return [dict(event.fields) for event in store.events(1000) if event.type == "notice"]


def courier_says(host: Host, number: str, folder: str, *found: Delivery) -> None:
    """Leave word as the courier does."""
    kept = outbox.handed_over(host.state, number)
    assert kept is not None
    files.replace(folders.file(host.state, folder, number), form.encode(replace(kept, deliveries=found)))
    if folder != folders.NEW:
        folders.file(host.state, folders.NEW, number).unlink(missing_ok=True)
    if folder in (folders.DONE, folders.FAILED):
        folders.file(host.state, folders.SENDING, number).unlink(missing_ok=True)


SENT = Delivery("web", ("王芳", "张伟"), form.SENT, 2, "", 1)
LOST = Delivery("mail", (), form.FAILED, 9, "smtp-550", 1)


def test_results_go_on_record_once_each_as_soon_as_they_are_there(host: Host, config: Config, store: Store) -> None:
    watch = NoticeWatch(config, store)
    number = outbox.put(host.state, replace(NOTICE, drill=True))
    watch.once()
    assert entries(store) == []
    courier_says(host, number, folders.SENDING, SENT, replace(LOST, state=form.WAITING))
    watch.once()
    common = {"notice": number, "of": "W-2026-001", "kind": "warning", "drill": 1}
    web = [
        {**common, "state": "sent", "channel": "web", "attempts": 2, "person": name} for name in ("王芳", "张伟")
    ]  # fmt: skip
    assert entries(store) == web
    watch.once()
    assert entries(store) == web
    courier_says(host, number, folders.FAILED, SENT, LOST)
    NoticeWatch(config, store).once()  # one that knows nothing of the other
    mail = {**common, "state": "failed", "channel": "mail", "attempts": 9, "error": "smtp-550"}
    assert entries(store) == [*web, mail]
    assert outbox.whereabouts(host.state) == {}
    assert folders.listed(host.state, folders.KEPT) == []
    assert record.standing(host.state, store, number).over


_KILLED = """
import os, signal, sys
from pathlib import Path
from vaultd import custody
from vaultd.notices import outbox, record
from vaultd.store import Store
store, count, at = Store(Path(sys.argv[1]) / "state.db"), [0], int(sys.argv[2])
def step(function):
    def counted(*args, **options):
        if count[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        count[0] += 1
        return function(*args, **options)
    return counted
custody.owe, outbox.remove = step(custody.owe), step(outbox.remove)
store.note_result = step(store.note_result)
record.settle(Path(sys.argv[1]), store, {})
print("whole")
"""


def test_killed_between_any_two_steps_each_result_is_on_record_once(host: Host, config: Config, store: Store) -> None:
    at, said = 0, ""
    wanted = 0
    while said != "whole":
        number = outbox.put(host.state, NOTICE)
        courier_says(host, number, folders.FAILED, SENT, LOST)
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, str(host.state), str(at)], capture_output=True, text=True, check=False
        )
        said = done.stdout.strip()
        assert done.returncode == (0 if said else -signal.SIGKILL), done.stderr
        NoticeWatch(config, store).once()
        wanted += 3
        assert len(entries(store)) == wanted
        assert outbox.whereabouts(host.state) == {}
        assert folders.listed(host.state, folders.KEPT) == []
        at += 1
    assert at > 6


def test_a_notice_that_got_lost_is_given_to_the_courier_again(
    host: Host, config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two files of ``put``; or somebody has emptied the courier's folders."""
    number = outbox.put(host.state, NOTICE)
    folders.file(host.state, folders.NEW, number).unlink()
    NoticeWatch(config, store).once()
    assert outbox.whereabouts(host.state) == {}  # it may be on its way
    monkeypatch.setattr(outbox, "GRACE_NS", 0)
    NoticeWatch(config, store).once()
    assert outbox.whereabouts(host.state) == {number: folders.NEW}


def test_a_folder_in_the_place_of_a_result_stops_no_other(host: Host, config: Config, store: Store) -> None:
    first, second = outbox.put(host.state, NOTICE), outbox.put(host.state, NOTICE)
    folders.file(host.state, folders.NEW, first).unlink()
    folders.file(host.state, folders.DONE, first).mkdir()
    courier_says(host, second, folders.DONE, SENT)
    for _look in range(2):
        NoticeWatch(config, store).once()
    assert [(one["notice"], one["state"]) for one in entries(store)] == [
        (first, "failed"), (second, "sent"), (second, "sent"),
    ]  # fmt: skip


def test_what_a_killed_process_has_left_half_written_goes(host: Host, config: Config, store: Store) -> None:
    number = outbox.put(host.state, NOTICE)
    old, young = (host.state / "notices/kept" / f".{number}.json.{end}" for end in ("old", "young"))
    for path in (old, young):
        path.write_text("{")
    os.utime(old, (1, 1))
    NoticeWatch(config, store).once()
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b'{"version": 1, "id": 3}', b"\xff", b"9" * 5000, b"[" * 100_000],
    ids=["empty", "list", "id", "bytes", "number", "deep"],
)
def test_a_courier_that_writes_nonsense_changes_nothing_on_record_but_that(
    host: Host, config: Config, store: Store, content: bytes
) -> None:
    number = outbox.put(host.state, NOTICE)
    folders.file(host.state, folders.NEW, number).rename(folders.file(host.state, folders.FAILED, number))
    folders.file(host.state, folders.FAILED, number).write_bytes(content)
    NoticeWatch(config, store).once()
    assert [(one["state"], one["error"]) for one in entries(store)] == [("failed", "unreadable")]
    assert outbox.whereabouts(host.state) == {}


def test_the_record_has_what_was_handed_over_whatever_the_courier_says(
    host: Host, config: Config, store: Store
) -> None:
    number = outbox.put(host.state, NOTICE)
    other = form.Kept(number, 1, Notice("W-9", "alert", "x", "y"), deliveries=(replace(SENT, persons=("root",)),))
    folders.file(host.state, folders.DONE, number).write_bytes(form.encode(other))
    folders.file(host.state, folders.NEW, number).unlink()
    forged = form.new_id()
    folders.file(host.state, folders.DONE, forged).write_bytes(form.encode(replace(other, id=forged)))
    NoticeWatch(config, store).once()
    assert entries(store) == [
        {"notice": number, "of": "W-2026-001", "kind": "warning", "state": "sent", "channel": "web", "attempts": 2}
    ]
    assert outbox.whereabouts(host.state) == {}


# alerts about notices


def standing(store: Store) -> dict[str, dict[str, object]]:
    return {alert.code: alert.detail for alert in store.alerts.list()}


def test_notices_that_wait_too_long_are_an_alert_until_they_are_sent(host: Host, store: Store) -> None:
    host.notify["late"] = "1ms"
    host.write()
    watch = NoticeWatch(load(host.file), store)
    numbers = [outbox.put(host.state, NOTICE), outbox.put(host.state, NOTICE)]
    time.sleep(0.01)
    watch.once()
    found = standing(store)["notices-waiting"]
    assert (found["count"], found["courier"]) == (2, 0)
    courier_says(host, numbers[0], folders.SENDING, replace(SENT, state=form.WAITING))
    courier_says(host, numbers[1], folders.DONE, SENT)
    watch.once()
    assert standing(store)["notices-waiting"]["count"] == 1
    courier_says(host, numbers[0], folders.DONE, SENT)
    watch.once()
    assert "notices-waiting" not in standing(store)


def test_notices_that_failed_are_an_alert_until_somebody_has_seen_it(host: Host, config: Config, store: Store) -> None:
    watch = NoticeWatch(config, store)
    for _one in range(2):
        courier_says(host, outbox.put(host.state, NOTICE), folders.FAILED, SENT, LOST)
    watch.once()
    assert standing(store)["notices-failed"] == {"count": 2, "channels": "mail"}
    (alert,) = [one for one in store.alerts.list() if one.code == "notices-failed"]
    assert store.alerts.acknowledge(alert.id, "somebody")
    watch.once()
    assert "notices-failed" not in standing(store)
    courier_says(host, outbox.put(host.state, NOTICE), folders.FAILED, LOST)
    watch.once()
    assert standing(store)["notices-failed"]["count"] == 1


# alerts become notices


def told(host: Host, code: str) -> list[Notice]:
    return [kept.notice for kept in outbox.all_kept(host.state) if kept.notice.of == code]


def test_a_flapping_alert_is_told_once_and_counted(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    host.notify["alerts"] = ["critical", "warning"]
    host.write()
    watch = NoticeWatch(load(host.file), store)
    watch.once()
    store.alerts.raise_("target-unreachable", target="off", detail={"error": f"no route to {host.vault}"})
    store.alerts.clear("target-unreachable", target="off")
    watch.once()
    (notice,) = told(host, "target-unreachable")
    assert (notice.kind, notice.recipients) == ("alert", ())
    assert "off" in notice.text
    assert str(host.vault) not in notice.text + notice.title
    other = Store(host.state / "state.db")  # another process raises them as well
    with other.database.write() as db:
        for _flap in range(10_000):
            other.alerts.raise_("target-unreachable", target="off", detail={"error": "again"})
            db.execute("UPDATE alert SET cleared=1 WHERE cleared IS NULL")
    other.close()
    for _look in range(3):
        watch.once()
    assert len(told(host, "target-unreachable")) == 1
    real = time.time_ns
    monkeypatch.setattr(alarm.time, "time_ns", lambda: real() + HOUR_NS)
    for _look in range(3):
        watch.once()
    found = told(host, "target-unreachable")
    assert len(found) == 2
    assert "10,000 times" in found[1].text


def test_only_the_severities_that_are_wanted_and_what_stood_before(host: Host, store: Store) -> None:
    store.alerts.raise_("target-full", target="off", detail={"error": "x"})
    store.alerts.raise_("host-key", target="old")
    store.alerts.clear("host-key", target="old")
    store.alerts.raise_("target-unreachable", target="off", detail={"error": "x"})
    host.notify["alerts"] = ["critical"]
    host.write()
    NoticeWatch(load(host.file), store).once()
    assert [kept.notice.of for kept in outbox.all_kept(host.state)] == ["target-full"]


def test_without_a_channel_for_them_alerts_make_no_notices(host: Host, store: Store) -> None:
    host.channels[0]["for"] = ["warning"]
    host.write()
    store.alerts.raise_("target-full", target="off", detail={"error": "x"})
    host.notify["alerts"] = ["critical"]
    host.write()
    NoticeWatch(load(host.file), store).once()
    assert not (host.state / "notices").exists()


def test_alerts_are_told_in_the_configured_language_and_with_names_where_allowed(host: Host, store: Store) -> None:
    host.notify.update({"lang": "zh_CN", "allow_names": True, "alerts": ["critical"]})
    host.write()
    store.alerts.raise_("vault-missing", vault="records", detail={"path": str(host.vault)})
    NoticeWatch(load(host.file), store).once()
    (notice,) = told(host, "vault-missing")
    assert str(host.vault) in notice.text
    assert "保险库" in notice.text or "不" in notice.text


def test_a_text_with_a_path_is_held_back_and_stays_on_the_host(
    host: Host, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    tell = teller(config)
    tell(Notice("W-1", "warning", "Fire", f"in {host.vault}/a/b.pdf"))
    tell(Notice("W-2", "warning", "Fire", "in /var/other and records-2"))
    first, second = outbox.all_kept(host.state)
    assert str(host.vault) in first.notice.text
    sent = [form.read(folders.file(host.state, folders.NEW, one.id)).notice for one in (first, second)]
    assert str(host.vault) not in sent[0].title + sent[0].text
    assert "held back" in sent[0].title
    assert sent[1] == second.notice
    assert "W-1" in caplog.text


# calls


def test_who_is_to_be_rung_and_the_tick(host: Host, config: Config, store: Store) -> None:
    persons = calls.listed(config.person)
    watch = NoticeWatch(config, store)
    outbox.put(host.state, NOTICE)
    number = outbox.put(host.state, replace(NOTICE, urgent=True))
    courier_says(host, number, folders.DONE, SENT)
    watch.once()
    found = calls.to_ring(host.state, store, persons)
    assert [(one.person, one.telephone, one.of) for one in found] == [
        ("王芳", "110", "W-2026-001"), ("张伟", "", "W-2026-001"),
    ]  # fmt: skip
    calls.tick(host.state, store, persons, found[0].id, "李娜", answered=False)
    calls.tick(host.state, store, persons, found[0].id.upper() + " ", "李娜", answered=True)
    assert [one.person for one in calls.to_ring(host.state, store, persons)] == ["张伟"]
    with pytest.raises(NoticeError):
        calls.tick(host.state, store, persons, found[0].id, "李娜", answered=True)
    calls.tick(host.state, store, persons, found[1].id, "李娜", answered=True)
    rung = [one for one in entries(store) if one["channel"] == "telephone"]
    assert [(one["person"], one["state"], one["attempts"], one.get("error")) for one in rung] == [
        ("王芳", "failed", 1, "no-answer"), ("王芳", "sent", 2, None), ("张伟", "sent", 1, None),
    ]  # fmt: skip
    assert all(one["who"] == f"uid {os.geteuid()}: 李娜" for one in rung)
    watch.once()
    assert [kept.notice.urgent for kept in outbox.all_kept(host.state)] == [False]


def test_for_nobody_in_particular_everybody_with_a_number_is_rung(host: Host, config: Config, store: Store) -> None:
    outbox.put(host.state, replace(NOTICE, recipients=(), urgent=True))
    found = calls.to_ring(host.state, store, calls.listed(config.person))
    assert [one.person for one in found] == ["王芳", "李娜"]

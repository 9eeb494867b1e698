"""Whose turn it is, and who is told by which channel: without a process, a server or a clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultd.config.notify import Told, told
from vaultd.errors import ConfigError
from vaultd.notices import form, guard, routing
from vaultd.notices.form import Delivery, Kept
from vaultd.notices.lanes import Lanes, Turn
from vaultd.notices.model import Notice

NOTICE = Notice("W-1", "warning", "t", "x")


def kept(*channels: str, urgent: bool = False, attempts: int = 0) -> Kept:
    notice = Notice("W-1", "warning", "t", "x", urgent=urgent)
    return Kept(form.new_id(), 1, notice, deliveries=tuple(Delivery(one, attempts=attempts) for one in channels))


def turns(lanes: Lanes, now: float) -> dict[str, Turn]:
    return dict(lanes.due(now))


def test_waits_grow_and_no_lane_waits_for_another() -> None:
    lanes = Lanes(5, 100)
    lanes.add(kept("web", "mail"))
    now, waits = 0.0, []
    for _try in range(7):
        turn = turns(lanes, now)["web"]
        lanes.begin("web")
        assert set(turns(lanes, now)) == {"mail"}
        lanes.failed("web", turn, now, over=False)
        assert "web" not in turns(lanes, turn.due - 0.001)
        waits.append(turn.due - now)
        now = turn.due
    assert waits == [5, 10, 20, 40, 80, 100, 100]
    lanes.failed("web", turns(lanes, now)["web"], now, over=True)
    assert set(turns(lanes, now + 1e9)) == {"mail"}


def test_who_goes_first_and_whom_a_success_wakes() -> None:
    lanes = Lanes(5, 100)
    old, new, urgent = kept("web", attempts=3), kept("web"), kept("web", urgent=True, attempts=9)
    for one in (old, new, urgent):
        lanes.add(one)
    first = turns(lanes, 0)["web"]
    assert first.id == urgent.id
    lanes.failed("web", first, 0, over=False)
    second = turns(lanes, 0)["web"]
    assert second.id == new.id  # it was tried least
    lanes.worked("web", second)
    assert turns(lanes, 0)["web"].id == urgent.id
    assert lanes.waiting() == 2


def configuration(*channels: dict[str, object], persons: list[dict[str, object]] | None = None) -> Told:
    raw = {"notify": {"channel": [{"url_file": "/x", **one} for one in channels]}, "person": persons or []}
    return told(raw, Path("/etc/vaultd/vaultd.toml"))


def routed(notice: Notice, known: Told, only: str | None = None) -> list[tuple[str, tuple[str, ...], str]]:
    found = routing.deliveries(Kept(form.new_id(), 1, notice, only), known)
    return [(one.channel, one.persons, one.error) for one in found]


def test_kinds_and_everybody() -> None:
    known = configuration(
        {"name": "all"}, {"name": "alerts", "for": ["alert"]}, {"name": "few", "everybody": False},
        persons=[{"name": "a", "notify": ["alerts"]}, {"name": "b", "notify": ["few", "/a.url"]}],
    )  # fmt: skip
    assert routed(NOTICE, known) == [("all", (), "")]
    assert routed(Notice("x", "alert", "t", "x"), known) == [("all", (), ""), ("alerts", (), "")]
    assert routed(Notice("x", "test", "t", "x"), known) == [("all", (), ""), ("alerts", (), "")]
    to_both = Notice("x", "warning", "t", "x", ("a", "b", "a", "stranger"))
    assert routed(to_both, known) == [("all", ("a", "stranger"), ""), ("few", ("b",), ""), ("own:2", ("b",), "")]
    assert routed(NOTICE, known, "few") == [("few", (), "")]
    assert routed(NOTICE, known, "gone") == [("gone", (), "no-channel")]
    assert routed(NOTICE, configuration()) == [("-", (), "no-channel")]
    assert routed(to_both, configuration()) == [("-", ("a", "b", "stranger"), "no-channel")]


def test_a_persons_own_address_is_theirs_alone() -> None:
    known = configuration({"name": "few"}, persons=[{"name": "b", "notify": ["few", "/a.url"]}])
    assert routing.address_file(Delivery("few"), known) == "/x"
    assert routing.address_file(Delivery("own:2", ("b",)), known) == "/a.url"
    for wrong in (Delivery("own:1", ("b",)), Delivery("own:3", ("b",)), Delivery("own:2", ("c",)), Delivery("-")):
        assert routing.address_file(wrong, known) is None
    assert routing.lane(Delivery("own:2", ("b",))) != routing.lane(Delivery("own:2", ("c",)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("in /srv/records", True), ("in /srv/records/", True), ("file:/srv/records/a.pdf", True),
        ("“/srv/records/王”", True), ("机房/srv/records", True), ("/srv/records的文件", True),
        ("/srv/records2", False), ("/srv/records-old", False),
        ("/mnt/srv/records", False), ("records", False), ("srv/records", False), ("", False),
    ],
)  # fmt: skip
def test_which_texts_name_a_path(text: str, found: bool) -> None:
    assert guard.names_path(text, [Path("/srv/records")]) is found


def test_a_vault_that_is_the_root() -> None:
    assert guard.names_path("in /etc/passwd", [Path("/")])
    assert not guard.names_path("either / or, see https://example.org/x", [Path("/")])


def test_a_fault_in_another_table_silences_nobody_and_one_in_this_is_told() -> None:
    raw = {"vault": [{"path": "/srv/a", "priority": "x"}], "target": 7, "notify": {"channel": []}}
    assert told(raw, Path("/v.toml")).paths == [Path("/srv/a")]
    with pytest.raises(ConfigError, match=r"notify\.channel\.1\.for\.1"):
        configuration({"name": "a", "for": ["fire"]})

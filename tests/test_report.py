"""The figures of an audit report, against ledgers of which it is known what must come out."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.reporting import DAY, HOUR, SECOND, START, Story, begun, checked, figures, story
from tests.stamping import Authority, stamping
from vaultd import files
from vaultd.anchor import kept, timestamp
from vaultd.config.ledger import TimestampConfig
from vaultd.errors import ConfigError, LedgerError
from vaultd.ledger import note
from vaultd.ledger.folder import LogFolder
from vaultd.report.heads import Verified
from vaultd.report.period import zone


def test_alerts_stand_from_raised_to_cleared_and_those_of_before_count(tmp_path: Path) -> None:
    def say(told: Story, at: int, state: str, code: str = "target-full", **fields: str) -> None:
        told.at(START + at * HOUR)
        told.say("alert", code=code, state=state, target="bunker", **fields)

    with story(tmp_path / "ledger") as told:
        say(told, 1, "raised")
        say(told, 2, "cleared")  # over before the period
        say(told, 8, "raised")
        say(told, 11, "acknowledged", who="uid 7")
        say(told, 12, "cleared")
        say(told, 13, "raised", "host-key")
        told.at(START + 15 * HOUR)
        told.say("host-key-refused", target="bunker", reason="?")
    found = figures(tmp_path / "ledger", since=START + 10 * HOUR)["alerts"]
    assert (found["count"], found["open"]) == (2, 1)
    assert [(one["code"], one["total_seconds"], one["open"]) for one in found["kinds"]] == [
        ("host-key", 2 * 3600.0, True), ("target-full", 4 * 3600.0, False),
    ]  # fmt: skip
    assert [(one["acknowledged_by"], one["cleared"]) for one in found["longest"]] == [
        ("uid 7", "2026-06-01T12:00:00.000Z"), (None, None),
    ]  # fmt: skip


def test_coverage_is_the_share_of_the_newest_full_snapshot_that_was_read_in_thirty_days(tmp_path: Path) -> None:
    def read(told: Story, at: int, kind: str, size: int, state: str = "done", differences: int = 0) -> None:
        told.at(START + at * DAY)
        told.say("verification", vault="records", target="bunker", kind=kind, state=state, snapshots=["ab"], files=5,
                 size=size, counts={"same": 5 - differences}, differences=differences, who="uid 0",
                 paths=["a"] if differences else None)  # fmt: skip

    with story(tmp_path / "ledger") as told:
        begun(told)
        told.at(START + DAY)
        told.change("records", "bunker", [SECOND], size=1000)
        read(told, 2, "daily", 250)
        read(told, 3, "daily", 250, "interrupted", 1)
        read(told, 40, "full", 900)
        read(told, 71, "sample", 100)
    found = figures(tmp_path / "ledger", until=START + 72 * DAY, names=True)
    assert found["names"] == [{"vault": "records", "target": "bunker", "why": "differs", "path": "a", "count": 1}]
    (target,), (one,) = found["coverage"]["targets"], found["coverage"]["lines"]
    step = 72 / 180
    at = {day: target["series"][round(day / step)] for day in (1, 2.4, 3.6, 33, 41, 69)}
    assert at == {1: 0.0, 2.4: 0.25, 3.6: 0.5, 33: 0.0, 41: 1.0, 69: 1.0}
    assert (target["share"], one["share"]) == (0.1, 0.1)
    assert (one["runs"], one["unfinished"], one["differences"], one["bytes"]) == (4, 1, 1, 1500)
    assert one["last_full"] == "2026-07-11T00:00:00.000Z"
    assert figures(tmp_path / "ledger", until=START + 72 * DAY)["names"] is None


def test_deeds_are_listed_without_names_and_hashes_and_counted_for_each_person(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        told.say("forget", vault="records", target="bunker", snapshots=["ab" * 32] * 40, policy="cd" * 32, who="uid 0")
        told.say("destroyed-records", vault="records", target="bunker", paths=["ab" * 32], path_salt="00", before=3,
                 rewritten=2, after=3, files=1, reason="order 17", who="uid 0", certificate="ef" * 32)  # fmt: skip
        told.say("key", epoch=1, key="k", who="uid 5")
        told.say("a-newer-type", who="uid 5", path="secret name")
    found = figures(tmp_path / "ledger")
    forget, destroyed = found["retention"]["rows"]
    assert (forget["snapshots"], "policy" in forget) == (40, False)
    assert not {"paths", "path_salt", "certificate"} & destroyed.keys()
    assert [(one["who"], one["deeds"]) for one in found["people"]] == [
        ("uid 0", {"destroyed-records": 1, "forget": 1}), ("uid 5", {"a-newer-type": 1, "key": 1}),
    ]  # fmt: skip
    assert found["entries"]["other"] >= 1
    assert "secret name" not in str(found)


def test_names_of_files_in_motion_are_told_when_asked_for_alone(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told)
        for _time in range(2):
            told.change("records", "bunker", [SECOND], motion="db/\x1b.sqlite")
    assert figures(tmp_path / "ledger", names=True)["names"] == [
        {"vault": "records", "target": None, "why": "in_motion", "path": "db/\\x1b.sqlite", "count": 2}
    ]


def test_an_event_counts_when_it_happened_not_when_it_was_recorded(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        told.at(START + 2 * DAY)
        told.say("restore", vault="records", target="bunker", snapshots=[], to="/r", who="uid 0", state="complete",
                 files=1, size=1, at="2026-06-01T12:00:00.000000Z")  # fmt: skip
    assert figures(tmp_path / "ledger", until=START + DAY)["restores"]["count"] == 1
    assert figures(tmp_path / "ledger", since=START + DAY)["restores"]["count"] == 0


def test_anchors_are_compared_with_the_ledger_at_their_size(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with story(folder) as told:
        for at in range(1, 5):
            told.at(START + at * DAY)
            told.say("host-key-refused", target="bunker", reason="?")
    read = LogFolder(folder)
    sizes = read.kept_sizes()
    for name, size, taken in (("good", sizes[-2], sizes[-2]), ("bad", sizes[-1], sizes[-2])):
        target = folder / "anchors" / "mirror" / name / str(size)
        target.parent.mkdir(parents=True)
        files.create_exclusive(target, read.kept_file(taken).read_bytes())
    good, bad = sorted(figures(folder)["anchors"], key=lambda one: one["name"] == "bad")
    assert (good["count"], good["wrong"], good["newest_size"]) == (1, [], sizes[-2])
    assert (bad["count"], bad["wrong"], bad["newest_size"]) == (1, [sizes[-1]], None)
    assert good["not_covered"] == sizes[-1] - sizes[-2]


def test_what_witnesses_and_authorities_have_said_is_told_with_their_times(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with story(folder) as told:
        told.say("host-key-refused", target="bunker", reason="?")
    read, authority = LogFolder(folder), Authority(tmp_path / "tsa")
    size = read.kept_sizes()[-1]
    content = read.kept_file(size).read_bytes()
    with stamping(authority.answer) as server:
        config = TimestampConfig(name="tsa", url=server.url, ca=authority.root)
        stamped = timestamp.stamp(config, read, content)
    signed = note.parse(content)
    when = (START + HOUR) // SECOND
    cosigned = note.Signature("witness.example/w", b"abcd", struct.pack(">Q", when) + bytes(64))
    kept.keep(read, kept.WITNESS, "w", size, note.Note(signed.text, (*signed.signatures, cosigned)).encoded())
    places = {one["kind"]: one for one in figures(folder)["anchors"]}
    assert (places["witness"]["newest_said"], places["witness"]["wrong"]) == ("2026-06-01T01:00:00.000Z", [])
    assert (places["timestamp"]["newest_size"], places["timestamp"]["wrong"]) == (size, [])
    assert places["timestamp"]["newest_said"].startswith(f"{stamped.time:%Y-%m-%dT%H:%M}")
    # A stamp for another note is none for this one.
    file = kept.file_of(read, kept.TIMESTAMP, "tsa", size)
    file.write_bytes(authority.answer(authority.request(b"another")))
    (wrong,) = [one for one in figures(folder)["anchors"] if one["kind"] == "timestamp"]
    assert (wrong["wrong"], wrong["newest_size"]) == ([size], None)


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_a_ledger_that_changed_after_it_was_verified_gives_no_report(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told:
        begun(told)
    good = checked(tmp_path / "ledger")
    other = Verified(good.folder, good.origin, good.size, bytes(32), 0)
    with pytest.raises(LedgerError, match="changed while it was read"):
        figures(tmp_path / "ledger", verified=other)


def test_a_period_before_the_ledger_is_refused(tmp_path: Path) -> None:
    with story(tmp_path / "ledger"):
        pass
    with pytest.raises(ConfigError, match="begins after the period"):
        figures(tmp_path / "ledger", since=START - 3 * DAY, until=START - DAY)


@pytest.mark.parametrize("text", ["+8", "8:00", "+15:00", "+08:60", "Asia/Shanghai", ""])
def test_a_zone_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        zone(text)

"""The report after an evacuation: figures of ledgers of which it is known what must come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import emergencies
from tests.emergencies import FIRE, GIB, LI, MIB, Fire
from tests.reporting import DAY, HOUR, SECOND, START, Story, begun, checked, describe, story
from vaultd.errors import ConfigError, LedgerError
from vaultd.report.evacuation import evacuation
from vaultd.report.evacuation_csv import COLUMNS, table
from vaultd.report.evacuation_trend import trend
from vaultd.report.heads import Verified
from vaultd.report.period import Period


def told(folder: Path, name: str = "E-2026-001", verified: Verified | None = None) -> dict[str, Any]:
    return evacuation(verified or checked(folder), name, Period(0, 0), progress=lambda _done, _total: None)


def compared(folder: Path, since: int = 0) -> dict[str, Any]:
    return trend(checked(folder), Period(since, 2**63 - 1), progress=lambda _done, _total: None)


@pytest.fixture(scope="module")
def fire(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("fire") / "ledger"
    emergencies.fire(folder)
    return told(folder)


def tier(found: dict[str, Any], number: int, target: str) -> dict[str, Any]:
    (one,) = [one for one in found["tiers"] if (one["tier"], one["target"]) == (number, target)]
    return dict(one)


def small(told_: Story, name: str = "E-2026-001", at: int = START + DAY) -> Fire:
    """An evacuation with one tier of 100 MiB, to be filled."""
    begun(told_)
    one = Fire(told_, name, at)
    one.step(0, "ordered")
    one.tier(0, 1, "bunker", "planned", 10, 100 * MIB)
    return one


def test_head_says_the_newest_of_what_was_filled_in_later(fire: dict[str, Any]) -> None:
    head = fire["evacuation"]
    assert (head["level"], head["category"], head["state"]) == ("I", "fire", "ended")
    assert (head["report"], head["on_duty"], head["director"]) == ("保安 刘强", "李娜", "张伟")
    assert (head["ordered"], head["seconds"]) == ("2026-06-04T19:00:00.000Z", 761.0)
    assert [one["state"] for one in fire["steps"]] == ["ordered", "judged", "taken up", "copied", "ended"]


def test_tiers_are_measured_against_their_objectives(fire: dict[str, Any]) -> None:
    row = tier(fire, 1, "bunker")
    assert (row["seconds"], row["objective_seconds"], row["met"], row["state"]) == (101.5, 120.0, True, "exact")
    assert (tier(fire, 1, "annex")["seconds"], tier(fire, 1, "annex")["met"]) == (160.5, False)
    short = tier(fire, 2, "annex")
    assert (short["state"], short["met"], short["seconds"]) == ("short", False, None)
    assert (short["short_files"], short["short_bytes"]) == (45, 700 * MIB)
    third = tier(fire, 3, "bunker")  # its entries have no objective: that of the vault counts
    assert (third["objective_seconds"], third["met"]) == (14400.0, True)
    assert tier(fire, 3, "annex")["met"] is False


def test_what_is_short_is_what_was_planned_without_what_got_there(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        one.batch(20, 1, "bunker", 70 * MIB, 7)
        one.tier(50, 1, "bunker", "short", 7, 70 * MIB)  # it may say what had been sent by then
        one.step(51, "ended")
    found = told(tmp_path / "ledger")
    assert (tier(found, 1, "bunker")["short_files"], tier(found, 1, "bunker")["short_bytes"]) == (3, 30 * MIB)
    assert found["failures"]["short"] == [{"tier": 1, "target": "bunker", "files": 3, "bytes": 30 * MIB}]
    assert found["indicators"]["short_bytes"] == 30 * MIB


def test_an_order_that_came_on_record_after_what_followed_it(tmp_path: Path) -> None:
    """A command leaves its entries for the daemon: what that writes itself in between comes before them."""
    with story(tmp_path / "ledger") as told_:
        begun(told_)
        one = Fire(told_, "E-2026-001", START + DAY)
        one.say(-50, "alert", code="target-unreachable", state="raised", target="annex")
        one.say(2, "alert", code="target-unreachable", state="raised", target="bunker")
        one.say(3, "alert", code="target-unreachable", state="cleared", target="annex")
        one.say(4, "daemon", state="started", software="vaultd 0.1.0", pid=2, boot="b")
        one.say(5, "snapshot", vault="records", target="bunker", kind="express", change_set="c", snapshot="ab",
                time_ns="1", files=1, size=1, versions=0, exceptions={},
                since_ns=str(told_.clock.now - 7 * SECOND))  # fmt: skip
        told_.at(START + DAY + 6 * SECOND)
        told_.say("evacuation", evacuation=one.name, state="ordered", level="I", category="fire", time=one.moment(0),
                  who=LI, at=one.moment(0))  # fmt: skip
        told_.say("evacuation-batch", evacuation=one.name, tier=1, vault="records", target="bunker", state="safe",
                  change_set="c", files=1, size=1, milliseconds=1, at=one.moment(5))  # fmt: skip
        one.step(60, "ended")
    found = told(tmp_path / "ledger")
    assert [(one["target"], one["seconds"]) for one in found["lines"]] == [("annex", 3.0), ("bunker", 58.0)]
    assert [one["silent"] for one in found["daemon"]] == [True]
    assert [one["waited_seconds"] for one in found["recovery"]] == [8.0]


def test_a_batch_that_is_on_record_twice_counts_once_and_no_batch_is_missing(fire: dict[str, Any]) -> None:
    """The daemon was killed between the ledger and its own state: it told again what it had told."""
    row = tier(fire, 1, "bunker")
    assert (row["batches"], row["batch_files"], row["batch_bytes"]) == (4, 240, 900 * MIB)
    assert (row["broken"], row["broken_bytes"]) == (1, 90 * MIB)
    (curve,) = [one for one in fire["curves"] if one["target"] == "bunker"]
    assert curve["bytes"] == curve["points"][-1]["bytes"] == 3000 * MIB
    assert [one["bytes"] for one in curve["points"]] == sorted({one["bytes"] for one in curve["points"]})
    numbers = [row["entry"] for row in fire["timeline"]["rows"]]
    daemon = [row["entry"] for row in fire["timeline"]["rows"] if row["lane"] == "daemon"]
    assert len(numbers) == len(set(numbers)) == fire["timeline"]["count"]
    assert len(daemon) == 3


def test_a_retold_batch_counts_once_whatever_its_duration_says_then(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        for at, milliseconds in ((20, 19_000), (50, 49_000)):
            one.say(at, "evacuation-batch", evacuation=one.name, tier=1, vault="patients", target="bunker",
                    state="safe", change_set="c1", files=5, size=50 * MIB, milliseconds=milliseconds)  # fmt: skip
        one.say(60, "evacuation-batch", evacuation=one.name, tier=1, vault="research", target="bunker", state="safe",
                change_set="c1", files=5, size=50 * MIB, milliseconds=1)  # fmt: skip
    row = tier(told(tmp_path / "ledger"), 1, "bunker")
    assert (row["batches"], row["batch_files"], row["batch_bytes"]) == (2, 10, 100 * MIB)


def test_planned_again_after_an_interruption_what_was_safe_is_part_of_the_whole(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        one.batch(20, 1, "bunker", 60 * MIB, 6)
        one.tier(30, 1, "bunker", "planned", 4, 40 * MIB)
        one.batch(50, 1, "bunker", 40 * MIB, 4)
        one.tier(51, 1, "bunker", "safe", 10, 100 * MIB)
    found = told(tmp_path / "ledger")
    assert (tier(found, 1, "bunker")["files"], tier(found, 1, "bunker")["bytes"]) == (10, 100 * MIB)
    assert [point["bytes"] for point in found["curves"][0]["points"]] == [60 * MIB, 100 * MIB]


def test_daemon_and_lines_meanwhile(fire: dict[str, Any]) -> None:
    killed, stopped = fire["daemon"]
    assert (killed["silent"], killed["rebooted"], killed["seconds"]) == (True, True, 35.0)  # since its last batch
    assert (stopped["silent"], stopped["rebooted"], stopped["seconds"]) == (False, False, 12.0)
    assert [(one["target"], one["begin"], one["end"]) for one in fire["lines"]] == [
        ("annex", "2026-06-04T18:57:50.000Z", "2026-06-04T19:01:06.000Z"),  # it was down before the order
        ("bunker", "2026-06-04T19:01:15.000Z", "2026-06-04T19:01:20.000Z"),
    ]
    assert {(one["code"], one["target"], one["before"], one["open"]) for one in fire["failures"]["alerts"]} == {
        ("target-unreachable", "annex", True, False), ("target-unreachable", "bunker", False, False),
        ("target-full", "annex", False, True),
    }  # fmt: skip
    assert [(one["vault"], one["target"], one["error"], one["count"]) for one in fire["failures"]["batches"]] == [
        ("patients", "bunker", "the line broke", 1), ("research", "annex", "no space left at the target", 1),
        ("research", "bunker", "the line broke", 1),
    ]  # fmt: skip


def test_recovery_points_are_measured_by_the_snapshots_of_the_batches(fire: dict[str, Any]) -> None:
    (one,) = [one for one in fire["recovery"] if (one["vault"], one["target"]) == ("patients", "annex")]
    assert (one["waited_seconds"], one["objective_seconds"], one["met"]) == (201.0, 300.0, True)
    (one,) = [one for one in fire["recovery"] if (one["vault"], one["target"]) == ("research", "annex")]
    assert (one["safe"], one["met"]) == (None, False)  # the rest of it never got there


def test_disks_have_both_ends_and_what_is_not_signed(fire: dict[str, Any]) -> None:
    first, second, third = fire["disks"]
    assert [one["label"] for one in fire["disks"]] == ["SH1-2026-00017", "SH1-2026-00018", "SH1-2026-00019"]
    assert first["signed_off"]["owed"] == first["received"]["owed"] == []
    assert {one["role"] for one in first["received"]["signatures"]} == {"released-by", "received-by"}
    assert (first["now"]["action"], first["now"]["home"]) == ("return", True)
    assert second["signed_off"]["owed"] == ["received-by: 王芳"]
    assert third["received"] is None
    assert (third["signed_off"]["time"], third["signed_off"]["time_source"]) == ("2026-06-04T19:05:00.000Z", "stated")
    assert third["signed_off"]["signatures"][0]["sheet"] == "S-0042"


def test_open_items_are_all_that_is_owed_and_nothing_else(fire: dict[str, Any]) -> None:
    assert [(one["kind"], one["what"], one["who"]) for one in fire["open"]] == [
        ("approval", "evacuate-start", "director"),
        ("answer", "W-2026-001", "陈静"),
        ("notice", "W-2026-001", "陈静"),
        ("step", "切断机房电源", "operator"),
        ("step", "Write down what is missing", "custodian"),
        ("signature", "SH1-2026-00018", "received-by: 王芳"),
        ("medium", "SH1-2026-00018", "陈静"),
        ("receipt", "SH1-2026-00019", "王芳"),
        ("medium", "SH1-2026-00019", "王芳"),
    ]


def test_late_approval_and_answer_close_their_items(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        begun(told_)
        one = Fire(told_, "E-2026-001", START + DAY)
        one.step(0, "ordered", request="R-1", warning="W-1")
        request = {"request": "R-1", "action": "evacuate-start", "parameters": "ab", "nonce": "n", "requester": "李娜",
                   "expires": one.moment(99), "roles": ["director", "auditor"], "late": 1}  # fmt: skip
        one.say(1, "approval-request", state="open", **request)
        one.say(2, "approval", request="R-1", action="evacuate-start", person="张伟", role="director", signature="c2ln",
                key="SHA256:k", who=LI)  # fmt: skip
        one.step(30, "ended")
    found = told(tmp_path / "ledger")
    assert [(one["kind"], one["who"]) for one in found["open"]] == [("approval", "auditor")]
    with story(tmp_path / "two") as told_:
        begun(told_)
        one = Fire(told_, "E-2026-001", START + DAY)
        one.step(0, "ordered", request="R-404")
    (owed,) = told(tmp_path / "two")["open"]
    assert (owed["kind"], owed["what"]) == ("approval", "R-404")  # named, and never asked for


def test_an_adjusted_warning_wants_an_acknowledgement_of_its_newest_revision(tmp_path: Path) -> None:
    warning = {"warning": "W-1", "level": "I", "category": "fire", "recipients": ["a", "b"], "start": "now",
               "scope": "", "cautions": "", "measures": "", "unit": "", "who": LI}  # fmt: skip
    with story(tmp_path / "ledger") as told_:
        begun(told_)
        one = Fire(told_, "E-2026-001", START + DAY)
        one.say(-30, "warning", revision=1, state="issued", **warning)
        one.step(0, "ordered", warning="W-1")
        for person in ("a", "b"):
            one.say(5, "warning-answer", warning="W-1", revision=1, state="acknowledged", person=person, who=LI)
        one.say(10, "warning", revision=2, state="adjusted", **warning)
        one.say(20, "warning-answer", warning="W-1", revision=2, state="acknowledged", person="b", who=LI)
    found = told(tmp_path / "ledger")
    assert [(one["kind"], one["who"]) for one in found["open"]] == [("answer", "a")]
    assert [one["seconds"] for one in found["answers"]] == [35.0, 35.0]  # from the first one until they answered
    assert found["indicators"]["answer_median_seconds"] == 35.0


def test_playbook_steps_have_their_limits_and_what_was_undone_is_open(fire: dict[str, Any], tmp_path: Path) -> None:
    rows = {one["step"]: one for one in fire["playbook"]}
    assert [(rows[name]["seconds"], rows[name]["limit_seconds"], rows[name]["met"]) for name in
            ("alarm", "people", "disks", "power")] == [
        (22.0, 60.0, True), (280.0, 300.0, True), (655.0, 600.0, False), (None, 900.0, None),
    ]  # fmt: skip
    assert fire["indicators"]["steps_late"] == 1
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        one.tick(5, "doors", "done")
        one.tick(9, "doors", "undone")
    (row,) = told(tmp_path / "ledger")["playbook"]
    assert (row["state"], row["seconds"]) == ("undone", None)


def test_improvements_of_earlier_ones_are_followed_up(fire: dict[str, Any]) -> None:
    own, earlier = fire["improvements"]["own"], fire["improvements"]["earlier"]
    assert [(one["item"], one["state"], one["overdue"]) for one in own] == [
        ("IMP-2026-003", "open", True), ("IMP-2026-004", "open", False),
    ]  # fmt: skip
    assert [(one["item"], one["evacuation"], one["state"]) for one in earlier] == [
        ("IMP-2026-001", "DRILL-2026-001", "done"), ("IMP-2026-002", "DRILL-2026-001", "open"),
    ]  # fmt: skip


def test_what_is_over_before_is_not_inherited_and_what_came_later_neither(tmp_path: Path) -> None:
    def note(one: Fire, at: float, item: str, state: str) -> None:
        one.say(at, "improvement", item=item, evacuation="DRILL-2026-009", state=state, text="t", owner="o",
                due="2026-12-01", who=LI)  # fmt: skip

    with story(tmp_path / "ledger") as told_:
        begun(told_)
        one = Fire(told_, "E-2026-001", START + DAY)
        for at, item, state in ((-900, "a", "open"), (-800, "b", "open"), (-700, "a", "done")):
            note(one, at, item, state)
        one.step(0, "ordered")
        note(one, 60, "c", "open")
    assert [row["item"] for row in told(tmp_path / "ledger")["improvements"]["earlier"]] == ["b"]


def test_one_that_goes_on_is_reported_as_far_as_it_has_come(tmp_path: Path) -> None:
    emergencies.fire(tmp_path / "ledger", until="going on")
    found = told(tmp_path / "ledger")
    assert (found["evacuation"]["state"], found["evacuation"]["ended"]) == ("going on", None)
    assert found["period"]["until"] == found["period"]["record_ends"] == "2026-06-04T19:03:01.000Z"
    assert (tier(found, 1, "bunker")["met"], tier(found, 2, "bunker")["met"]) == (True, None)
    assert tier(found, 1, "annex")["met"] is False
    assert tier(found, 2, "bunker")["state"] == "planned"
    (curve,) = [one for one in found["curves"] if one["target"] == "bunker"]
    assert curve["points"][-1]["bytes"] == 1400 * MIB


def test_an_objective_that_is_over_is_missed_though_the_evacuation_goes_on(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        one.batch(20, 1, "bunker", 10 * MIB)
        one.say(121, "alert", code="target-full", state="raised", target="bunker")
    assert tier(told(tmp_path / "ledger"), 1, "bunker")["met"] is False


def test_an_unknown_id_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    emergencies.fire(tmp_path / "ledger")
    with pytest.raises(ConfigError) as caught:
        told(tmp_path / "ledger", "E-2026-002\x1b[31m")
    assert "\x1b" not in str(caught.value)
    assert "DRILL-2026-001, E-2026-001" in caught.value.hint
    with story(tmp_path / "empty") as told_:
        begun(told_)
    with pytest.raises(ConfigError) as caught:
        told(tmp_path / "empty")
    assert "no evacuation" in caught.value.hint


def test_a_ledger_that_is_cut_in_the_middle_gives_none_unless_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with story(folder) as told_:
        one = small(told_)
        for number in range(260):
            one.say(1 + number / 100, "alert", code="overdue", state="raised", vault=f"v{number}")
        one.batch(20, 1, "bunker", 100 * MIB, 10)
        one.tier(21, 1, "bunker", "safe", 10, 100 * MIB)
        one.step(60, "ended")
    held, file = checked(folder), folder / "tile" / "entries" / "000"
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(LedgerError):
        told(folder, verified=held)
    found = told(folder, verified=checked(folder, problem="torn"))
    assert (found["unreadable"], found["unverified"]) == (256, "torn")
    assert found["evacuation"]["ordered_on_record"] is False
    assert tier(found, 1, "bunker")["batch_bytes"] == 100 * MIB


def test_of_entries_that_are_not_what_they_must_be_the_rest_is_reported(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        told_.say("evacuation-batch", evacuation=one.name, size="many")
        told_.say("evacuation-tier", evacuation=7)
        told_.say("notice", of=[one.name])
        one.batch(20, 1, "bunker", 100 * MIB)
    found = told(tmp_path / "ledger", verified=checked(tmp_path / "ledger", problem="a forged entry"))
    assert (found["unreadable"], tier(found, 1, "bunker")["batches"]) == (3, 1)
    assert found["unverified"] == "a forged entry"


def test_other_evacuations_and_what_was_after_are_no_part_of_one(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        one.batch(20, 1, "bunker", 100 * MIB)
        one.step(60, "ended")
        one.say(90, "alert", code="overdue", state="raised", vault="records")
        two = Fire(told_, "E-2026-002", START + 2 * DAY)
        two.step(0, "ordered")
        two.tier(1, 1, "annex", "planned", 1, 1)
        two.batch(30, 1, "annex", 1)
    first, second = (told(tmp_path / "ledger", name) for name in ("E-2026-001", "E-2026-002"))
    assert {one["target"] for one in first["tiers"]} == {"bunker"}
    assert {one["target"] for one in second["tiers"]} == {"annex"}
    assert first["failures"]["alerts"] == []
    assert [(one["code"], one["before"]) for one in second["failures"]["alerts"]] == [("overdue", True)]


def test_many_events_of_a_kind_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        for number in range(900):
            one.batch(10 + number, 1, "bunker", MIB, error="the line broke")
        one.step(2000, "ended")
    found = told(tmp_path / "ledger")
    assert found["timeline"]["left_out"] == {"broken": 780}
    assert found["timeline"]["count"] == 903
    assert found["timeline"]["rows"][-1]["state"] == "ended"
    assert tier(found, 1, "bunker")["broken"] == found["failures"]["batches"][0]["count"] == 900


def test_a_clock_that_is_wrong_by_a_day_stops_no_report(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        one = small(told_)
        one.tick(20, "doors", "done", time="2026-05-01T00:00:00Z")
        one.tick(21, "keys", "done", time="yesterday, about noon")
        one.tick(22, "seals", "done", time="9999-12-31T23:59:59Z")
        one.step(60, "ended")
    found = told(tmp_path / "ledger")
    assert found["evacuation"]["seconds"] == 60.0
    assert {row["step"]: row["seconds"] for row in found["playbook"]}["keys"] == 21.0


# drills against each other


def test_drills_are_compared_and_evacuations_and_practised_restores_beside_them(tmp_path: Path) -> None:
    emergencies.drills(tmp_path / "ledger", count=4)
    found = compared(tmp_path / "ledger")
    assert [one["id"] for one in found["drills"]] == [f"DRILL-2026-{number:03}" for number in (1, 2, 3, 4)]
    assert [one["id"] for one in found["evacuations"]] == ["E-2026-001"]
    assert [one["seconds"] for one in found["restore_drills"]] == [860, 820, 780, 740]
    first, last = found["drills"][0]["indicators"], found["drills"][-1]["indicators"]
    assert first["first_tier_seconds"] == 126.8 and first["first_tier_everywhere_seconds"] == 146.8
    assert (first["restored_files"], first["restore_differences"], last["restore_differences"]) == (20, 1, 0)
    assert (first["answer_recipients"], first["answer_answered"], first["open_items"]) == (2, 2, 0)
    assert last["all_seconds"] < first["all_seconds"]
    assert [one["id"] for one in compared(tmp_path / "ledger", START + 100 * DAY)["drills"]] == ["DRILL-2026-004"]


def test_what_is_not_on_record_is_no_zero(tmp_path: Path) -> None:
    with story(tmp_path / "ledger") as told_:
        small(told_, "DRILL-2026-001")
    (row,) = compared(tmp_path / "ledger")["drills"]
    for name in ("first_tier_seconds", "all_seconds", "restored_files", "restore_differences", "answer_last_seconds"):
        assert row["indicators"][name] is None


def test_the_table_has_a_row_for_each_drill_vault_and_restore_and_no_formula(tmp_path: Path) -> None:
    import csv

    with story(tmp_path / "ledger") as told_:
        begun(told_)
        describe(told_, "=1+1", 60, ["bunker"])
        one = Fire(told_, "DRILL-2026-001", START + DAY, drill=True)
        one.step(0, "ordered", category="=cmd|' /C calc'!A0")
        one.tier(0, 1, "bunker", "planned", 1, GIB, vaults=["=1+1"])
        one.batch(10, 1, "bunker", GIB, vault="=1+1")
        one.tier(11, 1, "bunker", "safe", 1, GIB, vaults=["=1+1"])
        told_.at(START + DAY + HOUR)
        told_.say("drill", vault="records", target="bunker", snapshots=[], state="done", seconds=5, files=1, size=1,
                  recovery_point_s=3, who=LI)  # fmt: skip
    content = table(compared(tmp_path / "ledger"))
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines(), fieldnames=list(COLUMNS)))[1:]
    assert [row["kind"] for row in rows] == ["drill", "drill, one vault", "restore drill"]
    assert (rows[0]["all_seconds"], rows[0]["bytes"], rows[0]["category"][:2]) == ("11.0", str(GIB), "'=")
    assert (rows[1]["vault"], rows[1]["safe_seconds"]) == ("'=1+1", "11.0")
    assert (rows[2]["restore_seconds"], rows[2]["restore_differences"]) == ("5", "")


def test_time_of_the_order_is_what_the_order_says(fire: dict[str, Any]) -> None:
    assert fire["timeline"]["rows"][3]["seconds"] == 0.0
    assert fire["period"]["since"] == "2026-06-04T18:57:50.000Z"  # the warning before it belongs to it
    assert FIRE % SECOND == 0

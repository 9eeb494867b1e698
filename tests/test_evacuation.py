"""An evacuation, with a real daemon, real restic and real servers: what goes first, and what it outlives."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kitting import vaultd
from tests.mounting import mounted, needs_mounts
from tests.site import Site, until
from tests.slowline import SlowLine
from vaultd.protect.hold import held
from vaultd.store import Store
from vaultd.store.evacuations import BROKEN, SAFE, BatchRow, Evacuation, TierRow

MIB = 1 << 20
TIERS = {"charts": 1, "labs": 2, "office": 5}


class Ward(Site):
    """A host with three tiers, all of it protected, and a slow line to its target."""

    line: SlowLine

    def ready(self, rate: float = 4e6, **values: Any) -> None:
        """Protected, with no daemon. What changes then is not sent before an order, unless ``values`` say so."""
        values = {"settle": "1h", "max_delay": "1h", **values}
        server = self.servers["offsite"]
        self.line = SlowLine(server.port, rate)
        known = Path(str(self.targets["offsite"]["known_hosts"]))
        known.write_text(known.read_text() + known.read_text().replace(str(server.port), str(self.line.port)))
        self.targets["offsite"]["port"] = self.line.port
        for name, priority in TIERS.items():
            folder = self.add_vault(name, priority=priority, **values)
            (folder / "old").write_text(name)
        self.prepare()
        self.backup(full=True)

    def fill(self, name: str, count: int, size: int, prefix: str = "file") -> None:
        """New files of random bytes in a vault."""
        for number in range(count):
            (self.folder / name / f"{prefix} {number}").write_bytes(os.urandom(size))

    def begin(self) -> None:
        """Start the daemon, and wait until its first scan is over: what that finds is sent at once."""
        self.start()
        for name in TIERS:
            self.wait_protected(name)

    def noticed(self, files: int) -> None:
        """Until so many files are known to be pending."""
        until(lambda: sum(self.at(name)["pending_files"] for name in TIERS) >= files, "what is new is noticed")

    def order(self, *args: str) -> dict[str, Any]:
        """``evacuate start``; its document."""
        found: dict[str, Any] = json.loads(vaultd("--json", "evacuate", "start", *args, config=self.file))
        return found

    def going(self) -> Evacuation:
        """The newest evacuation, as it is kept."""
        with contextlib.closing(self.store()) as store:
            return store.evacuations()[0]

    def tiers(self) -> list[TierRow]:
        """Its tiers."""
        with contextlib.closing(self.store()) as store:
            return store.tiers(store.evacuations()[0].id)

    def batches(self) -> list[BatchRow]:
        """Its batches."""
        with contextlib.closing(self.store()) as store:
            return store.batches(store.evacuations()[0].id)

    def wait_copied(self) -> None:
        """Until all is safe that was pending."""
        until(lambda: self.going().state == "copied", f"all is safe; tiers: {self.tiers()}")

    def assert_all_safe(self) -> None:
        """Every file is in a snapshot that restic alone reads back, with the content that it has now."""
        for name in TIERS:
            stored: dict[bytes, str] = {}
            for snapshot in self.snapshots(vault=name):
                stored |= self.content(snapshot["id"], vault=name)
            assert stored == self.on_disk(name), name

    def assert_record_whole(self) -> None:
        """On record is each batch once, with what became of it, and nothing that there was not."""
        until(lambda: not self.owes_ledger(), "everything is on record")
        told = [(one["change_set"], one["state"]) for one in self.entries("evacuation-batch")]
        assert Counter(told) == Counter((one.change_set, one.state) for one in self.batches())
        made = {one["change_set"] for one in self.entries("snapshot")}
        assert {change_set for change_set, state in told if state == SAFE} <= made
        lost = {change_set for change_set, state in told if state == BROKEN}
        assert not lost & made


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    found = Ward(tmp_path)
    try:
        found.add_target()
        yield found
    finally:
        found.close()
        if hasattr(found, "line"):
            found.line.__exit__(None, None, None)


def test_one_tier_is_safe_before_the_next_and_the_smallest_of_what_goes_first_before_the_rest(ward: Ward) -> None:
    ward.ready(first=["*.dcm"])
    ward.begin()
    for name in reversed(TIERS):
        ward.fill(name, 4, MIB)
    (ward.folder / "charts" / "scan.dcm").write_bytes(os.urandom(2 * MIB))
    ward.noticed(13)
    document = ward.order("--category", "fire", "--reported-by", "保安")
    assert document["evacuation"]["level"] == "I" and not document["joined"]
    ward.wait_copied()
    assert [(one.tier, one.vaults, one.state) for one in ward.tiers()] == [
        (1, ("charts",), SAFE), (2, ("labs",), SAFE), (3, ("office",), SAFE)
    ]  # fmt: skip
    batches = ward.batches()
    for tier in (1, 2):
        over = max(one.ended or 0 for one in batches if one.tier == tier)
        assert over <= min(one.began for one in batches if one.tier == tier + 1)
    (first, *_more) = ward.snapshots(vault="charts", kind="express")
    assert b"scan.dcm" in ward.content(first["id"], vault="charts")
    ward.assert_all_safe()
    ward.assert_record_whole()
    said = [(one["state"], one["category"], one.get("report")) for one in ward.entries("evacuation")]
    assert said == [("ordered", "fire", "保安"), ("copied", "fire", "保安")]
    assert vaultd("evacuate", "end", "--note", "over", config=ward.file).startswith("EVACUATION E-")
    assert ward.going().state == "ended" and ward.going().detail["note"] == "over"


def test_a_line_that_breaks_three_times_in_the_first_tier_delays_it_and_no_more(ward: Ward) -> None:
    ward.ready(rate=3e6)
    ward.begin()
    ward.fill("charts", 12, MIB)
    ward.fill("labs", 2, MIB)
    ward.noticed(14)
    ward.order()
    for _again in range(3):
        before = ward.line.sent
        until(lambda before=before: ward.line.sent > before + MIB // 2, "something is on its way")
        ward.line.cut()
    ward.wait_copied()
    assert sum(one.state == BROKEN for one in ward.batches()) >= 3
    assert all(one.tier == 1 for one in ward.batches() if one.state == BROKEN)
    ward.assert_all_safe()
    ward.assert_record_whole()
    assert "target-unreachable" not in ward.alerts()


def test_it_outlives_daemons_that_are_killed_and_a_reboot(ward: Ward) -> None:
    ward.ready(rate=2e6)
    ward.begin()
    ward.fill("charts", 6, MIB)
    ward.fill("office", 4, MIB)
    ward.noticed(10)
    ward.order()
    for turn in range(3):
        before = ward.line.sent
        until(lambda before=before: ward.line.sent > before + MIB // 2, "something is on its way")
        ward.kill()
        if turn == 1:
            with contextlib.closing(Store(ward.state / "state.db")) as store:
                store.change_evacuation(ward.going().id, boot="00000000-0000-4000-8000-000000000000")
        ward.start()
    ward.wait_copied()
    ward.assert_all_safe()
    ward.assert_record_whole()
    states = [one["state"] for one in ward.entries("evacuation")]
    assert states == ["ordered", "taken up", "taken up", "taken up", "copied"]
    assert len({one["boot"] for one in ward.entries("evacuation")}) == 1


def test_what_was_acknowledged_when_the_daemon_died_is_neither_lost_nor_told_twice(ward: Ward) -> None:
    """Killed between a batch's acknowledgement and its record: as the store looks then."""
    ward.ready()
    ward.begin()
    ward.fill("charts", 2, MIB)
    ward.noticed(2)
    ward.order()
    ward.wait_copied()
    ward.kill()
    (done,) = ward.batches()
    with contextlib.closing(Store(ward.state / "state.db")) as store, store.database.write() as db:
        db.execute("UPDATE evacuation_batch SET state='sending', ended=NULL")
        db.execute("UPDATE evacuation SET state='ordered'")
        db.execute("DELETE FROM event WHERE type='evacuation-batch'")
    before = len(ward.entries("evacuation-batch"))
    ward.start()
    until(lambda: ward.batches()[0].state == SAFE, "the batch is found again")
    until(lambda: not ward.owes_ledger(), "it is on record")
    (again,) = ward.batches()
    assert (again.files, again.bytes) == (done.files, done.bytes)
    assert len(ward.entries("evacuation-batch")) == before + 1


def test_two_who_order_at_once_have_one_evacuation(ward: Ward) -> None:
    ward.ready()
    ward.begin()
    ward.fill("charts", 1, MIB)
    ward.noticed(1)
    with ThreadPoolExecutor(2) as both:
        one, two = both.map(lambda name: ward.order("--on-duty", name), ("张伟", "李娜"))
    assert one["evacuation"]["id"] == two["evacuation"]["id"]
    assert sorted((one["joined"], two["joined"])) == [False, True]
    ward.wait_copied()
    said = ["ordered", "judged", "copied"]  # judged by the one who joined
    until(lambda: [entry["state"] for entry in ward.entries("evacuation")] == said, "it is on record")


def test_an_order_interrupts_a_first_protection_of_something_less_important(ward: Ward) -> None:
    ward.ready(rate=3e6)
    ward.add_vault("archive", priority=9)
    ward.fill("archive", 8, 4 * MIB)
    ward.write()
    ward.start()
    until(lambda: ward.line.sent > 2 * MIB, "the archive is on its way")
    ward.fill("charts", 2, MIB)
    ward.order()
    until(lambda: ward.tiers() and ward.tiers()[0].state == SAFE, "the first tier is safe")
    assert ward.tiers()[-1].state != SAFE and ward.tiers()[-1].vaults == ("archive",)
    failed = [(one["vault"], one["error"]) for one in ward.entries("run")]
    assert failed == [("archive", "CancelledError")]
    ward.line.rate = 1e9
    ward.wait_copied()
    assert {row.state for row in ward.tiers()} == {SAFE}


def test_it_is_ended_while_it_copies_and_the_rest_is_protected_as_ever(ward: Ward) -> None:
    ward.ready(rate=2e6, settle="200ms", max_delay="2s")
    ward.begin()
    ward.fill("charts", 2, MIB)
    ward.fill("office", 6, MIB)
    ward.order()
    until(lambda: ward.tiers() and ward.tiers()[0].state == SAFE, "the first tier is safe")
    ended = json.loads(vaultd("--json", "evacuate", "end", config=ward.file))
    assert [row["state"] for row in ended["tiers"]][-1] == "short"
    ward.line.rate = 1e9
    for name in TIERS:
        ward.wait_protected(name)
        ward.assert_restorable(name)
    ward.assert_record_whole()
    assert "none goes on" in str(json.loads(vaultd("--json", "evacuate", "end", config=ward.file, code=2)))


def test_without_a_daemon_one_is_started_and_the_order_is_kept_before(ward: Ward) -> None:
    ward.ready()
    ward.fill("charts", 2, MIB)
    told = ward.order("--note", "smoke")
    assert told["daemon"] == "started"
    pid = ward.status()["daemon"]["pid"]
    try:
        ward.wait_copied()
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{pid}").exists(), "the daemon ends")
    assert (ward.state / "evacuation.log").stat().st_mode & 0o077 == 0
    ward.assert_all_safe()


def test_nothing_given_that_there_is_not_is_accepted(ward: Ward) -> None:
    ward.ready()
    ward.begin()
    for args in (
        ("judge", "--level", "IV"),
        ("start", "--category", "earthquake"),
        ("judge",),
        ("judge", "--note", "x"),
    ):
        vaultd("evacuate", *args, config=ward.file, code=2)
    with contextlib.closing(ward.store()) as store:
        assert store.evacuations() == []
    ward.order()
    vaultd("evacuate", "judge", "--level", "II", "--director", "王芳", config=ward.file)
    assert (ward.going().level, ward.going().detail["director"]) == ("II", "王芳")


def test_the_page_is_for_people_without_colour_and_the_stream_for_programs(ward: Ward) -> None:
    ward.ready()
    ward.begin()
    ward.fill("charts", 2, MIB)
    assert vaultd("evacuate", "status", config=ward.file).strip() == "No evacuation goes on."
    ward.noticed(2)
    ward.order("--category", "flood")
    watching = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "--config", ward.file, "--json", "evacuate", "watch", "--every", "0.2"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    ward.wait_copied()
    page = vaultd("evacuate", "status", config=ward.file)
    assert "\x1b" not in page and "level I, flood" in page and "SAFE" in page
    vaultd("evacuate", "end", config=ward.file)
    out, _err = watching.communicate(timeout=60)
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1] == {"version": 1, "evacuation": None}
    assert {line["evacuation"]["id"] for line in lines[:-1]} == {ward.going().id}
    assert [one["id"] for one in json.loads(vaultd("--json", "evacuate", "list", config=ward.file))["evacuations"]] == [
        ward.going().id
    ]


def test_a_tier_is_told_with_all_that_was_sent_of_it(ward: Ward) -> None:
    ward.ready()
    ward.begin()
    for name in TIERS:
        ward.fill(name, 3, 1000)
    ward.noticed(9)
    ward.order()
    ward.wait_copied()
    until(lambda: not ward.owes_ledger(), "everything is on record")
    told = [(one["tier"], one["state"], one["files"], one["size"]) for one in ward.entries("evacuation-tier")]
    assert sorted(told) == [(tier, state, 3, 3000) for tier in (1, 2, 3) for state in ("planned", "safe")]
    order = [one["type"] for one in ward.entries() if one["type"].startswith("evacuation-") and one["state"] == "safe"]
    assert order == ["evacuation-batch", "evacuation-tier"] * 3


@needs_mounts
def test_the_only_target_is_full_in_the_second_tier_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    root = tmp_path / "offsite"
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=8m", "tmpfs"):
        ward = Ward(tmp_path)
        try:
            ward.add_target()
            ward.ready(rate=50e6)
            ward.begin()
            ward.fill("charts", 3, MIB)
            ward.fill("labs", 6, MIB)
            ward.fill("office", 1, MIB)
            ward.noticed(10)
            ward.order()
            until(lambda: "target-full" in ward.alerts(), "it is told")
            first, *others = ward.tiers()
            assert (first.state, [one.state for one in others]) == (SAFE, ["planned", "planned"])
            page = vaultd("evacuate", "status", config=ward.file)
            assert "target offsite is full" in page
            subprocess.run(["mount", "-o", "remount,size=64m", root], check=True)
            ward.wait_copied()
            ward.assert_all_safe()
            ward.assert_record_whole()
        finally:
            ward.close()


def test_a_drill_runs_it_all_beside_the_real_thing_and_touches_nothing_of_it(ward: Ward) -> None:
    ward.ready(rate=50e6)
    ward.begin()
    before = [one["id"] for one in ward.snapshots(vault="charts")]
    versions = len(ward.entries("version"))
    told = json.loads(vaultd("--json", "evacuate", "start", "--drill", "--drill-size", "4", config=ward.file))
    assert told["evacuation"]["id"].startswith("DRILL-") and told["evacuation"]["drill"] is True
    assert {one["state"] for one in told["tiers"]} == {SAFE} and len(told["tiers"]) == 3
    measured = {one["what"]: one for one in told["measured"]}
    assert measured["tier-safe"]["milliseconds"] > 0
    assert measured["sampled-restore"]["files"] > 20 and measured["sampled-restore"]["differences"] == 0
    until(lambda: len(ward.entries("evacuation-measured")) == 2, "it is on record")
    entries = [one for one in ward.entries() if one["type"].startswith("evacuation")]
    assert [one["state"] for one in entries if one["type"] == "evacuation"] == ["ordered", "copied", "ended"]
    assert all(one["drill"] == 1 for one in entries)
    assert len(ward.entries("version")) == versions
    assert [one["id"] for one in ward.snapshots(vault="charts")] == before
    assert list((ward.state / "drills").iterdir()) == []
    notices = [json.loads(file.read_text())["notice"] for file in (ward.state / "notices" / "new").iterdir()]
    told = [one for one in notices if one["kind"] == "evacuation"]
    assert len(told) == 2 and all(one["title"].startswith("DRILL") and one["drill"] for one in told)
    with contextlib.closing(ward.store()) as store:
        assert store.open_evacuation() is None and store.open_evacuation(drill=True) is None
        assert [(one.drill, one.state) for one in store.evacuations()] == [(True, "ended")]


def test_a_real_order_ends_a_drill_at_once(ward: Ward) -> None:
    ward.ready(rate=300e3)
    ward.begin()
    drill = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "--config", ward.file, "evacuate", "start", "--drill", "--drill-size", "20"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: list((ward.state / "drills").glob("*/drill-3/image*")), "the drill has its payload")
    ward.order()
    _out, err = drill.communicate(timeout=90)
    assert drill.returncode == 3 and "a real evacuation was ordered" in err
    assert list((ward.state / "drills").iterdir()) == []
    assert "busy" in vaultd("--json", "evacuate", "start", "--drill", config=ward.file, code=1)
    ward.wait_copied()


def test_a_command_that_has_the_target_to_itself_makes_way(ward: Ward) -> None:
    ward.ready()
    ward.fill("charts", 1, 1000)
    ward.line.rate = 20e3  # it will be at work for a while
    forgetting = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "--config", ward.file, "forget", "charts", "--yes"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: held(ward.state / "targets" / "offsite"), "the command has its turn")
    ward.start()
    ward.order()
    _out, err = forgetting.communicate(timeout=60)
    assert forgetting.returncode == 1 and "an evacuation was ordered" in err
    ward.line.rate = 1e9
    ward.wait_copied()
    ward.assert_all_safe()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", ["the line is cut every 10 s", "the daemon is killed every 30 s"])
def test_it_completes_whatever_happens_again_and_again(ward: Ward, fault: str) -> None:
    ward.ready(rate=3e6)
    ward.begin()
    for name in TIERS:
        ward.fill(name, 60, MIB)
        ward.fill(name, 200, 2000, "small")
    (ward.folder / "office" / "one large").write_bytes(os.urandom(80 * MIB))  # 28 s of the line
    ward.order()
    turns = 0
    while ward.going().state != "copied":
        time.sleep(10 if fault.startswith("the line") else 30)
        turns += 1
        if fault.startswith("the line"):
            ward.line.cut()
        else:
            ward.kill()
            ward.start()
        assert turns < 200
    print(f"{fault}: {turns} times; {ward.line.sent >> 20} MiB sent; {Counter(one.state for one in ward.batches())}")
    ward.assert_all_safe()
    ward.assert_record_whole()

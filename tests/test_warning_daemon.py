"""Warnings in a running daemon: real alerts propose, orders are carried out at once, ``kill -9`` forgets nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.kitting import vaultd
from tests.nutting import ups_in
from tests.site import Site, site_in, until
from tests.warning_desks import PEOPLE, office_in
from vaultd.config import Config, load
from vaultd.daemon import warnings
from vaultd.daemon.assembly import assemble, at_work
from vaultd.daemon.verifying import Daily
from vaultd.daemon.warnings import WarningTask
from vaultd.daemon.watching import POLL_SECONDS, VaultWatch, scan_vault
from vaultd.errors import PartialError, VaultdError
from vaultd.notices.model import Notice
from vaultd.store.warningrows import WarningRow
from vaultd.warning.fields import Fields
from vaultd.warning.response import Means

ROSTER = '[[duty]]\nperson = "张伟"\nthen = ["王芳"]\n'


def prepared(folder: Path, site: Site, response: str, **vault: object) -> Path:
    site.add_target()
    path = site.add_vault(**vault)
    (path / "a").write_text("1")
    site.file_tail = PEOPLE + ROSTER + response
    site.prepare()
    return path


def warning(site: Site, *args: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vaultd("--json", "warning", *args, config=site.file))
    return found


def listed(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = warning(site, "list", "--all")["warnings"]
    return found


def on_record(site: Site, kind: str) -> list[dict[str, Any]]:
    until(lambda: not site.owes_ledger(), "everything is on record")
    return site.entries(kind)


def test_a_vault_that_is_gone_and_power_that_is_gone_are_proposed(tmp_path: Path) -> None:
    with ups_in(tmp_path / "ups") as ups, site_in(tmp_path) as site:
        path = prepared(tmp_path, site, f'[response]\nups = ["{ups.name}"]\nupsc = "{ups.upsc}"\n')
        site.start()
        site.wait_protected()
        assert site.status()["warnings"] is None
        path.rename(tmp_path / "elsewhere")
        ups.say("OB DISCHRG")
        until(lambda: len(listed(site)) == 2, "both are proposed")
        assert {(one["signal"], one["state"], one["level"]) for one in listed(site)} == {
            ("mass-change", "proposed", "III"), ("power-lost", "proposed", "III"),
        }  # fmt: skip
        until(lambda: (site.status()["warnings"] or {}).get("proposed") == 2, "the status says so")
        number = next(one["id"] for one in listed(site) if one["signal"] == "power-lost")
        warning(site, "issue", "II", "--from", number, "--to", "李娜")
        found = until(lambda: (site.status()["warnings"] or {}).get("standing"), "the status shows it")
        assert [(one["id"], one["level"], one["unanswered"]) for one in found] == [(number, "II", ["李娜"])]
        assert "李娜" in vaultd("status", config=site.file)
        states = [(one["state"], one["level"]) for one in on_record(site, "warning") if one["warning"] == number]
        assert states == [("proposed", "III"), ("issued", "II")]


def test_a_target_that_is_away_for_longer_than_the_objective_is_proposed(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        path = prepared(tmp_path, site, "", objective="2s")
        site.start()
        site.wait_protected()
        assert listed(site) == []
        site.servers["offsite"].stop()
        (path / "b").write_text("2")
        (found,) = until(lambda: listed(site), "it is proposed")
        assert (found["signal"], found["subject"], found["scope"]) == ("target-lost", "offsite", "offsite")
        assert on_record(site, "warning")[0]["signal"] == "target-lost"


def test_a_daemon_that_is_killed_between_issue_and_repeat_counts_right(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        prepared(tmp_path, site, '[response]\nrepeat = "2s"\nrepeats = 2\n')
        site.start()
        number = warning(site, "issue", "II", "--category", "fire", "--to", "张伟")["warning"]["id"]
        site.kill()
        for times in (2, 3):  # each daemon lives for one repeat
            site.start()
            until(lambda times=times: listed(site)[0]["answers"][0]["times"] >= times, "told again")
            site.kill()
        site.start()
        until(lambda: len(listed(site)[0]["answers"]) == 2, "the next on the roster is asked")
        warning(site, "ack", number, "--by", "王芳", "--how", "telephone")
        assert site.stop() == 0
        site.start()
        first, second = listed(site)[0]["answers"]
        assert (first["person"], first["state"], first["escalated_to"]) == ("张伟", "escalated", "王芳")
        assert second["state"] == "acknowledged" and listed(site)[0]["unanswered"] == []
        answers = on_record(site, "warning-answer")
        repeats = [one for one in answers if one["state"] == "repeated"]
        assert [one["person"] for one in repeats].count("张伟") == first["times"] - 1 == 2
        assert [one["person"] for one in answers if one["state"] == "escalated"] == ["王芳"]
        assert [one["person"] for one in answers if one["state"] == "acknowledged"] == ["王芳"]
        # No courier runs here: what it would send waits, one for each of these.
        waiting = [json.loads(file.read_text())["notice"] for file in (site.state / "notices" / "new").iterdir()]
        assert len([one for one in waiting if one["kind"] == "warning"]) == 1 + len(repeats) + 1


def test_what_is_pending_goes_at_once_and_scans_are_more_frequent(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        policy = '[response.I]\nat_once = ["protect", "hurry"]\n'
        path = prepared(tmp_path, site, policy, settle="1h", max_delay="1h", objective="2h")
        site.start()
        vaultd("backup", "--full", config=site.file)
        (path / "b").write_text("2")
        until(lambda: site.at()["pending_files"] == 1, "the change is pending, and waits for quiet")
        told = warning(site, "issue", "I")
        assert {one["action"] for one in told["actions"]} == {"protect", "hurry"}
        until(lambda: site.at()["pending_files"] == 0, "it is off-site without waiting for an hour")
        number = told["warning"]["id"]

        def done() -> bool:
            return {one["state"] for one in warning(site, "show", number)["actions"]} == {"done"}

        until(done, "both are done")


def test_a_command_works_with_the_daemon_dead_and_its_order_is_carried_out_by_the_next(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        path = prepared(
            tmp_path, site, '[response.I]\nat_once = ["protect"]\n', settle="1h", max_delay="1h", objective="2h"
        )
        site.backup(full=True)
        (path / "b").write_text("2")
        told = warning(site, "issue", "I", "--category", "flood")
        assert [one["state"] for one in told["actions"]] == ["wanted"]
        site.start()
        until(lambda: warning(site, "show", told["warning"]["id"])["actions"][0]["state"] == "done", "done")
        until(lambda: site.at()["pending_files"] == 0, "it is off-site")
        assert [one["state"] for one in on_record(site, "warning")] == ["issued"]


# the task by itself


async def come(true: Callable[[], object]) -> None:
    """Return when something is true; the other tasks of the loop go on."""
    await asyncio.to_thread(until, true, "it comes")


def test_notices_are_handed_over_and_what_was_begun_is_begun_again(tmp_path: Path) -> None:
    with office_in(tmp_path, '[response.I]\nat_once = ["protect", "evacuate"]\n') as office:
        row = office.desk.issue(Fields("I"))
        told: list[Notice] = []
        began: list[str] = []

        async def hangs(row: object) -> None:
            began.append("protect")
            await asyncio.sleep(3600)

        async def refuses(row: object) -> None:
            raise VaultdError("an evacuation", "no target")

        async def life() -> None:
            means = Means(hangs, lambda _on: None, refuses)
            task = WarningTask(office.config, office.store, means, told.append, tmp_path / "none")
            task.desk = office.desk
            running = asyncio.create_task(task.run())
            await come(lambda: began and office.store.warning_actions(row.id)[0].state == "failed")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(life())
        began.clear()
        office.again()
        asyncio.run(life())  # the daemon died while it protected
        assert began == ["protect"] and [one.of for one in told] == [row.id]
        found = {one.action: (one.state, one.error) for one in office.store.warning_actions(row.id)}
        assert found == {"protect": ("begun", ""), "evacuate": ("failed", "an evacuation: no target")}


def test_a_warning_that_was_lifted_before_sets_nothing_in_motion(tmp_path: Path) -> None:
    with office_in(tmp_path, '[response.II]\nat_once = ["protect", "hurry"]\n') as office:
        hurried: list[bool] = []
        row = office.desk.issue(Fields("II"))

        async def never(_row: object) -> None:
            raise AssertionError("it was lifted")

        async def looks() -> None:
            task = WarningTask(office.config, office.store, Means(never, hurried.append), None, tmp_path / "none")
            await task.once()
            await come(lambda: not office.store.warning_actions())

        office.desk.lift(row.id)
        asyncio.run(looks())
        assert {one.state for one in office.store.warning_actions(row.id)} == {"failed"} and hurried == [False]
        other = office.desk.issue(Fields("II"))
        office.store.put_action(office.store.warning_actions(other.id)[1]._replace(state="done"))
        asyncio.run(looks())
        assert hurried == [False, True]


def test_a_hurried_verification_does_not_wait_for_its_time_of_day(tmp_path: Path) -> None:
    hour = (datetime.now().astimezone().hour + 3) % 24
    window = f'[verify]\nwindow = "{hour:02}:00-{(hour + 1) % 24:02}:00"\nperiod = "1s"\n'
    with office_in(tmp_path, window) as office:
        daily = Daily(office.config, "east", lambda _progress: None)
        now = 1e9  # later than any pause
        assert daily.due_at(now) > now + 3600
        daily.hurried = True
        assert daily.due_at(now) == now


def test_hurry_reaches_every_watch_and_every_verification_and_ends(config: Config) -> None:
    async def looks() -> list[tuple[float, bool]]:
        with assemble(config, lambda _progress: None) as assembly:
            watches = {
                name: VaultWatch(assembly.context, vault, lambda _vault, _heard: None)
                for name, vault in assembly.vaults.items()
            }
            daily = Daily(config, "offsite", lambda _progress: None)
            assembly.workers["offsite"].spare = daily
            found = []
            for on in (False, True, False):
                warnings.means(assembly, watches).hurry(on)
                found.append((watches["records"]._scan_every(), daily.hurried))
            return found

    assert asyncio.run(looks()) == [(3600, False), (POLL_SECONDS, True), (3600, False)]


def test_what_is_known_to_be_pending_goes_without_a_scan_and_a_target_that_is_away_is_told(tmp_path: Path) -> None:
    async def protects(site: Site, row: WarningRow) -> int:
        async with at_work(load(site.file), lambda _progress: None) as assembly:
            vault = assembly.vaults["records"]
            await scan_vault(assembly.context, vault, asyncio.Lock(), lambda: None)  # nobody tells the workers
            target = assembly.workers["offsite"].target.id
            assert assembly.store.backlog(target, vault.id).files == 1
            await warnings.means(assembly, {}).protect_now(row)
            return assembly.store.backlog(target, vault.id).files

    (tmp_path / "office").mkdir()
    with site_in(tmp_path) as site, office_in(tmp_path / "office") as office:
        path = prepared(tmp_path, site, "", settle="1h", max_delay="1h", objective="2h")
        row = office.desk.issue(Fields("I"))
        site.backup(full=True)
        (path / "b").write_text("2")
        assert asyncio.run(protects(site, row)) == 0
        site.servers["offsite"].stop()
        (path / "c").write_text("3")
        with pytest.raises(PartialError, match="not everything is off-site yet"):
            asyncio.run(protects(site, row))

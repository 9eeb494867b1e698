"""Whether there is power: upsc of the real NUT where it is there, a stand-in held to the same; the kernel's files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import nutting
from tests.nutting import Ups, ups_in
from tests.warning_desks import Office, office_in
from vaultd.daemon.warnings import SILENT, WarningTask
from vaultd.warning import power
from vaultd.warning.power import PowerError, kernel_is_off
from vaultd.warning.response import Means

needs_nut = pytest.mark.skipif(not nutting.THERE, reason="NUT's upsd, dummy-ups and upsc are not there")


@pytest.fixture(params=["stand-in", pytest.param("nut", marks=needs_nut)])
def ups(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ups]:
    with ups_in(tmp_path / "ups", real=request.param == "nut") as made:
        yield made


def ask(ups: Ups, name: str = "", seconds: float = 30.0) -> bool:
    return asyncio.run(power.ups_is_off(ups.upsc, name or ups.name, seconds))


def test_what_upsc_says(ups: Ups) -> None:
    assert ask(ups) is False
    ups.say("OB DISCHRG")
    assert ask(ups) is True
    ups.say("OL CHRG")
    assert ask(ups) is False
    other = "other@" + ups.name.partition("@")[2]
    with pytest.raises(PowerError, match="Unknown UPS"):
        ask(ups, other)
    ups.stop()
    with pytest.raises(PowerError, match="Connection refused"):
        ask(ups)


@pytest.mark.parametrize(
    ("words", "off"),
    [("OL", False), ("OL CHRG LB", False), ("OB", True), ("OB LB", True), ("FSD OB LB", True), ("FSD OL", True),
     ("BYPASS OL", False), ("OBLIQUE", False)],
)  # fmt: skip
def test_words_of_a_status(words: str, off: bool) -> None:
    assert power.is_off(words.split()) is off


def test_one_that_hangs_is_ended_when_its_time_is_over(tmp_path: Path) -> None:
    program = tmp_path / "upsc"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    program.chmod(0o755)
    with pytest.raises(PowerError, match="no answer within"):
        asyncio.run(power.ups_is_off(str(program), "ups", 2.0))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_that_is_not_there_or_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match="No such file"):
        asyncio.run(power.ups_is_off(str(tmp_path / "none"), "ups", 5.0))
    with pytest.raises(PowerError, match="it says nothing"):
        asyncio.run(power.ups_is_off("/bin/true", "ups", 5.0))


def supply(root: Path, name: str, **attributes: str) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    for key, value in attributes.items():
        (root / name / key).write_text(f"{value}\n")


def test_the_kernels_power_supplies(tmp_path: Path) -> None:
    assert kernel_is_off(tmp_path / "none") is None
    supply(tmp_path, "mouse", type="Battery", scope="Device", status="Discharging")
    assert kernel_is_off(tmp_path) is None
    supply(tmp_path, "BAT0", type="Battery", status="Unknown")
    assert kernel_is_off(tmp_path) is None
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    assert kernel_is_off(tmp_path) is True
    supply(tmp_path, "AC1", type="Mains", online="0")
    supply(tmp_path, "AC2", type="Mains", online="1")
    assert kernel_is_off(tmp_path) is False  # one of two is enough
    supply(tmp_path, "AC2", type="Mains", online="0")
    assert kernel_is_off(tmp_path) is True


# the daemon's look at it


async def _nothing(_row: object) -> None:
    return


def task_of(office: Office, sysfs: Path) -> WarningTask:
    made = WarningTask(office.config, office.store, Means(_nothing, lambda _on: None), sysfs=sysfs)
    made.desk = office.desk
    return made


def test_power_that_goes_is_proposed_once_for_each_time(ups: Ups, tmp_path: Path) -> None:
    policy = f'[response]\nups = ["{ups.name}"]\nupsc = "{ups.upsc}"\nups_timeout = "30s"\n'
    (tmp_path / "office").mkdir()
    with office_in(tmp_path / "office", policy) as office:
        for status in ("OL", "OB", "OB LB"):
            ups.say(status)
            asyncio.run(task_of(office, tmp_path / "none").look_at_power())  # each time another daemon
        (row,) = office.store.warnings()
        assert (row.signal, row.subject, row.category, row.count) == ("power-lost", ups.name, "power-cut", 1)
        ups.say("OL")
        asyncio.run(task_of(office, tmp_path / "none").look_at_power())
        ups.say("OB")
        asyncio.run(task_of(office, tmp_path / "none").look_at_power())
        assert office.desk.find(row.id).count == 2 and len(office.store.warnings()) == 1


def test_a_ups_that_is_silent_is_an_alert_and_no_signal(tmp_path: Path) -> None:
    policy = f'[response]\nups = ["ups"]\nupsc = "{tmp_path}/none"\n'
    with office_in(tmp_path, policy) as office:
        task = task_of(office, tmp_path / "none")
        for number in range(SILENT + 2):
            assert office.store.alerts.is_open("power-unknown", target="ups") is (number >= SILENT)
            asyncio.run(task.look_at_power())
        assert office.store.warnings() == [] and office.store.alerts.list()[0].times == 1
        (tmp_path / "none").write_text("#!/bin/sh\necho OL\n")
        (tmp_path / "none").chmod(0o755)
        asyncio.run(task.look_at_power())
        assert not office.store.alerts.is_open("power-unknown", target="ups")


def test_the_kernel_is_asked_unless_the_configuration_forbids_it(tmp_path: Path) -> None:
    supply(tmp_path / "sys", "AC", type="Mains", online="0")
    for text, count in (("power_supply = false", 0), ("power_supply = true", 1)):
        folder = tmp_path / str(count)
        folder.mkdir()
        with office_in(folder, f"[response]\n{text}\n") as office:
            asyncio.run(task_of(office, tmp_path / "sys").look_at_power())
            assert len(office.store.warnings()) == count

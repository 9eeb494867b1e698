"""What is open: disks in no register, supplies, and what the status says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.registering import Office, office_in
from vaultd import status
from vaultd.disks.model import Disk, DiskMap, Inventory, Kind, Layer
from vaultd.media import items, safety, supplies
from vaultd.media.faults import MediaError
from vaultd.store.mediarows import StockRow

TODAY = date(2026, 11, 28)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


def disk(key: str, serial: str, wwn: str = "", model: str = "ST4000") -> Disk:
    return Disk(key, (f"sd{key}",), "Seagate", model, serial, wwn, 4 * 10**12, "sas")


def inventory(vault: str | None, *disks: Disk) -> Inventory:
    top = Layer(Kind.FOLDER, "/srv/patients")
    every = frozenset(one.key for one in disks)
    return Inventory(10**18, (*disks, disk("z", "EMPTY")), (DiskMap(b"/srv", vault, top, every, (every,), True),))


def test_a_disk_of_a_vault_that_is_in_no_register_is_open(office: Office) -> None:
    office.add(label="A-1", serial="ZC1", model="ST4000")
    office.add(label="A-2", serial="other", wwn="0x5000c500a1b2c3d4")
    seen = inventory(
        "patients", disk("a", "ZC1"), disk("b", "ZC2", "0x5000c500a1b2c3d4"), disk("c", "ZC3"), disk("d", "")
    )
    found = [one for one in items.open_items(office.store, TODAY, 0, seen) if one.kind == "unregistered"]
    assert [one.subject for one in found] == ["c", "d"]
    assert "patients" in found[0].text and "ZC3" in found[0].text
    # A disk that holds nothing of a vault is nobody's open item, and neither is one of a folder that is no vault.
    assert items.unregistered(inventory(None, disk("c", "ZC3")), office.store) == []


def test_the_map_of_disks_knows_vaults_that_the_register_does_not(office: Office) -> None:
    medium = office.add(label="A-1", serial="ZC1", vaults="staff")
    of = items.on_disk(inventory("patients", disk("a", "ZC1")), office.store)
    assert list(of(medium)) == ["staff", "patients"]
    assert list(items.on_disk(None, office.store)(medium)) == ["staff"]


def test_a_vault_of_which_nothing_is_known_is_not_safe(office: Office) -> None:
    (found,) = safety.unsafe(office.store, office.config, ["patients", "patients"], watched=True)
    assert found.vault == "patients"
    assert safety.unsafe(office.store, office.config, [], watched=True) == []


def test_supplies_are_short_or_unchecked_or_in_order(office: Office) -> None:
    seals = StockRow("封条", "seal", 20, 50, "值班室", 90, "2026-06-01", "张伟", "")
    assert supplies.problems(seals, TODAY) == ["short", "unchecked"]
    assert supplies.problems(seals._replace(quantity=50, checked="2026-08-30"), TODAY) == []
    assert supplies.problems(seals._replace(quantity=50, checked="2026-08-29"), TODAY) == ["unchecked"]
    assert supplies.problems(seals._replace(quantity=50, checked=""), TODAY) == ["unchecked"]
    assert supplies.problems(seals._replace(least=0, every_days=0, checked=""), TODAY) == []
    supplies.put(office.register, seals)
    assert {one.kind for one in items.open_items(office.store, TODAY, 0)} == {"stock"}
    items.raise_alerts(office.store)
    assert [one.code for one in office.store.alerts.list()] == ["media-stock"]
    today = datetime.now().astimezone().date().isoformat()
    supplies.put(office.register, seals._replace(quantity=60, checked=today))
    assert supplies.take(office.register, "封条", 10).quantity == 50
    with pytest.raises(MediaError, match="there are 50 only"):
        supplies.take(office.register, "封条", 51)
    assert supplies.take(office.register, "封条", -3).quantity == 53
    items.raise_alerts(office.store)
    assert office.store.alerts.list() == []
    assert [one["quantity"] for one in office.entries("media-stock")] == [20, 60, 50, 53]
    for wrong in ({"kind": "gun"}, {"quantity": -1}, {"name": " "}):
        with pytest.raises(MediaError):
            supplies.put(office.register, seals._replace(**wrong))


def test_the_status_says_what_is_open_and_nothing_where_there_is_no_register(office: Office) -> None:
    assert status.document(office.store, "ward", [])["media"] is None
    label = office.add(location="库房2", status="deposited").label
    day = datetime.now().astimezone().date() + timedelta(days=1)
    office.hand("check-out", label, received_by="周护士", due=day)
    assert status.document(office.store, "ward", [])["media"] == {
        "media": 1, "out": 1, "overdue": 0, "unsigned": 1, "trouble": 0,
    }  # fmt: skip
    assert office.store.media_counts(time.time_ns() + 3 * 86400 * 10**9).overdue == 1


def test_a_signature_that_is_owed_for_a_day_is_an_alert(office: Office) -> None:
    label = office.add(location="机房").label
    office.hand("remove", label, released_by="周护士", received_by="周护士", emergency="漏水")
    assert [one.kind for one in items.open_items(office.store, TODAY, 0)] == ["approval"]
    now = time.time_ns()
    items.raise_alerts(office.store, now)
    assert office.store.alerts.list() == []
    items.raise_alerts(office.store, now + 25 * 3600 * 10**9)
    assert [one.code for one in office.store.alerts.list()] == ["media-unsigned"]

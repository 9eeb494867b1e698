"""The register: labels, what is refused, what goes on record, and that there is never the one without the other."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.registering import Office, office_in
from vaultd.config.media import MediaConfig
from vaultd.config.reading import refusal
from vaultd.ledger import canonical
from vaultd.media import numbering, record
from vaultd.media.faults import MediaError, NoMediumError
from vaultd.store import Store
from vaultd.store.schema import MIGRATIONS

YEAR = datetime.now().astimezone().year


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


def test_labels_are_numbered_by_the_scheme_and_go_on_after_the_highest(office: Office) -> None:
    assert [office.add().label for _turn in range(2)] == [f"SY-{YEAR}-00001", f"SY-{YEAR}-00002"]
    office.add(label=f"SY-{YEAR}-00040")
    office.add(label="旧-0007")
    office.add(label=f"SY-{YEAR - 1}-99999")
    assert office.add().label == f"SY-{YEAR}-00041"


def test_a_scheme_whose_numbers_are_all_given_says_so(office: Office) -> None:
    office.add(label=f"SY-{YEAR}-99999")
    with pytest.raises(MediaError, match="all numbers"):
        office.add()


@pytest.mark.parametrize("typed", ["sy-2026-00001", " SY-2026-00001 ", "ＳＹ-２０２６-００００１"])
def test_a_label_is_the_same_however_it_is_typed(office: Office, typed: str) -> None:
    office.add(label="SY-2026-00001")
    assert office.register.find(typed).label == "SY-2026-00001"


def test_a_label_that_is_taken_is_refused_with_what_has_it(office: Office) -> None:
    office.add(label="SY-2026-00001", make="Seagate", serial="ZC1")
    with pytest.raises(MediaError, match=r"it is taken: .*Seagate.*ZC1"):
        office.add(label="sy-2026-00001")
    assert office.store.count_media() == 1
    assert len(office.entries("medium")) == 1


@pytest.mark.parametrize("label", ["", "A B", "A\nB", "A,B", "=1+1", "-A", "A" * 41, "a\x1b[2J"])
def test_what_can_be_no_label_is_refused(label: str) -> None:
    with pytest.raises(MediaError, match="not a label"):
        numbering.normal(label)


def test_a_label_of_another_site_is_called_so_and_one_of_ours_is_not(office: Office) -> None:
    with pytest.raises(NoMediumError, match="another site"):
        office.register.find("EY-2026-00001")
    with pytest.raises(NoMediumError, match="it is not in the register"):
        office.register.find("SY-2026-00077")


@pytest.mark.parametrize(
    ("scheme", "fine"),
    [("M-{year}-{number:5}", True), ("市一-{number:4}", True), ("{year}/{number:3}", True), ("{number:5}", False),
     ("M-{number}-{year}", False), ("M {number:5}", False), ("M-{nummer}", False), ("M-{number:0}", False),
     ("=M-{number:5}", False), ("M", False), ("M-{number:5}x", False)],
)  # fmt: skip
def test_a_scheme_must_be_one(scheme: str, fine: bool) -> None:
    assert (refusal(MediaConfig, "label", scheme) == "") is fine


def test_one_device_is_not_registered_twice(office: Office) -> None:
    office.add(label="A-1", serial="ZC1", wwn="0x5000c500a1b2c3d4")
    for double in ({"serial": "ZC1"}, {"serial": "other", "wwn": "0x5000c500a1b2c3d4"}):
        with pytest.raises(MediaError, match="is registered: A-1"):
            office.add(**double)
    office.add(serial="", wwn="")
    office.add(serial="", wwn="")  # what says nothing is not double


@pytest.mark.parametrize(
    ("values", "why"),
    [({"custodian": ""}, "no custodian"), ({"classification": "geheim"}, "no classification"),
     ({"note": "a\x07b"}, "no text on one line"), ({"model": "x" * 201}, "no text on one line"),
     ({"serial": "a\u202eb"}, "no text on one line"), ({"status": "destroyed"}, "a new medium is not"),
     ({"status": "in-transit"}, "a new medium is not")],
)  # fmt: skip
def test_what_is_wrong_is_refused_and_nothing_is_changed(office: Office, values: dict[str, str], why: str) -> None:
    with pytest.raises(MediaError, match=why):
        office.add(**values)
    assert office.store.count_media() == 0
    assert not office.store.owes_ledger()


def test_the_ledger_has_a_digest_of_the_record_and_no_serial_number(office: Office) -> None:
    added = office.add(serial="GEHEIM-4711", model="ST4000", capacity=4 * 10**12)
    (found,) = office.entries("medium")
    assert (found["label"], found["state"], found["custodian"]) == (added.label, "added", "张伟")
    assert "4711" not in str(found) and "ST4000" not in str(found)
    known = office.register.find(added.label)
    fields = {name: getattr(known, name) for name in record.RECORD}
    assert fields["serial"] == "GEHEIM-4711"
    assert found["record"] == hashlib.sha256(known.salt + canonical.encode(fields)).hexdigest()


def test_two_media_of_one_record_have_other_digests(office: Office) -> None:
    one, two = office.add(label="A-1", serial=""), office.add(label="A-2", serial="")
    assert one.salt != two.salt


def test_what_changes_goes_on_record_by_its_name_and_what_does_not_is_nothing(office: Office) -> None:
    label = office.add(slot="3", note="x").label
    assert office.register.change(label, {"slot": "4", "note": "x"}) == ["slot"]
    assert office.register.change(label, {"slot": "4"}) == []
    assert office.register.find(label).slot == "4"
    assert [one.get("changes") for one in office.entries("medium")] == [None, ["slot"]]


@pytest.mark.parametrize("field", ["location", "status", "holder", "label", "borrower"])
def test_where_a_medium_is_does_not_change_by_hand(office: Office, field: str) -> None:
    label = office.add().label
    with pytest.raises(MediaError, match="by what happens"):
        office.register.change(label, {field: "x"})


def test_register_and_ledger_are_one_transaction(office: Office) -> None:
    """Where the entry cannot be left, the medium is not there either, and its number is given to the next."""
    with office.store.database.write() as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(sqlite3.IntegrityError, match="no room"):
        office.add()
    assert office.store.count_media() == 0
    with office.store.database.write() as db:
        db.execute("DROP TRIGGER full")
    assert office.add().label == f"SY-{YEAR}-00001"


def test_a_database_of_before_gets_the_tables_and_a_reader_of_one_finds_none(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    db = sqlite3.connect(file)
    for version in range(1, 5):
        db.executescript(MIGRATIONS[version])
    db.execute("PRAGMA user_version=4")
    db.commit()
    db.close()
    reader = Store(file, read_only=True)
    assert not reader.has_media()
    reader.close()
    writer = Store(file)
    assert writer.has_media() and writer.count_media() == 0
    writer.close()

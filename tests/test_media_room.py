"""Walking a room, and scanning: by keyboard, from a file, from a picture."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.registering import Office, office_in
from vaultd.cli.main import main
from vaultd.media import items, labels, walk
from vaultd.media.faults import MediaError
from vaultd.paper import codes


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with office_in(tmp_path) as made:
        yield made


def test_a_room_is_compared_with_the_register(office: Office) -> None:
    here = [office.add(location="库房2", status="deposited").label for _turn in range(4)]
    there = office.add(location="库房3", status="deposited").label
    day = datetime.now().astimezone().date() + timedelta(days=3)
    office.hand("check-out", here[3], received_by="周护士", due=day)
    found = walk.audit(office.register, "库房2", [here[0], here[0], " ", here[1].lower(), there, "EY-1", "a b\x1b"])
    assert [one.label for one in found.found] == here[:2]
    assert [one.label for one in found.missing] == [here[2]]
    assert [one.label for one in found.misplaced] == [there]
    assert found.foreign == ["EY-1", "'a b\\x1b'"]
    assert [one.label for one in found.out] == [here[3]]
    (entry,) = office.entries("media-audit")
    assert (entry["expected"], entry["found"], entry["missing"], entry["misplaced"]) == (3, 2, [here[2]], [there])
    kinds = {(one.kind, one.subject) for one in items.open_items(office.store, day, 0)}
    assert {("missing", here[2]), ("misplaced", there)} <= kinds
    items.raise_alerts(office.store)
    assert "media-missing" in {one.code for one in office.store.alerts.list()}
    # What is found again is not missing any more; what is brought back is not in the wrong place.
    walk.sight(office.register, here[2], "库房2")
    walk.sight(office.register, there, "库房3")
    items.raise_alerts(office.store)
    assert "media-missing" not in {one.code for one in office.store.alerts.list()}
    assert office.register.find(here[0]).seen_where == "库房2"


def test_a_place_that_nobody_knows_is_no_empty_room(office: Office) -> None:
    office.add(location="库房2", status="deposited")
    with pytest.raises(MediaError, match="nothing there"):
        walk.audit(office.register, "库房 2", [])
    assert office.entries("media-audit") == []


def vaultd(office: Office, capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["--config", str(office.config_file()), *map(str, args)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_scanner_that_types_and_a_picture_say_the_same(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    medium = office.add(location="库房2", status="deposited", serial="ZC1")
    (tmp_path / "code.png").write_bytes(codes.picture(medium.label))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{medium.label}\r\n\r\n".encode())))
    for args in ([], ["--image", tmp_path / "code.png"], [medium.label]):
        code, out, _err = vaultd(office, capsys, "--json", "media", "scan", *args)
        assert code == 0
        (one,) = json.loads(out)["scanned"]
        assert (one["medium"]["label"], one["medium"]["location"]) == (medium.label, "库房2")


def test_a_code_of_another_site_is_called_so(
    office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "code.png").write_bytes(codes.picture("EY-2026-00001"))
    code, _out, err = vaultd(office, capsys, "media", "scan", "--image", tmp_path / "code.png")
    assert code == 4
    assert "another site" in err
    code, out, _err = vaultd(office, capsys, "--json", "media", "scan", "EY-2026-00001", "SY-2026-00001")
    assert [one["error"]["why"].partition(":")[0] for one in json.loads(out)["scanned"]] == [
        "it is in no register here", "it is not in the register"]  # fmt: skip
    (tmp_path / "empty.png").write_bytes(codes.picture("x")[:60])
    code, _out, err = vaultd(office, capsys, "media", "scan", "--image", tmp_path / "empty.png")
    assert code == 1
    assert "no QR code" in err


def test_a_room_is_walked_with_a_camera(office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    media = [office.add(location="库房2", status="deposited") for _turn in range(6)]
    (tmp_path / "l.pdf").write_bytes(labels.draw(media[:5], "").pdf)
    subprocess.run(["pdftoppm", "-r", "100", "-png", "-singlefile", tmp_path / "l.pdf", tmp_path / "shelf"], check=True)
    code, out, _err = vaultd(office, capsys, "--json", "media", "audit", "库房2", "--image", tmp_path / "shelf.png")
    told = json.loads(out)
    assert code == 4
    assert told["found"] == [one.label for one in media[:5]]
    assert [one["label"] for one in told["missing"]] == [media[5].label]
    (tmp_path / "typed").write_text("\ufeff" + "\n".join(one.label for one in media))
    code, out, _err = vaultd(office, capsys, "--json", "media", "audit", "库房2", "--file", tmp_path / "typed")
    assert (code, json.loads(out)["whole"]) == (0, True)

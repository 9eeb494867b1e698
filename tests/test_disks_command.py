"""``vaultd disks`` as people and programs run it."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.disking import Box, disk
from vaultd import i18n
from vaultd.cli.disks_picture import FONT
from vaultd.cli.main import main
from vaultd.cli.render_disks import disk_table
from vaultd.disks import inventory, kept
from vaultd.disks.model import Kind, Unseen


@pytest.fixture(autouse=True)
def _language() -> Any:
    yield
    i18n.choose("en")


@pytest.fixture
def machine(tmp_path: Path) -> Box:
    """Two disks in a mirror, with a vault on it and the state on a third disk."""
    box = Box(tmp_path / "machine")
    for minor, name in enumerate(("sda", "sdb", "sdc")):
        disk(box, name, minor)
    box.block("/devices/virtual/block/md0", "9:0", 1 << 30, {}, md__level="raid1", md__raid_disks="2",
              **{f"md__dev-sd{'ab'[slot]}__{key}": value for slot in range(2)
                 for key, value in (("state", "in_sync"), ("slot", str(slot)))})  # fmt: skip
    box.slaves("/devices/virtual/block/md0", "sda", "sdb")
    box.mount("8:32", "/", "ext4", "/dev/sdc")
    box.mount("9:0", "/srv/病案 1", "ext4", "/dev/md0")
    return box


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "vaultd.toml"
    (tmp_path / "state").mkdir()
    file.write_text(
        f'[host]\nname = "h"\nstate = "{tmp_path}/state"\n[[vault]]\nname = "records"\npath = "/srv/病案 1"\n'
    )
    return file


def printed(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> str:
    assert main([str(arg) for arg in args]) == code
    return capsys.readouterr().out


def test_the_table_has_every_disk_and_its_vaults(
    machine: Box, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, "--config", config, "disks", "list", "--root", machine.root).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["sda", "sdb", "sdc"]
    assert [line.split()[-1] for line in lines[1:4]] == ["records", "records", "vaultd-state"]
    assert "ATA port 1" in lines[1]
    assert "S0000" in lines[1]
    assert "1.00 GiB" in lines[1]


def test_the_table_has_labels_where_there_is_a_register(machine: Box) -> None:
    found = inventory.read(machine.machine)
    labels = {"wwn-5000c50000000001": ("S-2026-007", "Chen Wei")}
    lines = "\n".join(disk_table(found, labels)).splitlines()
    assert lines[0].split()[-2:] == ["label", "custodian"]
    assert [line.split()[-2:] for line in lines[1:4]] == [["-", "-"], ["Chen", "Wei"], ["-", "-"]]
    assert "S-2026-007" in lines[2]


def test_the_json_is_what_the_page_says(machine: Box, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "--json", "--config", config, "disks", "list", "--root", machine.root))
    page = (Path(__file__).parent.parent / "docs/json-disks.md").read_text()
    rows = [found, *found["disks"], *found["maps"], *found["maps"][0]["layers"]]
    for row in rows:
        for key in row:
            assert f"`{key}`" in page or f'"{key}"' in page, key
    for kind in Kind:
        assert f"`{kind.value}`" in page
    for unseen in Unseen:
        assert f"`{unseen.value}`" in page
    assert [one["vault"] for one in found["maps"]] == ["records", "vaultd-state"]
    assert sorted(map(tuple, found["maps"][0]["copies"])) == [("wwn-5000c50000000000",), ("wwn-5000c50000000001",)]


def test_a_map_by_vault_by_path_and_by_device(machine: Box, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("records", "/srv/病案 1/2026", "/dev/md0"):
        text = printed(capsys, "--config", config, "disks", "map", what, "--root", machine.root)
        assert "software raid md0 (raid1)" in text
        assert "Disks that hold any byte of it: sda, sdb" in text
        assert text.splitlines()[-2:] == ["  sda", "  sdb"]


def test_a_name_that_is_no_vault_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(config), "disks", "map", "nothing-of-that-name"]) == 2
    assert "records" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none"), "disks", "map", str(tmp_path / "gone/deep")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_the_picture_has_every_layer(
    machine: Box, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svg, png = tmp_path / "map.svg", tmp_path / "map.png"
    words = ["--config", config, "disks", "map", "records", "--root", machine.root, "--svg", svg]
    printed(capsys, *words, *(["--png", png] if FONT.exists() else []))
    top = ElementTree.fromstring(svg.read_text())
    texts = [one.text or "" for one in top.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text.startswith("sd") for text in texts) == 2
    assert any("病案" in text for text in texts)
    assert len(list(top.iter("{http://www.w3.org/2000/svg}path"))) == 4
    first = svg.read_bytes()
    printed(capsys, *words)
    assert svg.read_bytes() == first
    if FONT.exists():
        assert png.read_bytes().startswith(b"\x89PNG")


def test_a_hostile_name_does_no_harm_in_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = Box(tmp_path / "machine")
    disk(box, "sda", 0)
    box.write(
        "sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/device/model", "<script>&\x1b[0m"
    )
    box.mount("8:0", "/", "ext4", "/dev/sda")
    svg = tmp_path / "x.svg"
    printed(capsys, "--config", tmp_path / "none", "disks", "map", "/", "--root", box.root, "--svg", svg)
    assert "<script>" not in svg.read_text()
    ElementTree.fromstring(svg.read_text())


def test_a_picture_that_cannot_be_written_is_told(
    machine: Box, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--config",
        str(config),
        "disks",
        "map",
        "records",
        "--root",
        str(machine.root),
        "--svg",
        "/nonexistent/x.svg",
    ]
    assert main(words) == 1
    assert "/nonexistent/x.svg" in capsys.readouterr().err


def test_this_machine_is_listed_and_the_list_is_kept(config: Path, tmp_path: Path) -> None:
    """As a process, with whatever programs and rights there are; what is kept is what was printed."""
    words = [sys.executable, "-m", "vaultd", "--json", "--config", str(config), "disks", "list"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    found, last = json.loads(done.stdout), kept.last(tmp_path / "state")
    assert last is not None
    assert [one["key"] for one in found["disks"]] == [one.key for one in last.disks]
    assert kept.file(tmp_path / "state").stat().st_mode & 0o777 == 0o600
    again = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert [one["key"] for one in json.loads(again.stdout)["disks"]] == [one["key"] for one in found["disks"]]


def test_a_recorded_machine_is_not_kept_as_this_one(
    machine: Box, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed(capsys, "--config", config, "disks", "list", "--root", machine.root)
    assert not kept.file(config.parent / "state").exists()

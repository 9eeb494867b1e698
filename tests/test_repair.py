"""``vaultd repair`` with real parts: packs deleted and flipped, the index lost; mended from the live folder, from a
second target, or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site import Site, site_in
from tests.test_retain import command
from vaultd.restic import commands


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as site:
        site.add_target()
        yield site


def filled(site: Site) -> Path:
    """Two moments of a vault and a dump: in the second ``changed`` has other content and ``gone`` is gone."""
    site.add_vault(dump=[{"name": "db", "command": ["echo", "a dump"]}])
    site.prepare()
    root = Path(site.vaults["records"]["path"])
    (root / "large").write_bytes(os.urandom(3_000_000))
    (root / "folder").mkdir()
    (root / "folder" / "病案.txt").write_text("name")
    (root / "changed").write_text("first")
    (root / "gone").write_text("soon gone")
    site.backup(full=True)
    (root / "changed").write_text("second")
    (root / "gone").unlink()
    site.backup(full=True)
    return root


def packs(site: Site, target: str = "offsite") -> list[Path]:
    """The packs of a target, the largest first."""
    found = [path for path in (site.servers[target].root / "repo" / "data").rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: -path.stat().st_size)


def data_packs(site: Site) -> list[Path]:
    """Those that hold the content of the first snapshot."""
    return [path for path in packs(site) if path.stat().st_size > 1_000_000]


def contents(site: Site, target: str = "offsite") -> dict[str, dict[bytes, str]]:
    return {one["id"]: site.content(one["id"], target) for one in site.snapshots(target)}


def whole(site: Site, target: str = "offsite") -> bool:
    return asyncio.run(commands.check(site.repository(target), everything=True)).good


def flip(pack: Path, at: int = 1000) -> None:
    pack.chmod(0o600)
    content = bytearray(pack.read_bytes())
    content[at] ^= 0xFF
    pack.write_bytes(content)


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {os.path.basename(one["path"]): one["state"] for one in answer["files"]}


def test_a_deleted_pack_is_mended_from_the_live_folder_for_every_snapshot(site: Site) -> None:
    root = filled(site)
    (root / "gone").write_text("soon gone")  # somebody has it again
    before = contents(site)
    for pack in data_packs(site):
        pack.unlink()
    assert not whole(site)
    seen = command(site, "repair", "records", "--target", "offsite", "--dry-run", code=4)
    assert seen["state"] == "damaged" and states(seen)["large"] == "damaged"
    assert seen["packs"] and not whole(site)
    # "changed" of the first moment is nowhere else; everything else is.
    answer = command(site, "repair", "records", "--target", "offsite", code=4)
    assert states(answer) == {
        "large": "mended", "病案.txt": "mended", "gone": "mended", "changed": "lost",
    }  # fmt: skip
    assert {one["source"] for one in answer["files"] if one["state"] == "mended"} == {"live"}
    assert {one["id"] for one in site.snapshots()} == before.keys()
    newest = site.snapshots()[-1]["id"]
    assert site.content(newest) == before[newest]
    (root / "changed").write_text("first")
    assert command(site, "repair", "records", "--target", "offsite")["state"] == "done"
    assert whole(site) and contents(site) == before
    assert site.restic("snapshots", "--json", "--tag", "vaultd-repair") in (b"[]\n", b"null\n", b"[]")
    site.backup(full=True)
    first, last = site.entries("repair")
    assert (first["state"], first["lost"], last["state"], last["sources"]) == ("lost", 1, "done", ["live"])


def test_a_flipped_pack_is_mended_from_the_second_target(site: Site) -> None:
    """The second repository cuts files at other places, as any two repositories do; both moments are there."""
    site.add_target("second")
    site.add_vault()
    config = site.write()
    site.state.mkdir(mode=0o700)
    asyncio.run(commands.init(site.repository("second")))
    assert (site.servers["second"].root / config.target_named("second").path / "config").exists()
    root = filled(site)
    before = contents(site)
    for name in ("large", "changed"):
        (root / name).unlink()  # not in the live folder any more, and no backup since
    flip(data_packs(site)[0])
    flip(data_packs(site)[0], at=1_500_000)
    answer = command(site, "repair", "records", "--target", "offsite", "--from", "second")
    assert answer["state"] == "done" and states(answer)["large"] == "mended"
    assert {one["source"] for one in answer["files"] if one["path"].endswith("large")} == {"second"}
    assert whole(site) and contents(site) == before
    copies = list(Path(answer["copies"]).glob("pack-*"))
    assert [path.name.removeprefix("pack-") for path in copies] == answer["packs"]
    assert not list(Path(answer["copies"]).glob("scratch-*"))


def test_what_is_lost_everywhere_is_named_and_stays_until_the_loss_is_accepted(site: Site) -> None:
    root = filled(site)
    before = site.snapshots()
    (root / "large").unlink()
    for pack in data_packs(site):
        pack.unlink()
    answer = command(site, "repair", "records", "--target", "offsite", code=4)
    assert answer["state"] == "lost" and states(answer)["large"] == "lost" and answer["accepted"] is False
    assert [one["id"] for one in site.snapshots()] == [one["id"] for one in before]
    answer = command(site, "repair", "records", "--target", "offsite", "--accept-loss", code=4)
    assert answer["accepted"] is True and answer["last"]["good"] is True
    after = site.snapshots()
    assert [one["time"] for one in after] == [one["time"] for one in before]
    kinds = [one["id"] for one in before if "kind=dump" in one["tags"]]
    assert kinds == [one["id"] for one in after if "kind=dump" in one["tags"]] and kinds
    newest = site.snapshots(kind="full")[-1]["id"]
    assert set(site.content(newest)) == {b"changed", "folder/病案.txt".encode()}
    site.backup(full=True)
    assert "snapshots-missing" not in site.alerts()
    site.assert_restorable()


@pytest.mark.soak
def test_folders_come_back_where_they_are_as_they_were(site: Site) -> None:
    """The lists of the first moment's folders are lost. The newest one shares that of ``folder``, still the same."""
    filled(site)
    newest = site.snapshots(kind="full")[-1]["id"]
    before = site.content(newest)
    small = [pack for pack in packs(site) if pack.stat().st_size < 1_000_000]
    min(small, key=lambda pack: pack.stat().st_mtime_ns).unlink()
    answer = command(site, "repair", "records", "--target", "offsite", code=4)
    assert {(one["folder"], one["snapshot"] == newest, one["state"]) for one in answer["files"] if one["folder"]} >= {
        (True, True, "mended"), (True, False, "lost"),
    }  # fmt: skip
    assert site.content(newest) == before
    command(site, "repair", "records", "--target", "offsite", "--accept-loss", code=4)
    assert whole(site) and site.content(site.snapshots(kind="full")[-1]["id"]) == before
    site.backup(full=True)
    assert "snapshots-missing" not in site.alerts()


def test_a_lost_index_and_a_short_pack_are_mended(site: Site) -> None:
    root = filled(site)
    before = contents(site)
    for index in (site.servers["offsite"].root / "repo" / "index").iterdir():
        index.unlink()
    answer = command(site, "repair", "records", "--target", "offsite")
    assert (answer["state"], answer["index"], answer["damaged"]) == ("done", True, 0)
    assert whole(site) and contents(site) == before
    pack = data_packs(site)[0]
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:1_200_000])
    # Which small contents were behind the cut is chance: the live folder has all of them as they were then.
    (root / "changed").write_text("first")
    (root / "gone").write_text("soon gone")
    answer = command(site, "repair", "records", "--target", "offsite")
    assert states(answer)["large"] == "mended" and set(states(answer).values()) == {"mended"}
    assert whole(site)


def test_a_server_whose_disk_is_not_mounted_is_left_alone(site: Site) -> None:
    filled(site)
    data = site.servers["offsite"].root / "repo" / "data"
    data.rename(data.with_name("elsewhere"))
    data.mkdir()
    index = sorted(path.name for path in data.with_name("index").iterdir())
    error = command(site, "repair", "records", "--target", "offsite", code=1)["error"]
    assert "none of its" in error["why"] and sorted(path.name for path in data.with_name("index").iterdir()) == index


def test_nothing_is_changed_where_nothing_is_wrong(site: Site) -> None:
    filled(site)
    before = site.snapshots()
    answer = command(site, "repair", "records", "--target", "offsite")
    assert answer["state"] == "whole" and site.snapshots() == before
    assert command(site, "repair", "records", "--target", "offsite", "--from", "offsite", code=2)["error"]

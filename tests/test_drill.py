"""Restore drills: compared, measured, on record, and nothing left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kitting import COMMAND, Kit, let_in, said, vaultd
from tests.mounting import mounted
from tests.site import Site, site_in, until
from tests.watching import wait_for
from vaultd.drill import scratch as scratching
from vaultd.drill.scratch import scratch
from vaultd.errors import VaultdError

ENTRY = "drill"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Kit]]:
    folder = tmp_path_factory.mktemp("drill")
    with site_in(folder) as site:
        site.add_target()
        vault = site.add_vault()
        (vault / "wards").mkdir()
        for number in range(20):
            (vault / "wards" / f"病案 {number}").write_bytes(os.urandom(4000))
        os.link(vault / "wards" / "病案 1", vault / "linked")
        site.prepare()
        site.start()
        site.wait_protected()
        kit = Kit(site, folder / "sheets", "--batch", code=3)
        let_in(site, kit.told)
        yield site, kit


def leftovers() -> set[str]:
    return {one.name for above in (Path("/dev/shm"), Path("/tmp")) for one in above.glob("vaultd-drill-*")}


def test_a_drill_from_the_kit_alone_is_compared_measured_and_on_record(made: tuple[Site, Kit]) -> None:
    site, kit = made
    before = leftovers()
    own = site.servers["offsite"].identity
    own.rename(own.with_name("away"))  # nothing but the kit may be used
    try:
        told = json.loads(vaultd("--json", "drill", "restore", "records", *kit.options(1, 3, 5), config=site.file))
    finally:
        own.with_name("away").rename(own)
    assert (told["state"], told["kit"], told["target"]) == ("done", kit.id, "offsite")
    assert (told["files"], told["differences"]["count"], told["compared"]) == (21, 0, True)
    assert told["bytes"] == sum(one.stat().st_size for one in (site.folder / "records").rglob("*") if one.is_file())
    assert told["seconds"] > 0 and told["recovery_point"] >= 0
    assert leftovers() <= before
    until(lambda: site.entries(ENTRY), "it is on record")
    (entry,) = site.entries(ENTRY)
    assert (entry["vault"], entry["kit"], entry["files"], entry["differences"]) == ("records", kit.id, 21, 0)
    assert entry["seconds"] >= told["seconds"] and entry["recovery_point_s"] == told["recovery_point"]
    assert entry["who"].startswith(f"uid {os.geteuid()}")


def test_a_drill_without_a_kit_is_marked_so_and_the_list_shows_both(made: tuple[Site, Kit]) -> None:
    site, kit = made
    known = len(site.entries(ENTRY))
    told = vaultd("drill", "restore", "records", "--without-kit", config=site.file)
    assert "with this host's keys, not a kit" in told and "every file is as on record" in told
    until(lambda: len(site.entries(ENTRY)) > known, "it is on record")
    listed = json.loads(vaultd("--json", "drill", "list", config=site.file))["drills"]
    assert [one["kit"] for one in listed][-1] is None
    assert vaultd("drill", "list", "--vault", "records", config=site.file).count("records") == len(listed)
    assert json.loads(vaultd("--json", "drill", "list", "--vault", "none", config=site.file))["drills"] == []
    vaultd("drill", "restore", "records", "--without-kit", "--kit", kit.file, config=site.file, code=2)
    vaultd("drill", "restore", "nothing", "--without-kit", config=site.file, code=2)


def test_a_kit_of_another_host_is_no_drill_of_this_one(made: tuple[Site, Kit], tmp_path: Path) -> None:
    site, kit = made
    other = tmp_path / "vaultd.toml"
    other.write_text(site.file.read_text().replace('name = "ward"', 'name = "other"', 1))
    vaultd("drill", "restore", "records", *kit.options(1, 2, 3), config=other, code=2)
    assert "it is of host ward, this one is other" in said()


def test_a_scratch_that_is_too_small_is_said_before_anything_starts(made: tuple[Site, Kit], tmp_path: Path) -> None:
    site, _kit = made
    (tmp_path / "small").mkdir()
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        words = ["--without-kit", "--scratch", tmp_path / "small"]
        vaultd("drill", "restore", "records", *words, config=site.file, code=1)
        assert "free" in said() and "--scratch" in said()
        assert list((tmp_path / "small").iterdir()) == []
    with pytest.raises(VaultdError, match="it needs up to"), scratch(10**15, tmp_path):
        pass


def test_an_interrupted_drill_leaves_nothing(made: tuple[Site, Kit], tmp_path: Path) -> None:
    site, _kit = made
    server = site.servers["offsite"]
    command = [*COMMAND, "--config", site.file, "drill", "restore", "records", "--without-kit", "--scratch", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: list(tmp_path.glob("vaultd-drill-*/vault")), "it restores")
        server.freeze()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        server.thaw()
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_on_a_disk_files_are_written_over_before_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, bytes] = {}
    remove = scratching.workplace.remove

    def look(path: Path) -> None:
        seen.update({one.name: one.read_bytes() for one in path.rglob("*") if one.is_file()})
        remove(path)

    monkeypatch.setattr(scratching.workplace, "remove", look)
    with pytest.raises(KeyboardInterrupt), scratch(0, tmp_path) as place:
        assert not place.in_memory and place.path.stat().st_mode & 0o777 == 0o700
        (place.path / "file").write_bytes(b"secret" * 500_000)
        (place.path / "closed").mkdir(0o700)
        (place.path / "closed" / "read-only").write_bytes(b"secret")
        (place.path / "closed" / "read-only").chmod(0o400)
        (place.path / "link").symlink_to("/etc/passwd")
        raise KeyboardInterrupt
    assert set(seen) >= {"file", "read-only"}
    assert not any(b"secret" in content for content in seen.values())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_target_has_lost_is_a_difference(made: tuple[Site, Kit]) -> None:
    """Last in this file: the repository is damaged afterwards."""
    site, _kit = made
    newest = site.snapshots(kind="full")[-1]["id"]
    packs = [one for one in (site.servers["offsite"].root / "repo" / "data").rglob("*") if one.is_file()]
    for pack in packs:
        found = site.restic("find", "--snapshot", newest, "--pack", pack.name)
        if b"blob" in found and "病案".encode() in found:
            pack.unlink()
            break
    told = json.loads(vaultd("--json", "drill", "restore", "records", "--without-kit", config=site.file, code=4))
    assert told["state"] == "differences" and told["differences"]["count"] > 0
    assert {one["what"] for one in told["differences"]["listed"]} <= {"missing", "changed"}
    until(lambda: site.entries(ENTRY)[-1].get("differences") == told["differences"]["count"], "it is on record")
